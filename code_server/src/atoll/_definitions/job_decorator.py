"""The `job` decorator: makes a job of a function that calls ops and graphs.

Called by users.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, overload

from atoll import errors
from atoll._definitions import jobs, sources
from atoll._definitions import metadata as metadata_values
from atoll._definitions.nodes import graph_decorator, node, retries
from atoll._definitions.nodes import hooks as hook_definitions

JobFunction = Callable[..., Any]


@overload
def job(compose_fn: JobFunction, /) -> jobs.JobDefinition: ...
@overload
def job(
    *,
    name: str | None = None,
    description: str | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    config: Any = None,
    tags: Mapping[str, Any] | None = None,
    run_tags: Mapping[str, Any] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    logger_defs: Mapping[str, Any] | None = None,
    executor_def: Any = None,
    hooks: AbstractSet[hook_definitions.HookDefinition] | None = None,
    op_retry_policy: retries.RetryPolicy | None = None,
    partitions_def: Any = None,
    input_values: Mapping[str, Any] | None = None,
    owners: Sequence[str] | None = None,
) -> Callable[[JobFunction], jobs.JobDefinition]: ...
def job(
    compose_fn: JobFunction | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    config: Any = None,
    tags: Mapping[str, Any] | None = None,
    run_tags: Mapping[str, Any] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    logger_defs: Mapping[str, Any] | None = None,
    executor_def: Any = None,
    hooks: AbstractSet[hook_definitions.HookDefinition] | None = None,
    op_retry_policy: retries.RetryPolicy | None = None,
    partitions_def: Any = None,
    input_values: Mapping[str, Any] | None = None,
    owners: Sequence[str] | None = None,
) -> jobs.JobDefinition | Callable[[JobFunction], jobs.JobDefinition]:
    """Make a job of a function that calls ops and graphs.

    Args:
        compose_fn: The function, where the decorator is used without parentheses.
        name: The name of the job; the function's where not given.
        description: What it does; the function's docstring where not given.
        resource_defs: Resources by key, before those of the `Definitions`.
        config: Run configuration where a launch gives none, a config mapping, or a partitioned
            config.
        tags: Labels of the job, and of its runs unless `run_tags` is given.
        run_tags: Labels of the runs alone.
        metadata: What to attach to the definition.
        logger_defs: Loggers by name.
        executor_def: How the steps are run.
        hooks: What is called after each step.
        op_retry_policy: When failed steps are tried again that have no policy of their own.
        partitions_def: The partitions that runs are for.
        input_values: Values of the inputs of the function.
        owners: Who answers for the job.

    Returns:
        The job, or a decorator that makes it.

    Raises:
        InvalidDefinitionError: What the function calls does not fit together.

    Example:
        ```
        @job
        def nightly():
            publish(clean(fetch()))
        ```
    """

    def decorate(function: JobFunction) -> jobs.JobDefinition:
        if not callable(function):
            raise errors.InvalidDefinitionError(
                f"job decorates a function, got {function!r}. Give options by name: @job(name=...)."
            )
        own_name = name or node.function_name(function)
        jobs.check_job_name(own_name)
        graph = graph_decorator.compose(function, own_name, description=description)
        return jobs.JobDefinition(
            graph_def=graph,
            name=own_name,
            description=graph.description,
            resource_defs=resource_defs,
            config=config,
            tags=tags,
            run_tags=run_tags,
            metadata=metadata,
            logger_defs=logger_defs,
            executor_def=executor_def,
            hook_defs=hooks,
            op_retry_policy=op_retry_policy,
            partitions_def=partitions_def,
            input_values=input_values,
            owners=owners,
            source=sources.of_function(function),
        )

    return decorate(compose_fn) if compose_fn is not None else decorate

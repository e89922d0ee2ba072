"""The context with which a test calls a hook directly.

Called by users through `build_hook_context`.
"""

from collections.abc import Mapping
from typing import Any, cast

from atoll import errors
from atoll._definitions.nodes import hooks, node
from atoll._definitions.nodes import op as ops
from atoll._execution import direct_contexts, hook_calls, logs, resource_scope
from atoll._execution import resources as resource_objects
from atoll._instance import instance as instances


class DirectHookContext(hook_calls.HookContext):
    """What a hook knows of a step that a test made up."""

    def __init__(self, around: hook_calls.EndedStep, resources: Any, keys: frozenset[str]) -> None:
        self._around = around
        self._resources = resources
        self._keys = keys

    @property
    def hook_def(self) -> hooks.HookDefinition:
        """The hook, which nobody knows before it is called."""
        raise errors.InvalidInvocationError(
            "The context was made by build_hook_context, so it belongs to no hook."
        )

    @property
    def required_resource_keys(self) -> frozenset[str]:
        """The resources that were given."""
        return self._keys


def build_hook_context(
    resources: Mapping[str, Any] | None = None,
    op: ops.OpDefinition | node.PendingNodeInvocation | None = None,
    run_id: str | None = None,
    job_name: str | None = None,
    op_exception: BaseException | None = None,
    instance: instances.Instance | None = None,
) -> hook_calls.HookContext:
    """Make a context with which a test calls a hook directly.

    Args:
        resources: Resources by key; they are made ready when first asked for.
        op: The op that is said to have run.
        run_id: The id of the run.
        job_name: The job of the run.
        op_exception: What the op is said to have raised.
        instance: The instance; an ephemeral one where not given.

    Returns:
        The context.

    Example:
        `tell_somebody(build_hook_context(op_exception=ValueError("no rows")))`
    """
    given = dict(resources or {})
    own = instance if instance is not None else instances.Instance.ephemeral()
    around = resource_scope.Surroundings(instance=own, whose="The context")
    scope = resource_scope.Scope(given, None, around)
    definition: Any = op.node_def if isinstance(op, node.PendingNodeInvocation) else op
    named = op.given_alias if isinstance(op, node.PendingNodeInvocation) else None
    ended = hook_calls.EndedStep(
        job_name=job_name or direct_contexts.DIRECT_JOB_NAME,
        run_id=run_id or direct_contexts.DIRECT_RUN_ID,
        step_key=named or ("" if definition is None else definition.name),
        op_def=cast("Any", definition),
        exception=op_exception,
        log=logs.to_handler(None),
        instance=own,
    )
    opened = resource_objects.Resources(resource_scope.Opening(given, scope), "The context")
    return DirectHookContext(ended, opened, frozenset(given))

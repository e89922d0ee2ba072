"""Executors: how the steps of a run are run, one after the other or in processes of their own.

Called by users through `@executor` and the executors that are there already, and by the execution,
which asks a job's definition for an `Executor` and does as that says. What is defined here is data;
how steps are run stands in `_execution`.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, overload

from atoll import _records as records
from atoll import errors
from atoll._definitions import config_contract, config_mapping, config_schemas


class ExecutorRequirement(enum.Enum):
    """What an executor needs of the job and the instance that it runs with."""

    RECONSTRUCTABLE_JOB = "RECONSTRUCTABLE_JOB"
    RECONSTRUCTABLE_PIPELINE = RECONSTRUCTABLE_JOB
    NON_EPHEMERAL_INSTANCE = "NON_EPHEMERAL_INSTANCE"
    PERSISTENT_OUTPUTS = "PERSISTENT_OUTPUTS"


def multiple_process_executor_requirements() -> list[ExecutorRequirement]:
    """Return what executors need that run steps in several processes."""
    return [
        ExecutorRequirement.RECONSTRUCTABLE_JOB,
        ExecutorRequirement.NON_EPHEMERAL_INSTANCE,
        ExecutorRequirement.PERSISTENT_OUTPUTS,
    ]


class TagLimit(records.Record):
    """How many steps with a tag run at the same time, at the most.

    Attributes:
        key: The key of the tag.
        limit: How many.
        value: Only steps with this value; None for any value.
        each_value: Whether each value of the tag has the limit for itself.
    """

    key: str
    limit: int
    value: str | None = None
    each_value: bool = False


class Executor:
    """How the steps of one run are run.

    What an executor definition makes: an `InProcessExecutor` or a `MultiprocessExecutor`.

    Args:
        retries: Whether steps that fail are tried again, as their policies say.
    """

    def __init__(self, *, retries: bool = True) -> None:
        self.retries = retries


class InProcessExecutor(Executor):
    """Runs the steps one after the other in the process of the run."""


class MultiprocessExecutor(Executor):
    """Runs each step in a process of its own, several at the same time.

    Args:
        max_concurrent: How many steps run at the same time, at the most; the number of processors
            where it is 0.
        tag_concurrency_limits: How many steps with certain tags do.
        retries: Whether steps that fail are tried again, as their policies say.
    """

    def __init__(
        self,
        max_concurrent: int = 0,
        tag_concurrency_limits: Sequence[TagLimit] = (),
        *,
        retries: bool = True,
    ) -> None:
        super().__init__(retries=retries)
        self.max_concurrent = max_concurrent
        self.tag_concurrency_limits = tuple(tag_concurrency_limits)


class InitExecutorContext(records.Record):
    """What an executor knows while it is made.

    Attributes:
        job: The job that runs.
        executor_def: The definition that makes it.
        executor_config: Its config.
        instance: The instance.
    """

    job: Any
    executor_def: "ExecutorDefinition"
    executor_config: Any
    instance: Any


ExecutorFunction: TypeAlias = Callable[[InitExecutorContext], Executor]
RequirementsFunction: TypeAlias = Callable[[Any], Sequence[ExecutorRequirement]]
Requirements: TypeAlias = RequirementsFunction | Sequence[ExecutorRequirement] | None


class ExecutorDefinition:
    """Makes an executor for a run. Made by `executor`.

    Args:
        name: The name.
        config_schema: What it takes as config; nothing where not given.
        requirements: What it needs, or a function that tells it of the config.
        executor_creation_fn: Makes the executor.
        description: What it is.
    """

    def __init__(
        self,
        name: str,
        config_schema: Any = None,
        requirements: Requirements = None,
        executor_creation_fn: ExecutorFunction | None = None,
        description: str | None = None,
    ) -> None:
        self._name = name
        self._field = config_schemas.coerce(config_schema)
        self._requirements = requirements
        self._make = executor_creation_fn
        self._description = description

    @staticmethod
    def hardcoded_executor(executor: Executor) -> "ExecutorDefinition":
        """Return a definition that gives an executor which is there already.

        Args:
            executor: The executor.
        """
        return ExecutorDefinition("__executor__", executor_creation_fn=lambda _: executor)

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def description(self) -> str | None:
        """What the executor is."""
        return self._description

    @property
    def config_field(self) -> config_contract.ConfigField | None:
        """How the executor is configured; None where it takes no config."""
        return self._field

    @property
    def config_schema(self) -> config_contract.ConfigField | None:
        """How the executor is configured; None where it takes no config."""
        return self._field

    @property
    def executor_creation_fn(self) -> ExecutorFunction | None:
        """The function that makes the executor."""
        return self._make

    def get_requirements(self, executor_config: Any = None) -> Sequence[ExecutorRequirement]:
        """Return what the executor needs.

        Args:
            executor_config: Its config.
        """
        if callable(self._requirements):
            return list(self._requirements(executor_config or {}))
        return list(self._requirements or ())

    def configured(
        self,
        config_or_config_fn: Any,
        name: str | None = None,
        config_schema: Any = None,
        description: str | None = None,
    ) -> "ExecutorDefinition":
        """Return the executor with its config given in code.

        Args:
            config_or_config_fn: The config, or a function that makes it of other config.
            name: The name of what is made; as before where not given.
            config_schema: What that function takes.
            description: What the executor is; as before where not given.
        """
        return config_mapping.configure(
            self, config_or_config_fn, name or self._name, config_schema, description
        )

    def copy_for_configured(
        self, name: str, description: str | None, config_schema: Any
    ) -> "ExecutorDefinition":
        """Return the executor with another schema, which gives the config that this one needs.

        Args:
            name: The name.
            description: What it is; as before where not given.
            config_schema: What it takes as config.
        """
        return ExecutorDefinition(
            name, config_schema, self._requirements, self._make, description or self._description
        )

    def make(self, job: Any, config: Any, instance: Any) -> Executor:
        """Make the executor of a run.

        Args:
            job: The job that runs.
            config: The plain config; `NOT_GIVEN` for none.
            instance: The instance.

        Raises:
            InvalidConfigError: The config does not fit.
            InvalidDefinitionError: What is made is no executor of Atoll's.
        """
        value = None if self._field is None else self._field.resolve(config, _PATH)
        made: Any = None
        if self._make is not None:
            made = self._make(InitExecutorContext(job, self, value, instance))
        if not isinstance(made, (InProcessExecutor, MultiprocessExecutor)):
            raise errors.InvalidDefinitionError(
                f"The executor {self._name!r} made {made!r}. Have its function return what "
                "in_process_executor.executor_creation_fn or that of multiprocess_executor does."
            )
        return made

    def __repr__(self) -> str:
        return f"ExecutorDefinition({self._name!r})"


_PATH = ("execution", "config")


@overload
def executor(name: ExecutorFunction) -> ExecutorDefinition: ...
@overload
def executor(
    name: str | None = None, config_schema: Any = None, requirements: Requirements = None
) -> Callable[[ExecutorFunction], ExecutorDefinition]: ...
def executor(
    name: str | ExecutorFunction | None = None,
    config_schema: Any = None,
    requirements: Requirements = None,
) -> ExecutorDefinition | Callable[[ExecutorFunction], ExecutorDefinition]:
    """Make an executor definition of a function that gives the executor.

    Args:
        name: The name; the function's where not given.
        config_schema: What the executor takes as config; nothing where not given.
        requirements: What it needs, or a function that tells it of the config.

    Returns:
        The definition, or a decorator that makes it.
    """
    if callable(name):
        return executor()(name)

    def decorate(function: ExecutorFunction) -> ExecutorDefinition:
        own_name = name if isinstance(name, str) else function.__name__
        return ExecutorDefinition(own_name, config_schema, requirements, function, function.__doc__)

    return decorate


def _retries_schema() -> config_schemas.Field:
    return config_schemas.Field(
        config_schemas.Selector({"enabled": {}, "disabled": {}}),
        default_value={"enabled": {}},
        description="Whether steps that fail are tried again, as their policies say.",
    )


def _in_process_schema() -> Mapping[str, Any]:
    return {"retries": _retries_schema()}


def _multiprocess_schema() -> Mapping[str, Any]:
    limit = config_schemas.Shape(
        {
            "key": config_schemas.Field(str, description="The key of a tag."),
            "value": config_schemas.Field(
                config_schemas.ScalarUnion(
                    str, config_schemas.Shape({"applyLimitPerUniqueValue": bool})
                ),
                is_required=False,
                description="Only steps with this value, or that each value has a limit of its "
                "own; without it, all values share the limit.",
            ),
            "limit": config_schemas.Field(
                int, description="How many of these steps run at the same time, at the most."
            ),
        }
    )
    return {
        "max_concurrent": config_schemas.Field(
            config_schemas.Noneable(int),
            default_value=None,
            description="How many steps run at the same time, at the most; the number of "
            "processors where it is 0 or null.",
        ),
        "tag_concurrency_limits": config_schemas.Field(
            config_schemas.Noneable(config_schemas.Array(limit)),
            default_value=None,
            description="How many steps with certain tags run at the same time, at the most.",
        ),
        "start_method": config_schemas.Field(
            config_schemas.Selector(
                {
                    "forkserver": {
                        "preload_modules": config_schemas.Field([str], is_required=False)
                    },
                    "spawn": {},
                }
            ),
            is_required=False,
            description="Taken and without effect: steps are forked from the process of the run.",
        ),
        "retries": _retries_schema(),
    }


def _retries_of(config: Mapping[str, Any]) -> bool:
    return "disabled" not in (config.get("retries") or {})


def _in_process(config: Mapping[str, Any]) -> Executor:
    return InProcessExecutor(retries=_retries_of(config))


def _multiprocess(config: Mapping[str, Any]) -> Executor:
    most = config.get("max_concurrent") or 0
    limits = [_tag_limit(one) for one in config.get("tag_concurrency_limits") or ()]
    for what, number in [("max_concurrent", most), *((one.key, one.limit) for one in limits)]:
        if number < 0 or (number == 0 and what != "max_concurrent"):
            raise errors.InvalidConfigError(
                f"At execution/config: a limit of {number} for {what} lets no step run. Give a "
                "number from 1, or leave it out.",
                _PATH,
                dict(config),
            )
    return MultiprocessExecutor(most, limits, retries=_retries_of(config))


def _tag_limit(entry: Mapping[str, Any]) -> TagLimit:
    value: Any = entry.get("value")
    if value is None or isinstance(value, str):
        return TagLimit(entry["key"], entry["limit"], value)
    return TagLimit(entry["key"], entry["limit"], None, value["applyLimitPerUniqueValue"])


def _either(config: Mapping[str, Any]) -> Executor:
    if "multiprocess" in config:
        return _multiprocess(config["multiprocess"] or {})
    return _in_process(config.get("in_process") or {})


def _requirements_of_either(config: Mapping[str, Any]) -> Sequence[ExecutorRequirement]:
    return multiple_process_executor_requirements() if "multiprocess" in config else []


in_process_executor = ExecutorDefinition(
    "in_process",
    _in_process_schema(),
    executor_creation_fn=lambda context: _in_process(context.executor_config),
    description="Runs the steps one after the other in the process of the run.",
)
multiprocess_executor = ExecutorDefinition(
    "multiprocess",
    _multiprocess_schema(),
    multiple_process_executor_requirements(),
    lambda context: _multiprocess(context.executor_config),
    "Runs each step in a process of its own, several at the same time.",
)
multi_or_in_process_executor = ExecutorDefinition(
    "multi_or_in_process",
    config_schemas.Field(
        config_schemas.Selector(
            {"in_process": _in_process_schema(), "multiprocess": _multiprocess_schema()}
        ),
        default_value={"in_process": {}},
    ),
    _requirements_of_either,
    lambda context: _either(context.executor_config),
    "Runs the steps in the process of the run, or each in a process of its own, as config says.",
)


def definition_of(given: Any) -> ExecutorDefinition:
    """Return the executor definition that a job's runs use.

    Args:
        given: What the job or the definitions name: a definition, an executor, or None.

    Raises:
        InvalidDefinitionError: It is neither.
    """
    if given is None:
        return multi_or_in_process_executor
    if isinstance(given, ExecutorDefinition):
        return given
    if isinstance(given, Executor):
        return ExecutorDefinition.hardcoded_executor(given)
    raise errors.InvalidDefinitionError(
        f"An executor is a definition such as multiprocess_executor, got {given!r}."
    )

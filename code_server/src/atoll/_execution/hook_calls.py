"""Calls the hooks of a step after it has ended.

Called by the executors. What a hook raises is told by an event and fails nothing.
"""

import logging
from collections.abc import Mapping
from typing import Any

from atoll._definitions import events, raised
from atoll._definitions.nodes import hooks
from atoll._definitions.nodes import op as ops
from atoll._execution import events as event_sinks
from atoll._execution import resources as resource_objects
from atoll._instance import instance as instances


class HookContext:
    """What a hook knows of the step that has ended.

    Args:
        hook_def: The hook.
        around: What the step was.
        resources: The resources that the hook requires.
    """

    def __init__(self, hook_def: hooks.HookDefinition, around: "EndedStep", resources: Any) -> None:
        self._hook_def = hook_def
        self._around = around
        self._resources = resources

    @property
    def hook_def(self) -> hooks.HookDefinition:
        """The hook."""
        return self._hook_def

    @property
    def job_name(self) -> str:
        """The job of the run."""
        return self._around.job_name

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._around.run_id

    @property
    def step_key(self) -> str:
        """The step."""
        return self._around.step_key

    @property
    def op(self) -> ops.OpDefinition:
        """The op that ran."""
        return self._around.op_def

    @property
    def op_config(self) -> Any:
        """The config of the op."""
        return self._around.op_config

    @property
    def op_exception(self) -> BaseException | None:
        """What the op raised; None where it succeeded."""
        return self._around.exception

    @property
    def op_output_values(self) -> Mapping[str, Any]:
        """The values that the op gave, by output; those of a dynamic output by mapping key."""
        return self._around.output_values

    @property
    def op_output_metadata(self) -> Mapping[str, Mapping[str, Any]]:
        """What was attached to the outputs, by output."""
        return self._around.output_metadata

    @property
    def required_resource_keys(self) -> frozenset[str]:
        """The resources that the hook requires."""
        return self._hook_def.required_resource_keys

    @property
    def resources(self) -> Any:
        """The resources that the hook requires."""
        return self._resources

    @property
    def log(self) -> logging.Logger:
        """The log of the step."""
        return self._around.log

    @property
    def instance(self) -> instances.Instance:
        """Answers questions about assets and runs."""
        return self._around.instance


class EndedStep:
    """A step that has ended, as hooks see it."""

    def __init__(  # noqa: PLR0913 - one place fills it, by name
        self,
        *,
        job_name: str,
        run_id: str,
        step_key: str,
        op_def: ops.OpDefinition,
        log: logging.Logger,
        instance: instances.Instance,
        op_config: Any = None,
        exception: BaseException | None = None,
        output_values: Mapping[str, Any] | None = None,
        output_metadata: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.job_name = job_name
        self.run_id = run_id
        self.step_key = step_key
        self.op_def = op_def
        self.op_config = op_config
        self.exception = exception
        self.output_values = output_values or {}
        self.output_metadata = output_metadata or {}
        self.log = log
        self.instance = instance


def call(
    hook_def: hooks.HookDefinition,
    ended: EndedStep,
    resources: resource_objects.Resources,
    emitter: event_sinks.Emitter,
) -> None:
    """Call one hook.

    Args:
        hook_def: The hook.
        ended: The step that has ended.
        resources: The resources that the hook requires.
        emitter: Makes the events.
    """
    context = HookContext(hook_def, ended, resources)
    name = hook_def.name
    try:
        result = hook_def.hook_fn(context, ended.exception is None)
    except Exception as error:  # noqa: BLE001 - boundary to the user's hook; told by an event
        emitter.emit(
            events.EventType.HOOK_ERRORED,
            f"The hook {name!r} raised {type(error).__name__}.",
            events.HookData(name, raised.describe(error)),
            step_key=ended.step_key,
        )
        return
    skipped = isinstance(result, hooks.HookExecutionResult) and result.is_skipped
    emitter.emit(
        events.EventType.HOOK_SKIPPED if skipped else events.EventType.HOOK_COMPLETED,
        f"The hook {name!r} {'had nothing to do' if skipped else 'was called'}.",
        events.HookData(name),
        step_key=ended.step_key,
    )

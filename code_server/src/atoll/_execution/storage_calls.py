"""Calls IO managers, and says which of them failed at what where they raise.

Called by the loading of inputs and the storing of outputs: the boundary to the IO managers' code.
"""

from types import GeneratorType
from typing import Any

from atoll import errors
from atoll._definitions import failures
from atoll._definitions.nodes import retries
from atoll._execution import io_contexts

# What is meant for the engine, and what says by itself which value it is about.
_PASSED_ON = (errors.Error, failures.Failure, retries.RetryRequested)


def load(
    manager: Any, context: io_contexts.InputContext, manager_key: str, step_key: str = ""
) -> Any:
    """Load a value.

    Args:
        manager: The IO manager or input manager.
        context: Which value.
        manager_key: The resource key of the manager.
        step_key: The step that takes the value; empty outside one.

    Returns:
        The value.

    Raises:
        ExecutionLoadInputError: The manager raised.
        InvariantViolationError: The resource loads nothing.
    """
    if not callable(getattr(manager, "load_input", None)):
        raise _no_manager(manager, manager_key, "load_input")
    try:
        return manager.load_input(context)
    except _PASSED_ON:
        raise
    except Exception as error:
        name = context.name if context.has_input_name else None
        what = "a value" if name is None else f"the input {name!r}"
        where = f" of {step_key!r}" if step_key else ""
        raise errors.ExecutionLoadInputError(
            f"The IO manager {manager_key!r} could not load {what}{where}{_asset_of(context)}: its "
            f"code raised {type(error).__name__}.",
            manager_key,
            name,
        ) from error


def store(manager: Any, context: io_contexts.OutputContext, value: Any, manager_key: str) -> None:
    """Store a value. What the IO manager tells stands in the context afterwards.

    Args:
        manager: The IO manager.
        context: What belongs to the value.
        value: The value.
        manager_key: The resource key of the IO manager.

    Raises:
        ExecutionHandleOutputError: The IO manager raised.
        InvariantViolationError: The resource stores nothing, or returned something.
    """
    if not callable(getattr(manager, "handle_output", None)):
        raise _no_manager(manager, manager_key, "handle_output")
    try:
        returned = manager.handle_output(context, value)
        if isinstance(returned, GeneratorType):
            for event in returned:  # pyright: ignore[reportUnknownVariableType]
                context.log_event(event)  # pyright: ignore[reportUnknownArgumentType]
            return
    except _PASSED_ON:
        raise
    except Exception as error:
        mapping_key = context.mapping_key
        which = "" if mapping_key is None else f" for {mapping_key!r}"
        raise errors.ExecutionHandleOutputError(
            f"The IO manager {manager_key!r} could not store the output {context.name!r}{which} of "
            f"{context.step_key!r}{_asset_of(context)}: its code raised {type(error).__name__}.",
            manager_key,
            context.name,
        ) from error
    if returned is not None:
        raise errors.InvariantViolationError(
            f"handle_output of the IO manager {manager_key!r} returned a "
            f"{type(returned).__name__}. Return nothing; context.log_event and "
            "context.add_output_metadata tell of what was stored."
        )


def _asset_of(context: io_contexts.InputContext | io_contexts.OutputContext) -> str:
    return f" (asset {context.asset_key.to_user_string()})" if context.has_asset_key else ""


def _no_manager(manager: Any, manager_key: str, method: str) -> errors.InvariantViolationError:
    return errors.InvariantViolationError(
        f"The resource {manager_key!r} is a {type(manager).__name__}, which has no {method}. Give "
        "an IO manager."
    )

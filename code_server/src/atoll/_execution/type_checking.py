"""Checks of values against types, and what checks and loaders of types get as their context.

Called by the engine for every input and output of a step, and by users' tests (`check_type`). What
a type is stands in `_definitions.types`.
"""

import dataclasses
from typing import Any

from atoll import errors
from atoll._definitions import types
from atoll._execution import logs
from atoll._execution import resources as resource_objects


@dataclasses.dataclass(frozen=True)
class TypeCheckContext:
    """What the check of a type knows beside the value.

    Attributes:
        run_id: The run whose step is at work; empty outside of a run.
        log: Writes logs.
        resources: The resources that the type requires.
    """

    run_id: str
    log: logs.LogManager
    resources: Any


@dataclasses.dataclass(frozen=True)
class TypeLoaderContext:
    """What the loader of a type knows beside the run configuration of the input.

    Attributes:
        run_id: The run whose step is at work; empty outside of a run.
        log: Writes logs.
        resources: The resources that the loader requires.
        job_def: The definition of the job, None outside of a run.
        op_def: The definition of the op whose input is loaded, None outside of a run.
    """

    run_id: str
    log: logs.LogManager
    resources: Any
    job_def: Any = None
    op_def: Any = None


def check_type(type: Any, value: object) -> types.TypeCheck:  # noqa: A002 - the word of the field
    """Check a value against a type outside of a run, as unit tests of types do.

    Args:
        type: A `Type`, a Python class or any annotation.
        value: The value.

    Returns:
        What the check says.

    Raises:
        InvalidDefinitionError: What was given is no type.
        InvalidInvocationError: The check requires resources.
        TypeCheckError: The check raised.
    """
    resolved = types.resolve_argument(type, "check_type")
    used = types.distinct([resolved]).values()
    required = sorted({key for one in used for key in one.required_resource_keys})
    if required:
        raise errors.InvalidInvocationError(
            f"The check of {resolved.display_name!r} requires the resources {', '.join(required)}, "
            "which check_type does not have. Call type.type_check(context, value) with a context "
            "of your own."
        )
    return resolved.type_check(_context_outside_runs(), value)


def _context_outside_runs() -> TypeCheckContext:
    return TypeCheckContext(
        run_id="",
        log=logs.to_handler(None),
        resources=resource_objects.Resources({}, "The check of a type"),
    )


def check_value(
    type: types.Type,  # noqa: A002 - the word of the field
    value: object,
    context: TypeCheckContext,
    subject: str,
) -> types.TypeCheck:
    """Check the value of an input or an output.

    Args:
        type: The type that the value has to be of.
        value: The value.
        context: The context of the checks of this step.
        subject: What the value is: "the input 'rows' of the op 'load'".

    Returns:
        What the check says, for the event that tells of the value.

    Raises:
        TypeCheckError: The check raised; the exception of the user is its cause.
    """
    try:
        return type.type_check(context, value)
    except errors.TypeCheckError as error:
        raise errors.TypeCheckError(f"For {subject}: {error}") from error.__cause__


def did_not_pass(
    type: types.Type,  # noqa: A002 - the word of the field
    check: types.TypeCheck,
    subject: str,
) -> errors.TypeCheckDidNotPass:
    """Make the error by which a step fails after a check that did not pass.

    Args:
        type: The type that the value should have been of.
        check: What the check said.
        subject: What the value is: "the input 'rows' of the op 'load'".

    Returns:
        The error.
    """
    return errors.TypeCheckDidNotPass(
        f"The value of {subject} is not of the type {type.display_name!r}. "
        f"{check.description or 'The check says no more.'}",
        check.metadata,
        type,
    )

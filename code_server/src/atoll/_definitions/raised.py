"""What was raised, turned into data: the type, the message, the stack and the causes.

Called wherever user code may raise. Apart from `failures`, which everybody needs who reads events,
because only those who run user code need tracebacks.
"""

import traceback

from atoll import errors
from atoll._definitions import failures

CAUSES_MAX = 20
FRAMES_MAX = 100


def describe(error: BaseException) -> failures.FailureInfo:
    """Describe an exception, its stack and its causes as data.

    Args:
        error: The exception.

    Returns:
        The description. Causes beyond a bound, and repeated ones, are left out.
    """
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain and len(chain) < CAUSES_MAX:
        chain.append(current)
        suppressed = current.__suppress_context__
        current = current.__cause__ or (None if suppressed else current.__context__)
    info: failures.FailureInfo | None = None
    for link in reversed(chain):
        info = failures.FailureInfo(
            type=_type_name(link),
            message=_message(link),
            frames=_frames(link),
            cause=info,
            metadata=link.metadata if isinstance(link, _WITH_METADATA) else {},
        )
    assert info is not None  # noqa: S101 - the chain holds at least the error itself
    return info


def user_failure(error: BaseException) -> failures.FailureInfo:
    """Describe what made user code fail: the user's own exception where Atoll wrapped it.

    An error of an IO manager stays in its wrapping, which says what was loaded or stored.

    Args:
        error: An exception of user code, or the `UserCodeExecutionError` around it.

    Returns:
        The description.
    """
    if isinstance(error, _SAYS_WHERE):
        return describe(error)
    if isinstance(error, errors.UserCodeExecutionError) and error.__cause__ is not None:
        return describe(error.__cause__)
    return describe(error)


def _type_name(error: BaseException) -> str:
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    # Under the name by which users know it, not by that of the private module that holds it.
    module = _PACKAGE if kind.__module__.startswith(_BEHIND_THE_PACKAGE) else kind.__module__
    return f"{module}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    # A user's __str__ may itself raise; a failure must still be told.
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - boundary to user code; what is left is recorded
        return f"(the exception's own __str__ raised {type(broken).__name__})"


def _frames(error: BaseException) -> tuple[failures.StackFrame, ...]:
    every = [
        failures.StackFrame(frame.filename, frame.lineno or 0, frame.name, frame.line or "")
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    # How Atoll came to call user code helps nobody who reads the user's traceback. Where no line of
    # the user's is left, what Atoll raised for users says all there is to say; anything else is an
    # error of Atoll itself, and its stack is all there is.
    of_user = [frame for frame in every if not frame.file.startswith(_OWN_FOLDER)]
    if not of_user and isinstance(error, errors.Error):
        return ()
    return tuple((of_user or every)[-FRAMES_MAX:])


_WITH_METADATA = (failures.Failure, errors.TypeCheckDidNotPass)
# Which value it was, and which IO manager, stands in these alone.
_SAYS_WHERE = (errors.ExecutionLoadInputError, errors.ExecutionHandleOutputError)
_PACKAGE = __name__.partition(".")[0]
_BEHIND_THE_PACKAGE = (f"{_PACKAGE}._", errors.__name__)
_OWN_FOLDER = __file__.rpartition("_definitions")[0]

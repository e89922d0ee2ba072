"""Exceptions as data, and the exception by which user code fails with a description and metadata.

Called wherever user code may raise: an exception never crosses a process as an object, only as a
`FailureInfo`.
"""

import dataclasses
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from atoll._definitions import errors
from atoll._definitions import metadata as metadata_values

CAUSES_MAX = 20
FRAMES_MAX = 100


class Failure(Exception):  # noqa: N818 - the field's name
    """Raised by user code to fail with a description and metadata.

    Args:
        description: What went wrong.
        metadata: Values that help to understand the failure.
    """

    def __init__(
        self,
        description: str | None = None,
        metadata: Mapping[str, metadata_values.RawMetadataValue] | None = None,
    ) -> None:
        super().__init__(description)
        self.description = description
        self.metadata = metadata_values.normalize(metadata)


@dataclasses.dataclass(frozen=True)
class StackFrame:
    """One line of a traceback.

    Attributes:
        file: The file of the frame.
        line: The line in the file, from 1.
        function: The function.
        source: The source text of the line, where it is known.
    """

    file: str
    line: int
    function: str
    source: str = ""


@dataclasses.dataclass(frozen=True)
class FailureInfo:
    """An exception as data.

    Attributes:
        type: The qualified name of the exception's type.
        message: The message of the exception.
        frames: The stack, outermost call first.
        cause: The exception that caused this one.
        metadata: What the user attached.
        last_output: The last lines that a process wrote before it died, where that is known.
    """

    type: str
    message: str
    frames: tuple[StackFrame, ...] = ()
    cause: "FailureInfo | None" = None
    metadata: Mapping[str, metadata_values.MetadataValue[Any]] = dataclasses.field(
        default_factory=dict[str, metadata_values.MetadataValue[Any]]
    )
    last_output: str = ""

    def to_string(self) -> str:
        """Return the failure as people read tracebacks, the cause first."""
        lines: list[str] = []
        if self.cause is not None:
            lines += [self.cause.to_string(), "", "which caused:", ""]
        for frame in self.frames:
            lines.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
            if frame.source:
                lines.append(f"    {frame.source}")
        lines.append(f"{self.type}: {self.message}" if self.message else self.type)
        return "\n".join(lines)


def describe(error: BaseException) -> FailureInfo:
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
    info: FailureInfo | None = None
    for link in reversed(chain):
        info = FailureInfo(
            type=_type_name(link),
            message=_message(link),
            frames=_frames(link.__traceback__),
            cause=info,
            metadata=link.metadata if isinstance(link, Failure) else {},
        )
    assert info is not None  # noqa: S101 - the chain holds at least the error itself
    return info


def user_failure(error: BaseException) -> FailureInfo:
    """Describe what made user code fail: the user's own exception where Atoll wrapped it.

    Args:
        error: An exception of user code, or the `UserCodeExecutionError` around it.

    Returns:
        The description.
    """
    if isinstance(error, errors.UserCodeExecutionError) and error.__cause__ is not None:
        return describe(error.__cause__)
    return describe(error)


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _message(error: BaseException) -> str:
    # A user's __str__ may itself raise; a failure must still be told.
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - boundary to user code; what is left is recorded
        return f"(the exception's own __str__ raised {type(broken).__name__})"


def _frames(trace: TracebackType | None) -> tuple[StackFrame, ...]:
    every = [
        StackFrame(frame.filename, frame.lineno or 0, frame.name, frame.line or "")
        for frame in traceback.extract_tb(trace)
    ]
    # How Atoll came to call user code helps nobody who reads the user's traceback. Where no line of
    # the user's is left, the error is Atoll's own, and its stack is all there is.
    of_user = [frame for frame in every if not frame.file.startswith(_OWN_FOLDERS)]
    return tuple((of_user or every)[-FRAMES_MAX:])


_OWN_FOLDERS = tuple(
    f"{__file__.rpartition('_definitions')[0]}{folder}" for folder in ("_definitions", "_execution")
)

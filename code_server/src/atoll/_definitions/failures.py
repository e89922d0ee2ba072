"""Exceptions as data, and the exception by which user code fails with a description and metadata.

Called by whatever tells of failures: an exception never crosses a process as an object, only as a
`FailureInfo`. How one is made of an exception stands in `raised`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from atoll import _records as records
from atoll._definitions import metadata as metadata_values

_NO_METADATA: Mapping[str, metadata_values.MetadataValue[Any]] = MappingProxyType({})


class Failure(Exception):
    """Raised by user code to fail with a description and metadata.

    Args:
        description: What went wrong.
        metadata: Values that help to understand the failure.
        allow_retries: Whether a retry policy may try the step again.
    """

    def __init__(
        self,
        description: str | None = None,
        metadata: Mapping[str, metadata_values.RawMetadataValue] | None = None,
        allow_retries: bool | None = None,  # noqa: FBT001 - the field's signature
    ) -> None:
        super().__init__(description)
        self.allow_retries = allow_retries is not False
        self.description = description
        self.metadata = metadata_values.normalize(metadata)


class StackFrame(records.Record):
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


class FailureInfo(records.Record):
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
    metadata: Mapping[str, metadata_values.MetadataValue[Any]] = _NO_METADATA
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

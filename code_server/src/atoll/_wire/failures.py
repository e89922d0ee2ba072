"""Exceptions as messages: what user code raised becomes a `Failure`, which nothing ever unpickles.

Used wherever user code is called: loading, ticks, steps. What an exception is as plain data stands
in `_definitions.raised`; here it gets the bounds that a message needs, since a failure travels
inside an event, and the place of a syntax error, which no stack shows. Frames of Atoll and of the
import machinery are left out unless nothing else remains.
"""

from __future__ import annotations

import importlib
import pathlib
from collections.abc import Sequence

from atoll import errors
from atoll._definitions import failures, raised
from atoll._wire import metadata, texts
from atoll.definitions.v1 import values_pb2

MESSAGE_CHARACTERS_MAX = 32 * 1024
SOURCE_CHARACTERS_MAX = 500
LAST_OUTPUT_CHARACTERS_MAX = 16 * 1024

_ATOLL_FOLDER = str(pathlib.Path(__file__).resolve().parents[1]) + "/"
_MACHINERY = ("<frozen importlib", "<frozen runpy", str(importlib.__file__))


def from_exception(error: BaseException) -> values_pb2.Failure:
    """Return an exception, its stack and its chain of causes as a message.

    Args:
        error: What was raised.
    """
    failure = from_info(raised.describe(error))
    if isinstance(error, SyntaxError) and error.filename:
        # The message of Python says the place again; the frame says it better.
        failure.message = texts.bounded(error.msg or "", MESSAGE_CHARACTERS_MAX)
        if all(_is_machinery(frame.file) for frame in failure.frames):
            del failure.frames[:]
        failure.frames.append(_syntax_frame(error, error.filename))
    return failure


def of_user_code(error: BaseException) -> values_pb2.Failure:
    """Return what made user code fail: the user's own exception where Atoll wrapped it.

    Args:
        error: What was raised.
    """
    if isinstance(error, errors.UserCodeExecutionError) and error.__cause__ is not None:
        return from_exception(error.__cause__)
    return from_exception(error)


def from_info(info: failures.FailureInfo) -> values_pb2.Failure:
    """Return a described exception as a message.

    Args:
        info: The description.
    """
    message = values_pb2.Failure(
        type=texts.valid(info.type),
        message=texts.bounded(info.message, MESSAGE_CHARACTERS_MAX),
        frames=[_frame(frame) for frame in _of_interest(info.frames)],
        cause=None if info.cause is None else from_info(info.cause),
        last_output=texts.bounded(info.last_output, LAST_OUTPUT_CHARACTERS_MAX),
    )
    metadata.fill(message.metadata, info.metadata)
    return message


def to_info(message: values_pb2.Failure) -> failures.FailureInfo:
    """Return the description that a message holds.

    Args:
        message: The message.
    """
    return failures.FailureInfo(
        type=message.type,
        message=message.message,
        frames=tuple(
            failures.StackFrame(frame.file, frame.line, frame.function, frame.source)
            for frame in message.frames
        ),
        cause=to_info(message.cause) if message.HasField("cause") else None,
        metadata=metadata.read(message.metadata),
        last_output=message.last_output,
    )


def of_process(kind: str, text: str, *, last_output: str = "") -> values_pb2.Failure:
    """Return a failure that no exception stands behind, such as the death of a process.

    Args:
        kind: The kind of failure, where the qualified name of an exception would stand.
        text: What was wrong, with which value, and what to do.
        last_output: The last lines that the process wrote.
    """
    return from_info(failures.FailureInfo(type=kind, message=text, last_output=last_output))


def summary(failure: values_pb2.Failure) -> str:
    """Return a failure in one line: the type and the first line of the message.

    Args:
        failure: The failure.
    """
    first_line = failure.message.partition("\n")[0]
    return f"{failure.type}: {first_line}" if first_line else failure.type


def _of_interest(frames: Sequence[failures.StackFrame]) -> Sequence[failures.StackFrame]:
    return [frame for frame in frames if not _is_machinery(frame.file)] or frames


def _is_machinery(file: str) -> bool:
    return file.startswith((_ATOLL_FOLDER, *_MACHINERY))


def _frame(frame: failures.StackFrame) -> values_pb2.StackFrame:
    return values_pb2.StackFrame(
        file=texts.valid(frame.file),
        line=frame.line,
        function=texts.valid(frame.function),
        source=texts.bounded(frame.source, SOURCE_CHARACTERS_MAX),
    )


def _syntax_frame(error: SyntaxError, file: str) -> values_pb2.StackFrame:
    source = (error.text or "").strip()
    return _frame(failures.StackFrame(file, error.lineno or 0, "<module>", source))

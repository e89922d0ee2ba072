"""Takes the messages of a program one by one as they arrive, and says what a message reader is.

Called by `session`, which keeps what was reported, and by the readers of `file_readers` and
`threaded_readers`, whose threads bring the messages. A message that cannot be read is logged with
its text and spoils no other. Where messages come from stays outside.
"""

import abc
import contextlib
import json
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeAlias, TypedDict, cast

import atoll_pipes
from atoll import errors
from atoll._execution.pipes import reported, steps

ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)
_TEXT_SHOWN_MAX = 1000
_MAJOR_VERSION = atoll_pipes.PIPES_PROTOCOL_VERSION.partition(".")[0]
_STREAMS = ("stdout", "stderr")
_LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
    "FATAL": logging.CRITICAL,
}


class PipesLaunchedData(TypedDict):
    """What is known of a program only once it runs, such as its id in the system that runs it."""

    extras: atoll_pipes.PipesExtras


class PipesMessageReader(abc.ABC):
    """Brings the messages of a program to a handler while a session lasts."""

    @abc.abstractmethod
    def read_messages(
        self, handler: "PipesMessageHandler"
    ) -> AbstractContextManager[atoll_pipes.PipesParams]:
        """Return a context manager that reads while it lasts.

        It gives the parameters by which the program's message writer finds the way.

        Args:
            handler: Takes the messages, from any thread.
        """

    @abc.abstractmethod
    def no_messages_debug_text(self) -> str:
        """Return what to check, in sentences, when no message arrives."""

    def on_opened(self, opened_payload: atoll_pipes.PipesOpenedData) -> None:  # noqa: B027 - a hook
        """Take what the program's message writer told of itself."""

    def on_launched(self, launched_payload: PipesLaunchedData) -> None:  # noqa: B027 - a hook
        """Take what became known of the program when it was launched."""

    @property
    def expected_writer_count(self) -> int:
        """How many writers the program has: each opens and closes."""
        return 1


class _Reports:
    """What arrived from all writers of a session."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.opened = 0
        self.closed = 0
        self.results: list[reported.PipesExecutionResult] = []
        self.custom: list[Any] = []
        self.exception: str | None = None


class PipesMessageHandler:
    """Takes the messages of a program: logs at once, keeps results.

    Args:
        context: The context of the step.
        message_reader: Brings the messages.
    """

    def __init__(self, context: steps.StepContext, message_reader: PipesMessageReader) -> None:
        self._context = context
        self._message_reader = message_reader
        self._expected_writers = message_reader.expected_writer_count
        self._reports = _Reports()
        self._takers: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "opened": self._take_opened,
            "closed": self._take_closed,
            "log": self._take_log,
            "log_external_stream": self._take_stream,
            "report_asset_materialization": self._take_materialization,
            "report_asset_check": self._take_check,
            "report_custom_message": self._take_custom,
        }

    @contextlib.contextmanager
    def handle_messages(self) -> Generator[atoll_pipes.PipesParams]:
        """Read and take messages while the context lasts."""
        with self._message_reader.read_messages(self) as params:
            yield params

    def for_writer(self, message_reader: PipesMessageReader) -> "PipesMessageHandler":
        """Return a handler for one of several writers; what is reported goes to this one.

        Args:
            message_reader: Brings the messages of that writer.
        """
        one = PipesMessageHandler(self._context, message_reader)
        one._reports = self._reports
        one._expected_writers = self._expected_writers
        return one

    @property
    def received_opened_message(self) -> bool:
        """Whether a writer has told that it began."""
        return self._reports.opened > 0

    @property
    def received_closed_message(self) -> bool:
        """Whether all writers have told that they ended."""
        return self._reports.closed >= self._expected_writers

    @property
    def reported_exception(self) -> str | None:
        """The exception that ended the program, as it told itself, with its stack."""
        return self._reports.exception

    def get_reported_results(self) -> Sequence[reported.PipesExecutionResult]:
        """Return what was reported of assets and checks so far."""
        return tuple(self._reports.results)

    def get_custom_messages(self) -> Sequence[Any]:
        """Return the custom messages so far."""
        return tuple(self._reports.custom)

    def on_launched(self, launched_payload: PipesLaunchedData) -> None:
        """Hand on to the reader what became known of the program when it was launched."""
        self._message_reader.on_launched(launched_payload)

    def handle_line(self, line: str) -> None:
        """Take a line that is to be a message, and log it where it is none.

        Args:
            line: The line.
        """
        try:
            message = json.loads(line)
        except ValueError as error:
            self._refuse(line, f"it is no JSON ({error})")
            return
        if not isinstance(message, dict):
            self._refuse(line, "it is no JSON object")
            return
        self.handle_message(cast("dict[str, Any]", message))

    def handle_output(self, line: str) -> None:
        """Take a line of what a program printed: a message, or else text that is printed here.

        Args:
            line: The line.
        """
        if atoll_pipes.PIPES_PROTOCOL_VERSION_FIELD in line:
            self.handle_line(line)
        else:
            write_to_own("stdout", f"{line}\n")

    def handle_message(self, message: Mapping[str, Any]) -> None:
        """Take one message, and log it where it does not follow the protocol.

        Args:
            message: The message.
        """
        try:
            self._take(message)
        except (reported.UnreadableMessageError, errors.Error) as problem:
            self._refuse(json.dumps(message, default=repr), str(problem))

    def report_pipes_framework_exception(self, origin: str, exc_info: ExcInfo) -> None:
        """Log that the reading of messages itself failed.

        Args:
            origin: What failed.
            exc_info: What was raised, as `sys.exc_info()` gives it.
        """
        text = "".join(traceback.format_exception(*exc_info)).rstrip()
        self._context.log.error("%s failed; messages may be missing.\n%s", origin, text)

    def _take(self, message: Mapping[str, Any]) -> None:
        version = message.get(atoll_pipes.PIPES_PROTOCOL_VERSION_FIELD)
        if not isinstance(version, str):
            raise reported.UnreadableMessageError(
                f"it has no {atoll_pipes.PIPES_PROTOCOL_VERSION_FIELD}, as every message has"
            )
        if version.partition(".")[0] != _MAJOR_VERSION:
            raise reported.UnreadableMessageError(
                f"it follows version {version} of the protocol, and this is "
                f"{atoll_pipes.PIPES_PROTOCOL_VERSION}"
            )
        method, params = message.get("method"), message.get("params")
        taker = self._takers.get(method) if isinstance(method, str) else None
        if taker is None:
            raise reported.UnreadableMessageError(
                f"its method {method!r} is none of {', '.join(self._takers)}"
            )
        if params is not None and not isinstance(params, dict):
            raise reported.UnreadableMessageError(f"its params are no object, but {params!r}")
        taker(cast("dict[str, Any]", params or {}))

    def _refuse(self, text: str, why: str) -> None:
        shown = text if len(text) <= _TEXT_SHOWN_MAX else f"{text[:_TEXT_SHOWN_MAX]}..."
        self._context.log.warning(
            "A message of the external program was passed over, since %s: %s", why, shown
        )

    def _take_opened(self, params: Mapping[str, Any]) -> None:
        with self._reports.lock:
            self._reports.opened += 1
        extras = reported.field({"extras": {}, **params}, "extras", dict)
        self._message_reader.on_opened({"extras": extras})

    def _take_closed(self, params: Mapping[str, Any]) -> None:
        exception = params.get("exception")
        if exception:
            told = _exception_text(exception)
            self._reports.exception = told
            self._context.log.error("The external program ended with an exception.\n%s", told)
        with self._reports.lock:
            self._reports.closed += 1

    def _take_log(self, params: Mapping[str, Any]) -> None:
        text = reported.field(params, "message", str)
        level = _LEVELS.get(str(params.get("level", "INFO")).upper(), logging.INFO)
        self._context.log.log(level, "%s", text)

    def _take_stream(self, params: Mapping[str, Any]) -> None:
        stream, text = params.get("stream"), reported.field(params, "text", str)
        if stream not in _STREAMS:
            raise reported.UnreadableMessageError(f"its stream {stream!r} is none of {_STREAMS}")
        write_to_own(str(stream), text)

    def _take_materialization(self, params: Mapping[str, Any]) -> None:
        self._reports.results.append(reported.materialization(self._with_asset_key(params)))

    def _take_check(self, params: Mapping[str, Any]) -> None:
        self._reports.results.append(reported.check_result(self._with_asset_key(params)))

    def _with_asset_key(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return parameters with the asset, which programs need not name where there is one."""
        asset_keys = steps.asset_keys(self._context)
        if params.get("asset_key") is not None or len(asset_keys) != 1:
            return params
        return {**params, "asset_key": asset_keys[0].to_user_string()}

    def _take_custom(self, params: Mapping[str, Any]) -> None:
        self._reports.custom.append(params.get("payload"))


def write_to_own(stream: str, text: str) -> None:
    """Write what a program wrote to the same stream of this process.

    Args:
        stream: "stdout" or "stderr".
        text: The text.
    """
    own = sys.stdout if stream == "stdout" else sys.stderr
    # User code may have closed its streams or put anything in their place.
    with contextlib.suppress(Exception):
        own.write(text)
        own.flush()


def _exception_text(exception: Any, depth: int = 0) -> str:
    """Return an exception as people read tracebacks, the cause first."""
    if not isinstance(exception, dict) or depth > atoll_pipes.PIPES_CAUSES_MAX:
        return repr(cast("object", exception))
    told = cast("dict[str, Any]", exception)
    before = ""
    for name, words in (("cause", "which caused:"), ("context", "and while that was handled:")):
        if told.get(name):
            before += f"{_exception_text(told[name], depth + 1)}\n\n{words}\n\n"
    stack: Any = told.get("stack")
    frames = cast("list[object]", stack) if isinstance(stack, list) else []
    return f"{before}{''.join(map(str, frames))}{told.get('message') or told.get('name')}"

"""The logs that user code writes through `context.log`.

Called by contexts. Each log is a logger of its own, apart from the tree of `logging`: what user
code configures there neither swallows nor doubles what belongs to a run.
"""

import logging
import traceback
from collections.abc import Sequence

from atoll._definitions import events, runs
from atoll._execution import events as event_sinks

USER_LOGGER_NAME = "atoll"
# Where, in the standard tree of loggers, people find what is logged in their own process.
CONTEXT_LOGGER_NAME = "atoll.context"


class LogManager(logging.Logger):
    """A log of a step, a run or a tick, used as any logger: `log.info("%d rows", count)`."""


def to_handler(handler: logging.Handler | None, name: str = USER_LOGGER_NAME) -> LogManager:
    """Make a log that writes to a handler.

    Args:
        handler: Where messages go; to the logger `atoll.context` where not given.
        name: The name of the log.

    Returns:
        The log.
    """
    log = LogManager(name, logging.DEBUG)
    log.addHandler(handler if handler is not None else _Forwarding())
    return log


def to_events(
    emitter: event_sinks.Emitter,
    step_key: str | None,
    loggers: Sequence[logging.Logger] = (),
) -> LogManager:
    """Make a log whose messages are events of a run.

    Args:
        emitter: Makes the events.
        step_key: The step that logs; None for the run as a whole.
        loggers: The loggers of the run, which get the messages too.

    Returns:
        The log.
    """
    log = LogManager(USER_LOGGER_NAME, logging.DEBUG)
    log.addHandler(_Emitting(emitter, step_key))
    for one in loggers:
        log.addHandler(_Passing(one, emitter.run, step_key))
    return log


class _Emitting(logging.Handler):
    """Turns records into events."""

    def __init__(self, emitter: event_sinks.Emitter, step_key: str | None) -> None:
        super().__init__()
        self._emitter = emitter
        self._step_key = step_key

    def emit(self, record: logging.LogRecord) -> None:
        self._emitter.emit(
            events.EventType.LOG_MESSAGE,
            text_of(record),
            events.LogMessageData(record.levelno, record.name),
            step_key=self._step_key,
        )


class _Passing(logging.Handler):
    """Passes records on to a logger of the run, which decides by its level whether it takes them.

    A record tells where it comes from, as `run_id`, `job_name` and `step_key`.
    """

    def __init__(self, logger: logging.Logger, run: runs.Run, step_key: str | None) -> None:
        super().__init__()
        self._logger = logger
        self._origin = {"run_id": run.run_id, "job_name": run.job_name, "step_key": step_key}

    def emit(self, record: logging.LogRecord) -> None:
        if self._logger.isEnabledFor(record.levelno):
            copied = logging.makeLogRecord({**record.__dict__, **self._origin})
            self._logger.handle(copied)


class _Forwarding(logging.Handler):
    """Hands records on to the standard tree of loggers, for contexts that stand alone in tests."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = logging.getLogger(CONTEXT_LOGGER_NAME)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)


def text_of(record: logging.LogRecord) -> str:
    """Return the message of a record, with the traceback where it carries one."""
    try:
        text = record.getMessage()
    except Exception as error:  # noqa: BLE001 - boundary to the user's arguments; the message itself is kept
        text = f"{record.msg} (arguments do not fit: {error})"
    if record.exc_info and record.exc_info[1] is not None:
        text = f"{text}\n{''.join(traceback.format_exception(record.exc_info[1])).rstrip()}"
    return text

"""Loggers that write to the console: coloured for people, JSON for programs.

Called by whoever starts runs, and by users who name them in `loggers={...}`.
"""

import json
import logging
import sys
from collections.abc import Mapping
from typing import Any

from atoll import errors
from atoll._definitions import config_schemas, loggers
from atoll._execution import logs

DEFAULT_LEVEL = "INFO"
DEFAULT_NAME = "atoll"
_LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
}
_RESET = "\x1b[0m"
_COLORS = (
    (logging.ERROR, "\x1b[31m"),
    (logging.WARNING, "\x1b[33m"),
    (logging.INFO, "\x1b[34m"),
    (logging.NOTSET, "\x1b[2m"),
)
# What every record has; the rest came from `extra`.
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class _Colored(logging.Formatter):
    """Writes a line in the colour of its level."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(name)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        color = next(color for level, color in _COLORS if record.levelno >= level)
        return f"{color}{super().format(record)}{_RESET}"


class JsonLogFormatter(logging.Formatter):
    """Writes each message as a JSON object on a line, with what came in `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "timestamp": record.created,
            "level": record.levelname,
            "name": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        told.update(
            (name, value) for name, value in vars(record).items() if name not in _OF_EVERY_RECORD
        )
        return json.dumps(told, default=str)


def _schema() -> dict[str, config_schemas.Field]:
    return {
        "log_level": config_schemas.Field(str, is_required=False),
        "name": config_schemas.Field(str, is_required=False),
    }


def _logger(config: Mapping[str, Any], formatter: logging.Formatter) -> logging.Logger:
    given = config.get("log_level", DEFAULT_LEVEL)
    level = _LEVELS.get(str(given).upper())
    if level is None:
        raise errors.InvalidConfigError(
            f"The log level {given!r} is none. Give one of {', '.join(_LEVELS)}.",
            ("log_level",),
            given,
        )
    # Apart from the tree of loggers: a run's logger neither stays nor doubles what others write.
    made = logs.LogManager(config.get("name", DEFAULT_NAME), level)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    made.addHandler(handler)
    return made


@loggers.logger(config_schema=_schema(), description="Writes coloured lines to the console.")
def colored_console_logger(context: loggers.InitLoggerContext) -> logging.Logger:
    """Write coloured lines to the console."""
    return _logger(context.logger_config, _Colored())


@loggers.logger(config_schema=_schema(), description="Writes JSON lines to the console.")
def json_console_logger(context: loggers.InitLoggerContext) -> logging.Logger:
    """Write JSON lines to the console."""
    return _logger(context.logger_config, JsonLogFormatter())


def default_loggers() -> dict[str, loggers.LoggerDefinition]:
    """Return the loggers of jobs that name none, by key."""
    return {"console": colored_console_logger}


def default_system_loggers(
    instance: Any = None,
) -> list[tuple[loggers.LoggerDefinition, dict[str, Any]]]:
    """Return the loggers, with their config, of what runs outside jobs.

    Args:
        instance: The instance; it has no say in it here.
    """
    del instance
    return [(colored_console_logger, {"name": DEFAULT_NAME, "log_level": "DEBUG"})]

"""Definitions of loggers: where the messages of a run go beside its events.

Called by users and by whoever starts runs. The loggers for consoles are in
`_execution.console_loggers`.
"""

import logging
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, overload

from typing_extensions import Self

from atoll import errors
from atoll._definitions import config_contract, config_mapping, config_schemas
from atoll._definitions.resources import any_config, definition

LoggerFunction: TypeAlias = Callable[["InitLoggerContext"], logging.Logger]
L = TypeVar("L", bound="LoggerDefinition")


class InitLoggerContext:
    """What a logger knows while it is made.

    Args:
        logger_config: The config of the logger.
        logger_def: The definition that is made.
        job_def: The job of the run; None outside one.
        run_id: The run; None outside one.
    """

    def __init__(
        self,
        logger_config: Any,
        logger_def: "LoggerDefinition | None" = None,
        job_def: Any = None,
        run_id: str | None = None,
    ) -> None:
        self.logger_config = logger_config
        self.logger_def = logger_def
        self.job_def = job_def
        self.run_id = run_id


class LoggerDefinition:
    """Makes a logger for a run. Made by `logger`; called directly, it calls the function.

    Args:
        logger_fn: Gives the logger.
        config_schema: What it takes as config; anything where not given.
        description: What it is.
    """

    def __init__(
        self,
        logger_fn: LoggerFunction,
        config_schema: Any = None,
        description: str | None = None,
    ) -> None:
        self._function = logger_fn
        self._field: config_contract.ConfigField = (
            config_schemas.coerce(config_schema) or any_config.Anything()
        )
        self._description = description

    @property
    def logger_fn(self) -> LoggerFunction:
        """The function that gives the logger."""
        return self._function

    @property
    def config_field(self) -> config_contract.ConfigField | None:
        """How the logger is configured."""
        return self._field

    @property
    def config_schema(self) -> config_contract.ConfigField | None:
        """How the logger is configured."""
        return self._field

    @property
    def description(self) -> str | None:
        """What the logger is."""
        return self._description

    def configured(
        self,
        config_or_config_fn: Any,
        config_schema: Any = None,
        description: str | None = None,
    ) -> Self:
        """Return the logger with its config given in code.

        Args:
            config_or_config_fn: The config, or a function that makes it of other config.
            config_schema: What that function takes.
            description: What the logger is; as before where not given.
        """
        return config_mapping.configure(
            self, config_or_config_fn, config_schema=config_schema, description=description
        )

    def copy_for_configured(self, description: str | None, config_schema: Any) -> Self:
        """Return the logger with another schema, which gives the config that this one needs.

        Args:
            description: What the logger is; as before where not given.
            config_schema: What it takes as config.
        """
        return type(self)(self._function, config_schema, description or self._description)

    def make(self, context: InitLoggerContext, path: tuple[str, ...] = ("loggers",)) -> Any:
        """Make the logger.

        Args:
            context: Its config is plain, as run configuration gives it; `NOT_GIVEN` for none.
            path: Where in the run configuration that stands.

        Returns:
            The logger.

        Raises:
            InvalidConfigError: The config does not fit.
        """
        value = self._field.resolve(context.logger_config, path)
        return self._function(InitLoggerContext(value, self, context.job_def, context.run_id))

    def __call__(self, context: InitLoggerContext) -> logging.Logger:
        """Call the function directly, as tests do, with a context of `build_init_logger_context`.

        Raises:
            InvalidInvocationError: It is no such context.
        """
        if not isinstance(context, InitLoggerContext):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.InvalidInvocationError(
                f"A logger is called with a context, got {context!r}. Make one with "
                "build_init_logger_context(logger_config=...)."
            )
        raw: Any = context.logger_config
        given = config_contract.NOT_GIVEN if raw is None else raw
        made: logging.Logger = self.make(
            InitLoggerContext(given, self, context.job_def, context.run_id), ("config",)
        )
        return made


@overload
def logger(config_schema: LoggerFunction) -> LoggerDefinition: ...  # pyright: ignore[reportOverlappingOverload]
@overload
def logger(
    config_schema: Any = None, description: str | None = None
) -> Callable[[LoggerFunction], LoggerDefinition]: ...
def logger(
    config_schema: Any = None, description: str | None = None
) -> LoggerDefinition | Callable[[LoggerFunction], LoggerDefinition]:
    """Make a logger of a function that gives it.

    Args:
        config_schema: What the logger takes as config; anything where not given.
        description: What it is; the function's docstring where not given.

    Returns:
        The logger, or a decorator that makes it.
    """
    if definition.is_function(config_schema):
        return logger()(config_schema)

    def decorate(function: LoggerFunction) -> LoggerDefinition:
        return LoggerDefinition(
            function, config_schema, description or definition.docstring(function)
        )

    return decorate


def build_init_logger_context(logger_config: Any = None, job_def: Any = None) -> InitLoggerContext:
    """Make the context with which a test calls a logger.

    Args:
        logger_config: The config of the logger.
        job_def: The job that it sees.
    """
    return InitLoggerContext(logger_config, None, job_def)

"""Loggers for code that knows no context: what they say belongs to the step that runs.

Called by users. Inside a step a message becomes an event of the run; anywhere else, it goes where
the process's logging sends it.
"""

import logging

from atoll._execution import op_context

_NAME = "atoll.user"


def get_logger(name: str | None = None) -> logging.Logger:
    """Return a logger whose messages are events of the run, inside a step.

    Args:
        name: What to call it; shown with each message.

    Returns:
        The logger, the same one for the same name.

    Example:
        `get_logger().info("%d rows", count)`
    """
    logger = logging.getLogger(f"{_NAME}.{name}" if name else _NAME)
    if _left_to_the_process not in logger.filters:
        # Which levels are wanted, each step and the process say by themselves.
        logger.setLevel(logging.DEBUG)
        logger.addFilter(_left_to_the_process)
    return logger


def _left_to_the_process(record: logging.LogRecord) -> bool:
    """Hand a message to the log of the step that runs here, or say that there is none.

    Returns:
        Whether the message goes to the loggers of the process, which hear what they want to hear.
    """
    context = op_context.current()
    if context is None:
        return record.levelno >= logging.getLogger().getEffectiveLevel()
    context.log.handle(record)
    return False

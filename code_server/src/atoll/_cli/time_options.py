"""Times on the command line: ISO 8601, in the local zone where none is given."""

import datetime as dt

import click


def moment(text: str) -> dt.datetime:
    """Return the time that a text names; given to options as type.

    Args:
        text: The text, such as ``2026-11-28T09:30`` or ``2026-11-28T09:30Z``.

    Raises:
        click.BadParameter: It is no time.
    """
    try:
        read = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no time. Write it as 2026-11-28T09:30, or 2026-11-28T09:30Z for UTC."
        ) from error
    return read.astimezone()

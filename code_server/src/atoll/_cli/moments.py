"""Times on the command line."""

import datetime as dt

import click

METAVAR = "TIME"
HELP = "a time is one like 2026-01-31T12:00+01:00, or one of the clock here without the zone"


def parse(text: str) -> dt.datetime:
    """Return the time that a text on the command line names; given to options as type.

    Raises:
        click.BadParameter: It names none.
    """
    try:
        moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no time. Write one like 2026-01-31T12:00+01:00."
        ) from None
    return moment if moment.tzinfo is not None else moment.astimezone()

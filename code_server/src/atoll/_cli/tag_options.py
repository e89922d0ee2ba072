"""Tags on the command line, ``--tag KEY=VALUE``."""

from collections.abc import Iterable

import click


def parse(pairs: Iterable[str]) -> dict[str, str]:
    """Return the tags that options give.

    Args:
        pairs: What was given, each ``KEY=VALUE``.

    Raises:
        click.BadParameter: One is no tag.
    """
    tags: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise click.BadParameter(
                f"{pair!r} is no tag. Write KEY=VALUE, such as team=sales.", param_hint="--tag"
            )
        tags[name] = value
    return tags

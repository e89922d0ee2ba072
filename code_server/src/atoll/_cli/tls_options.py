"""Which certificates the commands show and trust: what the options before the command say.

`main` takes the options, since they belong to all commands that ask a host; `connection` asks here.
"""

import pathlib

import click

from atoll._rpc import tls


def chosen() -> tls.ClientFiles | None:
    """Return the files that the command line or the environment names; None for no TLS.

    Raises:
        atoll._rpc.errors.InvalidArgumentError: Some are named without those that they need.
    """
    context = click.get_current_context(silent=True)
    if context is None:
        return None
    return tls.client_files(
        _path(context, "ca_file"), _path(context, "cert_file"), _path(context, "key_file")
    )


def _path(context: click.Context, name: str) -> pathlib.Path | None:
    value = context.meta.get(f"atoll.{name}")
    return pathlib.Path(value) if value else None

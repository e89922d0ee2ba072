"""Which host a command speaks to, with which files for TLS, and where its token is. Pure.

Asked by `connection`, once for each command. Each setting is looked for by itself: in an option, in
a context that was named by an option, in the environment, in the context that is used otherwise, at
last in the defaults. What a context holds counts only for the host of that context: its token and
its certificate are not shown to another one.
"""

import dataclasses
import enum
from collections.abc import Callable

from atoll._cli import context_files


class TokenFrom(enum.Enum):
    """Where the token to call with is."""

    NOWHERE = "nowhere"
    FILE = "file"
    ENVIRONMENT = "environment"
    LOGIN = "login"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What somebody says of a call; empty is not said.

    Attributes:
        host: Where the host listens.
        ca_file: The authority of its certificate.
        cert_file: The certificate to show.
        key_file: The key of that.
        token: Whether there is a token, or a file with one.
    """

    host: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    token: str = dataclasses.field(default="", repr=False)


@dataclasses.dataclass(frozen=True)
class Target:
    """What a command uses.

    Attributes:
        host: Where the host listens.
        ca_file: The authority of its certificate; empty for no TLS.
        cert_file: The certificate to show; empty for none.
        key_file: The key of that.
        token_from: Where the token is.
        token_file: The file, if it is in one.
        context: The context whose settings count; None for none.
    """

    host: str
    ca_file: str
    cert_file: str
    key_file: str
    token_from: TokenFrom
    token_file: str
    context: context_files.Context | None


def target(
    options: Settings,
    environment: Settings,
    context: context_files.Context | None,
    *,
    is_named: bool,
    default_host: str,
    normal: Callable[[str], str] = str,
) -> Target:
    """Return what a command uses.

    Args:
        options: What the command line says; its token is the path of a file.
        environment: What environment variables say; its token is one.
        context: The context that was named, or that is used where none is.
        is_named: Whether the command line names it.
        default_host: The host where nothing names one.
        normal: Writes an address in the one way in which it is compared.
    """
    said = (TokenFrom.FILE, options)
    held = (TokenFrom.LOGIN, Settings() if context is None else _held(context))
    around = (TokenFrom.ENVIRONMENT, environment)
    levels = [said, held, around] if is_named else [said, around, held]
    host = next((level.host for _, level in levels if level.host), default_host)
    if context is not None and normal(host) != normal(context.host):
        context = None
        levels.remove(held)
    ca_file = next((level.ca_file for _, level in levels if level.ca_file), "")
    # A certificate of one place does not go with a key of another.
    shown = next((level for _, level in levels if level.cert_file or level.key_file), Settings())
    token_from, token = next(
        ((source, level.token) for source, level in levels if level.token), (TokenFrom.NOWHERE, "")
    )
    if token_from is TokenFrom.LOGIN and context is not None and context.token_file:
        token_from, token = TokenFrom.FILE, context.token_file
    return Target(
        host=host,
        ca_file=ca_file,
        cert_file=shown.cert_file,
        key_file=shown.key_file,
        token_from=token_from,
        token_file=token if token_from is TokenFrom.FILE else "",
        context=context,
    )


def _held(context: context_files.Context) -> Settings:
    return Settings(
        context.host, context.ca_file, context.cert_file, context.key_file, token=context.name
    )

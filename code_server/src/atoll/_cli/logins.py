"""What says who calls, one file a context: a token, or the tokens of an identity provider.

Written by `atoll login`, read with each command by `connection`. The tokens of a provider live for
minutes: those that are about to end are renewed here, by one process at a time, since a provider
may take what renews them only once.
"""

import contextlib
import dataclasses
import json
import pathlib
import time
from typing import Any, Final

import click

from atoll._cli import context_files, oidc

_BYTES_MAX: Final = 1_000_000
_RENEW_BEFORE_S: Final = 60.0


@dataclasses.dataclass(frozen=True)
class Login:
    """What says who calls.

    Attributes:
        bearer: What is sent to the host.
        session: Where it is from and how it is renewed; None for a token that somebody made.
    """

    bearer: str = dataclasses.field(repr=False)
    session: oidc.Session | None = None


def load(name: str) -> Login | None:
    """Return what says who calls in a context; None where nothing does.

    Raises:
        click.UsageError: It cannot be read.
    """
    path = _path(name)
    try:
        with path.open("rb") as file:
            document: Any = json.loads(file.read(_BYTES_MAX))
        session = document.get("session")
        return Login(str(document["bearer"]), oidc.Session(**session) if session else None)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise click.UsageError(
            f"{path} cannot be read: {type(error).__name__}. Log in again with: atoll login "
            f"--context {name}"
        ) from error


def save(name: str, login: Login) -> None:
    """Keep what says who calls in a context."""
    session = dataclasses.asdict(login.session) if login.session else None
    text = json.dumps({"bearer": login.bearer, "session": session})
    context_files.replace(_path(name), f"{text}\n")


def forget(name: str) -> Login | None:
    """Remove what says who calls in a context; return it."""
    found: Login | None = None
    # What cannot be read is removed all the same.
    with contextlib.suppress(click.UsageError):
        found = load(name)
    _path(name).unlink(missing_ok=True)
    return found


def renewed(name: str) -> Login | None:
    """Return what says who calls in a context, good for another minute at least if it can be.

    Raises:
        click.ClickException: It has ended, and the provider renews it no more.
    """
    found = load(name)
    if found is None or not _ends_soon(found):
        return found
    with context_files.changing(f"login-{name}"):
        # Somebody else may have renewed it meanwhile.
        found = load(name)
        if found is None or found.session is None or not _ends_soon(found):
            return found
        try:
            bearer, session = oidc.renew(found.session)
        except oidc.ProviderAway as error:
            if found.session.ends_at > time.time():
                return found
            raise click.ClickException(str(error)) from error
        except oidc.OidcError as error:
            raise oidc.LoginEnded(
                f"{error}\nThe log-in of the context {name!r} has ended. Log in again with: "
                f"atoll login --oidc --context {name}"
            ) from error
        made = Login(bearer, session)
        save(name, made)
        return made


def _ends_soon(login: Login) -> bool:
    return login.session is not None and login.session.ends_at - time.time() < _RENEW_BEFORE_S


def _path(name: str) -> pathlib.Path:
    return context_files.folder() / "logins" / f"{name}.json"

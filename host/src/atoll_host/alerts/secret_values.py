"""Secrets of targets, read where they are kept: in an environment variable or in a file.

Called by `sending` for each message, so that a secret that is changed holds at once, and once
before the host starts, so that a missing one is found then. Nothing here is ever logged or put into
an error: errors name the variable or the file.
"""

import os
import pathlib
from collections.abc import Iterator, Mapping

from atoll_host import errors
from atoll_host.alerts import rules

BYTES_MAX = 64 * 1024


class SecretMissing(Exception):
    """A secret is not where it should be. The message names the place and never the secret."""


def read(
    variable: str | None, file: str | None, environment: Mapping[str, str] | None = None
) -> str:
    """Return a secret, empty where neither a variable nor a file is named.

    Raises:
        SecretMissing: It is not there.
    """
    if variable:
        values = os.environ if environment is None else environment
        found = values.get(variable, "").strip()
        place = f"the environment variable {variable}"
    elif file:
        place = f"the file {file}"
        try:
            with pathlib.Path(file).open("rb") as opened:
                found = opened.read(BYTES_MAX).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SecretMissing(f"{place} cannot be read ({type(error).__name__})") from None
    else:
        return ""
    if not found:
        raise SecretMissing(f"{place} is empty or not set")
    return found


def url_of(target: rules.Webhook, environment: Mapping[str, str] | None = None) -> str:
    """Return the address of a webhook.

    Raises:
        SecretMissing: It is not where it should be, or is none.
    """
    url = target.url or read(target.url_env, target.url_file, environment)
    try:
        rules.check_url(url)
    except ValueError:
        place = target.url_env or target.url_file or "the rule"
        raise SecretMissing(f"{place} does not hold an http or https address") from None
    return url


def check(settings: rules.AlertSettings, environment: Mapping[str, str] | None = None) -> None:
    """Find out whether every secret of the rules is there.

    Raises:
        errors.SettingsError: One is not.
    """
    for rule in settings.rules:
        for target in rule.notify:
            try:
                for _ in _read_all(target, environment):
                    pass
            except SecretMissing as error:
                raise errors.SettingsError(
                    f"alerts: rule {rule.name!r}: {error}. Set it, or take the target out.",
                    setting="alerts",
                ) from None


def _read_all(target: rules.Target, environment: Mapping[str, str] | None) -> Iterator[str]:
    if isinstance(target, rules.Webhook):
        yield url_of(target, environment)
        yield read(target.secret_env, target.secret_file, environment)
    else:
        yield read(target.password_env, target.password_file, environment)

"""The token of the first admin, and the one for whoever locked everybody out.

A host that asks for credentials and has no token at all makes one when it starts, and writes it to
a file that only its own user can read; its log names the file and never the token. `create` makes
one for whoever can reach the database, which holds everything anyway.
"""

import logging
import os
import pathlib

from atoll_host import errors
from atoll_host.access import callers, tokens
from atoll_storage import access_records, access_store

_log = logging.getLogger(__name__)

FILE_NAME = "admin.token"
_NAME = "first admin"
_MODE = 0o600


async def ensure(store: access_store.AccessStore, data_dir: pathlib.Path) -> pathlib.Path | None:
    """Make the first token unless there is one; return the file that it was written to.

    Of several hosts that start on one database, one makes it.

    Raises:
        errors.StartError: The file cannot be written.
    """
    token = tokens.make()
    path = data_dir / FILE_NAME

    def keep() -> None:
        try:
            write(path, token)
        except OSError as error:
            raise errors.StartError(
                f"There is no token yet, and the first one cannot be written to {path}: "
                f"{error.strerror}. Name another data directory with --data-dir, or set "
                "first_token = false in [access] and make one with: atoll host create-token"
            ) from error

    # The file comes first: a token that nobody can read would lock everybody out.
    made = await store.create_first(_admin(token, _NAME, "host", None), keep)
    if not made:
        return None
    _log.warning(
        "there was no token, so one for an admin was made; it is in a file",
        extra={"action": "first_token", "path": str(path)},
    )
    return path


async def create(
    store: access_store.AccessStore, name: str, lifetime_s: float | None
) -> tokens.Token:
    """Make a token for an admin of everything, whoever asks."""
    token = tokens.make()
    await store.create(_admin(token, name, "atoll host create-token", lifetime_s))
    return token


def write(path: pathlib.Path, token: tokens.Token) -> None:
    """Write a token to a file that only its owner can read, in place of what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{token.bearer}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _admin(
    token: tokens.Token, name: str, creator: str, lifetime_s: float | None
) -> access_records.NewToken:
    return access_records.NewToken(
        token_id=token.token_id,
        name=name,
        kind=access_records.KIND_ACCESS,
        digest=token.digest,
        grants=(access_records.StoredGrant(callers.Role.ADMIN.value, None),),
        location_name="",
        creator=creator,
        lifetime_s=lifetime_s,
    )

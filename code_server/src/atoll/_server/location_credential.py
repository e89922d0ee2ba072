"""The token by which the host knows the location; its certificate may say so instead.

Read by `host_link` before each session, and sent with each call of the host. It comes from the
environment of `atoll serve`, which forgets it at once, or from a file that is read anew each time:
who rotates it replaces the file. Its processes with user code are never told. The token is in no
message and no representation.
"""

from __future__ import annotations

import pathlib
import stat
from typing import NoReturn

from atoll._rpc import errors, reasons
from atoll._server import settings as server_settings

_BYTES_MAX = 4096


class LocationCredential:
    """What says who calls the host.

    Args:
        given: The token, or where it is.

    Raises:
        errors.FailedPreconditionError: The file cannot be used, or there is no token in it.
    """

    def __init__(self, given: server_settings.LocationToken) -> None:
        self._given = given
        self._token = ""
        self.read()

    def token(self) -> str:
        """Return the token as it was read last; empty where there is none."""
        return self._token

    def read(self) -> None:
        """Read the token anew.

        Raises:
            errors.FailedPreconditionError: The file cannot be used, or there is no token in it. The
                token before stays.
        """
        if self._given.file is None:
            where, text = server_settings.LOCATION_TOKEN_VARIABLE, self._given.token
        else:
            where, text = str(self._given.file), _read(self._given.file)
        text = text.strip()
        if not text.isascii() or not text.isprintable() or " " in text:
            _fail(where, "holds no token. Put one line there, as it was printed.")
        if self._given.file is not None and not text:
            _fail(where, "is empty. Put the token of the location there.")
        self._token = text


def _read(path: pathlib.Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_BYTES_MAX + 1)
            mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        _fail(str(path), f"cannot be read: {error.strerror}. Name the file of the token.")
    if mode & stat.S_IROTH:
        _fail(
            str(path),
            f"can be read by everybody on this machine (mode {mode:04o}). Run: chmod 600 {path}",
        )
    if len(content) > _BYTES_MAX:
        _fail(str(path), f"is longer than {_BYTES_MAX} bytes, so it holds no token.")
    return content.decode("utf-8", "replace")


def _fail(where: str, problem: str) -> NoReturn:
    raise errors.FailedPreconditionError(
        f"{where} {problem}", reason=reasons.TOKEN_FILE_UNUSABLE, metadata={"path": where}
    ) from None

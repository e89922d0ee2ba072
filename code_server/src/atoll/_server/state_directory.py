"""The state directory of a location: identity, lock and socket, kept over restarts.

    server_id        text, made once
    lock             held by the live code server
    server.sock      the unix socket; elsewhere when its path is too long, see `socket_path`
    socket_path      text, where the socket is
    runs/            the runs, see `atoll._location.run_directory`
    ended_runs       the runs that ended lately, see `atoll._server.ended_runs`
    fenced/          directories of runs that the host refused, kept for a while

Opened by `bootstrap` before anything else; free of gRPC and asyncio.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pathlib
import socket
import tempfile
import uuid

from atoll._server import errors

# The kernel allows 108 bytes on Linux and 104 elsewhere, the terminating zero included.
_SOCKET_PATH_BYTES_MAX = 100
_BACKLOG = 128


class StateDirectory:
    """The state directory of one location, held exclusively from `open` to `close`.

    Args:
        path: Where it is; made where it is missing.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path.absolute()
        self.server_id = ""
        self.socket_path = ""
        self._lock_descriptor = -1

    @property
    def runs_path(self) -> pathlib.Path:
        """The folder of the runs."""
        return self.path / "runs"

    def open(self) -> socket.socket:
        """Take the directory and return the socket of the code server, already listening.

        Raises:
            StateDirectoryError: Another code server has it, or it cannot be written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            self._lock()
            self.runs_path.mkdir(mode=0o700, exist_ok=True)
            self.server_id = self._read_or_make_server_id()
            return self._listen()
        except OSError as error:
            self.close()
            raise errors.StateDirectoryError(
                self.path, f"{error.strerror or error}. Choose another with --state-dir."
            ) from error

    def close(self) -> None:
        """Remove the socket and give the directory back. May be repeated."""
        if self._lock_descriptor < 0:
            return
        if self.socket_path:
            pathlib.Path(self.socket_path).unlink(missing_ok=True)
        os.close(self._lock_descriptor)
        self._lock_descriptor = -1

    def _lock(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path / "lock", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise errors.StateDirectoryError(
                self.path,
                f"another code server holds it (process {holder or 'unknown'}). "
                "Stop that one, or give this one a directory of its own with --state-dir.",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock_descriptor = descriptor

    def _read_or_make_server_id(self) -> str:
        path = self.path / "server_id"
        if path.exists() and (found := path.read_text(encoding="ascii").strip()):
            return found
        made = uuid.uuid4().hex
        temporary = path.with_suffix(".tmp")
        temporary.write_text(f"{made}\n", encoding="ascii")
        temporary.replace(path)
        return made

    def _listen(self) -> socket.socket:
        path = self._choose_socket_path()
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen(_BACKLOG)
            (self.path / "socket_path").write_text(f"{path}\n", encoding="utf-8")
        except BaseException:
            listener.close()
            raise
        self.socket_path = str(path)
        return listener

    def _choose_socket_path(self) -> pathlib.Path:
        path = self.path / "server.sock"
        if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES_MAX:
            return path
        # The same place after every restart, so that run workers find the next code server.
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        folder = pathlib.Path(tempfile.gettempdir()) / f"atoll-{os.getuid()}-{digest}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if status.st_uid != os.getuid() or status.st_mode & 0o077 or folder.is_symlink():
            raise errors.StateDirectoryError(
                self.path,
                f"its path is too long for a socket, and {folder}, which would hold it instead, "
                "belongs to somebody else. Remove that folder, or choose a shorter --state-dir.",
            )
        return folder / "server.sock"

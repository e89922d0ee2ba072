"""Looks into running processes: what they were started with, what they hold, whom they talk to.

Linux only. Used by tests that must show that something is nowhere in a process.
"""

import asyncio
import contextlib
import dataclasses
import os
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

_CHUNK_BYTES = 4 * 1024 * 1024
_SOCKET_LINK = re.compile(r"socket:\[(\d+)\]")
# linux/netlink.h, linux/sock_diag.h, linux/unix_diag.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_DONE = 3
_UDIAG_SHOW_NAME_AND_PEER = 0x1 | 0x4
_UNIX_DIAG_NAME = 0
_UNIX_DIAG_PEER = 2


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found.extend(children.get(member, ()))
    return found


def environment(pid: int) -> bytes:
    """Return the environment that a process was started with."""
    return Path(f"/proc/{pid}/environ").read_bytes()


def command_line(pid: int) -> bytes:
    """Return the arguments that a process was started with."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def holds(pid: int, secret: bytes) -> bool:
    """Tell whether a text stands anywhere in the memory of a process that can be read."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        return any(secret in part for part in _memory(pid, memory.fileno(), len(secret)))


def _memory(pid: int, descriptor: int, overlap: int) -> Iterator[bytes]:
    """Yield the memory in pieces that overlap, so that nothing is cut in two unseen."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, permissions, *rest = line.split(maxsplit=5)
        if "r" not in permissions or (rest and rest[-1] in {"[vvar]", "[vsyscall]"}):
            continue
        start, end = (int(part, 16) for part in span.split("-"))
        while start < end:
            try:
                part = os.pread(descriptor, min(_CHUNK_BYTES, end - start), start)
            except OSError:
                break  # guard pages and the like say that they are readable and are not
            if not part:
                break
            yield part
            start += len(part) if start + len(part) >= end else max(1, len(part) - overlap)


@dataclasses.dataclass(frozen=True)
class UnixSocket:
    """A unix socket of this machine."""

    path: str
    peer: int


def unix_peers(pid: int) -> set[str]:
    """Return the paths of the unix sockets that a process is connected to."""
    sockets = _unix_sockets()
    own = {int(match[1]) for match in map(_SOCKET_LINK.fullmatch, _links(pid)) if match}
    peers = {sockets[inode].peer for inode in own if inode in sockets}
    return {sockets[peer].path for peer in peers if peer in sockets} - {""}


def _links(pid: int) -> list[str]:
    links: list[str] = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(str(entry.readlink()))
    return links


def _unix_sockets() -> dict[int, UnixSocket]:
    """Ask the kernel for all unix sockets: /proc/net/unix does not tell who talks to whom."""
    request = struct.pack(
        "=BBHIIIII", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, _UDIAG_SHOW_NAME_AND_PEER, 0, 0
    )
    header = struct.pack(
        "=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0
    )
    found: dict[int, UnixSocket] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(5)
        kernel.send(header + request)
        while True:
            for kind, body in _messages(kernel.recv(256 * 1024)):
                if kind == _NLMSG_DONE:
                    return found
                assert kind == _SOCK_DIAG_BY_FAMILY, f"the kernel refused: {kind}"
                (inode,) = struct.unpack_from("=I", body, 4)
                attributes = dict(_attributes(body[16:]))
                path = attributes.get(_UNIX_DIAG_NAME, b"").rstrip(b"\0").decode(errors="replace")
                (peer,) = struct.unpack("=I", attributes.get(_UNIX_DIAG_PEER, bytes(4)))
                found[inode] = UnixSocket(path, peer)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[16:length]
        data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        yield kind, data[4:length]
        data = data[(length + 3) & ~3 :]


class Recorder:
    """Stands between a client and a server and keeps every byte that passes."""

    def __init__(self, target: str) -> None:
        self.address = ""
        self.seen = bytearray()
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._connections: set[asyncio.Task[None]] = set()

    @classmethod
    @contextlib.asynccontextmanager
    async def between(cls, target: str) -> AsyncIterator["Recorder"]:
        """Listen on a free port and pass everything on."""
        recorder = cls(target)
        server = await asyncio.start_server(recorder._accept, "127.0.0.1", 0)
        recorder.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield recorder
        finally:
            server.close()
            for task in recorder._connections:
                task.cancel()
            await asyncio.gather(*recorder._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, far_writer))
                group.create_task(self._pass_on(far_reader, writer))
        finally:
            writer.close()
            far_writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(64 * 1024):
                self.seen += data
                writer.write(data)
                await writer.drain()
            writer.write_eof()

"""Two hosts on one Postgres behind one address, as real processes: for tests that kill either.

What connects to the address gets to one of the hosts that listen, in turn; when that one dies the
connection breaks, and the next attempt gets to the other. So the code servers and the clients of a
mesh need not know how many hosts there are.
"""

import asyncio
import contextlib
import os
import pathlib
import sys
from collections.abc import AsyncGenerator

from atoll.client import connection, errors
from tests.e2e import mesh

HOSTS = ("first host", "second host")

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""The two ends of a connection."""


class Mesh(mesh.Mesh):
    """A mesh with two hosts, named as in HOSTS."""

    def __init__(
        self, folder: pathlib.Path, *, durable: bool = False, host_options: tuple[str, ...] = ()
    ) -> None:
        super().__init__(folder, durable=durable, host_options=host_options)
        self._ports = {name: mesh.free_port() for name in HOSTS}
        self._turn = 0
        self._passing: set[asyncio.Task[None]] = set()

    def start_host(self, name: str = "") -> None:
        """Start one host, or all of them."""
        assert self.postgres is not None
        for each in [name] if name else HOSTS:
            environment = dict(os.environ) | {"ATOLL_DATABASE_URL": self.postgres.url}
            options = ["--listen", f"127.0.0.1:{self._ports[each]}"]
            command = [sys.executable, *mesh.CLI, "host", "--no-credentials", *options]
            command += self._host_options
            self._start(each, command, environment, self.folder)

    def _names(self) -> list[str]:
        return [*HOSTS, *self.locations]

    async def answers(self, name: str) -> None:
        """Wait until a host that was started serves."""
        async with asyncio.timeout(mesh.WITHIN_S):
            while True:
                self._assert_alive(name)
                with contextlib.suppress(errors.ConnectError):
                    async with connection.connect(f"127.0.0.1:{self._ports[name]}"):
                        return
                await asyncio.sleep(0.02)  # The port opens without telling anybody.

    @contextlib.asynccontextmanager
    async def one_address(self) -> AsyncGenerator[None]:
        """Listen at the address of the mesh for as long as this is entered."""
        host, _, port = self.address.rpartition(":")
        server = await asyncio.start_server(self._accept, host, int(port))
        try:
            yield
        finally:
            server.close()
            for task in self._passing:
                task.cancel()
            await asyncio.gather(*self._passing, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        # Canceled at the end of the test, or not at all.
        with contextlib.closing(writer), contextlib.suppress(asyncio.CancelledError):
            far = await self._connect()
            if far is not None:
                with contextlib.closing(far[1]):
                    await both_ways((reader, writer), far)

    async def _connect(self) -> Ends | None:
        for _ in HOSTS:
            self._turn += 1
            port = self._ports[HOSTS[self._turn % len(HOSTS)]]
            with contextlib.suppress(ConnectionError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None


async def both_ways(near: Ends, far: Ends) -> None:
    """Pass on what comes from either side until one of them ends."""
    ways = [asyncio.ensure_future(pass_on(*way)) for way in ((near[0], far[1]), (far[0], near[1]))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()

"""Hosts, code servers and clients in one process, over real gRPC and a real Postgres."""

import asyncio
from collections.abc import Callable

import grpc.aio
import pytest

from atoll._rpc import errors as rpc_errors
from atoll._rpc import options
from atoll.api.v1 import (
    assets_pb2_grpc,
    automation_pb2_grpc,
    checks_pb2_grpc,
    events_pb2,
    events_pb2_grpc,
    locations_pb2_grpc,
    runs_pb2_grpc,
    schedules_pb2_grpc,
)
from atoll_host import host as hosts
from atoll_host import settings as host_settings
from atoll_host.access import access_settings
from tests.integration import code_location

TIMEOUT_S = 10.0


class Client:
    """The stubs of a host's API, with a deadline on each call."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.aio.insecure_channel(address, options=options.CHANNEL)
        self.locations = locations_pb2_grpc.LocationsServiceStub(self.channel)
        self.assets = assets_pb2_grpc.AssetsServiceStub(self.channel)
        self.checks = checks_pb2_grpc.ChecksServiceStub(self.channel)
        self.runs = runs_pb2_grpc.RunsServiceStub(self.channel)
        self.sensors = automation_pb2_grpc.SensorsServiceStub(self.channel)
        self.schedules = schedules_pb2_grpc.SchedulesServiceStub(self.channel)
        self.events = events_pb2_grpc.EventsServiceStub(self.channel)

    async def refused(self, call) -> rpc_errors.RpcError:
        """Return the typed error of a call that is to be refused."""
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await asyncio.wait_for(call, TIMEOUT_S)
        return rpc_errors.from_call(raised.value)

    def watch(self, **request) -> "Watch":
        return Watch(self.events.WatchEvents(events_pb2.WatchEventsRequest(**request)))


class Watch:
    """One watch of the log."""

    def __init__(self, call) -> None:
        self.call = call
        self.token = ""
        self.waiting = []

    async def begun(self) -> "Watch":
        """Wait for the first answer, which tells that the watch stands."""
        self._take(await asyncio.wait_for(self.call.read(), TIMEOUT_S))
        return self

    async def next(self):
        """Return the next event."""
        while not self.waiting:
            self._take(await asyncio.wait_for(self.call.read(), TIMEOUT_S))
        return self.waiting.pop(0)

    async def until(self, kind: str, run_id: str | None = None):
        """Return the next event of a kind."""
        while True:
            stored = await self.next()
            same_run = run_id is None or stored.event.run_id == run_id
            if stored.event.WhichOneof("body") == kind and same_run:
                return stored

    def _take(self, response) -> None:
        assert response is not grpc.aio.EOF, "the watch ended"
        self.waiting.extend(response.events)
        self.token = response.resume_token


class Mesh:
    """Everything one test starts."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self.hosts: list[hosts.Host] = []
        self.code_locations: list[code_location.CodeLocation] = []
        self.clients: list[Client] = []

    async def host(self, **changes) -> hosts.Host:
        values = {"listen": "127.0.0.1:0", "database_url": self._database_url, "lease_ttl_s": 10.0}
        values["access"] = access_settings.OPEN
        host = hosts.Host(host_settings.Settings(**{**values, **changes}))
        await host.start()
        self.hosts.append(host)
        return host

    def client(self, host: hosts.Host) -> Client:
        client = Client(host.address)
        self.clients.append(client)
        return client

    async def location(
        self, host: hosts.Host, name: str, defined=None, *, server_id: str = "", joins: bool = True
    ) -> code_location.CodeLocation:
        if defined is None:
            defined = code_location.snapshot([code_location.asset(f"{name}_asset")])
        location = code_location.CodeLocation(name, defined, server_id=server_id)
        await location.start(host.address)
        self.code_locations.append(location)
        if joins:
            await location.join()
        return location

    async def close(self) -> None:
        for client in self.clients:
            await client.channel.close()
        for location in self.code_locations:
            await location.stop()
        for host in reversed(self.hosts):
            await host.stop()


@pytest.fixture
async def mesh(database_url: str):
    made = Mesh(database_url)
    yield made
    await made.close()


@pytest.fixture
async def host(mesh: Mesh):
    return await mesh.host()


@pytest.fixture
async def client(mesh: Mesh, host):
    return mesh.client(host)


async def _until_view(host: hosts.Host, condition: Callable):
    poke = host.parts.registry.subscribe()
    async with asyncio.timeout(TIMEOUT_S):
        while not (found := condition(host.parts.registry)):
            await poke.wait(TIMEOUT_S)
    return found


@pytest.fixture
def until_view():
    """Wait until the registry of a host shows something: call it with host and condition."""
    return _until_view

"""A host that asks for credentials, with two locations and things that belong to each."""

import contextlib
import dataclasses

import grpc.aio
import pytest

from atoll._rpc import authorization, options
from atoll.api.v1 import access_pb2, backfills_pb2, backfills_pb2_grpc, runs_pb2
from atoll.client import access as client_access
from atoll.client import connection
from atoll_host import host as hosts
from atoll_host.access import access_settings, first_token
from tests.integration import code_location
from tests.integration import conftest as integration

OWN, OTHER = "north", "south"
REQUIRED = access_settings.DEFAULT


@dataclasses.dataclass
class Things:
    """What belongs to a location."""

    asset: str
    run_id: str = ""
    backfill_id: str = ""


class World:
    """See the module."""

    def __init__(self, mesh: integration.Mesh, folder) -> None:
        self.mesh = mesh
        self.folder = folder
        self.admin_token = ""
        self.things = {name: Things(f"{name}_asset") for name in (OWN, OTHER)}
        self._exits = contextlib.AsyncExitStack()

    async def start(self) -> None:
        self.host = await self.add_host()
        self.admin_token = (self.folder / first_token.FILE_NAME).read_text().strip()
        self.admin = await self.client(self.admin_token)

    async def add_host(self, **changes) -> hosts.Host:
        return await self.mesh.host(access=REQUIRED, data_dir=self.folder, **changes)

    async def client(self, token: str, host: hosts.Host | None = None) -> connection.Client:
        address = (host or self.host).address
        return await self._exits.enter_async_context(connection.connect(address, token=token))

    def channel(self, token: str, host: hosts.Host | None = None) -> grpc.aio.Channel:
        bare = grpc.aio.insecure_channel((host or self.host).address, options=options.CHANNEL)
        self._exits.push_async_callback(bare.close)
        return authorization.authorized(bare, token)

    async def token(self, role: str, *locations: str) -> str:
        """Return a new token."""
        grants = [client_access.grant(role, locations)]
        return (await self.admin.access.create_token(f"{role} {locations}", grants)).bearer

    async def location_token(self, name: str) -> str:
        made = await self.admin.access.create_token(f"code of {name}", location_name=name)
        assert made.token.kind == access_pb2.TOKEN_KIND_LOCATION
        return made.bearer

    async def add_locations(self) -> None:
        """Have two code servers join, each with a run and a backfill."""
        channel = self.channel(self.admin_token)
        stub = backfills_pb2_grpc.BackfillsServiceStub(channel)
        runs = integration.runs_pb2_grpc.RunsServiceStub(channel)
        for name, things in self.things.items():
            checks = [code_location.check(things.asset, "check")]
            defined = code_location.snapshot([code_location.asset(things.asset)], checks=checks)
            location = code_location.CodeLocation(name, defined)
            location.token = await self.location_token(name)
            await location.start(self.host.address)
            self.mesh.code_locations.append(location)
            await location.join()
            await integration._until_view(
                self.host, lambda registry, wanted=things: registry.graph().owner((wanted.asset,))
            )
            selection = [code_location.key(things.asset)]
            launch = runs_pb2.LaunchRunRequest(location_name=name, asset_selection=selection)
            run = await runs.LaunchRun(launch, timeout=10)
            things.run_id = run.run.run_id
            request = backfills_pb2.CreateBackfillRequest(
                asset_keys=selection, choice=backfills_pb2.BACKFILL_CHOICE_ALL
            )
            made = await stub.CreateBackfill(request, timeout=10)
            things.backfill_id = made.backfill.backfill_id

    async def close(self) -> None:
        await self._exits.aclose()
        await self.mesh.close()


@pytest.fixture
async def world(database_url: str, tmp_path):
    made = World(integration.Mesh(database_url), tmp_path)
    await made.start()
    yield made
    await made.close()

"""The code server as a whole: its parts, put together, started and stopped.

Called by `main`. What each part does stands in its own module; here is only who knows whom.
"""

from __future__ import annotations

import asyncio
import dataclasses
import pathlib
import socket

from atoll import _version
from atoll._rpc import info, serving
from atoll._server import (
    builds,
    control_token,
    drain,
    error_table,
    host_link,
    hub,
    instance_relay,
    launching,
    location_credential,
    reloading,
    run_credentials,
    runs,
    securing,
    services,
    session,
    state_directory,
)
from atoll._server import settings as server_settings
from atoll._server.servicers import code_location
from atoll.location.v1 import location_pb2, location_pb2_grpc
from atoll.mesh.v1 import mesh_pb2
from atoll.rpc.v1 import server_info_pb2

FEATURES: tuple[str, ...] = ()
_GRPC_GRACE_S = 0.5
# A load that takes longer than this is no reason to leave the runs of the last time unattended.
_REGISTER_AFTER_S = 30.0
_SERVICE_NAME = location_pb2.DESCRIPTOR.services_by_name["CodeLocationService"].full_name


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What there is before gRPC is loaded.

    Attributes:
        settings: The settings.
        state: The state directory, held.
        listener: The unix socket, listening.
        first: The first definitions process.
    """

    settings: server_settings.Settings
    state: state_directory.StateDirectory
    listener: socket.socket
    first: launching.Launched


class CodeServer:
    """One code server. Made on the loop that it runs on.

    Args:
        prepared: What there is already.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.settings = prepared.settings
        self._state = prepared.state
        self._version = _version.VERSION
        self._hub = hub.Hub(prepared.listener)
        self._security = securing.security_of(self.settings.certificates)
        self._link = host_link.HostLink(
            self.settings.host_address,
            self.settings.location_name,
            prepared.state.server_id,
            securing.dialing_of(self.settings.certificates),
            location_credential.LocationCredential(self.settings.token),
        )
        self.control = control_token.ControlToken()
        self.run_credentials = run_credentials.RunCredentials(self._link, self._live_run_ids)
        relay = instance_relay.InstanceRelay(self._link, self.run_credentials)
        self.builds = builds.Builds(
            self.settings, self._hub, prepared.state.socket_path, prepared.first, relay.ask
        )
        around = runs.Surroundings(
            settings=self.settings,
            state=prepared.state,
            hub=self._hub,
            builds=self.builds,
            link=self._link,
            on_query=relay.ask,
        )
        self.runs = runs.Runs(around)
        self.drain = drain.Drain(self.runs, self._state_changed)
        self._session = session.Session(
            self._link, self._registration, self.drain.begin, self.control.host_says
        )
        self.builds.on_change(self._state_changed)
        self.reloader = reloading.Reloader(self.builds)
        self._grpc = self._make_grpc_server()
        self._services = services.Group(
            (
                self._hub,
                relay,
                self.builds,
                self.runs,
                self.run_credentials,
                *self._watchers(),
            )
        )
        self._advertised = ""
        self._registering: asyncio.Task[None] | None = None

    def _watchers(self) -> tuple[services.Service, ...]:
        if not self.settings.watch:
            return (self.reloader,)
        folder = pathlib.Path(self.settings.target.working_directory)
        return (self.reloader, reloading.FileWatcher(folder, self.reloader))

    def _make_grpc_server(self) -> serving.GrpcServer:
        servicer = code_location.CodeLocationServicer(
            self.settings,
            self._state,
            self.builds,
            self.runs,
            self.drain,
            self.run_credentials.keep,
        )
        service = serving.Service(
            name=_SERVICE_NAME,
            add=location_pb2_grpc.add_CodeLocationServiceServicer_to_server,
            servicer=servicer,
        )
        facts = info.ServerFacts(
            kind=server_info_pb2.SERVER_KIND_CODE_SERVER,
            version=self._version,
            instance_id=self._session.incarnation_id,
            features=FEATURES,
        )
        return serving.GrpcServer(
            self.settings.listen,
            facts=facts,
            services=(service,),
            table=error_table.TABLE,
            interceptors=(control_token.Guard(self.control),),
            security=self._security,
        )

    @property
    def address(self) -> str:
        """Where the server listens."""
        return self._grpc.address

    async def start(self) -> None:
        """Serve, adopt runs, load, and register once the first load is over.

        Raises:
            RpcError: The address cannot be listened on.
        """
        await self._grpc.start()
        self._advertised = securing.advertised(self.settings, self._grpc.address)
        await self._services.start()
        self._registering = asyncio.create_task(self._register_soon())

    async def _register_soon(self) -> None:
        await services.wait_for_event(self.builds.first_load_over, _REGISTER_AFTER_S)
        await self._session.start()

    async def stop(self) -> None:
        """End everything but the run workers, which the next start adopts."""
        if self._registering is not None:
            await services.cancel(self._registering)
        await self._session.stop()
        await self._grpc.stop(_GRPC_GRACE_S)
        await self._services.stop()
        await self._link.close()

    def _live_run_ids(self) -> list[str]:
        return self.runs.live_run_ids()

    def _state_changed(self) -> None:
        self._session.state_changed()

    def _registration(self) -> mesh_pb2.Registration:
        current = self.builds.current
        return mesh_pb2.Registration(
            location_name=self.settings.location_name,
            server_id=self._state.server_id,
            address=self._advertised,
            tls=self._security is not None,
            features=FEATURES,
            version=self._version,
            state=mesh_pb2.LocationUpdate(
                current_build=current.info if current is not None else None,
                load_failure=self.builds.load_failure,
                draining=self.runs.draining,
            ),
            held_runs=self.runs.held(),
            control_token=self.control.token,
        )

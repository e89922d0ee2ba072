"""The sessions of code servers with this host: registration, lease, supersession, and events.

Called by the mesh servicer, which turns streams into calls of `open`, `ping`, `update` and `close`.
One loop renews the leases of all sessions in one UPDATE, ends sessions whose pings stopped, tells
older servers that another took their name, and appends a LocationChanged event whenever a location
that is connected here changed.

    open --> live --(other server registers)--> superseded --> closed
               |                                                 ^
               +--(no ping for a lease, newer epoch, stream ends)+
"""

import asyncio
import dataclasses
import logging
import re

from google.protobuf import duration_pb2, timestamp_pb2

from atoll._rpc import addresses, info, reasons
from atoll._rpc import errors as rpc_errors
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll.mesh.v1 import mesh_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors, services
from atoll_host.locations import definitions, dialing, timetables
from atoll_host.locations import registry as registries
from atoll_storage import database, records
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

FEATURES = ("events", "output", "instance", "control_tokens", "run_credentials")
"""What the host can do, for code servers that must know."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_ID_LENGTH_MAX = 200
_DENIALS_MAX = 100
"""A location is told so many when it registers; the API tells all."""
_OUTGOING_MAX = 64


@dataclasses.dataclass(slots=True, eq=False)
class Session:
    """One code server's session.

    Attributes:
        outgoing: What the host says; None ends the stream, an exception fails it.
        pinged_at: When the last ping came, by the monotonic clock.
        closed: Whether the session is over; nothing of it counts then.
    """

    location_name: str
    server_id: str
    address: str
    epoch: int
    pinged_at: float
    outgoing: asyncio.Queue[mesh_pb2.SessionResponse | Exception | None]
    control_token: str = dataclasses.field(default="", repr=False)
    superseded: bool = False
    closed: bool = False

    def say(self, message: mesh_pb2.SessionResponse | None) -> None:
        """Queue a message for the code server; one that reads nothing misses pongs."""
        if not self.outgoing.full():
            self.outgoing.put_nowait(message)

    def fail(self, error: Exception) -> None:
        """End the stream with an error, whatever still waits to be said."""
        while self.outgoing.full():
            self.outgoing.get_nowait()
        self.outgoing.put_nowait(error)


class Sessions(services.Loop):
    """All sessions of one host. See the module."""

    def __init__(
        self,
        store: database.Database,
        registry: registries.Registry,
        changes: host_changes.Changes,
        clock: clocks.Clock,
        *,
        host_id: str,
        lease_ttl_s: float,
    ) -> None:
        super().__init__("sessions", drain_s=2.0, expected=(storage_errors.StorageUnavailable,))
        self._store = store
        self._registry = registry
        self._changes = changes
        self._clock = clock
        self._host_id = host_id
        self._lease_ttl_s = lease_ttl_s
        self._sessions: dict[tuple[str, str], Session] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._connected_here: set[str] = set()
        self._announced: dict[str, tuple[object, ...]] = {}
        self._renewed_at = 0.0
        self._changed = registry.subscribe()

    # What the servicer calls.

    async def open(
        self, registration: mesh_pb2.Registration
    ) -> tuple[Session, mesh_pb2.Registered]:
        """Check a registration and begin a session.

        Raises:
            errors.InvalidRequest: A field is wrong.
            atoll._rpc.errors.RpcError: The protocol versions or the address do not fit.
            atoll_storage.errors.StorageError: Storage could not take it.
        """
        if self.stopping.is_set():
            raise errors.Stopping
        version = _check(registration, dials_tls=self._registry.dials_tls)
        address = dialing.marked(registration.address, secured=registration.tls)
        defined = await self._definitions_of(
            registration.location_name,
            registration.state,
            dialing.Target(address, registration.control_token),
        )
        name, server_id = registration.location_name, registration.server_id
        claims_first = defined is not None and not self._held_by_another(name, server_id)
        if defined is not None and claims_first and not registration.state.draining:
            await self._registry.claim(name, defined)
        record = await self._store.locations.register(self._row(registration, version))
        if defined is not None and record.current and not claims_first:
            # Only now is it known that it replaces the other; the update tells other hosts.
            await self._registry.claim(name, defined)
            await self._store_state(name, server_id, record.epoch, registration.state)
        session = self._begin(record)
        try:
            await self._registry.registered(record, registration.held_runs)
        except BaseException:
            self._forget(session)
            raise
        self._changes.locations.set()
        _log.info(
            "code server registered",
            extra={
                "action": "location_registered",
                "location": record.location_name,
                "server_id": record.server_id,
                "epoch": record.epoch,
            },
        )
        return session, self._registered(record.location_name, record.epoch, version)

    def ping(self, session: Session) -> None:
        """Renew the lease of a session."""
        session.pinged_at = self._clock.monotonic()
        session.say(mesh_pb2.SessionResponse(pong=mesh_pb2.Pong()))

    async def update(self, session: Session, update: mesh_pb2.LocationUpdate) -> None:
        """Take note of a new state; the view changes in one step, with the definitions."""
        defined = await self._definitions_of(
            session.location_name,
            update,
            dialing.Target(session.address, session.control_token),
        )
        replaced = self._held_by_another(session.location_name, session.server_id)
        if defined is not None and not replaced and not update.draining:
            await self._registry.claim(session.location_name, defined)
            # Before anybody sees the build: new sensors and schedules miss nothing from then on.
            await self._store.sensors.ensure(
                [records.SensorKey(session.location_name, name) for name in defined.sensors]
            )
            await self._store.schedules.ensure(
                {
                    records.ScheduleKey(session.location_name, name): timetables.write(schedule)
                    for name, schedule in defined.schedules.items()
                },
                self._clock.now(),
            )
        await self._store_state(session.location_name, session.server_id, session.epoch, update)
        await self._registry.refresh()
        self._changes.locations.set()

    async def close(self, session: Session) -> None:
        """End a session and give its lease back: everyone sees at once that it is away.

        A caller that is cancelled does not keep the lease from being given back.
        """
        if session.closed:
            return
        self._forget(session)
        closing = asyncio.create_task(self._release(session))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        await asyncio.shield(closing)

    async def _release(self, session: Session) -> None:
        try:
            await self._store.locations.release(
                session.location_name, session.server_id, session.epoch
            )
        except storage_errors.StorageError as error:
            _log.warning(
                "lease could not be released and will run out",
                extra={
                    "action": "lease_release_failed",
                    "location": session.location_name,
                    "cause": str(error),
                },
            )
        self._changes.locations.set()

    # The loop.

    async def run(self) -> None:
        """Renew leases, end dead sessions, tell superseded ones, announce changes."""
        changed = self._changed
        while not self.stopping.is_set():
            self._end_silent()
            self._tell_superseded()
            if self._clock.monotonic() - self._renewed_at >= self._lease_ttl_s / 3:
                await self._renew()
            await self._announce()
            self.did_well()
            await changed.wait(self._lease_ttl_s / 3)

    async def stop(self) -> None:
        """Let a word to storage end by itself, and stop."""
        self._changed.set()
        await super().stop()

    async def clean_up(self) -> None:
        """End every session; code servers register with the next host that answers."""
        for session in list(self._sessions.values()):
            session.fail(errors.Stopping())
            await self.close(session)
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _definitions_of(
        self, location_name: str, state: mesh_pb2.LocationUpdate, target: dialing.Target
    ) -> definitions.Definitions | None:
        """Have the definitions here before the build shows up anywhere; None when there are none.

        A code server that cannot give its definitions is registered all the same: the registry
        goes on trying, and shows why they are missing.
        """
        build, _ = _state(state)
        if build is None:
            return None
        try:
            return await self._registry.definitions_of(build, location_name, target)
        except errors.LocationError as error:
            _log.warning(
                "definitions could not be fetched",
                extra={
                    "action": "fetch_definitions_failed",
                    "location": location_name,
                    "build_id": build.build_id,
                    "cause": str(error),
                },
            )
            return None

    def _held_by_another(self, location_name: str, server_id: str) -> bool:
        view = self._registry.locations().get(location_name)
        return (
            view is not None
            and view.server.server_id != server_id
            and view.server.current
            and view.state != events_pb2.LOCATION_STATE_UNREACHABLE
        )

    async def _store_state(
        self, location_name: str, server_id: str, epoch: int, state: mesh_pb2.LocationUpdate
    ) -> None:
        build, failure = _state(state)
        await self._store.locations.update(
            location_name,
            server_id,
            epoch,
            build=build,
            load_failure=failure,
            draining=state.draining,
        )

    def _row(self, registration: mesh_pb2.Registration, version: int) -> records.ServerRegistration:
        build, failure = _state(registration.state)
        return records.ServerRegistration(
            location_name=registration.location_name,
            server_id=registration.server_id,
            incarnation_id=registration.incarnation_id,
            address=dialing.marked(registration.address, secured=registration.tls),
            version=registration.version,
            protocol_version=version,
            features=tuple(registration.features),
            host_id=self._host_id,
            build=build,
            load_failure=failure,
            draining=registration.state.draining,
            lease_ttl_s=self._lease_ttl_s,
            control_token=registration.control_token,
        )

    def _registered(self, location_name: str, epoch: int, version: int) -> mesh_pb2.Registered:
        lease_ttl = duration_pb2.Duration()
        lease_ttl.FromMilliseconds(int(self._lease_ttl_s * 1000))
        view = self._registry.location(location_name)
        checks = self._registry.graph().check_conflicts(location_name)
        return mesh_pb2.Registered(
            epoch=epoch,
            lease_ttl=lease_ttl,
            protocol_version=version,
            conflicts=[
                mesh_pb2.OwnershipConflict(
                    asset_key=values_pb2.AssetKey(path=path), owner_location_name=owner
                )
                for path, owner in sorted(view.conflicts.items())
            ]
            + [
                mesh_pb2.OwnershipConflict(
                    asset_key=values_pb2.AssetKey(path=path),
                    check_name=name,
                    owner_location_name=owner,
                )
                for (path, name), owner in sorted(checks.items())
            ],
            features=FEATURES,
            policy_denials=view.denials[:_DENIALS_MAX],
        )

    def _begin(self, record: records.ServerRecord) -> Session:
        key = (record.location_name, record.server_id)
        before = self._sessions.get(key)
        if before is not None:
            self._end_stale(before)
        session = Session(
            location_name=record.location_name,
            server_id=record.server_id,
            address=record.address,
            epoch=record.epoch,
            pinged_at=self._clock.monotonic(),
            outgoing=asyncio.Queue(_OUTGOING_MAX),
            control_token=record.control_token,
        )
        self._sessions[key] = session
        self._connected_here.add(record.location_name)
        return session

    def _forget(self, session: Session) -> None:
        session.closed = True
        key = (session.location_name, session.server_id)
        if self._sessions.get(key) is session:
            del self._sessions[key]
        self._registry.session_ended(session.location_name, session.server_id, session.epoch)

    def _end_stale(self, session: Session) -> None:
        session.fail(
            rpc_errors.AbortedError(
                f"Server {session.server_id!r} of location {session.location_name!r} has "
                f"registered anew; this session, of epoch {session.epoch}, is over.",
                reason=reasons.STALE_EPOCH,
            )
        )
        self._forget(session)

    def _end_silent(self) -> None:
        now = self._clock.monotonic()
        for session in list(self._sessions.values()):
            if now - session.pinged_at <= self._lease_ttl_s:
                continue
            _log.warning(
                "code server stopped pinging",
                extra={"action": "lease_lost", "location": session.location_name},
            )
            session.fail(
                rpc_errors.AbortedError(
                    f"No ping for {self._lease_ttl_s:g} s: the lease of location "
                    f"{session.location_name!r} is lost. Register again.",
                    reason=reasons.NOT_REGISTERED,
                )
            )
            self._forget(session)

    def _tell_superseded(self) -> None:
        views = self._registry.locations()
        for session in list(self._sessions.values()):
            view = views.get(session.location_name)
            if view is None or not view.server.current:
                continue
            if view.server.server_id != session.server_id:
                if not session.superseded:
                    session.superseded = True
                    session.say(
                        mesh_pb2.SessionResponse(
                            superseded=mesh_pb2.Superseded(server_id=view.server.server_id)
                        )
                    )
            elif view.server.epoch > session.epoch:
                self._end_stale(session)
            else:
                session.superseded = False

    async def _renew(self) -> None:
        leases = [
            (each.location_name, each.server_id, each.epoch) for each in self._sessions.values()
        ]
        if leases:
            await self._store.locations.renew(leases, self._lease_ttl_s)
        self._renewed_at = self._clock.monotonic()

    async def _announce(self) -> None:
        views = self._registry.locations()
        for name in sorted(self._connected_here & views.keys()):
            view = views[name]
            if view.server.host_id != self._host_id:
                self._announced.pop(name, None)
                continue
            facts = _facts(view)
            if self._announced.get(name) != facts:
                await self._store.events.append_host_events(
                    [_location_changed(view, self._clock)], name
                )
                self._announced[name] = facts


def _check_address(registration: mesh_pb2.Registration, *, dials_tls: bool) -> None:
    address = addresses.parse_loopback(registration.address, secured=registration.tls)
    if address.is_unspecified:
        raise errors.InvalidRequest(
            f"{registration.address} is every address of the code server's machine, so nobody can "
            "connect to it. Start it with --advertise and the address at which the host reaches "
            "it.",
            field="address",
        )
    if registration.tls and not dials_tls:
        raise errors.InvalidRequest(
            f"The code server at {registration.address} speaks TLS, and this host knows no "
            "authority to verify it by. Name one as locations_ca in [tls] of the host's settings.",
            field="tls",
        )


def _check(registration: mesh_pb2.Registration, *, dials_tls: bool) -> int:
    """Check a registration and return the protocol version to speak."""
    if not _NAME.fullmatch(registration.location_name):
        raise errors.InvalidRequest(
            f"{registration.location_name[:120]!r} is no name for a location: use 1 to 100 "
            "letters, digits, '_', '.' and '-', beginning with a letter, a digit or '_'.",
            field="location_name",
        )
    for field in ("server_id", "incarnation_id"):
        value = getattr(registration, field)
        if not 1 <= len(value) <= _ID_LENGTH_MAX or "\x00" in value:
            raise errors.InvalidRequest(
                f"{field} is {value[:40]!r}; it must have 1 to {_ID_LENGTH_MAX} characters.",
                field=field,
            )
    _check_address(registration, dials_tls=dials_tls)
    build = registration.state.current_build
    if registration.state.HasField("current_build") and not build.definitions_digest:
        raise errors.InvalidRequest(
            f"Build {build.build_id!r} of location {registration.location_name!r} has no "
            "definitions digest.",
            field="state.current_build.definitions_digest",
        )
    return info.agreed_version(
        registration.protocol_version,
        registration.oldest_protocol_version,
        peer=f"code server of location {registration.location_name!r}",
    )


def _state(
    update: mesh_pb2.LocationUpdate,
) -> tuple[location_pb2.Build | None, values_pb2.Failure | None]:
    return (
        update.current_build if update.HasField("current_build") else None,
        update.load_failure if update.HasField("load_failure") else None,
    )


def _facts(view: registries.LocationView) -> tuple[object, ...]:
    """Return what a LocationChanged event tells, to see whether it would tell anything new."""
    failure = view.load_failure
    return (
        view.state,
        "" if view.build is None else view.build.build_id,
        b"" if failure is None else failure.SerializeToString(deterministic=True),
    )


def _location_changed(view: registries.LocationView, clock: clocks.Clock) -> events_pb2.Event:
    build_id = "" if view.build is None else view.build.build_id
    text: str = {
        events_pb2.LOCATION_STATE_SERVING: f"Location {view.name} serves build {build_id}",
        events_pb2.LOCATION_STATE_LOADING: f"Location {view.name} loads its first build",
        events_pb2.LOCATION_STATE_FAILED: f"No build of location {view.name} could be loaded",
        events_pb2.LOCATION_STATE_UNREACHABLE: f"Location {view.name} is unreachable",
    }[view.state]
    if view.load_failure is not None and view.state == events_pb2.LOCATION_STATE_SERVING:
        text += "; a newer one failed to load"
    timestamp = timestamp_pb2.Timestamp()
    timestamp.FromDatetime(clock.now())
    return events_pb2.Event(
        timestamp=timestamp,
        message=text,
        location_changed=events_pb2.LocationChanged(
            location_name=view.name,
            state=view.state,
            build_id=build_id,
            load_failure=view.load_failure,
        ),
    )

"""The host's view of all code locations, kept current, and the way to talk to them.

Read by everyone: the dispatcher, the launcher, the API. Fed from three sides: storage (which is the
truth that hosts share), the notifications of other hosts, and the sessions that this host holds
(`sessions`). Reads are plain function calls on the newest view; the view is replaced as a whole and
never changed.

    SERVING      its code server has a lease and a build
    LOADING      its code server has a lease and loads its first build
    FAILED       its code server has a lease, but no build of it ever loaded
    UNREACHABLE  no lease; the last known definitions stay visible
"""

import asyncio
import collections
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from atoll._rpc import tls
from atoll.definitions.v1 import policies_pb2, snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors, services, signals
from atoll_host.locations import control, cutting, definitions, dialing, graph, snapshots
from atoll_host.policy import deciding, policy_settings
from atoll_storage import errors as storage_errors
from atoll_storage import location_store, records

_log = logging.getLogger(__name__)

OnRegistered = Callable[[records.ServerRecord, Sequence[location_pb2.HeldRun]], Awaitable[None]]

_Definitions = definitions.Definitions
_FETCH_RETRY = services.Backoff(first_s=0.2, max_s=5.0)
_OWNERS_READ_EVERY_S = 1.0
_OWNERS_REFRESH_S = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class LocationView:
    """One location as the host sees it now.

    Attributes:
        name: The name.
        server: Its current code server; the newest one that registered when all drain.
        state: How it is doing.
        build: The build that `definitions` describes; None when none ever loaded. It follows the
            server's own build as soon as the snapshot is here.
        load_failure: Why the newest load failed, or why its definitions could not be fetched.
        definitions: What the build defines, with indexes, as far as the policy allows it.
        conflicts: The assets that it claims to execute although another location owns them, with
            their owners.
        sent: What the build defines, whatever the policy says of it.
        denials: What the policy leaves out of it.
    """

    name: str
    server: records.ServerRecord
    state: events_pb2.LocationState.ValueType
    build: location_pb2.Build | None
    load_failure: values_pb2.Failure | None
    definitions: definitions.Definitions | None
    conflicts: Mapping[tuple[str, ...], str]
    sent: _Definitions | None = None
    denials: Sequence[policies_pb2.PolicyDenial] = ()

    @property
    def snapshot(self) -> snapshot_pb2.LocationSnapshot | None:
        """What the build defines, as far as the policy allows it."""
        return None if self.definitions is None else self.definitions.message

    def job(self, name: str) -> snapshot_pb2.JobDefinition | None:
        """Return a job of the location, None when it has no such job."""
        return None if self.definitions is None else self.definitions.jobs.get(name)

    def sensor(self, name: str) -> snapshot_pb2.SensorDefinition | None:
        """Return a sensor of the location, None when it has no such sensor."""
        return None if self.definitions is None else self.definitions.sensors.get(name)

    def schedule(self, name: str) -> snapshot_pb2.ScheduleDefinition | None:
        """Return a schedule of the location, None when it has no such schedule."""
        return None if self.definitions is None else self.definitions.schedules.get(name)


class Registry(services.Loop):
    """The locations of the mesh. See the module.

    Attributes:
        dials_tls: Whether code servers that speak TLS can be verified, so that they can join.
    """

    def __init__(
        self,
        store: location_store.LocationStore,
        changes: host_changes.Changes,
        clock: clocks.Clock,
        *,
        lease_ttl_s: float,
        secured: tls.ClientTls | None = None,
        policy: policy_settings.PolicySettings = policy_settings.DEFAULT,
    ) -> None:
        """Make an empty registry.

        Args:
            store: The truth that hosts share.
            changes: Where other hosts' changes are heard of.
            clock: Tells which leases ran out.
            lease_ttl_s: How long leases last; a third of it is how often they are looked at.
            secured: What code servers that speak TLS are dialed with; None where they cannot be.
            policy: What the host says of what locations may do with what others make.
        """
        super().__init__("registry", drain_s=2.0, expected=(storage_errors.StorageUnavailable,))
        self._store = store
        self._changes = changes
        self._clock = clock
        self._look_every_s = lease_ttl_s / 3
        self._broadcast = signals.Broadcast()
        self._poke = changes.locations.subscribe()
        self._channels = control.Channels(secured)
        self.dials_tls = secured is not None
        self._snapshots = snapshots.Snapshots(store)
        self._views: Mapping[str, LocationView] = {}
        self._reachable: dict[str, records.ServerRecord] = {}
        self._owners: dict[tuple[str, ...], str] = {}
        self._owners_stale = True
        self._owners_read_at = float("-inf")
        self._graph: graph.AssetGraph | None = None
        self._on_registered: list[OnRegistered] = []
        self._local: dict[tuple[str, str], int] = {}
        self._ended: dict[tuple[str, str], int] = {}
        self._fetches: dict[str, asyncio.Task[None]] = {}
        self._fetching_from: collections.Counter[str] = collections.Counter()
        self._fetch_errors: dict[str, str] = {}
        self._fetch_failures: collections.Counter[str] = collections.Counter()
        self._refreshing = asyncio.Lock()
        self._policy = policy
        self._policies = deciding.of(policy, {})
        self._cuts: dict[str, cutting.Cut] = {}
        self._cut_for: tuple[object, ...] = ()

    # What everyone asks.

    def locations(self) -> Mapping[str, LocationView]:
        """Return all locations that ever registered, by name."""
        return self._views

    def location(self, name: str) -> LocationView:
        """Return one location.

        Raises:
            errors.UnknownLocation: There is none of that name.
        """
        view = self._views.get(name)
        if view is None:
            raise errors.UnknownLocation(name)
        return view

    def reachable(self) -> dict[str, records.ServerRecord]:
        """Return the code servers that take work: with a lease and a build, not draining."""
        return self._reachable

    def graph(self) -> graph.AssetGraph:
        """Return the asset graph of all locations."""
        if self._graph is None:
            self._graph = graph.AssetGraph(
                {
                    name: view.definitions
                    for name, view in self._views.items()
                    if view.definitions is not None
                },
                self._owners,
            )
        return self._graph

    def policies(self) -> deciding.Policies:
        """Return who may do what with what others make."""
        return self._policies

    def owners(self) -> Mapping[tuple[str, ...], str]:
        """Return the location that is known to own each asset."""
        return self._owners

    def claimant(self, path: tuple[str, ...]) -> str:
        """Return the location that is known to own an asset, even if it cannot make it now."""
        return self._owners.get(path, "")

    def control(self, target: str | records.ServerRecord) -> control.ControlClient:
        """Return a client for a code server: the current one of a location, or a given one.

        Raises:
            errors.UnknownLocation: There is no location of that name.
        """
        server = self.location(target).server if isinstance(target, str) else target
        return self._channels.client(server.location_name, target_of(server))

    def subscribe(self, poke: signals.Poke | None = None) -> signals.Poke:
        """Return a poke, or the given one, that is set whenever anything here changed."""
        return self._broadcast.subscribe(poke)

    def on_registered(self, callback: OnRegistered) -> None:
        """Have `callback` awaited at each registration with this host, before it is answered.

        It gets the code server and the runs that it holds. What it raises fails the registration,
        which the code server then repeats.
        """
        self._on_registered.append(callback)

    # What sessions tell.

    async def registered(
        self, server: records.ServerRecord, held_runs: Sequence[location_pb2.HeldRun]
    ) -> None:
        """Take note of a session that this host holds from now on, and tell who wants to know."""
        key = (server.location_name, server.server_id)
        self._local[key] = server.epoch
        self._ended.pop(key, None)
        await self.refresh()
        for callback in self._on_registered:
            await callback(server, held_runs)

    def session_ended(self, location_name: str, server_id: str, epoch: int) -> None:
        """Take note that a session of this host is over, even if storage cannot be told now."""
        key = (location_name, server_id)
        if self._local.get(key) == epoch:
            del self._local[key]
            self._ended[key] = epoch
            self._changes.locations.set()

    async def definitions_of(
        self, build: location_pb2.Build, location_name: str, target: dialing.Target
    ) -> definitions.Definitions:
        """Return the definitions of a build, from its code server when need be.

        Raises:
            errors.LocationError: They cannot be had.
            atoll_storage.errors.StorageError: Storage did not give or take them.
        """
        client = self._channels.client(location_name, target)
        address = target.address
        self._fetching_from[address] += 1
        try:
            return await self._snapshots.get(build, client, location_name=location_name)
        finally:
            self._fetching_from[address] -= 1
            if not self._fetching_from[address]:
                del self._fetching_from[address]

    async def claim(self, location_name: str, defined: definitions.Definitions) -> None:
        """Claim the executable assets of a location; what has another owner becomes a conflict."""
        async with self._refreshing:
            taken = await self._store.claim_assets(location_name, sorted(defined.executable))
            owners = {path: owner for path, owner in self._owners.items() if owner != location_name}
            owners.update(dict.fromkeys(defined.executable, location_name))
            owners.update(taken)
            self._set_owners(owners)

    def conflicts_of(
        self, location_name: str, defined: definitions.Definitions
    ) -> dict[tuple[str, ...], str]:
        """Return the executable assets of `defined` that another location owns."""
        return {
            path: owner
            for path in defined.executable
            if (owner := self._owners.get(path, location_name)) != location_name
        }

    async def refresh(self) -> None:
        """Read what storage knows and publish the view of it.

        Raises:
            atoll_storage.errors.StorageError: Storage did not answer; the view before stays.
        """
        async with self._refreshing:
            servers = await self._store.servers()
            await self._load_stored(servers)
            await self._refresh_owners()
            self._publish(servers, await self._cut(servers))

    # The loop.

    async def prepare(self) -> None:
        """Read the locations with the definitions that storage has."""
        await self.refresh()

    async def run(self) -> None:
        """Refresh on every change, and often enough to see leases run out."""
        poke = self._poke
        while not self.stopping.is_set():
            await self.refresh()
            self.did_well()
            wait_s = min(self._look_every_s, _OWNERS_READ_EVERY_S)
            if await poke.wait(wait_s if self._owners_stale else self._look_every_s):
                self._owners_stale = True

    async def stop(self) -> None:
        """Let a look at storage end by itself, and stop."""
        self._poke.set()
        await super().stop()

    async def clean_up(self) -> None:
        """Close the connections to the code servers."""
        for task in self._fetches.values():
            task.cancel()
        await self._snapshots.close()
        await self._channels.close()

    async def _load_stored(self, servers: Sequence[records.ServerRecord]) -> None:
        """Have the definitions that storage has, so that locations of other hosts show up whole."""
        for server in servers:
            build = server.build
            if build is None or not (server.current or server.location_name not in self._views):
                continue
            digest = build.definitions_digest
            if self._snapshots.known(digest) is None and digest not in self._fetches:
                await self._snapshots.stored(digest)

    async def _refresh_owners(self) -> None:
        """Read the owners again if another host may have changed them; there can be very many."""
        age_s = self._clock.monotonic() - self._owners_read_at
        if age_s < (_OWNERS_READ_EVERY_S if self._owners_stale else _OWNERS_REFRESH_S):
            return
        self._owners_stale = False
        self._set_owners(await self._store.owners())
        self._owners_read_at = self._clock.monotonic()

    def _set_owners(self, owners: dict[tuple[str, ...], str]) -> None:
        if owners != self._owners:
            self._owners = owners
            self._graph = None

    def _views_of(self, servers: Sequence[records.ServerRecord]) -> dict[str, LocationView]:
        current: dict[str, records.ServerRecord] = {}
        for server in sorted(servers, key=lambda each: (each.current, each.register_time)):
            current[server.location_name] = server
        return {name: self._view(server) for name, server in sorted(current.items())}

    async def _cut(self, servers: Sequence[records.ServerRecord]) -> dict[str, LocationView]:
        """Return the views, with what the policy leaves of their definitions."""
        while True:
            views = self._views_of(servers)
            sent = {name: view.sent for name, view in views.items() if view.sent is not None}
            made_for = (tuple((name, each.digest) for name, each in sent.items()), self._owners)
            if made_for == self._cut_for:
                break
            policies, cuts = await asyncio.to_thread(_cut, self._policy, sent, self._owners)
            self._policies, self._cut_for = policies, made_for
            # The same object as long as nothing changed: others compare by identity.
            self._cuts = {name: _kept(self._cuts.get(name), cut) for name, cut in cuts.items()}
            # What became known meanwhile must not be seen before it was cut as well.
        for name in sent:
            cut = self._cuts[name]
            views[name] = dataclasses.replace(
                views[name], definitions=cut.definitions, denials=cut.denials
            )
        return views

    def _publish(
        self, servers: Sequence[records.ServerRecord], views: Mapping[str, LocationView]
    ) -> None:
        before = {name: view.definitions for name, view in self._views.items()}
        if before != {name: view.definitions for name, view in views.items()}:
            self._graph = None
        changed = views != self._views
        self._views = views
        self._reachable = {
            name: view.server
            for name, view in views.items()
            if view.state == events_pb2.LOCATION_STATE_SERVING and not view.server.draining
        }
        self._snapshots.keep(
            {view.sent.digest for view in views.values() if view.sent is not None}
            | {server.build.definitions_digest for server in servers if server.build is not None}
        )
        # A server that is about to register has no lease yet, but its definitions are fetched.
        leased = {server.address for server in servers if self._has_lease(server)}
        self._channels.keep(leased | self._fetching_from.keys())
        if changed:
            self._broadcast.set()

    def _view(self, server: records.ServerRecord) -> LocationView:
        before = self._views.get(server.location_name)
        build = server.build
        defined = None if build is None else self._snapshots.known(build.definitions_digest)
        failure = server.load_failure
        if build is not None and defined is None:
            self._fetch_later(server, build)
            problem = self._fetch_errors.get(build.definitions_digest)
            if problem is not None and failure is None:
                failure = values_pb2.Failure(type="DefinitionsUnavailable", message=problem)
        if defined is None and before is not None and before.sent is not None:
            build, defined = before.build, before.sent
        if not self._has_lease(server):
            state = events_pb2.LOCATION_STATE_UNREACHABLE
        elif server.build is not None:
            state = events_pb2.LOCATION_STATE_SERVING
        elif server.load_failure is not None:
            state = events_pb2.LOCATION_STATE_FAILED
        else:
            state = events_pb2.LOCATION_STATE_LOADING
        return LocationView(
            name=server.location_name,
            server=server,
            state=state,
            build=build,
            load_failure=failure,
            definitions=defined,
            sent=defined,
            conflicts={} if defined is None else self.conflicts_of(server.location_name, defined),
        )

    def _has_lease(self, server: records.ServerRecord) -> bool:
        if self._is_here(server):
            return True  # the session itself is the proof, also while storage is away
        if self._ended.get((server.location_name, server.server_id)) == server.epoch:
            return False
        return server.lease_expire_time > self._clock.now()

    def _is_here(self, server: records.ServerRecord) -> bool:
        return self._local.get((server.location_name, server.server_id)) == server.epoch

    def _fetch_later(self, server: records.ServerRecord, build: location_pb2.Build) -> None:
        digest = build.definitions_digest
        if digest in self._fetches or not self._has_lease(server):
            return
        task = asyncio.create_task(self._fetch(server, build))
        self._fetches[digest] = task
        task.add_done_callback(lambda _: self._fetches.pop(digest, None))

    async def _fetch(self, server: records.ServerRecord, build: location_pb2.Build) -> None:
        digest = build.definitions_digest
        try:
            defined = await self.definitions_of(build, server.location_name, target_of(server))
            if server.current and self._is_here(server):
                await self.claim(server.location_name, defined)
        except (errors.LocationError, storage_errors.StorageError) as error:
            self._fetch_errors[digest] = str(error)
            _log.warning(
                "definitions could not be fetched",
                extra={
                    "action": "fetch_definitions_failed",
                    "location": server.location_name,
                    "build_id": build.build_id,
                    "cause": str(error),
                },
            )
            self._changes.locations.set()  # shows the problem
            self._fetch_failures[digest] += 1
            await self._clock.sleep(_FETCH_RETRY.delay_s(self._fetch_failures[digest]))
        else:
            self._fetch_errors.pop(digest, None)
            self._fetch_failures.pop(digest, None)
        self._changes.locations.set()


def target_of(server: records.ServerRecord) -> dialing.Target:
    """Return where a code server is called, and by what it knows that a host calls."""
    return dialing.Target(server.address, server.control_token)


def _cut(
    settings: policy_settings.PolicySettings,
    sent: Mapping[str, definitions.Definitions],
    owners: Mapping[tuple[str, ...], str],
) -> tuple[deciding.Policies, dict[str, cutting.Cut]]:
    """Return all rules, and what they leave of the definitions of each location."""
    declared = {
        name: each.message.policy for name, each in sent.items() if each.message.HasField("policy")
    }
    policies = deciding.of(settings, declared)
    mesh = cutting.Mesh(
        policies,
        lambda path: owners.get(path, ""),
        {name: tuple(each.jobs) for name, each in sent.items()},
    )
    return policies, {name: cutting.cut(name, each, mesh) for name, each in sent.items()}


def _kept(before: cutting.Cut | None, cut: cutting.Cut) -> cutting.Cut:
    return before if before and before.definitions.digest == cut.definitions.digest else cut

"""Decides when each sensor is due and which evaluations may run now. Pure: no I/O, no clock.

Called by `leading`, which feeds it events, definitions, states and outcomes, always with the
time. What to store for an evaluation is decided in `deciding`; user code runs in the locations.

A sensor is *wanted* when there is something to evaluate it for: a polling sensor always is, an
event-driven one while the newest event it heard of is newer than its position. It is *due* once its
`not_before` has passed as well, and then waits in its location's own queue until the location is
available and has a free worker:

    wanted --not_before passed--> ready (queue of the location) --take()--> in flight
       ^                                                                       |
       +---- committed / failed (back-off) / exhausted / postponed / reloaded -+

Only the newest id is kept for each sensor, however long the backlog: what comes next after a
position is asked of the log. So memory is bounded by the number of sensors, and an event that is
heard of twice changes nothing.
"""

import dataclasses
import enum
import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from atoll_host import services
from atoll_host.automation import lanes
from atoll_storage import records

AssetPath = tuple[str, ...]
"""The parts of an asset key."""


class Kind(enum.Enum):
    """What makes a sensor due."""

    POLLING = "polling"
    ASSET = "asset"
    MULTI_ASSET = "multi_asset"
    RUN_STATUS = "run_status"
    WEBHOOK = "webhook"


@dataclasses.dataclass(frozen=True, slots=True)
class RunTopic:
    """Runs that reach a status. None for a job means all of the location, for both means all runs.

    As news, a topic without a job may be about any job: it concerns whoever watches the status.
    """

    status: records.RunStatus
    location_name: str | None = None
    job_name: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class _AnyRun:
    """All that watch a status, whichever jobs they watch."""

    status: records.RunStatus


Topic = AssetPath | RunTopic | _AnyRun | records.SensorKey
"""What a sensor watches: an asset, runs, or deliveries to its own address."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sensor:
    """What the agenda has to know of a sensor's definition.

    Attributes:
        key: Names the sensor in the mesh.
        kind: What makes it due.
        monitored: The assets that an asset-driven sensor watches.
        interval_s: The least time between the starts of two evaluations; the period of a polling
            sensor.
        coalesce: Whether only the newest of several waiting events counts.
        runs_by_default: Whether it is evaluated until somebody starts or stops it.
        runs: The changes of runs that a run status sensor watches.
    """

    key: records.SensorKey
    kind: Kind
    monitored: tuple[AssetPath, ...] = ()
    interval_s: float = 0.0
    coalesce: bool = False
    runs_by_default: bool = False
    runs: records.RunChangeQuery | None = None

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What makes it due."""
        if self.kind is Kind.WEBHOOK:
            return (self.key,)
        if self.runs is None:
            return self.monitored
        status, jobs = self.runs.status, self.runs.monitored
        watched: list[Topic] = [_AnyRun(status)]
        if jobs is None:
            watched.append(RunTopic(status))
        else:
            watched += (RunTopic(status, location, job or None) for location, job in jobs)
        return tuple(watched)


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation that may begin now.

    Attributes:
        sensor: What is evaluated.
        state: What the stores remember of it; the tick commits against this version.
        horizon: The newest event that the sensor had heard of; 0 for polling sensors.
        after: Up to here there is nothing left to decide on.
        began: When it was taken.
        token: Tells this evaluation from every other one of the agenda.
    """

    sensor: Sensor
    state: records.SensorState
    horizon: int
    began: float
    token: int
    after: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of the agenda.

    Attributes:
        workers_per_location: How many evaluations of one location may be in flight.
        failure_backoff: The delays after failed ticks in a row.
        retry_backoff: The delays where the location or the store did not answer.
    """

    workers_per_location: int = 4
    failure_backoff: services.Backoff = dataclasses.field(
        default_factory=lambda: services.Backoff(first_s=1.0, max_s=60.0)
    )
    retry_backoff: services.Backoff = dataclasses.field(
        default_factory=lambda: services.Backoff(first_s=0.2, max_s=5.0)
    )


@dataclasses.dataclass(slots=True)
class _Entry:
    """A sensor and where it stands."""

    sensor: Sensor
    state: records.SensorState
    not_before: float
    newest: int = 0
    exhausted_to: int = 0
    failures: int = 0
    postponements: int = 0
    token: int | None = None
    timer: float | None = None

    @property
    def running(self) -> bool:
        """Whether the sensor is to be evaluated at all."""
        if self.state.running is None:
            return self.sensor.runs_by_default
        return self.state.running

    @property
    def wanted(self) -> bool:
        """Whether there is something to evaluate the sensor for."""
        if not self.running or self.token is not None:
            return False
        if self.sensor.kind is Kind.POLLING:
            return True
        return self.newest > self.done_to

    @property
    def done_to(self) -> int:
        """Up to where there is nothing left to decide on."""
        return max(self.state.position, self.exhausted_to)


@dataclasses.dataclass(slots=True)
class _Lane(lanes.Lane[str]):
    """The queue and the workers of one location, and what waits for it to answer again."""

    postponed: set[records.SensorKey] = dataclasses.field(default_factory=set[records.SensorKey])


class Agenda:
    """All sensors of the mesh with their due times."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._entries: dict[records.SensorKey, _Entry] = {}
        self._lanes: dict[str, _Lane] = {}
        self._watchers: dict[Topic, dict[records.SensorKey, None]] = {}
        self._latest: dict[Topic, int] = {}
        self._timers: list[tuple[float, int, records.SensorKey]] = []
        self._tokens = itertools.count(1)
        self._order = itertools.count()

    def set_location(
        self,
        location_name: str,
        sensors: Sequence[Sensor],
        states: Mapping[records.SensorKey, records.SensorState],
        now: float,
        *,
        ages_s: Mapping[records.SensorKey, float] | None = None,
        retries_s: Mapping[records.SensorKey, float] | None = None,
    ) -> None:
        """Take over the sensors that a location defines now, in place of those before.

        Args:
            location_name: The location.
            sensors: Its sensors.
            states: What the stores remember of them. A sensor without a state is left out.
            now: The time.
            ages_s: How long ago each was evaluated last, for those that ever were.
            retries_s: When those that failed last are to be tried again, from now.
        """
        self._lanes.setdefault(location_name, _Lane())
        wanted = {sensor.key for sensor in sensors if sensor.key in states}
        gone = [k for k in self._entries if k.location_name == location_name and k not in wanted]
        for key in gone:
            self._forget(self._entries[key])
        ages, retries = ages_s or {}, retries_s or {}
        for sensor in sensors:
            state = states.get(sensor.key)
            if state is None:
                continue
            entry = self._entries.get(sensor.key)
            if entry is None:
                age_s = ages.get(sensor.key)
                wait_s = 0.0 if age_s is None else sensor.interval_s - age_s
                wait_s = max(0.0, wait_s, retries.get(sensor.key, 0.0))
                entry = _Entry(sensor, state, now + wait_s, failures=state.failures)
                self._entries[sensor.key] = entry
            else:
                self._unwatch(entry.sensor)
                if sensor.interval_s < entry.sensor.interval_s and entry.failures == 0:
                    entry.not_before = min(entry.not_before, now + sensor.interval_s)
                if sensor != entry.sensor:
                    entry.exhausted_to = 0
                entry.sensor = sensor
                self._take_state(entry, state)
            self._watch(entry)
            self._consider(entry, now)

    def set_available(self, location_name: str, now: float, *, available: bool) -> None:
        """Say whether a location can be asked to evaluate. What is due stays due while it cannot.

        A location that is back is asked at once for what was postponed while it did not answer.
        """
        lane = self._lanes.setdefault(location_name, _Lane())
        came_back = available and not lane.available
        lane.available = available
        if came_back:
            for key in tuple(lane.postponed):
                entry = self._entries[key]
                if entry.token is None:
                    entry.not_before = now
                    self._consider(entry, now)

    def set_state(self, state: records.SensorState, now: float) -> None:
        """Take over what the stores remember of a sensor, unless something newer is known."""
        entry = self._entries.get(state.key)
        if entry is None:
            return
        ran_before, resets_before = entry.running, entry.state.resets
        self._take_state(entry, state)
        if (entry.running and not ran_before) or entry.state.resets != resets_before:
            entry.failures = 0
            entry.not_before = now
        self._consider(entry, now)

    def arrived(self, events: Iterable[tuple[int, Topic]], now: float) -> None:
        """Hear of news, as (event id, topic). Hearing of one again changes nothing.

        The id of a delivery to a webhook is its number, which its sensor's position is too.
        """
        for event_id, told in events:
            for topic in _concerned(told):
                watchers = self._watchers.get(topic)
                if watchers is None:
                    continue
                self._latest[topic] = max(event_id, self._latest.get(topic, 0))
                for key in watchers:
                    entry = self._entries[key]
                    if event_id > entry.newest:
                        entry.newest = event_id
                        self._consider(entry, now)

    def watched(self) -> Iterator[AssetPath]:
        """Yield every asset that a sensor watches."""
        return (topic for topic in self._watchers if isinstance(topic, tuple))

    def take(self, now: float) -> list[Evaluation]:
        """Return the evaluations that may begin; each is in flight until its outcome is told."""
        self._fire_timers(now)
        taken: list[Evaluation] = []
        for location_name, lane in self._lanes.items():
            while (name := lane.pop(self._limits.workers_per_location)) is not None:
                entry = self._entries[records.SensorKey(location_name, name)]
                if entry.wanted:
                    taken.append(self._begin(entry, lane, now))
        return taken

    def next_wake_at(self) -> float | None:
        """Return when the clock alone may bring something to `take`; None when only news can."""
        while self._timers:
            at, _, key = self._timers[0]
            entry = self._entries.get(key)
            if entry is not None and entry.timer == at:
                return at
            heapq.heappop(self._timers)
        return None

    def committed(self, evaluation: Evaluation, state: records.SensorState, now: float) -> None:
        """Hear that a good tick was stored; `state` is the sensor's state after it."""
        entry = self._end(evaluation)
        if entry is not None:
            entry.failures = 0
            self._take_state(entry, state)
            self._rest(entry, evaluation, now, 0.0)

    def failed(self, evaluation: Evaluation, state: records.SensorState, now: float) -> None:
        """Hear that a failed tick was stored: its work is still to be done, after a while."""
        entry = self._end(evaluation)
        if entry is not None:
            self._take_state(entry, state)
            entry.failures = state.failures or entry.failures + 1
            pause_s = self._limits.failure_backoff.delay_s(entry.failures)
            self._rest(entry, evaluation, now, pause_s)

    def postponed(self, evaluation: Evaluation, now: float) -> None:
        """Hear that nothing was stored, as the location or the store did not answer: try again."""
        entry = self._end(evaluation)
        if entry is not None:
            entry.postponements += 1
            self._lanes[entry.sensor.key.location_name].postponed.add(entry.sensor.key)
            entry.not_before = now + self._limits.retry_backoff.delay_s(entry.postponements)
            self._consider(entry, now)

    def exhausted(self, evaluation: Evaluation, now: float) -> None:
        """Hear that the log holds nothing for the sensor up to the horizon: it was pruned."""
        entry = self._end(evaluation)
        if entry is not None:
            entry.exhausted_to = max(entry.exhausted_to, evaluation.horizon)
            self._consider(entry, now)

    def reloaded(
        self, evaluation: Evaluation, state: records.SensorState | None, now: float
    ) -> None:
        """Hear that the state had moved on: it is `state` now, None for a sensor that is gone."""
        entry = self._end(evaluation)
        if entry is None:
            return
        if state is None:
            self._forget(entry)
            return
        self._take_state(entry, state)
        self._consider(entry, now)

    def _take_state(self, entry: _Entry, state: records.SensorState) -> None:
        if state.version < entry.state.version:
            return
        if state.resets != entry.state.resets:
            entry.exhausted_to = 0
        entry.state = state

    def _watch(self, entry: _Entry) -> None:
        for topic in entry.sensor.topics:
            self._watchers.setdefault(topic, {})[entry.sensor.key] = None
            # News about any run of a status may concern others only; they are looked up anyway.
            if not isinstance(topic, _AnyRun):
                entry.newest = max(entry.newest, self._latest.get(topic, 0))

    def _unwatch(self, sensor: Sensor) -> None:
        for topic in sensor.topics:
            watchers = self._watchers.get(topic)
            if watchers is None:
                continue
            watchers.pop(sensor.key, None)
            if not watchers:
                del self._watchers[topic]
                self._latest.pop(topic, None)

    def _forget(self, entry: _Entry) -> None:
        key = entry.sensor.key
        self._unwatch(entry.sensor)
        lane = self._lanes[key.location_name]
        lane.drop(key.sensor_name)
        lane.postponed.discard(key)
        del self._entries[key]

    def _consider(self, entry: _Entry, now: float) -> None:
        """Put a wanted sensor where it belongs: into its location's queue, or behind a timer."""
        key = entry.sensor.key
        lane = self._lanes[key.location_name]
        if entry.wanted and entry.not_before <= now:
            entry.timer = None
            lane.put(key.sensor_name)
            return
        lane.drop(key.sensor_name)
        if not entry.wanted:
            entry.timer = None
        elif entry.timer != entry.not_before:
            entry.timer = entry.not_before
            heapq.heappush(self._timers, (entry.not_before, next(self._order), key))

    def _fire_timers(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            at, _, key = heapq.heappop(self._timers)
            entry = self._entries.get(key)
            if entry is not None and entry.timer == at:
                self._consider(entry, now)

    def _begin(self, entry: _Entry, lane: _Lane, now: float) -> Evaluation:
        token = next(self._tokens)
        entry.token = token
        entry.timer = None
        lane.in_flight.add(token)
        return Evaluation(entry.sensor, entry.state, entry.newest, now, token, entry.done_to)

    def _end(self, evaluation: Evaluation) -> _Entry | None:
        """Free the worker; return the sensor, None when it is no longer defined."""
        key = evaluation.sensor.key
        self._lanes[key.location_name].in_flight.discard(evaluation.token)
        entry = self._entries.get(key)
        if entry is None or entry.token != evaluation.token:
            return None
        entry.token = None
        return entry

    def _rest(self, entry: _Entry, evaluation: Evaluation, now: float, pause_s: float) -> None:
        entry.postponements = 0
        self._lanes[entry.sensor.key.location_name].postponed.discard(entry.sensor.key)
        by_rate = evaluation.began + entry.sensor.interval_s
        entry.not_before = max(by_rate, now + pause_s)
        self._consider(entry, now)


def _concerned(told: Topic) -> tuple[Topic, ...]:
    """Return the topics of those whom news about a topic concern."""
    if not isinstance(told, RunTopic):
        return (told,)
    status, location, job = told.status, told.location_name, told.job_name
    if not location or not job:
        return (_AnyRun(status),)
    return (told, RunTopic(status, location), RunTopic(status))

"""Deciding which queued runs may go: limits, priorities, and turns between locations. No I/O.

Called by `run_claims` with the fronts of the queues, under the lock of claims. The rules:

- Within a location, runs go by priority and then in the order in which they were queued.
- A run goes only if each limit that it is under has room: that of the host, of its location, of its
  job, of its tags, of its pools. One that may not go holds up none behind it.
- Locations take turns: the next run is of the location with the fewest active ones among those that
  have a run that may go, so that a long queue, or a high priority, keeps nobody else waiting.

A queue comes as *lanes*: runs that were found to be under a full limit stand apart, in a lane named
after it, and are passed over together for as long as it is full. A lane may be cut off; the
decision says so where it would have to see more.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from atoll_storage import queue_records, records

_KEY_LENGTH_MAX = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A queued run, as far as the decision looks at it.

    Attributes:
        run_id: The run.
        location_name: Its location.
        job_name: Its job.
        rank: The least goes first: minus the priority.
        order: The position among all runs; the least goes first among equals.
        tags: Those of its tags that limits ask for.
        pools: Its pools, where runs take slots of them.
    """

    run_id: str
    location_name: str
    job_name: str
    rank: int = 0
    order: int = 0
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    pools: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Active:
    """Active runs that are alike.

    Attributes:
        like: What they are like; ids and positions are unused.
        count: How many there are.
    """

    like: Candidate
    count: int


@dataclasses.dataclass(frozen=True, slots=True)
class Lane:
    """The front of a part of a location's queue.

    Attributes:
        location_name: The location.
        blocked_by: The limit that its runs were found to be under; empty for none.
        runs: The first of them, in order.
        complete: Whether these are all.
    """

    location_name: str
    blocked_by: str
    runs: Sequence[Candidate]
    complete: bool


@dataclasses.dataclass(slots=True)
class Choice:
    """What may go.

    Attributes:
        chosen: The runs, in the order in which they go.
        blocked: The full limit of each run that was passed over and stands in another lane yet.
        finished: Whether enough was seen; if not, more may go than was chosen.
    """

    chosen: list[Candidate] = dataclasses.field(default_factory=list[Candidate])
    blocked: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    finished: bool = True


class Counts:
    """How many runs are active, in all, by location and by limit.

    Attributes:
        limits: The limits.
        total: How many runs are active.
        by_location: How many in each location.

    Args:
        limits: The limits.
        active: The active runs.
    """

    def __init__(self, limits: queue_records.ClaimLimits, active: Iterable[Active] = ()) -> None:
        self.limits = limits
        self.total = 0
        self.by_location: collections.Counter[str] = collections.Counter()
        self._by_key: collections.Counter[str] = collections.Counter()
        for group in active:
            self.add(group.like, group.count)

    def add(self, run: Candidate, count: int = 1) -> None:
        """Count runs that became active."""
        self.total += count
        self.by_location[run.location_name] += count
        for key in limits_of(run, self.limits):
            self._by_key[key] += count

    def room(self) -> int:
        """Return how many more runs may be active."""
        return max(0, self.limits.active_max - self.total)

    def room_in(self, location_name: str) -> int:
        """Return how many more may be in a location, whatever the other limits say."""
        limit = self.limits.in_location(location_name)
        return max(0, min(self.room(), limit - self.by_location[location_name]))

    def full(self, run: Candidate) -> "Limit | None":
        """Return the first limit besides those of host and location that has no room for a run."""
        for key, limit in limits_of(run, self.limits).items():
            if self._by_key[key] >= limit.count:
                return limit
        return None

    def is_full(self, key: str, run: Candidate) -> bool:
        """Say whether the limit called `key` has no room for a run; not if it is not under it."""
        limit = limits_of(run, self.limits).get(key)
        return limit is not None and self._by_key[key] >= limit.count

    def full_keys(self, active: Iterable[Active]) -> list[str]:
        """Return the limits that active runs have filled."""
        found: set[str] = set()
        for group in active:
            for key, limit in limits_of(group.like, self.limits).items():
                if self._by_key[key] >= limit.count:
                    found.add(key)
        return sorted(found)


@dataclasses.dataclass(frozen=True, slots=True)
class Limit:
    """A limit that a run is under.

    Attributes:
        key: Names it.
        count: How many runs under it may be active.
        subject: What it is about, in words, such as ``job 'sales/nightly'``.
    """

    key: str
    count: int
    subject: str


def limits_of(run: Candidate, limits: queue_records.ClaimLimits) -> dict[str, Limit]:
    """Return the limits that a run is under, besides those of the host and of its location."""
    found: list[Limit] = []
    job = f"{run.location_name}/{run.job_name}"
    if job in limits.jobs:
        found.append(Limit(_key("job", job), limits.jobs[job], f"job {job!r}"))
    for rule in limits.tags:
        value = run.tags.get(rule.key)
        if value is None or (rule.value is not None and rule.value != value):
            continue
        if rule.value is None and not rule.per_unique_value:
            key, subject = _key("tag", rule.key), f"tag {rule.key!r}"
        else:
            key, subject = _key("tag", rule.key, value), f"tag {rule.key!r} = {value!r}"
        found.append(Limit(key, rule.limit, subject))
    if limits.pools is not None:
        for pool in run.pools:
            count = limits.pools.of(pool)
            if count is not None:
                found.append(Limit(_key("pool", pool), count, f"pool {pool!r}"))
    least: dict[str, Limit] = {}
    for limit in found:
        if limit.key not in least or limit.count < least[limit.key].count:
            least[limit.key] = limit
    return least


def like(run: records.RunRecord) -> Candidate:
    """Return what the decision looks at of a run."""
    return Candidate(
        run.run_id,
        run.location_name,
        run.job_name,
        order=run.queue_order,
        tags=run.tags,
        pools=run.pools,
    )


def choose(
    lanes: Iterable[Lane],
    limits: queue_records.ClaimLimits,
    active: Iterable[Active],
    batch_max: int,
) -> Choice:
    """Decide which runs go.

    Args:
        lanes: The fronts of the queues of the locations that take runs.
        limits: The limits.
        active: The active runs.
        batch_max: How many may go at the most.
    """
    counts = Counts(limits, active)
    choice = Choice()
    queues: dict[str, _Queue] = {}
    for lane in lanes:
        queue = queues.setdefault(lane.location_name, _Queue(counts, choice))
        queue.lanes.append(_Cursor(lane))
    while len(choice.chosen) < batch_max and counts.room() > 0:
        turns: list[tuple[int, int, str]] = []
        for name, queue in queues.items():
            if counts.room_in(name) == 0:
                continue
            head = queue.head()
            if head is not None:
                turns.append((counts.by_location[name], head.order, name))
        # That all were looked at first tells of as many that are held up as could be seen.
        if not turns or not choice.finished:
            break
        chosen = queues[min(turns)[2]].take()
        counts.add(chosen)
        choice.chosen.append(chosen)
    return choice


class _Cursor:
    """A lane that is read from its front."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._next = 0

    def head(self) -> Candidate | None:
        """Return the next run, None where all that were given have been read."""
        return self.lane.runs[self._next] if self._next < len(self.lane.runs) else None

    def advance(self) -> None:
        self._next += 1

    def is_passed_over(self, counts: Counts) -> bool:
        """Say whether the limit that all of the lane is under is full."""
        last = self.lane.runs[min(self._next, len(self.lane.runs) - 1)] if self.lane.runs else None
        blocked_by = self.lane.blocked_by
        return bool(blocked_by) and last is not None and counts.is_full(blocked_by, last)


class _Queue:
    """The lanes of one location, read in the order of its runs."""

    def __init__(self, counts: Counts, choice: Choice) -> None:
        self.lanes: list[_Cursor] = []
        self._counts = counts
        self._choice = choice
        self._front: tuple[_Cursor, Candidate] | None = None

    def head(self) -> Candidate | None:
        """Return the next run that may go; None if none does, or if more must be seen."""
        # What could go before may not any more, but nothing before it can have become possible.
        if self._front is not None and self._counts.full(self._front[1]) is None:
            return self._front[1]
        self._front = None
        while True:
            heads: list[tuple[int, int, _Cursor, Candidate]] = []
            for cursor in self.lanes:
                if cursor.is_passed_over(self._counts):
                    continue
                head = cursor.head()
                if head is not None:
                    heads.append((head.rank, head.order, cursor, head))
                elif not cursor.lane.complete:
                    self._choice.finished = False
                    return None
            if not heads:
                return None
            _, _, cursor, head = min(heads, key=lambda each: each[:2])
            full = self._counts.full(head)
            if full is None:
                self._front = cursor, head
                return head
            self._choice.blocked[head.run_id] = full.key
            cursor.advance()

    def take(self) -> Candidate:
        """Take the run that `head` returned."""
        if self._front is None:
            raise AssertionError("take comes after a head that is there")
        cursor, head = self._front
        cursor.advance()
        self._front = None
        return head


def _key(*parts: str) -> str:
    """Return the name of a limit; a long one becomes a digest, since it is indexed."""
    key = ":".join([str(len(parts)), *parts]).replace("\0", "\ufffd")
    if len(key) <= _KEY_LENGTH_MAX:
        return key
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()

"""What a backfill requests next, compared with every partition looked at by itself."""

import time

import pytest
from hypothesis import settings, stateful
from hypothesis import strategies as st

from atoll._partitions import (
    calendar_partitions,
    partition_keys,
    time_window_mappings,
    time_window_partitions,
)
from atoll_host.automation.backfills import deciding, plans
from atoll_host.automation.backfills import progress as progresses
from tests.host.automation.backfills import worlds

ROOM = {"one": 1000, "two": 1000}


def _progress(plan: plans.Plan, done: int) -> progresses.Progress:
    """The progress of a backfill whose every request succeeds at once, after some rounds."""
    progress = progresses.Progress.begin(plan)
    for _ in range(done):
        progress = deciding.decide(plan, progress, ROOM, 1000).progress
        flying = [progress.in_flight(n) for n in range(len(plan.units))]
        progress = progress.with_ended(flying, plan.none())
    return progress


def _asked(
    plan: plans.Plan, progress: progresses.Progress
) -> list[tuple[tuple[int, ...], str, str]]:
    decision = deciding.decide(plan, progress, ROOM, 1000)
    return [(chunk.units, chunk.piece.start, chunk.piece.end) for chunk in decision.chunks]


class Backfills(stateful.RuleBasedStateMachine):
    """A backfill whose runs end as they like, retried at any moment, until all is done."""

    @stateful.initialize(plan=worlds.random_plans())
    def begin(self, plan: plans.Plan) -> None:
        self.plan = plan
        self.reference = worlds.Reference(plan)
        self.progress = progresses.Progress.begin(plan)
        self.requested: set[worlds.Work] = set()
        self.materialized: set[worlds.Work] = set()
        self.failed: set[worlds.Work] = set()
        self.flying: list[deciding.Chunk] = []

    @stateful.rule(one=st.integers(0, 4), two=st.integers(0, 4), at_most=st.integers(1, 5))
    def decide(self, one: int, two: int, at_most: int) -> None:
        room = {"one": one, "two": two}
        decision = deciding.decide(self.plan, self.progress, room, at_most)
        assert len(decision.chunks) <= at_most
        blocked = self.reference.blocked(self.failed, self.requested)
        for chunk in decision.chunks:
            work = worlds.works(chunk)
            room[self._location_of(chunk)] -= 1
            assert work
            assert not work & self.requested, "requested once"
            assert not work & blocked, "not downstream of what failed"
            needs = set[worlds.Work]().union(*(self.reference.needs[each] for each in work))
            assert needs - work <= self.materialized, "not before what it needs"
            self._check_piece(chunk)
            self.requested |= work
            self.flying.append(chunk)
        assert min(room.values()) >= 0
        self.progress = decision.progress

    def _location_of(self, chunk: deciding.Chunk) -> str:
        (location,) = {self.plan.units[number].location_name for number in chunk.units}
        return location

    def _check_piece(self, chunk: deciding.Chunk) -> None:
        piece = chunk.piece
        (size,) = {self.plan.units[number].per_run_max for number in chunk.units}
        assert size is None or piece.count <= size, "the policy"
        empty = self.plan.units[chunk.units[0]].target.empty_subset()
        ends = partition_keys.PartitionKeyRange(piece.start, piece.end)
        assert set(empty.with_partition_key_range(ends, worlds.KEYS)) == set(piece.subset)
        assert piece.count == len(piece.subset)

    @stateful.precondition(lambda self: self.flying)
    @stateful.rule(data=st.data(), outcome=st.sampled_from(["good", "good", "bad", "some"]))
    def end(self, data: st.DataObject, outcome: str) -> None:
        place = data.draw(st.integers(0, len(self.flying) - 1))
        self._end(self.flying.pop(place), outcome)

    def _end(self, chunk: deciding.Chunk, outcome: str) -> None:
        good = bad = self.plan.none()
        for number in chunk.units:
            keys = list(chunk.piece.subset)
            made = {"good": keys, "bad": [], "some": keys[: len(keys) // 2]}[outcome]
            target = self.plan.units[number].partitions_def
            good[number] = target.subset_with_partition_keys(made)
            bad = list(bad)
            bad[number] = chunk.piece.subset - good[number]
            self.materialized |= {(number, key) for key in made}
            self.failed |= {(number, key) for key in keys if key not in made}
        self.progress = self.progress.with_ended(good, bad)

    @stateful.rule()
    def retry(self) -> None:
        self.progress = self.progress.to_retry()
        self.requested -= self.failed
        self.failed = set()

    @stateful.rule()
    def lose(self) -> None:
        """Runs vanish without a word, as when nobody remembers them."""
        for chunk in self.flying:
            self.failed |= worlds.works(chunk)
        self.flying = []
        self.progress = self.progress.with_lost()

    @stateful.invariant()
    def agrees(self) -> None:
        if not hasattr(self, "plan"):
            return
        told = deciding.blocked(self.plan, self.progress)
        blocked = {(n, key) for n, subset in enumerate(told) for key in subset}
        assert blocked == self.reference.blocked(self.failed, self.requested)
        for field in ("requested", "materialized", "failed"):
            subsets = getattr(self.progress, field)
            assert {(n, k) for n, each in enumerate(subsets) for k in each} == getattr(self, field)

    def teardown(self) -> None:
        if not hasattr(self, "plan"):
            return
        for _ in range(2 * len(self.reference.target) + 2):
            for chunk in self.flying:
                self._end(chunk, "good")
            self.flying = []
            if deciding.state(self.plan, self.progress) is not deciding.State.GOES_ON:
                break
            self.decide(100, 100, 100)
            assert self.flying, "there is always something to request"
        assert deciding.state(self.plan, self.progress) is deciding.State.ENDED
        blocked = self.reference.blocked(self.failed, self.requested)
        assert self.materialized | self.failed | blocked == self.reference.target


@pytest.mark.slow
def test_each_partition_is_requested_once_in_order_and_never_after_a_failure():
    stateful.run_state_machine_as_test(
        Backfills, settings=settings(max_examples=100, stateful_step_count=25, deadline=None)
    )


def test_what_shares_location_and_partitions_goes_into_one_run():
    days = worlds.DAILY.subset_with_partition_keys(["2026-01-01", "2026-01-02"])
    units = [worlds.unit(name, days) for name in ("raw", "clean")]
    units.append(worlds.unit("report", days, location="two"))
    plan = worlds.plan(units, [(1, 0, None), (2, 1, None)])
    asked = _asked(plan, progresses.Progress.begin(plan))
    assert asked == [
        ((0, 1), "2026-01-01", "2026-01-01"),
        ((0, 1), "2026-01-02", "2026-01-02"),
    ]
    assert [units for units, *_ in _asked(plan, _progress(plan, 1))] == [(2,), (2,)]


def test_a_single_run_waits_for_all_that_it_takes():
    days = worlds.DAILY.subset_with_partition_keys([f"2026-01-0{n}" for n in range(1, 6)])
    units = [worlds.unit("raw", days, location="two"), worlds.unit("all", days, per_run_max=None)]
    plan = worlds.plan(units, [(1, 0, None)])
    progress = deciding.decide(plan, progresses.Progress.begin(plan), ROOM, 1000).progress
    some = worlds.DAILY.subset_with_partition_keys(["2026-01-01", "2026-01-02"])
    none = plan.none()
    progress = progress.with_ended([some, none[1]], none)
    assert _asked(plan, progress) == []
    progress = progress.with_ended([days - some, none[1]], none)
    assert _asked(plan, progress) == [((1,), "2026-01-01", "2026-01-05")]


def test_several_a_run_are_cut_from_ranges_without_gaps():
    keys = [f"2026-01-0{n}" for n in (1, 2, 3, 4, 5, 7, 8)]
    days = worlds.DAILY.subset_with_partition_keys(keys)
    plan = worlds.plan([worlds.unit("raw", days, per_run_max=3)], [])
    assert [each[1:] for each in _asked(plan, progresses.Progress.begin(plan))] == [
        ("2026-01-01", "2026-01-03"),
        ("2026-01-04", "2026-01-05"),
        ("2026-01-07", "2026-01-08"),
    ]


def test_what_needs_its_own_day_before_runs_day_by_day():
    days = worlds.DAILY.subset_with_partition_keys(["2026-01-01", "2026-01-02", "2026-01-03"])
    before = time_window_mappings.TimeWindowPartitionMapping(-1, -1)
    plan = worlds.plan([worlds.unit("sum", days)], [(0, 0, before)])
    assert _asked(plan, _progress(plan, 1)) == [((0,), "2026-01-02", "2026-01-02")]


def test_partitions_that_wait_for_each_other_are_told_of():
    days = worlds.DAILY.subset_with_partition_keys(["2026-01-01", "2026-01-02"])
    both = time_window_mappings.TimeWindowPartitionMapping(-1, 1)
    plan = worlds.plan([worlds.unit("sum", days)], [(0, 0, both)])
    assert deciding.state(plan, progresses.Progress.begin(plan)) is deciding.State.STUCK


@pytest.mark.parametrize("before", [False, True])
def test_a_decision_costs_by_ranges_and_not_by_partitions(before: bool):
    hours = calendar_partitions.HourlyPartitionsDefinition("2000-01-01-00:00")
    target = worlds.everything(hours)
    assert len(target) > 200_000
    units = [worlds.unit(name, target) for name in ("a", "b")]
    units.append(worlds.unit("c", target, location="two"))
    needs: list = [(1, 0, None), (2, 1, None)]
    if before:
        needs.append((2, 2, time_window_mappings.TimeWindowPartitionMapping(-1, -1)))
    plan = worlds.plan(units, needs)
    assert isinstance(hours, time_window_partitions.TimeWindowPartitionsDefinition)
    some = hours.subset_with_partition_keys(["2001-01-01-00:00", "2002-01-01-00:00"])
    rest = target - some
    none = plan.none()
    progress = progresses.Progress.begin(plan).with_requested([target, target, none[2]])
    progress = progress.with_ended([target, rest, none[2]], [none[0], some, none[2]])
    began = time.process_time()
    decision = deciding.decide(plan, progress, ROOM, 100)
    assert len(decision.chunks) == (1 if before else 100)
    blocked = deciding.blocked(plan, progress)[2]
    assert len(blocked) == (len(target) - 8784 if before else 2)
    assert time.process_time() - began < 0.2

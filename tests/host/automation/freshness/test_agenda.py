"""The agenda: whatever happens, what it stores is what deciding every asset anew would give."""

import dataclasses
import datetime as dt

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from atoll_host.automation.freshness import agenda, deciding
from atoll_storage import freshness_records

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PATHS = [("a",), ("b",), ("c", "d")]
MINUTE = dt.timedelta(minutes=1)
POLICIES = [
    deciding.Window(5 * MINUTE, 2 * MINUTE),
    deciding.Window(3 * MINUTE),
    deciding.Deadlines("*/10 * * * *", "UTC", 4 * MINUTE),
    deciding.Unreadable("new"),
]


class AgendaMachine(RuleBasedStateMachine):
    """Feeds an agenda and a dictionary of everything that is true."""

    def __init__(self) -> None:
        super().__init__()
        self.agenda = agenda.Agenda()
        self.agenda.set_policies({})
        self.now = START
        self.policies: dict = {}
        self.newest: dict = {}
        self.stored: dict = {}
        self.event_id = 0

    @rule(path=st.sampled_from(PATHS), policy=st.sampled_from([None, *POLICIES]))
    def define(self, path, policy) -> None:
        self.policies.pop(path, None)
        if policy is not None:
            self.policies[path] = policy
        for new in self.agenda.set_policies(self.policies):
            if new in self.newest:
                self.agenda.materialized(new, *self.newest[new])

    @rule(path=st.sampled_from(PATHS), age=st.timedeltas(dt.timedelta(0), 6 * MINUTE))
    def materialize(self, path, age) -> None:
        self.event_id += 1
        self.newest[path] = (self.event_id, self.now - age)
        self.agenda.materialized(path, *self.newest[path])

    @rule(path=st.sampled_from(PATHS))
    def hear_late(self, path) -> None:
        if path in self.newest:
            event_id, time = self.newest[path]
            self.agenda.materialized(path, event_id - 1, time - 9 * MINUTE)

    @rule(path=st.sampled_from(PATHS), state=st.sampled_from([deciding.PASS, deciding.FAIL]))
    def another_host_stores(self, path, state) -> None:
        version = self.stored[path].version + 1 if path in self.stored else 1
        self.stored[path] = freshness_records.FreshnessRecord(path, state, version, 1, self.now)
        self.agenda.set_stored([self.stored[path]])

    @rule(seconds=st.integers(0, 400))
    def wait(self, seconds) -> None:
        """Store what changes, at each moment that the agenda names and no other."""
        end = self.now + dt.timedelta(seconds=seconds)
        self.store_all()
        while (moment := self.agenda.next_change_at()) is not None and moment <= end:
            self.now = max(self.now, moment)
            self.store_all()
        self.now = end

    def store_all(self) -> None:
        while changes := self.agenda.changes(self.now, limit=2):
            for change in changes:
                known = self.stored.get(change.path)
                assert change.expected_version == (0 if known is None else known.version)
                assert known is None or known.state == change.previous_state != change.state
                newest = self.newest.get(change.path, (0, None))
                expected = newest[0] if change.path in self.policies else None
                assert change.materialization_id == expected
                record = freshness_records.FreshnessRecord(
                    change.path, change.state, change.expected_version + 1, 1, self.now
                )
                self.stored[change.path] = record
                self.agenda.set_stored([record])

    @invariant()
    def what_is_stored_is_what_is_true(self) -> None:
        self.store_all()
        for path in PATHS:
            time = self.newest.get(path, (0, None))[1]
            verdict = deciding.decide(self.policies.get(path), time, self.now)
            stored = self.stored.get(path)
            if stored is None:
                assert verdict.state == deciding.NOT_APPLICABLE
            else:
                assert stored.state == verdict.state

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.agenda._heap) <= 2 * len(PATHS) + 65


AgendaMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_any_interleaving = AgendaMachine.TestCase


def test_what_could_not_be_stored_is_found_again() -> None:
    one = agenda.Agenda()
    one.set_policies({("a",): POLICIES[0]})
    (change,) = one.changes(START, limit=10)
    assert not one.changes(START, limit=10)
    one.again([change.path])
    assert one.has_open
    assert one.changes(START, limit=10) == [change]


def test_no_policy_is_taken_for_gone_while_definitions_are_missing() -> None:
    one = agenda.Agenda()
    stored = freshness_records.FreshnessRecord(("a",), deciding.PASS, 3, 1, START)
    one.set_stored([stored])
    one.set_policies({}, complete=False)
    assert not one.changes(START, limit=10)
    one.set_policies({})
    (change,) = one.changes(START, limit=10)
    assert dataclasses.astuple(change)[:4] == (("a",), deciding.NOT_APPLICABLE, deciding.PASS, 3)

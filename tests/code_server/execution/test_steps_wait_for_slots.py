"""Steps in one process wait for slots of their pools, and hold none that they do not use."""

from collections.abc import Mapping

import pytest

import atoll as dg
from atoll._definitions import events, runs
from atoll._execution import events as event_sinks
from atoll._execution import runs as execution
from atoll._execution import slots
from atoll._instance import instance as instances


class Slots:
    """A source that gives so many slots in all, whenever it is asked."""

    def __init__(self, closed_for: int = 0) -> None:
        self.wanted: dict[str, str] = {}
        self.log: list[str] = []
        self._closed_for = closed_for

    def want(self, wanted: Mapping[str, str]) -> None:
        if not wanted and self.wanted:
            self.log.append(f"withdrew {sorted(self.wanted)}")
        self.wanted = dict(wanted)

    def fileno(self) -> int:
        return -1

    def take(self, timeout_s: float) -> slots.Told:
        if self._closed_for > 0:
            self._closed_for -= 1
            return slots.Told(waiting=dict.fromkeys(self.wanted, 1))
        granted = sorted(self.wanted)
        self.wanted = {}
        self.log += [f"gave {key}" for key in granted]
        return slots.Told(granted)

    def forget(self) -> None: ...


def run(job: dg.JobDefinition, source: Slots) -> tuple[bool, list[dg.Event]]:
    sink = event_sinks.ListSink()
    ok = execution.execute_run(
        dg.Definitions(jobs=[job]),
        runs.Run(job.name),
        sink,
        instances.Instance.ephemeral(),
        slot_source=source,
    )
    return ok, sink.events


def pooled(name: str, pool: str = "p") -> dg.OpDefinition:
    @dg.op(name=name, pool=pool)
    def made() -> None: ...

    return made


@dg.op
def free() -> None: ...


@dg.job(executor_def=dg.in_process_executor)
def mixed():
    pooled("one")()
    pooled("two")()
    free()


def starts(told: list[dg.Event]) -> list[str]:
    return [e.step_key or "" for e in told if e.event_type is events.EventType.STEP_START]


def test_slots_that_are_there_change_nothing():
    source = Slots()
    ok, told = run(mixed, source)
    assert ok
    assert starts(told) == ["one", "two", "free"]
    assert source.log == ["gave one", "gave two"]


def test_what_needs_no_slot_goes_on_and_a_wait_is_told_once():
    source = Slots(closed_for=4)
    ok, told = run(mixed, source)
    assert ok
    assert starts(told) == ["free", "one", "two"]
    waits = [e.message for e in told if "waits for a slot of pool 'p'" in e.message]
    assert len(waits) == 2
    assert source.log[:2] == ["withdrew ['one']", "withdrew ['two']"]


def test_in_the_users_own_process_pools_hold_up_nothing():
    assert mixed.execute_in_process().success


@pytest.mark.parametrize("pool", ["", "x" * 201, 3])
def test_a_pool_without_a_name_is_refused(pool):
    with pytest.raises(dg.InvalidDefinitionError, match="Give the name of a pool"):
        pooled("bad", pool)

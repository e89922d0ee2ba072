"""What evaluations have in common: what stands for an answer, and that a decision is stored."""

import dataclasses
from collections.abc import Iterator

import pytest

from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import values_pb2
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.automation import evaluations
from atoll_storage import errors as storage_errors

TICK = automation_pb2.Tick(tick_id="t")


class Hasty(clocks.SystemClock):
    """Notes how long it was to wait, and does not."""

    def __init__(self) -> None:
        self.pauses_s: list[float] = []

    async def sleep(self, delay_s: float) -> None:
        self.pauses_s.append(delay_s)


@dataclasses.dataclass
class Store:
    """Raises what it is told to, then stores."""

    troubles: Iterator[Exception]
    offered: list[str] = dataclasses.field(default_factory=list)

    async def take(self, decision: str) -> automation_pb2.Tick:
        self.offered.append(decision)
        for trouble in self.troubles:
            raise trouble
        return TICK


def instead(cause: str) -> str:
    return f"a failure: {cause}"


async def refusal(reason: str) -> str:
    raise errors.LocationRefused("No.", location_name="east", reason=reason)


async def silence(reason: str) -> str:
    raise errors.LocationUnavailable("Nothing.", location_name="east", reason=reason)


def late(cause: str) -> values_pb2.Failure:
    return values_pb2.Failure(type="Late", message=cause)


async def test_a_decision_is_offered_until_storage_takes_it() -> None:
    away = (storage_errors.StorageUnavailable("away") for _ in range(3))
    store = Store(away)
    clock = Hasty()
    assert await evaluations.commit("it", store.take, instead, clock) == ("it", TICK)
    assert store.offered == ["it"] * 4
    assert len(clock.pauses_s) == 3
    assert all(pause_s > 0 for pause_s in clock.pauses_s)


async def test_what_storage_cannot_take_is_told_apart_from_what_it_stored() -> None:
    store = Store(iter([storage_errors.InvalidValue("NUL")]))
    stored, tick = await evaluations.commit("it", store.take, instead, Hasty())
    assert stored.startswith("a failure: ")
    assert "NUL" in stored
    assert tick == TICK
    assert store.offered == ["it", stored]


async def test_a_stand_in_that_cannot_be_stored_either_is_an_error() -> None:
    store = Store(storage_errors.InvalidValue("NUL") for _ in range(2))
    with pytest.raises(storage_errors.InvalidValue):
        await evaluations.commit("it", store.take, instead, Hasty())
    assert len(store.offered) == 2


async def test_without_a_stand_in_what_cannot_be_stored_is_an_error() -> None:
    store = Store(iter([storage_errors.InvalidValue("NUL")]))
    with pytest.raises(storage_errors.InvalidValue):
        await evaluations.commit("it", store.take, None, Hasty())


async def test_only_answers_that_will_not_get_better_stand_for_one() -> None:
    answered = await evaluations.answer_to(refusal("INVALID_REQUEST"), late)
    assert answered == values_pb2.Failure(type="INVALID_REQUEST", message="No.")
    answered = await evaluations.answer_to(silence("DEADLINE_EXCEEDED"), late)
    assert answered == values_pb2.Failure(type="Late", message="Nothing.")
    for question in (refusal("BUSY"), silence("UNREACHABLE")):
        with pytest.raises(errors.LocationError):
            await evaluations.answer_to(question, late)
    with pytest.raises(errors.LocationRefused):
        await evaluations.answer_to(refusal("ODD"), late, frozenset({"ODD"}))

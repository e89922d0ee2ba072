"""What is sent next, and what comes of a try, whatever happens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.api.v1 import alerts_pb2, subscriptions_pb2
from atoll.events.v1 import events_pb2
from atoll_host.subscriptions import deciding, subscription_settings

WAITING = alerts_pb2.DELIVERY_STATUS_WAITING
DELIVERED = alerts_pb2.DELIVERY_STATUS_DELIVERED
DEAD = alerts_pb2.DELIVERY_STATUS_DEAD
SETTINGS = subscription_settings.SubscriptionSettings()
NO_PAUSE = subscriptions_pb2.SUBSCRIPTION_PAUSE_UNSPECIFIED
UUID = "5a1f5f7a-6c1b-4f6e-9c0b-6a3d1f5f0c11"


def history(attempts: int = 1, **fields: float) -> deciding.History:
    values = {"age_s": 0.0, "failing_s": 0.0, "dead_count": 0, **fields}
    return deciding.History(attempts, **values)


def judge(status: int, *, chance: float = 0.0, retry_after_s: float = 0.0, **fields):
    answer = deciding.Answer(status, "", retry_after_s)
    return deciding.judge(answer, history(**fields), SETTINGS, chance)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_success_ends_it(status: int) -> None:
    assert judge(status, attempts=99, failing_s=1e9) == deciding.Verdict(DELIVERED)


@pytest.mark.parametrize("status", [0, 301, 302, 400, 401, 404, 429, 500, 503])
def test_everything_else_is_tried_again_until_it_is_too_often_or_too_long(status: int) -> None:
    assert judge(status).status == WAITING
    assert judge(status, attempts=SETTINGS.attempts_max - 1).status == WAITING
    assert judge(status, attempts=SETTINGS.attempts_max).status == DEAD
    assert judge(status, age_s=SETTINGS.attempts_for_s - 1).status == WAITING
    assert judge(status, age_s=SETTINGS.attempts_for_s).status == DEAD


def test_gone_pauses_and_keeps_what_waits_however_often_it_was_tried() -> None:
    verdict = judge(410, attempts=SETTINGS.attempts_max, age_s=1e9)
    assert (verdict.status, verdict.pause) == (WAITING, subscriptions_pb2.SUBSCRIPTION_PAUSE_GONE)


def test_what_fails_for_long_is_paused() -> None:
    assert judge(500, failing_s=SETTINGS.pause_after_s - 1).pause == NO_PAUSE
    failing = subscriptions_pb2.SUBSCRIPTION_PAUSE_FAILING
    assert judge(500, failing_s=SETTINGS.pause_after_s).pause == failing


def test_as_many_dead_ones_as_are_kept_pause() -> None:
    last = SETTINGS.dead_max - 1
    given_up = {"attempts": SETTINGS.attempts_max}
    assert judge(500, dead_count=last - 1, **given_up).pause == NO_PAUSE
    dead_letters = subscriptions_pb2.SUBSCRIPTION_PAUSE_DEAD_LETTERS
    assert judge(500, dead_count=last, **given_up).pause == dead_letters
    # One that is tried again is no dead one yet.
    assert judge(500, dead_count=last).pause == NO_PAUSE


@settings(max_examples=60)
@given(attempts=st.integers(1, 2000), chance=st.floats(0, 1), asked=st.floats(0, 1e7))
def test_pauses_grow_within_bounds_and_are_spread(attempts, chance, asked) -> None:
    pause = deciding.pause_s(attempts, SETTINGS, chance, asked)
    assert SETTINGS.first_retry_s / 2 <= pause <= SETTINGS.longest_retry_s
    assert pause >= min(asked, SETTINGS.longest_retry_s)
    least = deciding.pause_s(attempts, SETTINGS, 1.0)
    most = deciding.pause_s(attempts, SETTINGS, 0.0)
    assert least == pytest.approx(most / 2)
    assert deciding.pause_s(attempts + 1, SETTINGS, chance) >= deciding.pause_s(
        attempts, SETTINGS, chance
    )


def stored(event_id: int, size: int = 0, location: str = "") -> events_pb2.StoredEvent:
    event = events_pb2.StoredEvent(id=event_id, location_name=location)
    event.event.message = "x" * size
    return event


@settings(max_examples=100)
@given(
    sizes=st.lists(st.integers(0, 400), max_size=40),
    events_max=st.integers(1, 8),
    bytes_max=st.integers(1, 1000),
    room=st.integers(1, 12),
)
def test_cutting_loses_and_doubles_nothing_and_keeps_all_bounds(
    sizes, events_max, bytes_max, room
) -> None:
    log = [stored(3 * number + 1, size) for number, size in enumerate(sizes)]
    end = 3 * len(log) + 5
    sent: list[int] = []
    position = 0
    while position < end:
        left = [event for event in log if event.id > position]
        cut = deciding.cut(left, end, events_max=events_max, bytes_max=bytes_max, room=room)
        assert len(cut.batches) <= room
        for batch in cut.batches:
            assert 1 <= len(batch) <= events_max
            assert len(batch) == 1 or sum(event.ByteSize() for event in batch) <= bytes_max
        sent += [event.id for batch in cut.batches for event in batch]
        assert cut.position > position
        position = cut.position
        assert sent == [event.id for event in log if event.id <= position]
    assert sent == [event.id for event in log]


def test_only_what_the_maker_sees_is_chosen() -> None:
    found = [stored(1, location="a"), stored(2, location="b"), stored(3)]
    assert [each.id for each in deciding.choose(found, None)] == [1, 2, 3]
    assert [each.id for each in deciding.choose(found, frozenset({"b"}))] == [2]
    assert deciding.choose(found, frozenset()) == []


def test_the_id_follows_from_what_is_in_it() -> None:
    assert deciding.delivery_id(UUID, 1, 5) == deciding.delivery_id(UUID, 1, 5)
    other = UUID.replace("5a", "5b", 1)
    ids = {deciding.delivery_id(*each) for each in ((UUID, 1, 5), (UUID, 1, 4), (other, 1, 5))}
    assert len(ids) == 3


@settings(max_examples=40)
@given(
    statuses=st.lists(st.sampled_from([0, 404, 500, 503]), min_size=1, max_size=5),
    chance=st.floats(0, 1),
    took_s=st.floats(0, 30),
    attempts_max=st.integers(1, 30),
    attempts_for_s=st.floats(1, 100_000),
)
def test_a_receiver_that_never_answers_well_is_left_after_bounded_tries_and_time(
    statuses, chance, took_s, attempts_max, attempts_for_s
) -> None:
    bounds = subscription_settings.SubscriptionSettings(
        attempts_max=attempts_max, attempts_for_s=attempts_for_s
    )
    now_s, attempts, verdict = 0.0, 0, deciding.Verdict(WAITING)
    while verdict.status == WAITING:
        now_s += verdict.again_after_s
        attempts += 1
        answer = deciding.Answer(statuses[attempts % len(statuses)])
        verdict = deciding.judge(answer, history(attempts, age_s=now_s), bounds, chance)
        now_s += took_s
    assert verdict.status == DEAD
    assert attempts <= attempts_max
    assert now_s <= attempts_for_s + bounds.longest_retry_s + 2 * took_s

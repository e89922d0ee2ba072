"""The term of subscriptions on real stores: each event arrives, whatever receivers and hosts do."""

import asyncio
import contextlib
import datetime as dt
import uuid
from collections.abc import AsyncIterator

import pytest

from atoll.api.v1 import alerts_pb2, subscriptions_pb2
from atoll.events.v1 import events_pb2
from atoll_host.subscriptions import leading, subscription_settings
from atoll_storage import database as databases
from atoll_storage import subscription_records
from tests.host.runs import simulated
from tests.host.subscriptions import receivers

pytestmark = [pytest.mark.postgres]

WAITING = alerts_pb2.DELIVERY_STATUS_WAITING
DELIVERED = alerts_pb2.DELIVERY_STATUS_DELIVERED
DEAD = alerts_pb2.DELIVERY_STATUS_DEAD
SECRET = b"s" * 32
PATH = ("a", "b")


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[receivers.Receiver]:
    async with receivers.Receiver().serving() as receiver:
        yield receiver


def settings_of(**fields) -> subscription_settings.SubscriptionSettings:
    values = {
        "allow_loopback": True,
        "first_retry_s": 0.02,
        "longest_retry_s": 0.1,
        "timeout_s": 5.0,
    }
    return subscription_settings.SubscriptionSettings(**{**values, **fields})


async def subscribe(
    mesh: simulated.Mesh, url: str, name: str = "sub", *, names=None, start=None, **fields
) -> str:
    """Store a subscription to materializations; return its id."""
    values = {"batch_events_max": 1, "ordered": True, **fields}
    told = subscriptions_pb2.Subscription(
        subscription_id=str(uuid.uuid4()), name=name, url=url, **values
    )
    told.filter.kinds.append("asset_materialization")
    new = subscription_records.NewSubscription(
        str(uuid.uuid4()), told, names, SECRET, start or subscription_records.Start()
    )
    assert await mesh.store.subscriptions.create(new, subscriptions_max=100)
    mesh.changes.subscriptions.set()
    return told.subscription_id


@contextlib.asynccontextmanager
async def leading_with(mesh: simulated.Mesh, settings=None, *stores) -> AsyncIterator[list]:
    """Have terms lead while it lasts; yields their tasks."""
    terms = [
        leading.Term(store, mesh.changes, mesh.clock, settings or settings_of())
        for store in stores or [mesh.store]
    ]
    tasks = [asyncio.create_task(term.run()) for term in terms]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)


async def told(mesh: simulated.Mesh, name: str = "sub") -> subscriptions_pb2.Subscription:
    record = await mesh.store.subscriptions.get(name)
    assert record is not None
    return record.told


async def deliveries(mesh, name: str = "sub", *statuses: int) -> list:
    return await mesh.store.subscription_deliveries.page(name, limit=1000, statuses=statuses)


async def until_status(mesh, status: int, count: int, name: str = "sub") -> list:
    async def reached() -> bool:
        return len(await deliveries(mesh, name, status)) >= count

    await mesh.eventually(reached, f"{count} deliveries of status {status}")
    return await deliveries(mesh, name, status)


async def until_paused(mesh, pause: int, name: str = "sub") -> None:
    async def paused() -> bool:
        return (await told(mesh, name)).pause == pause

    await mesh.eventually(paused, "the subscription is paused")


async def test_events_arrive_signed_in_the_order_of_the_log(mesh, http) -> None:
    await subscribe(mesh, http.url)
    async with leading_with(mesh):
        ids = await mesh.materialize(*[PATH] * 7)
        await http.until_requests(7)
        found = await until_status(mesh, DELIVERED, 7)
    assert http.event_ids == ids
    assert http.at_once_max == 1
    first = http.requests[0]
    assert first.path == "/hook?a=b"
    assert first.is_signed_with("whsec_" + "c3Nz" * 10 + "c3M=")
    assert first.document["type"] == "atoll.events"
    assert first.document["data"]["deliveryId"] == first.id == found[-1].delivery_id
    (event,) = first.document["data"]["events"]
    assert event["event"]["assetMaterialization"]["assetKey"] == {"path": ["a", "b"]}
    assert (await told(mesh)).HasField("delivered_time")


async def test_what_fails_is_sent_again_under_its_id_and_holds_up_what_follows(mesh, http) -> None:
    failures = [500, 429, 302, 404]
    http.answer = lambda _: failures.pop(0) if failures else 204
    await subscribe(mesh, http.url)
    async with leading_with(mesh):
        ids = await mesh.materialize(*[PATH] * 3)
        await until_status(mesh, DELIVERED, 3)
    assert http.event_ids == [ids[0]] * 4 + ids
    assert len({request.id for request in http.requests[:5]}) == 1
    assert len({request.id for request in http.requests}) == 3
    assert len({request.body for request in http.requests[:5]}) == 1


async def test_what_is_given_up_lets_the_next_go_and_can_be_sent_again(mesh, http) -> None:
    http.answer = lambda request: 500 if request.event_ids == [bad] else 204
    await subscribe(mesh, http.url)
    async with leading_with(mesh, settings_of(attempts_max=3)):
        bad, good = await mesh.materialize(PATH, PATH)
        (dead,) = await until_status(mesh, DEAD, 1)
        await until_status(mesh, DELIVERED, 1)
        assert http.event_ids == [bad] * 3 + [good]
        assert (dead.attempts, dead.http_status) == (3, 500)
        assert dead.error == "the answer had status 500"
        assert (await told(mesh)).dead_count == 1
        http.answer = 204
        await mesh.store.subscription_deliveries.redeliver("sub", dead.delivery_id)
        found = await until_status(mesh, DELIVERED, 2)
    assert http.requests[-1].id == dead.delivery_id
    assert [each.redelivered for each in found] == [False, True]


async def test_a_receiver_that_is_gone_pauses_and_loses_nothing(mesh, http) -> None:
    http.answer = 410
    await subscribe(mesh, http.url)
    async with leading_with(mesh):
        first = await mesh.materialize(PATH)
        await until_paused(mesh, subscriptions_pb2.SUBSCRIPTION_PAUSE_GONE)
        second = await mesh.materialize(PATH)
        assert len(http.requests) == 1
        (given_up,) = await mesh.store.subscriptions.given_up(limit=10)
        assert (given_up.name, given_up.error) == ("sub", "the answer had status 410")
        http.answer = 204
        await mesh.store.subscriptions.resume("sub")
        await until_status(mesh, DELIVERED, 2)
    assert http.event_ids == first + first + second
    assert await mesh.store.subscriptions.given_up(limit=10) == []


async def test_a_subscription_that_fails_for_long_is_paused(mesh, http) -> None:
    http.answer = 503
    await subscribe(mesh, http.url)
    async with leading_with(mesh, settings_of(pause_after_s=1.0)):
        await mesh.materialize(PATH)
        await until_paused(mesh, subscriptions_pb2.SUBSCRIPTION_PAUSE_FAILING)
    (waiting,) = await deliveries(mesh)
    assert (waiting.status, waiting.attempts > 1) == (WAITING, True)


async def test_too_many_that_were_given_up_pause(mesh, http) -> None:
    http.answer = 500
    await subscribe(mesh, http.url)
    async with leading_with(mesh, settings_of(attempts_max=1, dead_max=2)):
        await mesh.materialize(*[PATH] * 3)
        await until_paused(mesh, subscriptions_pb2.SUBSCRIPTION_PAUSE_DEAD_LETTERS)
    assert sorted(each.status for each in await deliveries(mesh)) == [WAITING, DEAD, DEAD]


async def test_a_receiver_that_hangs_holds_up_no_other(mesh, http) -> None:
    async with receivers.Receiver().serving() as silent:
        silent.may_answer.clear()
        await subscribe(mesh, silent.url, "hangs")
        await subscribe(mesh, http.url, "well")
        async with leading_with(mesh, settings_of(timeout_s=0.3, attempts_max=2)):
            ids = await mesh.materialize(*[PATH] * 5)
            await http.until_requests(5)
            (dead, *_) = await until_status(mesh, DEAD, 1, "hangs")
    assert http.event_ids == ids
    assert dead.error == "nothing was answered within 0.3 s"


async def test_without_order_several_are_under_way(mesh, http) -> None:
    http.may_answer.clear()
    await subscribe(mesh, http.url, ordered=False)
    async with leading_with(mesh, settings_of(at_once_max=3)):
        ids = await mesh.materialize(*[PATH] * 8)
        await http.until_requests(3)
        assert len(http.requests) == 3
        http.may_answer.set()
        await until_status(mesh, DELIVERED, 8)
    assert sorted(http.event_ids) == ids
    assert http.at_once_max == 3


async def test_batches_hold_several_and_what_is_behind_stays_in_the_log(mesh, http) -> None:
    ids = await mesh.materialize(*[PATH] * 200)
    http.may_answer.clear()
    start = subscription_records.Start(0, takes_what_is_left=True)
    await subscribe(mesh, http.url, batch_events_max=10, start=start)
    async with leading_with(mesh, settings_of(waiting_max=4, delivered_max=3)):
        await http.until_requests(1)
        assert (await told(mesh)).waiting_count == 4
        assert (await told(mesh)).position == ids[39]
        http.may_answer.set()
        await http.until_requests(20)

        async def done() -> bool:
            return (await told(mesh)).waiting_count == 0

        await mesh.eventually(done, "all arrived")
        assert len(await deliveries(mesh)) == 3
    assert http.event_ids == ids
    assert {len(request.event_ids) for request in http.requests} == {10}


async def test_only_events_of_the_locations_that_the_maker_sees_are_sent(mesh, http) -> None:
    await subscribe(mesh, http.url, names=["east"], batch_events_max=10)
    async with leading_with(mesh):
        for location in ("west", "east", ""):
            event = events_pb2.Event()
            event.asset_materialization.asset_key.path.extend(PATH)
            await mesh.store.events.report(event, location)
        await until_status(mesh, DELIVERED, 1)
    documents = [each.document["data"]["events"] for each in http.requests]
    assert [event["locationName"] for events in documents for event in events] == ["east"]


async def test_no_host_that_dies_loses_an_event_and_repeats_carry_their_id(
    mesh, http, database_url
) -> None:
    settings = settings_of(timeout_s=0.2)
    second = await databases.Database.connect(database_url)
    try:
        await subscribe(mesh, http.url)
        async with leading_with(mesh, settings, mesh.store, second) as tasks:
            ids = await mesh.materialize(*[PATH] * 4)
            await http.until_requests(2)
            http.may_answer.clear()
            ids += await mesh.materialize(*[PATH] * 4)
            await http.until_requests(3)
            tasks[0].cancel()
            await asyncio.wait([tasks[0]])
            http.may_answer.set()
            ids += await mesh.materialize(*[PATH] * 4)
            await until_status(mesh, DELIVERED, 12)
    finally:
        await second.close()
    by_id: dict[str, set[tuple[int, ...]]] = {}
    for request in http.requests:
        by_id.setdefault(request.id, set()).add(tuple(request.event_ids))
    assert all(len(contents) == 1 for contents in by_id.values())
    first_times = list(dict.fromkeys(http.event_ids))
    assert first_times == ids
    assert len(by_id) == 12


async def test_events_that_were_pruned_are_told_as_missed(mesh, http) -> None:
    await mesh.materialize(*[PATH] * 3)
    await subscribe(mesh, http.url, start=subscription_records.Start(0))
    await mesh.store.retention.thin("asset_events", 0, 2, dry_run=False)
    async with leading_with(mesh):
        await until_status(mesh, DELIVERED, 1)
    assert (await told(mesh)).missed_through_id == 2
    assert http.event_ids == [3]


async def test_the_log_is_kept_for_those_who_are_behind_but_not_for_the_paused(mesh) -> None:
    await subscribe(mesh, "https://example.org/hook")
    await mesh.materialize(*[PATH] * 3)
    assert (await mesh.store.retention.log_facts()).followed_through == 0
    await mesh.store.subscriptions.pause("sub")
    assert (await mesh.store.retention.log_facts()).followed_through is None


async def test_what_ended_goes_with_its_age_and_what_waits_stays(mesh, http) -> None:
    failing = [204, 500]
    http.answer = lambda _: failing.pop(0) if failing else 500
    await subscribe(mesh, http.url)
    async with leading_with(mesh, settings_of(first_retry_s=60.0, longest_retry_s=60.0)):
        await mesh.materialize(*[PATH] * 3)
        await until_status(mesh, DELIVERED, 1)
        await http.until_requests(2)
    later = mesh.clock.now() + dt.timedelta(hours=1)
    take = mesh.store.retention.take_old
    assert await take("deliveries", later - dt.timedelta(hours=2), limit=9, dry_run=False) == 0
    assert await take("deliveries", later, limit=9, dry_run=True) == 1
    assert await take("deliveries", later, limit=9, dry_run=False) == 1
    assert [each.status for each in await deliveries(mesh)] == [WAITING, WAITING]


async def test_a_decision_on_what_has_changed_is_not_stored(mesh) -> None:
    subscription_id = await subscribe(mesh, "https://example.org/hook")
    store = mesh.store.subscription_deliveries
    made = subscription_records.NewDelivery("d", 1, 1, 1, b"{}")
    advance = subscription_records.Advance(subscription_id, 0, 1, [made])
    found = await asyncio.gather(*(store.advance(advance) for _ in range(4)))
    assert sorted(found, key=str) == [1, None, None, None]
    assert len(await deliveries(mesh)) == 1
    claim = subscription_records.Claim(subscription_id, ordered=True, limit=5, lease_s=60.0)
    claimed = await asyncio.gather(*(store.claim(claim) for _ in range(4)))
    assert sorted(map(len, claimed)) == [0, 0, 0, 1]
    await mesh.store.subscriptions.pause("sub")
    after = subscription_records.Advance(subscription_id, 2, 9)
    assert await store.advance(after) is None
    # An outcome of a try that is not the newest changes nothing.
    late = subscription_records.Outcome(subscription_id, 1, 7, DELIVERED)
    await store.finish(late, kept_max=1)
    assert [each.status for each in await deliveries(mesh)] == [WAITING]


async def test_no_secret_and_no_body_is_in_a_representation(mesh, http) -> None:
    subscription_id = await subscribe(mesh, http.url)
    store = mesh.store.subscription_deliveries
    made = subscription_records.NewDelivery("d", 1, 1, 1, b"the body")
    await store.advance(subscription_records.Advance(subscription_id, 0, 1, [made]))
    claim = subscription_records.Claim(subscription_id, ordered=True, limit=5, lease_s=60.0)
    (claimed,) = await store.claim(claim)
    assert claimed.signing.secrets == (SECRET,)
    shown = repr(claimed) + repr(made)
    assert not any(each in shown for each in ("the body", SECRET.decode()))

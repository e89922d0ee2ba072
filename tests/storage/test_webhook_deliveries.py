"""Deliveries to webhook sensors: stored once, in the order of commits, consumed by ticks."""

import asyncio

import pytest

from atoll_storage import errors
from atoll_storage.database import Database
from atoll_storage.records import SensorKey
from atoll_storage.webhook_records import DeliveryOutcome, NewDelivery, WebhookState
from tests.storage import support
from tests.storage.test_sensor_ticks import FAILURE, SKIPPED, commit, tick

pytestmark = pytest.mark.postgres

KEY, OTHER = SensorKey("a", "hook"), SensorKey("b", "hook")
STORED, REPEATED, REFUSED = (
    DeliveryOutcome.STORED,
    DeliveryOutcome.REPEATED,
    DeliveryOutcome.REFUSED,
)


@pytest.fixture(autouse=True)
async def hook(database: Database) -> None:
    await database.sensors.ensure([KEY, OTHER])
    await database.webhooks.set_secret(KEY, b"first")


async def deliver(
    database: Database, delivery_id: str, body: bytes = b"", *, key=KEY, waiting_max: int = 10
) -> DeliveryOutcome:
    delivery = NewDelivery(key, delivery_id, {"content-type": "text/plain"}, body)
    return await database.webhooks.store(delivery, waiting_max=waiting_max)


async def test_repeats_come_while_a_tick_consumes_what_they_repeat(database: Database):
    """Whoever stores and whoever consumes wait for each other in one order."""
    for version in range(30):
        name = f"d{version}"
        assert await deliver(database, name) is STORED
        (position, _), *_ = await database.webhooks.newest()
        consumed = commit(version, key=KEY, position=position, delivery=position)
        outcomes = await asyncio.gather(
            database.sensors.commit_tick(consumed), *(deliver(database, name) for _ in range(5))
        )
        assert outcomes[1:] == [REPEATED] * 5


async def test_a_secret_is_replaced_by_the_next(database: Database):
    assert await database.webhooks.secret(KEY) == b"first"
    assert await database.webhooks.secret(OTHER) is None
    await database.webhooks.set_secret(KEY, b"second")
    assert await database.webhooks.secret(KEY) == b"second"


async def test_deliveries_wait_in_order_until_a_tick_consumes_them(database: Database):
    await database.events.append_host_events([support.event("", 0)] * 3)
    for number in range(3):
        assert await deliver(database, f"d{number}", bytes([number])) is STORED
    assert (await database.webhooks.states([KEY, OTHER])) == {KEY: WebhookState(6, 3)}
    assert await database.webhooks.newest() == [(6, KEY)]
    seen, position = [], 0
    for version in range(3):
        delivery = await database.webhooks.next(KEY, position)
        assert delivery.headers == {"content-type": "text/plain"}
        seen.append((delivery.number, delivery.delivery_id, delivery.body))
        position = delivery.number
        await database.sensors.commit_tick(
            commit(
                version,
                key=KEY,
                position=position,
                delivery=position,
                tick=tick(SKIPPED, event_id=position),
            )
        )
    assert seen == [(4, "d0", b"\0"), (5, "d1", b"\1"), (6, "d2", b"\2")]
    assert await database.webhooks.next(KEY, position) is None
    assert (await database.webhooks.states([KEY]))[KEY].waiting == 0
    assert await database.webhooks.newest() == []


async def test_a_repeated_delivery_is_known_before_and_after_its_tick(database: Database):
    assert await deliver(database, "d") is STORED
    assert await deliver(database, "d") is REPEATED
    delivery = await database.webhooks.next(KEY, 0)
    await database.sensors.commit_tick(commit(0, key=KEY, delivery=delivery.number, position=1))
    assert await deliver(database, "d") is REPEATED
    assert (await database.webhooks.states([KEY]))[KEY].waiting == 0
    await database.webhooks.set_secret(OTHER, b"x")
    assert await deliver(database, "d", key=OTHER) is STORED


async def test_a_stale_tick_consumes_nothing(database: Database):
    await deliver(database, "d", b"kept")
    delivery = await database.webhooks.next(KEY, 0)
    with pytest.raises(errors.StaleTick):
        await database.sensors.commit_tick(commit(7, key=KEY, delivery=delivery.number, position=1))
    await database.sensors.commit_tick(commit(0, key=KEY, tick=tick(FAILURE)))
    assert await database.webhooks.next(KEY, 0) == delivery


async def test_so_many_may_wait_and_no_more(database: Database):
    assert [await deliver(database, f"d{n}", waiting_max=2) for n in range(3)] == [
        STORED,
        STORED,
        REFUSED,
    ]
    assert await deliver(database, "d0", waiting_max=2) is REPEATED
    assert (await database.webhooks.states([KEY]))[KEY].waiting == 2


async def test_nothing_is_stored_without_a_secret(database: Database):
    assert await deliver(database, "d", key=OTHER) is REFUSED
    assert await database.webhooks.next(OTHER, 0) is None


async def test_two_hosts_that_get_one_delivery_store_it_once(database: Database, database_url: str):
    other = await Database.connect(database_url)
    try:
        outcomes = await asyncio.gather(
            *(deliver(host, "same") for host in (database, other) * 3),
            *(deliver(host, f"{n}") for n, host in enumerate((database, other))),
        )
    finally:
        await other.close()
    assert outcomes.count(STORED) == 3
    assert outcomes.count(REPEATED) == 5

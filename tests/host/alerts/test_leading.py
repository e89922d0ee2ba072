"""The term of alerts on real stores: what happens is told once, whichever host leads."""

import asyncio
import json
from collections.abc import AsyncIterator

import psycopg
import pytest

from atoll.api.v1 import alerts_pb2, automation_pb2, subscriptions_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll_host.alerts import leading, rules
from atoll_storage import alert_records, freshness_records, records, subscription_records
from atoll_storage import database as databases
from tests.host.alerts import receivers
from tests.host.runs import simulated
from tests.storage import support

pytestmark = [pytest.mark.postgres]

WAITING = alerts_pb2.DELIVERY_STATUS_WAITING
DELIVERED = alerts_pb2.DELIVERY_STATUS_DELIVERED
DEAD = alerts_pb2.DELIVERY_STATUS_DEAD


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        yield made


@pytest.fixture
def http():
    with receivers.HttpReceiver().serving() as receiver:
        yield receiver


def settings_of(http: receivers.HttpReceiver, *given: dict, **fields) -> rules.AlertSettings:
    hook = {"type": "webhook", "url": http.url}
    made = [{"name": each["on"], "notify": [hook], **each} for each in given]
    values = {"first_retry_s": 0.05, "longest_retry_s": 0.1, "timeout_s": 2.0}
    return rules.AlertSettings(rules=made, **{**values, **fields})


class leading_with:  # noqa: N801 - a context manager
    """Has terms lead while it lasts."""

    def __init__(self, mesh, settings, *stores: databases.Database) -> None:
        self._terms = [
            leading.Term(
                leading.Surroundings(store, mesh.locations, mesh.changes, mesh.clock, settings),
                look_every_s=0.05,
            )
            for store in stores or [mesh.store]
        ]
        self._store = mesh.store
        self._has_rules = bool(settings.rules)
        self._mesh = mesh

    async def __aenter__(self) -> None:
        self._tasks = [asyncio.create_task(term.run()) for term in self._terms]

        async def follows() -> bool:
            floor = (await self._store.retention.log_facts()).followed_through
            return (floor is not None) == self._has_rules

        await self._mesh.eventually(follows, "the position is stored")

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(task.cancelled() for task in self._tasks)


async def delivered(mesh: simulated.Mesh, count: int, status: int = DELIVERED) -> list:
    """Wait until so many deliveries have a status; return the alerts, oldest first."""

    async def reached() -> bool:
        found = await mesh.store.alerts.list_deliveries(limit=1000)
        return [each.status for each in found].count(status) >= count

    await mesh.eventually(reached, f"{count} deliveries")
    return list(reversed(await mesh.store.alerts.list_alerts(limit=1000)))


async def fail_run(mesh: simulated.Mesh, location: str = "east") -> str:
    (run_id,) = await mesh.queue(location)
    failure = support.failure("disk full")
    assert await mesh.store.runs.fail(run_id, failure, expected=[records.RunStatus.QUEUED])
    return run_id


async def test_a_failed_run_is_told(mesh, http) -> None:
    async with leading_with(mesh, settings_of(http, {"on": "run_failure"})):
        run_id = await fail_run(mesh)
        (alert,) = await delivered(mesh, 1)
    (posted,) = http.posted
    document = json.loads(posted.body)
    assert document["alert_id"] == alert.alert_id
    assert document["title"] == "job failed in east"
    assert run_id in document["body"]
    assert "disk full" in document["body"]
    assert alert.event_id > 0


async def test_the_same_job_is_told_once_and_counted(mesh, http) -> None:
    settings = settings_of(http, {"on": "run_failure", "repeat_after": "1h"})
    async with leading_with(mesh, settings):
        for _ in range(5):
            await fail_run(mesh)
        await fail_run(mesh, "west")
        alerts = await delivered(mesh, 2)
    assert sorted(each.subject for each in alerts) == ["job:east/job", "job:west/job"]
    key = alert_records.AlertKey("run_failure", "job:east/job")
    memory = (await mesh.store.alerts.memories([key]))[key]
    assert memory.suppressed_count == 4


async def test_checks_and_freshness_are_told_by_their_asset(mesh, http) -> None:
    server = simulated.CodeServer("east", "s1")
    record = await simulated.register(mesh.store, "east", "s1")
    definition = snapshot_pb2.AssetDefinition(
        key=simulated.asset_key(("a", "b")), executable=True, group_name="prod"
    )
    mesh.locations.serve(server, record, snapshot_pb2.LocationSnapshot(assets=[definition]))
    settings = settings_of(
        http,
        {"on": "check_failed", "groups": ["prod"], "severity": "error"},
        {"on": "freshness", "states": ["warn", "fail"], "assets": ["a/*"]},
    )
    events = []
    for passed, severity, path in (
        (True, events_pb2.ASSET_CHECK_SEVERITY_ERROR, ("a", "b")),
        (False, events_pb2.ASSET_CHECK_SEVERITY_WARN, ("a", "b")),
        (False, events_pb2.ASSET_CHECK_SEVERITY_ERROR, ("other",)),
        (False, events_pb2.ASSET_CHECK_SEVERITY_ERROR, ("a", "b")),
    ):
        event = events_pb2.Event()
        told = event.asset_check_evaluation
        told.asset_key.path.extend(path)
        told.passed, told.severity, told.check_name = passed, severity, "full"
        events.append(event)
    fail = freshness_records.FreshnessChange(
        ("a", "b"), events_pb2.FRESHNESS_STATE_FAIL, 1, 0, None
    )
    async with leading_with(mesh, settings):
        await mesh.store.events.append_host_events(events, "east")
        await mesh.store.freshness.commit([fail])
        alerts = await delivered(mesh, 2)
    assert {each.title for each in alerts} == {
        "Check full of a/b did not pass",
        "a/b is not fresh: FAIL",
    }


async def test_a_location_that_is_away_too_long_is_told_once(mesh, http) -> None:
    await mesh.serve("east", lease_ttl_s=0.01)
    await mesh.serve("west", lease_ttl_s=0.01)
    mesh.locations.leave("east")
    settings = settings_of(http, {"on": "location_away", "longer_than": "0s"})
    async with leading_with(mesh, settings):
        (alert,) = await delivered(mesh, 1)
        assert alert.title == "Location east is away"
        # Whoever sees that the other is away too has looked at this one again.
        mesh.locations.leave("west")
        alerts = await delivered(mesh, 2)
    assert sorted(each.subject for each in alerts) == ["location:east", "location:west"]


async def test_a_sensor_that_keeps_failing_is_told(mesh, http) -> None:
    polling = snapshot_pb2.SENSOR_KIND_POLLING
    await mesh.serve("a", simulated.sensor("s", polling), simulated.sensor("t", polling))
    settings = settings_of(
        http, {"on": "sensor_failing", "in_a_row": 3}, {"on": "schedule_failing", "in_a_row": 1}
    )

    async def tick(status: int, name: str = "s") -> None:
        key = records.SensorKey("a", name)
        await mesh.store.sensors.ensure([key])
        state = await mesh.store.sensors.state(key)
        made = automation_pb2.Tick(
            tick_id=f"{name}{state.version:03}",
            status=status,
            failure=support.failure("no network"),
        )
        await mesh.store.sensors.commit_tick(
            records.TickCommit(key, state.version, None, None, (), made)
        )

    failure, skipped = automation_pb2.TICK_STATUS_FAILURE, automation_pb2.TICK_STATUS_SKIPPED
    async with leading_with(mesh, settings):
        for status in (failure, failure, skipped, failure, failure):
            await tick(status)
        for _ in range(3):
            await tick(failure, "t")
        (alert,) = await delivered(mesh, 1)
        assert alert.subject == "sensor:a/t"
        await tick(failure)
        alerts = await delivered(mesh, 2)
    (alert,) = (each for each in alerts if each.subject == "sensor:a/s")
    assert alert.rule == "sensor_failing"
    assert "3 ticks in a row failed. Error: no network" in alert.body


async def test_a_schedule_that_fails_is_told_apart_from_others(mesh, http, database_url) -> None:
    settings = settings_of(http, {"on": "schedule_failing", "in_a_row": 2})
    payload = automation_pb2.Tick(failure=support.failure("no network")).SerializeToString()
    insert = (
        "INSERT INTO ticks (tick_id, location_name, sensor_name, schedule_name, status, start_time,"
        " payload) VALUES (gen_random_uuid(), 'a', '', %s, 3, clock_timestamp(), %s)"
    )
    async with leading_with(mesh, settings):
        with psycopg.connect(database_url, autocommit=True) as connection:
            for name in ("nightly", "hourly", "nightly"):
                connection.execute(insert, [name, payload])
        (alert,) = await delivered(mesh, 1)
    assert alert.subject == "schedule:a/nightly"
    assert alert.title == "Schedule nightly of a fails"


async def test_two_leaders_at_once_tell_each_trouble_once(mesh, http, database_url) -> None:
    second = await databases.Database.connect(database_url)
    settings = settings_of(http, {"on": "run_failure", "repeat_after": "0s"})
    try:
        async with leading_with(mesh, settings, mesh.store, second):
            for _ in range(30):
                await fail_run(mesh)
            alerts = await delivered(mesh, 30)
    finally:
        await second.close()
    assert len(alerts) == 30
    ids = [json.loads(each.body)["alert_id"] for each in http.posted]
    assert sorted(ids) == sorted(each.alert_id for each in alerts)


async def test_a_new_leader_goes_on_where_the_one_before_was(mesh, http) -> None:
    settings = settings_of(http, {"on": "run_failure", "repeat_after": "0s"})
    await fail_run(mesh)  # before anybody looked: not told
    async with leading_with(mesh, settings):
        await fail_run(mesh)
        await delivered(mesh, 1)
    await fail_run(mesh)
    async with leading_with(mesh, settings):
        alerts = await delivered(mesh, 2)
    assert len(alerts) == len(http.posted) == 2


async def test_a_message_is_tried_until_it_arrives_always_with_one_id(mesh, http) -> None:
    http.statuses = [500, 503, 200]
    async with leading_with(mesh, settings_of(http, {"on": "run_failure"})):
        await fail_run(mesh)
        (alert,) = await delivered(mesh, 1)
    (delivery,) = alert.deliveries
    assert delivery.attempts == 3
    assert delivery.error == ""
    ids = {posted.headers["X-Atoll-Delivery"] for posted in http.posted}
    assert ids == {delivery.delivery_id}


async def test_a_message_that_never_arrives_is_dead_and_stays_to_be_seen(mesh, http) -> None:
    http.statuses = [500]
    settings = settings_of(http, {"on": "run_failure"}, attempts_max=3)
    async with leading_with(mesh, settings):
        await fail_run(mesh)
        (alert,) = await delivered(mesh, 1, DEAD)
    (delivery,) = alert.deliveries
    assert (delivery.attempts, delivery.error) == (3, "the answer had status 500")
    assert delivery.HasField("end_time")
    assert not delivery.HasField("next_attempt_time")
    assert len(http.posted) == 3


def let_leases_run_out(url: str) -> None:
    """Let the time pass for which a host that is gone has taken deliveries."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE alert_deliveries SET next_attempt_time = now()")


async def test_a_delivery_that_a_host_died_with_is_tried_again(mesh, http, database_url) -> None:
    store = mesh.store.alerts
    settings = settings_of(http, {"on": "run_failure"})
    http.statuses = [500]
    async with leading_with(mesh, settings):
        await fail_run(mesh)
        await delivered(mesh, 1, WAITING)
    http.statuses = [200]
    let_leases_run_out(database_url)
    # Taken by a host that never says how it went.
    assert len(await store.claim(limit=10, lease_s=60.0)) == 1
    assert await store.claim(limit=10, lease_s=60.0) == []
    let_leases_run_out(database_url)
    async with leading_with(mesh, settings):
        await delivered(mesh, 1)


async def test_without_rules_nothing_is_kept_and_old_deliveries_end(
    mesh, http, database_url
) -> None:
    http.statuses = [500]
    async with leading_with(mesh, settings_of(http, {"on": "run_failure"})):
        await fail_run(mesh)
        await delivered(mesh, 1, WAITING)
    let_leases_run_out(database_url)
    async with leading_with(mesh, settings_of(http)):
        (alert,) = await delivered(mesh, 1, DEAD)
    assert "no longer there" in alert.deliveries[0].error


async def test_a_subscription_that_the_host_paused_is_told_once(mesh, http) -> None:
    told = subscriptions_pb2.Subscription(subscription_id="s1", name="catalog")
    new = subscription_records.NewSubscription("r1", told, None, b"secret")
    assert await mesh.store.subscriptions.create(new, subscriptions_max=1)
    async with leading_with(mesh, settings_of(http, {"on": "subscription_paused"})):
        advance = subscription_records.Advance(
            "s1", 0, 1, [subscription_records.NewDelivery("d1", 1, 1, 1, b"{}")]
        )
        store = mesh.store.subscription_deliveries
        assert await store.advance(advance)
        claim = subscription_records.Claim("s1", ordered=True, limit=1, lease_s=60.0)
        assert await store.claim(claim)
        outcome = subscription_records.Outcome(
            "s1",
            1,
            1,
            WAITING,
            pause=subscriptions_pb2.SUBSCRIPTION_PAUSE_GONE,
            error="the answer had status 410",
        )
        await store.finish(outcome, kept_max=1)
        (alert,) = await delivered(mesh, 1)
    assert (alert.subject, alert.title) == (
        "subscription:catalog",
        "Subscription catalog was paused",
    )
    assert "it is gone. Newest error: the answer had status 410" in alert.body

"""What a sender is told, on real stores, where the host cannot take a delivery or need not."""

import dataclasses
from collections.abc import AsyncIterator

import pytest

from atoll.definitions.v1 import snapshot_pb2
from atoll_host.webhooks import receiving, signatures, webhook_settings
from atoll_storage import database as databases
from atoll_storage import errors as storage_errors
from atoll_storage import records
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres]

KEY = records.SensorKey("east", "hook")
SECRET = b"secret"


class Away:
    """A store that does not answer."""

    async def secret(self, _: records.SensorKey) -> bytes:
        raise storage_errors.StorageUnavailable("the connection is lost")


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        await made.serve("east", simulated.sensor("hook", snapshot_pb2.SENSOR_KIND_WEBHOOK))
        await database.sensors.ensure([KEY])
        await database.webhooks.set_secret(KEY, SECRET)
        yield made


def receiver(mesh: simulated.Mesh, store: object = None) -> receiving.Receiver:
    return receiving.Receiver(
        store or mesh.store.webhooks,
        mesh.locations,
        mesh.changes,
        mesh.clock,
        webhook_settings.WebhookSettings(waiting_max=1),
    )


def signed(body: bytes = b"{}", **headers: str) -> receiving.Request:
    signature = signatures.sign(SECRET, body)
    return receiving.Request("east", "hook", {"x-hub-signature-256": signature, **headers}, body)


async def told(receives: receiving.Receiver, request: receiving.Request) -> tuple[int, str]:
    reply = await receives.receive(request)
    error = reply.content.get("error")
    reason = error["reason"] if isinstance(error, dict) else reply.content["status"]
    return int(reply.status), str(reason)


async def test_who_leads_is_told_at_once_of_what_was_stored(mesh: simulated.Mesh) -> None:
    poke = mesh.changes.webhooks.subscribe()
    await poke.wait(0)
    assert await told(receiver(mesh), signed()) == (202, "stored")
    assert await poke.wait(0)


async def test_a_delivery_without_an_id_is_another_one_each_time(mesh: simulated.Mesh) -> None:
    assert await told(receiver(mesh), signed()) == (202, "stored")
    assert await told(receiver(mesh), signed()) == (503, "TOO_MANY_WAIT")


async def test_a_location_whose_definitions_are_not_known_yet_is_no_unknown_sensor(
    mesh: simulated.Mesh,
) -> None:
    view = mesh.locations.locations()["east"]
    mesh.locations._views["east"] = dataclasses.replace(view, definitions=None)
    assert await told(receiver(mesh), signed()) == (503, "LOCATION_NOT_READY")
    del mesh.locations._views["east"]
    assert await told(receiver(mesh), signed()) == (404, "UNKNOWN_SENSOR")


async def test_storage_that_is_away_asks_for_a_repeat(mesh: simulated.Mesh) -> None:
    reply = await receiver(mesh, Away()).receive(signed())
    assert (int(reply.status), reply.retry_after_s) == (503, receiving.RETRY_AFTER_S)


async def test_names_that_cannot_be_are_refused_like_any_other(mesh: simulated.Mesh) -> None:
    for name in ("a\x00b", "x" * 10_000, ""):
        request = dataclasses.replace(signed(), sensor_name=name)
        assert await told(receiver(mesh), request) == (401, "INVALID_SIGNATURE")

"""Webhooks over real HTTP: who cannot sign learns nothing, and a delivery becomes a tick once."""

import asyncio
import contextlib
import json

import pytest

from atoll._rpc import reasons
from atoll.api.v1 import automation_pb2 as api
from atoll.definitions.v1 import snapshot_pb2
from atoll.location.v1 import location_pb2
from atoll_host.webhooks import signatures, webhook_settings
from tests.integration import code_location

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

KEY = {"location_name": "shop", "sensor_name": "hook"}
PATH = "/webhooks/shop/hook"
TIMEOUT_S = 10.0


class Sender:
    """Sends requests as they are written, and reads what comes back."""

    def __init__(self, host, secret: str = "") -> None:
        self.address = host.parts.webhooks.address
        self.secret = secret.encode()

    async def raw(self, text: bytes, *, ends: bool = True) -> tuple[int, dict, bytes]:
        host, _, port = self.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(text)
            await writer.drain()
            if ends:
                answer = await asyncio.wait_for(reader.read(), TIMEOUT_S)
            else:
                answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), TIMEOUT_S)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(status.split()[1]), headers, body

    async def send(
        self, body: bytes = b"{}", path: str = PATH, method: str = "POST", **headers: str
    ) -> tuple[int, dict]:
        """Send a signed request; return the status and what was said."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("x-atoll-signature-256", signatures.sign(self.secret, body))
        lines = [f"{name}: {value}" for name, value in named.items() if value]
        head = [f"{method} {path} HTTP/1.1", "host: x", "connection: close"]
        head += [*lines, f"content-length: {len(body)}", "", ""]
        status, _, said = await self.raw("\r\n".join(head).encode() + body)
        return status, json.loads(said)


def hook(name: str = "hook", *, stopped: bool = False) -> snapshot_pb2.SensorDefinition:
    running = snapshot_pb2.SENSOR_STATUS_RUNNING
    return snapshot_pb2.SensorDefinition(
        name=name,
        kind=snapshot_pb2.SENSOR_KIND_WEBHOOK,
        job_names=["load"],
        default_status=snapshot_pb2.SENSOR_STATUS_STOPPED if stopped else running,
    )


def settings(**changes) -> webhook_settings.WebhookSettings:
    return webhook_settings.WebhookSettings(**{"listen": "127.0.0.1:0", **changes})


async def shop_of(mesh, host, *sensors) -> code_location.CodeLocation:
    defined = code_location.snapshot(
        [code_location.asset("orders")], [code_location.job("load", "orders")], sensors
    )
    return await mesh.location(host, "shop", defined)


async def secret_of(client, **key) -> api.CreateWebhookSecretResponse:
    request = api.CreateWebhookSecretRequest(**{**KEY, **key})
    return await client.sensors.CreateWebhookSecret(request)


async def until_ticks(host, client, count: int) -> list[api.Tick]:
    """Return the ticks, oldest first, once there are so many."""
    poke = host.parts.changes.events.subscribe()
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            found = (await client.sensors.ListTicks(api.ListTicksRequest(**KEY))).ticks
            if len(found) >= count:
                return list(reversed(found))
            await poke.wait(0.1)


@pytest.fixture
async def host(mesh):
    return await mesh.host(webhooks=settings(body_bytes_max=2000, receive_timeout_s=1.0))


@pytest.fixture
async def shop(mesh, host):
    return await shop_of(mesh, host, hook(), snapshot_pb2.SensorDefinition(name="other", kind=1))


@pytest.fixture
async def sender(host, client, shop) -> Sender:
    made = await secret_of(client)
    assert made.path == PATH
    assert made.listen_address == host.parts.webhooks.address
    return Sender(host, made.secret)


async def test_a_signed_delivery_becomes_a_tick_at_once(host, client, shop, sender):
    status, said = await sender.send(
        b"\xff\x00order", x_atoll_delivery="d1", content_type="text/plain", authorization="x"
    )
    assert (status, said) == (202, {"status": "stored", "delivery_id": "d1"})
    (tick,) = await until_ticks(host, client, 1)
    assert (tick.status, tick.delivery_id, len(tick.run_ids)) == (1, "d1", 1)
    (request,) = shop.evaluations
    delivery = request.webhook_delivery
    assert (delivery.body, delivery.delivery_id) == (b"\xff\x00order", "d1")
    assert delivery.headers["content-type"] == "text/plain"
    assert not {"authorization", "x-atoll-signature-256"} & set(delivery.headers)
    assert delivery.receive_time.seconds > 0


async def test_a_repeated_delivery_is_answered_and_makes_no_second_tick(host, client, shop, sender):
    for expected in (202, 200):
        assert (await sender.send(x_github_delivery="d1"))[0] == expected
    await until_ticks(host, client, 1)
    assert await sender.send(x_github_delivery="d1") == (
        200,
        {"status": "repeated", "delivery_id": "d1"},
    )
    await sender.send(x_github_delivery="d2")
    ticks = await until_ticks(host, client, 2)
    assert [tick.delivery_id for tick in ticks] == ["d1", "d2"]


async def test_who_cannot_sign_learns_nothing_and_nothing_is_stored(host, client, shop, sender):
    answers = [
        await sender.send(x_atoll_signature_256=signature, path=path)
        for path in (PATH, "/webhooks/shop/other", "/webhooks/shop/none", "/webhooks/no/where")
        for signature in ("", "sha256=" + "0" * 64, "nonsense", signatures.sign(b"guess", b"{}"))
    ]
    assert {status for status, _ in answers} == {401}
    assert len({json.dumps(said) for _, said in answers}) == 1
    assert answers[0][1]["error"]["reason"] == "INVALID_SIGNATURE"
    sensor = (await client.sensors.GetSensor(api.GetSensorRequest(**KEY))).sensor
    assert (sensor.waiting_delivery_count, sensor.has_webhook_secret) == (0, True)
    assert shop.evaluations == []


async def test_a_new_secret_takes_the_place_of_the_old_one(host, client, shop, sender):
    made = await secret_of(client)
    assert made.secret.encode() != sender.secret
    assert (await sender.send())[0] == 401
    assert (await Sender(host, made.secret).send())[0] == 202


async def test_only_webhook_sensors_have_secrets(client, shop):
    request = api.CreateWebhookSecretRequest(location_name="shop", sensor_name="other")
    error = await client.refused(client.sensors.CreateWebhookSecret(request))
    assert error.reason == reasons.INVALID_REQUEST
    assert "takes no webhooks" in error.message


async def test_a_sensor_that_is_gone_is_told_to_whoever_can_sign(
    host, client, shop, sender, until_view
):
    shop.load(code_location.snapshot([code_location.asset("orders")]))
    await shop.tell()
    await until_view(host, lambda registry: registry.location("shop").sensor("hook") is None)
    status, said = await sender.send()
    assert (status, said["error"]["reason"]) == (404, "UNKNOWN_SENSOR")
    assert (await sender.send(x_atoll_signature_256=""))[0] == 401


async def test_requests_that_are_no_deliveries_are_told_so(host, client, shop, sender):
    for path, method, expected in (
        ("/", "POST", 404),
        ("/webhooks/shop", "POST", 404),
        ("/webhooks/shop/hook/more", "POST", 404),
        (PATH, "GET", 405),
        (PATH, "DELETE", 405),
    ):
        status, said = await sender.send(path=path, method=method)
        assert status == expected
        assert "POST" in said["error"]["message"]
    assert (await sender.send(path="/webhooks/shop/ho%00ok"))[0] == 401


async def test_a_body_that_is_too_long_or_too_slow_is_refused(host, client, shop, sender):
    status, said = await sender.send(b"x" * 2001)
    assert (status, said["error"]["reason"]) == (413, "BODY_TOO_LONG")
    assert (await sender.send(b"x" * 2000))[0] == 202
    chunked = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    endless = chunked.encode() + (b"3e8\r\n" + b"x" * 1000 + b"\r\n") * 3
    assert (await sender.raw(endless, ends=False))[0] == 413
    slow = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nxx"
    assert (await sender.raw(slow.encode(), ends=False))[0] == 408


async def test_a_head_that_never_ends_is_not_waited_for(host, client, shop, sender):
    host_name, _, port = sender.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host_name, int(port))
    writer.write(f"POST {PATH} HTTP/1.1\r\nhost".encode())
    assert await asyncio.wait_for(reader.read(), TIMEOUT_S) == b""
    writer.close()
    await writer.wait_closed()


async def test_deliveries_wait_for_a_sensor_that_is_stopped_and_for_one_that_fails(
    host, client, shop, sender
):
    await client.sensors.StopSensor(api.StopSensorRequest(**KEY))
    for name in ("d1", "d2"):
        await sender.send(x_atoll_delivery=name)
    sensor = (await client.sensors.GetSensor(api.GetSensorRequest(**KEY))).sensor
    assert sensor.waiting_delivery_count == 2
    shop.answers.append(location_pb2.EvaluateSensorResponse(failure={"message": "not now"}))
    await client.sensors.StartSensor(api.StartSensorRequest(**KEY))
    ticks = await until_ticks(host, client, 3)
    assert [(tick.delivery_id, tick.status) for tick in ticks] == [("d1", 3), ("d1", 1), ("d2", 1)]


async def test_deliveries_outlive_the_host_that_took_them(mesh, host, client, shop, sender):
    await client.sensors.StopSensor(api.StopSensorRequest(**KEY))
    for number in range(3):
        await sender.send(x_atoll_delivery=f"d{number}")
    await shop.stop()
    await host.stop()
    second = await mesh.host(webhooks=settings())
    other = mesh.client(second)
    await shop_of(mesh, second, hook())
    await other.sensors.StartSensor(api.StartSensorRequest(**KEY))
    assert (await Sender(second, sender.secret.decode()).send(x_atoll_delivery="d1"))[0] == 200
    ticks = await until_ticks(second, other, 3)
    assert [tick.delivery_id for tick in ticks] == ["d0", "d1", "d2"]
    assert len({run_id for tick in ticks for run_id in tick.run_ids}) == 3


async def test_either_host_takes_deliveries_and_each_becomes_one_tick(
    mesh, host, client, shop, sender, until_view
):
    second = await mesh.host(webhooks=settings())
    await until_view(
        second,
        lambda registry: (
            "shop" in registry.locations() and registry.location("shop").sensor("hook") is not None
        ),
    )
    senders = [sender, Sender(second, sender.secret.decode())]
    outcomes = await asyncio.gather(
        *(senders[number % 2].send(x_atoll_delivery=f"d{number // 4}") for number in range(24))
    )
    assert sorted(status for status, _ in outcomes) == [200] * 18 + [202] * 6
    ticks = await until_ticks(host, client, 6)
    assert sorted(tick.delivery_id for tick in ticks) == [f"d{number}" for number in range(6)]
    assert [tick.event_id for tick in ticks] == sorted(tick.event_id for tick in ticks)


async def test_more_than_may_wait_are_refused_for_now(mesh, until_view):
    host = await mesh.host(webhooks=settings(waiting_max=1))
    client = mesh.client(host)
    await shop_of(mesh, host, hook(stopped=True))
    sender = Sender(host, (await secret_of(client)).secret)
    assert (await sender.send())[0] == 202
    status, said = await sender.send()
    assert (status, said["error"]["reason"]) == (503, "TOO_MANY_WAIT")


async def test_a_host_takes_webhooks_only_where_it_is_told_to(mesh):
    host = await mesh.host()
    assert host.parts.webhooks.address == ""

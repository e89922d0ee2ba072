"""The folder sensors of examples/, served by real processes that watch each other."""

import asyncio
import hashlib
import hmac
import json
import pathlib
import urllib.error
import urllib.request

import pytest

from atoll.api.v1 import automation_pb2, runs_pb2
from atoll.client import connection, documents, runs
from atoll_host import host as hosts
from atoll_host import settings as host_settings
from atoll_host.access import access_settings
from atoll_host.webhooks import webhook_settings
from tests.e2e import mesh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

FOLDER = mesh.EXAMPLES / "sensors"
NAMES = ("shop", "reports", "alerts")
SUCCESS, FAILURE = runs_pb2.RUN_STATUS_SUCCESS, runs_pb2.RUN_STATUS_FAILURE


class Shops:
    """The three locations, and a host that takes webhooks."""

    def __init__(self, running: mesh.Mesh, folder: pathlib.Path) -> None:
        self.mesh = running
        self.alerts = folder / "alerts.txt"
        self.host: hosts.Host | None = None

    async def start(self) -> None:
        self.mesh.start_postgres()
        assert self.mesh.postgres is not None
        settings = host_settings.Settings(
            listen=self.mesh.address,
            database_url=self.mesh.postgres.url,
            webhooks=webhook_settings.WebhookSettings(listen="127.0.0.1:0"),
            access=access_settings.OPEN,
        )
        self.host = hosts.Host(settings)
        await self.host.start()
        for name in NAMES:
            self.mesh.add(
                name, FOLDER / f"{name}.py", environment={"ALERTS_FILE": str(self.alerts)}
            )
            self.mesh.start_location(name)
        await self.mesh.serving(*NAMES)

    async def stop(self) -> None:
        if self.host is not None:
            await self.host.stop()

    async def post(self, secret: str, order: dict, *, delivery_id: str) -> int:
        assert self.host is not None
        body = json.dumps(order).encode()
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            f"http://{self.host.parts.webhooks.address}/webhooks/shop/new_order",
            data=body,
            headers={
                "X-Hub-Signature-256": f"sha256={digest}",
                "X-Atoll-Delivery": delivery_id,
            },
        )
        return await asyncio.to_thread(self._send, request)

    @staticmethod
    def _send(request: urllib.request.Request) -> int:
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - of the test
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    async def ticks(self, location: str, sensor: str, count: int) -> list[automation_pb2.Tick]:
        async def enough(client: connection.Client) -> list[automation_pb2.Tick]:
            found = [tick async for tick in client.sensors.ticks(location, sensor)]
            return found[::-1] if len(found) >= count else []

        return await self.mesh.until(enough)

    async def ended(self, run_id: str) -> runs_pb2.Run:
        async def final(client: connection.Client) -> runs_pb2.Run | None:
            run = await client.runs.get(run_id)
            return run if run.status in runs.FINAL_STATUSES else None

        return await self.mesh.until(final)

    async def launch(self, client: connection.Client, **fields) -> str:
        return (await client.runs.launch(runs.Launch(**fields))).run_id


@pytest.fixture
async def shops(tmp_path):
    with mesh.Mesh(tmp_path) as running:
        made = Shops(running, tmp_path)
        try:
            await made.start()
            yield made
        finally:
            await made.stop()


async def test_orders_come_by_webhook_and_every_failure_is_told_of(shops):
    async with shops.mesh.client() as client:
        secret = (await client.sensors.create_webhook_secret("shop", "new_order")).secret
        good = {"id": 1, "customer": "ada", "pieces": 3}
        bad = {"id": 2, "customer": "bob", "pieces": 0}
        assert await shops.post("a guess", good, delivery_id="1") == 401
        assert await shops.post(secret, good, delivery_id="1") == 202
        assert await shops.post(secret, good, delivery_id="1") == 200
        assert await shops.post(secret, bad, delivery_id="2") == 202
        first, second = await shops.ticks("shop", "new_order", 2)
        assert [tick.delivery_id for tick in (first, second)] == ["1", "2"]
        loaded = await shops.ended(first.run_ids[0])
        assert (loaded.status, loaded.partition_key) == (SUCCESS, "ada")
        failed = await shops.ended(second.run_ids[0])
        assert (failed.status, failed.partition_key) == (FAILURE, "bob")
        (told,) = await shops.ticks("alerts", "tell_of_failures", 1)
        assert told.triggering_run_id == failed.run_id
        assert shops.alerts.read_text() == "shop/load_order failed at orders\n"


async def test_a_run_of_another_location_is_followed_and_one_of_the_same_name_is_not(shops):
    async with shops.mesh.client() as client:
        own = await shops.launch(client, job_name="nightly", location_name="reports")
        assert (await shops.ended(own)).status == SUCCESS
        theirs = await shops.launch(client, job_name="nightly", location_name="shop")
        (tick,) = await shops.ticks("reports", "after_the_shop_closed", 1)
        assert tick.triggering_run_id == theirs
        (run_id,) = tick.run_ids
        summary = await shops.ended(run_id)
        assert (summary.job_name, summary.location_name) == ("summary", "reports")
        assert summary.tags["after"] == theirs


async def test_a_month_is_summed_up_once_the_other_location_has_sold_every_day_of_it(shops):
    async with shops.mesh.client() as client:

        async def sell(first: str, last: str) -> None:
            run_id = await shops.launch(
                client,
                location_name="shop",
                asset_selection=(documents.parse_asset_key("sales"),),
                partition_range=(first, last),
            )
            assert (await shops.ended(run_id)).status == SUCCESS

        await sell("2026-01-01", "2026-01-30")

        async def waits(client: connection.Client) -> list[automation_pb2.Tick]:
            found = [t async for t in client.sensors.ticks("reports", "months_that_are_complete")]
            return [tick for tick in found if "2026-01-01" in tick.skip_reason]

        await shops.mesh.until(waits)
        await sell("2026-01-31", "2026-01-31")

        async def fired(client: connection.Client) -> list[str]:
            found = [t async for t in client.sensors.ticks("reports", "months_that_are_complete")]
            return [run_id for tick in found for run_id in tick.run_ids]

        (run_id,) = await shops.mesh.until(fired)
        summed = await shops.ended(run_id)
        assert (summed.status, summed.partition_key) == (SUCCESS, "2026-01-01")

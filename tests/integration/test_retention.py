"""What is kept for how long can be asked for, and a sweep can be tried before it is made."""

import asyncio
import json

import click.testing
import psycopg
import pytest

from atoll._cli import retention as command
from atoll_host.retention import ages
from tests.storage import support

pytestmark = pytest.mark.postgres


async def run(host, *arguments: str) -> str:
    runner = click.testing.CliRunner()
    environment = {"ATOLL_HOST": host.address, "TZ": "UTC"}
    invoked = asyncio.to_thread(runner.invoke, command.retention, list(arguments), env=environment)
    result = await invoked
    assert result.exit_code == 0, result.output
    return result.output


async def test_rules_are_shown_and_a_sweep_can_be_tried_first(mesh, database_url) -> None:
    settings = ages.RetentionSettings(log_messages="2d", runs="36h")
    host = await mesh.host(retention=settings)
    shown = await run(host, "show")
    lines = [line.split()[:3] for line in shown.splitlines()]
    assert ["log_messages", "2", "d"] in lines
    assert ["asset_events", "forever", "Materializations,"] in lines
    rules = json.loads(await run(host, "show", "--json"))["rules"]
    assert {rule["subject"]: rule.get("keep") for rule in rules}["runs"] == 36 * 3600

    assert await run(host, "run", "--dry-run") == "Nothing may go.\n"
    await host.parts.store.events.append_host_events([support.event("", 0)] * 3)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE events SET stored_time = stored_time - interval '3 days'")
    tried = json.loads(await run(host, "run", "--dry-run", "--json"))
    assert tried["counts"] == [{"subject": "log_messages", "count": 3}]
    assert (await run(host, "run")).split() == ["SUBJECT", "COUNT", "log_messages", "3"]
    assert await run(host, "run") == "Nothing may go.\n"
    assert "3 log_messages" in await run(host, "show")

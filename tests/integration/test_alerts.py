"""Rules of a real host: tried by a command, told when something fails, listed afterwards."""

import asyncio
import json

import click.testing
import pytest

from atoll._cli import alerts as command
from atoll.api.v1 import alerts_pb2, alerts_pb2_grpc, runs_pb2
from atoll_host import errors
from atoll_host import host as hosts
from atoll_host import settings as host_settings
from atoll_host.alerts import rules
from tests.host.alerts import receivers
from tests.integration import code_location

pytestmark = pytest.mark.postgres


@pytest.fixture
def http():
    with receivers.HttpReceiver().serving() as receiver:
        yield receiver


@pytest.fixture
async def host(mesh, http):
    hook = {"type": "webhook", "url": http.url}
    settings = rules.AlertSettings(
        rules=[
            {"name": "failures", "on": "run_failure", "notify": [hook], "repeat_after": "0s"},
            {"name": "away", "on": "location_away", "notify": [hook, hook]},
        ],
        first_retry_s=0.05,
    )
    return await mesh.host(alerts=settings)


async def run(host, *arguments: str, exit_code: int = 0) -> str:
    runner = click.testing.CliRunner()
    environment = {"ATOLL_HOST": host.address, "TZ": "UTC"}
    invoked = asyncio.to_thread(runner.invoke, command.alerts, list(arguments), env=environment)
    result = await invoked
    assert result.exit_code == exit_code, result.output
    return result.output


async def failed_run(mesh, host, client, name: str) -> None:
    location = await mesh.location(host, name)
    request = runs_pb2.LaunchRunRequest(location_name=name, job_name="__ASSET_JOB")
    await client.runs.LaunchRun(request)
    plan = await location.next_plan()
    await location.append(code_location.numbered(plan.run_id, [{"run_failed": {}}]))


async def until_posted(http, count: int) -> None:
    await asyncio.to_thread(http.await_posts, count)


async def test_a_rule_can_be_tried_before_anything_fails(host, http) -> None:
    listed = json.loads(await run(host, "rules", "--json"))["rules"]
    assert [rule["name"] for rule in listed] == ["away", "failures"]
    assert await run(host, "list") == "There are no alerts yet.\n"
    tried = await run(host, "test", "away")
    assert tried.count("DELIVERED") == len(http.posted) == 2
    assert json.loads(http.posted[0].body)["title"] == "Location example_location is away"
    # A trial is stored nowhere.
    assert await run(host, "deliveries") == "There are no deliveries yet.\n"
    http.statuses = [500]
    tried = await run(host, "test", "failures", "--json", exit_code=1)
    (delivery,) = json.loads(tried)["deliveries"]
    assert (delivery["status"], delivery["error"]) == ("DEAD", "the answer had status 500")
    refused = await run(host, "test", "none", exit_code=1)
    assert "There is no rule 'none'. The rules of the host are: away, failures." in refused


async def test_what_fails_is_told_and_listed_in_pages(mesh, host, client, http) -> None:
    for number, name in enumerate(("a", "b", "c"), 1):
        await failed_run(mesh, host, client, name)
        await until_posted(http, number)
    stub = alerts_pb2_grpc.AlertsServiceStub(client.channel)
    titles, token = [], ""
    while True:
        request = alerts_pb2.ListAlertsRequest(page_size=2, page_token=token, rule="failures")
        page = await stub.ListAlerts(request)
        titles += [alert.title for alert in page.alerts]
        token = page.next_page_token
        if not token:
            break
    assert [title[-1] for title in titles] == ["c", "b", "a"]
    shown = await run(host, "list", "--rule", "failures")
    assert shown.count("__ASSET_JOB failed in") == 3
    assert await run(host, "list", "--rule", "away") == "There are no alerts of away.\n"
    document = json.loads(await run(host, "deliveries", "--status", "delivered", "--json"))
    assert len(document["deliveries"]) == 3
    assert await run(host, "deliveries", "--status", "dead") == (
        "There are no deliveries like that.\n"
    )
    request = alerts_pb2.ListAlertDeliveriesRequest(statuses=[9])
    refused = await client.refused(stub.ListAlertDeliveries(request))
    assert refused.reason == "INVALID_REQUEST"


async def test_a_host_does_not_start_without_a_secret_that_a_rule_names(database_url) -> None:
    hook = {"type": "webhook", "url_env": "ATOLL_NO_SUCH_VARIABLE"}
    settings = host_settings.Settings(
        listen="127.0.0.1:0",
        database_url=database_url,
        alerts=rules.AlertSettings(rules=[{"name": "r", "on": "run_failure", "notify": [hook]}]),
    )
    with pytest.raises(errors.SettingsError, match="ATOLL_NO_SUCH_VARIABLE"):
        await hosts.Host(settings).start()

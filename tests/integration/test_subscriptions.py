"""Subscriptions of a real host: made by commands, told to a real receiver, steered and seen."""

import asyncio
import json
import pathlib
import re
import shlex
import threading
from http import server as http_server

import click.testing
import pytest

from atoll._cli import subscriptions as command
from atoll._rpc import reasons
from atoll.api.v1 import events_pb2, runs_pb2, subscriptions_pb2, subscriptions_pb2_grpc
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.access import callers
from atoll_host.subscriptions import subscribing, subscription_settings
from tests.host.subscriptions import receivers
from tests.integration import code_location

pytestmark = pytest.mark.postgres

SETTINGS = {"allow_loopback": True, "first_retry_s": 0.05, "longest_retry_s": 0.1, "timeout_s": 1.0}


@pytest.fixture
async def http():
    async with receivers.Receiver().serving() as receiver:
        yield receiver


@pytest.fixture
async def host(mesh):
    return await mesh.host(subscriptions=subscription_settings.SubscriptionSettings(**SETTINGS))


@pytest.fixture
async def stub(client):
    return subscriptions_pb2_grpc.SubscriptionsServiceStub(client.channel)


async def run(host, *arguments: str, exit_code: int = 0) -> str:
    runner = click.testing.CliRunner()
    environment = {"ATOLL_HOST": host.address, "TZ": "UTC"}
    arguments = [str(argument) for argument in arguments]
    result = await asyncio.to_thread(
        runner.invoke, command.subscriptions, arguments, env=environment
    )
    assert result.exit_code == exit_code, result.output
    return result.output


async def run_to_its_end(mesh, host, client, name: str) -> str:
    location = await mesh.location(host, name)
    location.runs_at_once = True
    watch = await client.watch().begun()
    request = runs_pb2.LaunchRunRequest(location_name=name, job_name="__ASSET_JOB")
    run_id = (await client.runs.LaunchRun(request)).run.run_id
    await watch.until("run_succeeded", run_id)
    return run_id


def asked(http, **fields) -> subscriptions_pb2.CreateSubscriptionRequest:
    values = {"request_id": "r1", "name": "sub", "url": http.url, **fields}
    return subscriptions_pb2.CreateSubscriptionRequest(**values)


async def test_a_subscription_from_its_first_command_to_its_last(
    mesh, host, client, http, capfd
) -> None:
    assert await run(host, "list") == "There are no subscriptions.\n"
    made = json.loads(
        await run(host, "create", "ends", http.url, "--kind", "run_succeeded", "--json")
    )
    secret = made["secret"]
    assert made["subscription"]["creator"] == "local"
    assert "It arrived: status 204" in await run(host, "test", "ends")
    assert http.requests[0].document["type"] == "atoll.test"
    run_id = await run_to_its_end(mesh, host, client, "shop")
    await http.until_requests(2)
    told = http.requests[1]
    assert all(request.is_signed_with(secret) for request in http.requests)
    (event,) = told.document["data"]["events"]
    assert (event["locationName"], event["event"]["runId"]) == ("shop", run_id)
    assert "runSucceeded" in event["event"]

    assert "state:       active" in await run(host, "show", "ends")
    listed = json.loads(await run(host, "deliveries", "ends", "--json"))["deliveries"]
    assert [each["delivery_id"] for each in listed] == [told.id]
    assert await run(host, "deliveries", "ends", "--status", "dead") == (
        "There are no deliveries like that.\n"
    )
    assert "is sent again" in await run(host, "redeliver", "ends", told.id)
    await http.until_requests(3)
    assert http.requests[2].id == told.id

    rotated = json.loads(await run(host, "rotate-secret", "ends", "--json"))
    await run(host, "test", "ends")
    both = (secret, rotated["secret"])
    assert all(http.requests[-1].is_signed_with(each) for each in both)
    revoked = (await run(host, "rotate-secret", "ends", "--revoke-old")).splitlines()[1]
    await run(host, "test", "ends")
    assert http.requests[-1].is_signed_with(revoked)
    assert not any(http.requests[-1].is_signed_with(each) for each in both)

    assert await run(host, "pause", "ends") == "ends is paused.\n"
    assert "state:       paused, somebody paused it" in await run(host, "show", "ends")
    assert "ends goes on after event" in await run(host, "resume", "ends")
    assert await run(host, "delete", "ends") == "ends is deleted.\n"
    assert "There is no subscription 'ends'" in await run(host, "show", "ends", exit_code=1)
    # Nobody who reads logs learns what signs.
    logged = "".join(capfd.readouterr())
    assert not any(each.removeprefix("whsec_") in logged for each in (*both, revoked))


async def test_a_trial_that_fails_says_why(host, http) -> None:
    await run(host, "create", "sub", http.url)
    http.answer = 500
    assert await run(host, "test", "sub", exit_code=1) == (
        "It did not arrive: the answer had status 500.\n"
    )
    assert "DEAD" in await run(host, "test", "sub", "--json", exit_code=1)


async def test_what_was_before_is_sent_from_where_it_is_asked_for(
    mesh, host, client, stub, http
) -> None:
    await run_to_its_end(mesh, host, client, "shop")
    listed = await client.events.ListEvents(events_pb2.ListEventsRequest(page_size=500))
    ids = [event.id for event in listed.events]
    start = subscriptions_pb2.SubscriptionStart(after_id=ids[2])
    await stub.CreateSubscription(asked(http, start=start, batch_events_max=3))
    await http.until(lambda: len(http.event_ids) >= len(ids) - 3)
    assert http.event_ids[: len(ids) - 3] == ids[3:]
    async with receivers.Receiver().serving() as other:
        await run(host, "create", "all", other.url, "--from", "earliest", "--batch", "500")
        await other.until(lambda: len(other.event_ids) >= len(ids))
        assert other.event_ids[: len(ids)] == ids
        await run(host, "create", "jobs", other.url, "--from", "earliest", "--job", "none")
        shown = json.loads(await run(host, "show", "jobs", "--json"))
    assert shown["job_names"] == ["none"]
    assert "neither latest" in await run(
        host, "create", "x", http.url, "--from", "later", exit_code=2
    )


async def test_repeating_a_request_makes_one_subscription_and_tells_no_secret(
    client, stub, http
) -> None:
    first = await stub.CreateSubscription(asked(http))
    again = await stub.CreateSubscription(asked(http))
    assert again.subscription.subscription_id == first.subscription.subscription_id
    assert (first.secret[:6], again.secret) == ("whsec_", "")
    other = await client.refused(stub.CreateSubscription(asked(http, job_names=["x"])))
    assert (other.reason, "differs in job_names" in other.message) == (
        reasons.SUBSCRIPTION_EXISTS,
        True,
    )
    taken = await client.refused(stub.CreateSubscription(asked(http, request_id="r2")))
    assert "There is a subscription 'sub' already" in taken.message


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"request_id": ""}, "request id is missing"),
        ({"name": "a b"}, "is no name for a subscription"),
        ({"url": "https://10.0.0.1/secret-path"}, "is private"),
        ({"url": "http://example.org/secret-path"}, "not encrypted"),
        ({"url": "https://user:secret-path@example.org/"}, "is no URL"),
        ({"batch_events_max": 501}, "from 1 to 500"),
        ({"filter": {"kinds": ["nonsense"]}}, "no kind of event 'nonsense'"),
        ({"start": {"after_id": 10_000_000}}, "no event 10000000 yet"),
    ],
)
async def test_what_is_wrong_is_refused_with_what_to_do(client, stub, http, fields, said) -> None:
    refused = await client.refused(stub.CreateSubscription(asked(http, **fields)))
    assert refused.reason == reasons.INVALID_REQUEST
    assert said in refused.message
    assert "secret-path" not in refused.message


async def test_an_update_changes_what_is_given_and_nothing_else(client, stub, http) -> None:
    await stub.CreateSubscription(asked(http, job_names=["a"], filter={"kinds": ["run_started"]}))
    update = subscriptions_pb2.UpdateSubscriptionRequest(name="sub", unordered=True)
    changed = (await stub.UpdateSubscription(update)).subscription
    assert (changed.ordered, list(changed.job_names)) == (False, ["a"])
    update = subscriptions_pb2.UpdateSubscriptionRequest(name="sub", jobs={}, batch_events_max=9)
    changed = (await stub.UpdateSubscription(update)).subscription
    assert (changed.batch_events_max, list(changed.job_names)) == (9, [])
    assert list(changed.filter.kinds) == ["run_started"]
    for fields in ({"url": "http://10.0.0.1/"}, {"filter": {"location_name": "other"}}):
        update = subscriptions_pb2.UpdateSubscriptionRequest(name="sub", **fields)
        refused = await client.refused(stub.UpdateSubscription(update))
        assert refused.reason == reasons.INVALID_REQUEST


async def test_pages_end_and_unknown_names_are_refused(client, stub, http) -> None:
    for name in ("c", "a", "b"):
        await stub.CreateSubscription(asked(http, name=name, request_id=name))
    names, token = [], ""
    while True:
        request = subscriptions_pb2.ListSubscriptionsRequest(page_size=2, page_token=token)
        page = await stub.ListSubscriptions(request)
        names += [each.name for each in page.subscriptions]
        token = page.next_page_token
        if not token:
            break
    assert names == ["a", "b", "c"]
    unknown = subscriptions_pb2.GetDeliveryRequest(name="a", delivery_id="none")
    refused = await client.refused(stub.GetDelivery(unknown))
    assert refused.reason == reasons.UNKNOWN_DELIVERY
    request = subscriptions_pb2.DeleteSubscriptionRequest(name="none")
    refused = await client.refused(stub.DeleteSubscription(request))
    assert refused.reason == reasons.UNKNOWN_SUBSCRIPTION


async def test_who_may_see_one_location_gets_and_steers_only_what_is_of_it(host, http) -> None:
    made = subscribing.Subscribing(
        host.parts.store,
        host.parts.changes,
        clocks.SystemClock(),
        subscription_settings.SubscriptionSettings(**SETTINGS),
    )
    operator = callers.Grant(callers.Role.OPERATOR, frozenset({"east"}))
    of_east = callers.Caller("east operator", callers.Kind.TOKEN, (operator,))
    viewer = callers.Grant(callers.Role.VIEWER)
    looker = callers.Caller("looker", callers.Kind.TOKEN, (viewer,))
    await made.create(asked(http, name="all", request_id="all"))
    with callers.calling(of_east):
        mine, _ = await made.create(asked(http, name="mine", request_id="mine"))
        assert (mine.narrowed, list(mine.location_names)) == (True, ["east"])
        assert [each.name for each in (await made.page("", 10))[0]] == ["mine"]
        with pytest.raises(errors.NotAllowed, match="no operator of all locations"):
            await made.get("all")
        other = asked(http, name="other", request_id="x", filter={"location_name": "west"})
        with pytest.raises(errors.NotAllowed, match="no operator of location 'west'"):
            await made.create(other)
    with callers.calling(looker):
        assert (await made.page("", 10))[0] == []
        with pytest.raises(errors.NotAllowed, match="no operator of location 'east'"):
            await made.pause("mine")


async def test_the_receiver_of_the_guide_takes_what_a_host_sends(
    mesh, host, client, stub, monkeypatch
) -> None:
    guide = (pathlib.Path(__file__).parents[2] / "docs" / "guides" / "webhooks-out.md").read_text()
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL):
        exec(block, names)  # noqa: S102 - what people are told to run
    monkeypatch.setattr(names["Receiver"], "log_message", lambda *_: None)
    server = http_server.HTTPServer(("127.0.0.1", 0), names["Receiver"])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        create, test = (
            shlex.split(line.replace("https://catalog.example.org/atoll", url))[2:]
            for line in re.findall(r"^\$ (atoll subscriptions .*)$", guide, re.MULTILINE)
        )
        secret = (await run(host, *create)).splitlines()[-1]
        monkeypatch.setenv("ATOLL_SUBSCRIPTION_SECRET", secret)
        assert "status 204" in await run(host, *test)
        monkeypatch.setenv("ATOLL_SUBSCRIPTION_SECRET", "whsec_b3RoZXI=")
        request = subscriptions_pb2.TestSubscriptionRequest(name="catalog")
        assert (await stub.TestSubscription(request)).delivery.http_status == 401
    finally:
        await asyncio.to_thread(server.shutdown)
        await asyncio.to_thread(thread.join, 10)
        server.server_close()


async def test_two_hosts_and_the_one_that_sends_stops(mesh, client, stub, host, http) -> None:
    other = await mesh.host(subscriptions=subscription_settings.SubscriptionSettings(**SETTINGS))
    location = await mesh.location(other, "shop")
    kinds = {"kinds": ["log_message"]}
    await stub.CreateSubscription(asked(http, filter=kinds))
    plan_of = runs_pb2.LaunchRunRequest(location_name="shop", job_name="__ASSET_JOB")
    asking = mesh.client(other)
    await asking.runs.LaunchRun(plan_of)
    plan = await location.next_plan()
    bodies = [{"log_message": {}}] * 20
    events = code_location.numbered(plan.run_id, bodies)
    await location.append(events[:10])
    await http.until_requests(3)
    await host.stop()
    await location.append(events[10:])
    await http.until(lambda: len(set(http.event_ids)) >= 20)
    assert list(dict.fromkeys(http.event_ids)) == sorted(set(http.event_ids))
    assert len({request.id for request in http.requests}) == 20

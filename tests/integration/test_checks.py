"""The checks of all locations and what they found can be asked for, page by page."""

import pytest

from atoll.api.v1 import checks_pb2, locations_pb2
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from tests.integration import code_location

pytestmark = pytest.mark.postgres


def key(asset: str, name: str) -> values_pb2.AssetCheckKey:
    return values_pb2.AssetCheckKey(asset_key=code_location.key(asset), name=name)


async def found(host, asset: str, name: str, *, passed: bool, partition: str = "") -> None:
    event = events_pb2.Event()
    told = event.asset_check_evaluation
    told.asset_key.CopyFrom(code_location.key(asset))
    told.check_name, told.passed, told.partition = name, passed, partition
    await host.parts.store.events.append_host_events([event], "a")


@pytest.fixture
async def two_locations(mesh, host):
    check = code_location.check
    await mesh.location(
        host,
        "a",
        code_location.snapshot(
            [code_location.asset("raw")],
            checks=[check("raw", "fresh", blocking=True), check("raw", "full")],
        ),
    )
    b = code_location.snapshot(
        [code_location.asset("report", "raw")],
        checks=[check("raw", "full"), check("raw", "sound"), check("report", "fresh")],
    )
    location = code_location.CodeLocation("b", b)
    mesh.code_locations.append(location)
    await location.start(host.address)
    return await location.join()


async def test_checks_of_all_locations_are_listed_in_pages(two_locations, host, client):
    await found(host, "raw", "fresh", passed=True)
    await found(host, "raw", "fresh", passed=False)
    listed, token = [], ""
    while True:
        page = await client.checks.ListAssetChecks(
            checks_pb2.ListAssetChecksRequest(page_size=2, page_token=token)
        )
        assert len(page.checks) == 2
        listed += page.checks
        token = page.next_page_token
        if not token:
            break
    assert [
        ("/".join(each.definition.key.asset_key.path), each.definition.key.name) for each in listed
    ] == [("raw", "fresh"), ("raw", "full"), ("raw", "sound"), ("report", "fresh")]
    assert [each.owner_location_name for each in listed] == ["a", "a", "b", "b"]
    assert [each.HasField("latest_evaluation") for each in listed] == [True, False, False, False]
    assert not listed[0].latest_evaluation.event.asset_check_evaluation.passed


async def test_checks_of_one_asset_and_of_one_location_are_listed(two_locations, client):
    async def names(**chosen) -> list[str]:
        answer = await client.checks.ListAssetChecks(checks_pb2.ListAssetChecksRequest(**chosen))
        return [each.definition.key.name for each in answer.checks]

    assert await names(asset_key=code_location.key("raw")) == ["fresh", "full", "sound"]
    assert await names(location_name="b") == ["full", "sound", "fresh"]
    assert await names(asset_key=code_location.key("raw"), location_name="b") == ["full", "sound"]
    error = await client.refused(names(location_name="nowhere"))
    assert error.reason == "UNKNOWN_LOCATION"


async def test_one_check_is_shown_with_what_it_found(two_locations, host, client):
    for partition in ("p", "q", "p"):
        await found(host, "raw", "fresh", passed=True, partition=partition)
    shown = await client.checks.GetAssetCheck(
        checks_pb2.GetAssetCheckRequest(key=key("raw", "fresh"))
    )
    assert shown.check.definition.blocking
    assert list(shown.check.location_names) == ["a"]
    newest = shown.check.latest_evaluation.id
    request = checks_pb2.ListAssetCheckEvaluationsRequest(key=key("raw", "fresh"), page_size=2)
    first = await client.checks.ListAssetCheckEvaluations(request)
    assert first.evaluations[0].id == newest
    request.page_token = first.next_page_token
    second = await client.checks.ListAssetCheckEvaluations(request)
    partitions = [
        each.event.asset_check_evaluation.partition
        for each in (*first.evaluations, *second.evaluations)
    ]
    assert partitions == ["p", "q", "p"]
    assert not second.next_page_token


async def test_an_unknown_check_is_told_as_that(two_locations, client):
    unknown = key("raw", "nothing")
    for call in (
        client.checks.GetAssetCheck(checks_pb2.GetAssetCheckRequest(key=unknown)),
        client.checks.ListAssetCheckEvaluations(
            checks_pb2.ListAssetCheckEvaluationsRequest(key=unknown)
        ),
    ):
        error = await client.refused(call)
        assert (error.reason, error.metadata["check_name"]) == ("UNKNOWN_CHECK", "nothing")
    nameless = checks_pb2.GetAssetCheckRequest(key=key("raw", ""))
    error = await client.refused(client.checks.GetAssetCheck(nameless))
    assert error.reason == "INVALID_REQUEST"


async def test_a_check_that_two_locations_define_is_a_conflict_of_one(two_locations, client):
    [told] = two_locations.conflicts
    assert (told.check_name, told.owner_location_name) == ("full", "a")
    b = await client.locations.GetLocation(locations_pb2.GetLocationRequest(name="b"))
    [conflict] = b.location.conflicts
    assert list(conflict.asset_key.path) == ["raw"]
    assert (conflict.check_name, conflict.owner_location_name) == ("full", "a")
    assert b.location.counts.asset_checks == 3
    a = await client.locations.GetLocation(locations_pb2.GetLocationRequest(name="a"))
    assert not a.location.conflicts

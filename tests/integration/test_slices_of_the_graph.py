"""Slices of the graph over two locations: selections, pages, lineage, groups."""

import pytest

from atoll._rpc import reasons
from atoll.api.v1 import graph_pb2, graph_pb2_grpc
from atoll.definitions.v1 import snapshot_pb2
from tests.integration import code_location

pytestmark = pytest.mark.postgres


@pytest.fixture
async def stub(mesh, host, client):
    lake = code_location.snapshot(
        [
            code_location.asset("raw/orders", group_name="raw", owners=["team:sea"]),
            code_location.asset("raw/sales", group_name="raw"),
            code_location.asset("report", "raw/orders", "raw/sales", group_name="gold"),
        ],
        [code_location.job("nightly", "report")],
        checks=[code_location.check("report", "fresh")],
    )
    town = code_location.snapshot(
        [
            code_location.asset("report", executable=False),
            code_location.asset("plan", "report", group_name="gold"),
            code_location.asset("view", "plan", "elsewhere"),
        ]
    )
    await mesh.location(host, "lake", lake)
    await mesh.location(host, "town", town)
    return graph_pb2_grpc.GraphServiceStub(client.channel)


def name(key) -> str:
    return "/".join(key.path)


async def slice_of(stub, **fields) -> list[str]:
    answer = await stub.ListGraphNodes(graph_pb2.ListGraphNodesRequest(**fields))
    return [name(node.asset_key) for node in answer.nodes]


async def test_the_whole_graph_has_every_asset_with_its_edges(stub):
    answer = await stub.ListGraphNodes(graph_pb2.ListGraphNodesRequest())
    nodes = {name(node.asset_key): node for node in answer.nodes}
    assert list(nodes) == ["elsewhere", "plan", "raw/orders", "raw/sales", "report", "view"]
    assert answer.total_count == 6
    report = nodes["report"]
    assert (report.owner_location_name, list(report.location_names)) == ("lake", ["lake", "town"])
    assert [name(key) for key in report.upstream_keys] == ["raw/orders", "raw/sales"]
    assert (report.group_name, report.check_count) == ("gold", 1)
    assert nodes["elsewhere"].owner_location_name == ""


MEANINGS = [
    ("*", ["plan", "raw/orders", "raw/sales", "report", "view"]),
    ("group:raw", ["raw/orders", "raw/sales"]),
    ('key:"raw/*"', ["raw/orders", "raw/sales"]),
    ('key:"*o*r*s"', ["raw/orders"]),
    ("1+key:report", ["raw/orders", "raw/sales", "report"]),
    ("key:report+", ["plan", "report", "view"]),
    ('owner:"team:sea" or key:elsewhere', ["elsewhere", "raw/orders"]),
    ("code_location:town", ["plan", "view"]),
    ("job:nightly", ["report"]),
    ("group:nothing", []),
]


async def test_a_selection_means_the_same_over_all_locations(stub):
    for selection, chosen in MEANINGS:
        assert await slice_of(stub, selection=selection) == chosen, selection


async def test_what_is_given_all_has_to_hold(stub):
    both = {"selection": "group:gold", "location_name": "lake"}
    assert await slice_of(stub, **both) == ["report"]
    assert await slice_of(stub, group_names=["gold"]) == ["plan", "report"]
    assert await slice_of(stub, location_name="town", group_names=["raw"]) == []


async def test_a_wrong_selection_is_told(client, stub):
    for wrong in ("group:", "key:missing", "status:STALE", "x" * 20_000):
        error = await client.refused(slice_of(stub, selection=wrong))
        assert error.reason == reasons.INVALID_REQUEST, wrong
        assert error.metadata["field"] == "selection"
    error = await client.refused(slice_of(stub, location_name="nowhere"))
    assert error.reason == reasons.UNKNOWN_LOCATION


async def test_pages_go_on_where_they_ended(client, stub):
    found, token = [], ""
    while True:
        request = graph_pb2.ListGraphNodesRequest(page_size=2, page_token=token)
        answer = await stub.ListGraphNodes(request)
        found += [name(node.asset_key) for node in answer.nodes]
        token = answer.next_page_token
        if not token:
            break
        assert len(answer.nodes) == 2
    assert found == await slice_of(stub)
    exactly = await stub.ListGraphNodes(graph_pb2.ListGraphNodesRequest(page_size=6))
    assert not exactly.next_page_token
    error = await client.refused(slice_of(stub, page_token="nonsense"))
    assert error.reason == reasons.INVALID_PAGE_TOKEN


async def lineage(stub, *names: str, **fields) -> list[tuple[int, str]]:
    keys = [code_location.key(each) for each in names]
    answer = await stub.GetLineage(graph_pb2.GetLineageRequest(asset_keys=keys, **fields))
    return [(node.distance, name(node.asset_key)) for node in answer.nodes]


async def test_lineage_crosses_locations_both_ways(stub):
    up = [(0, "plan"), (1, "report"), (2, "raw/orders"), (2, "raw/sales")]
    assert await lineage(stub, "plan", direction="LINEAGE_DIRECTION_UPSTREAM") == up
    down = [(0, "raw/orders"), (1, "report"), (2, "plan"), (3, "view")]
    assert await lineage(stub, "raw/orders", direction="LINEAGE_DIRECTION_DOWNSTREAM") == down
    near = [(0, "report"), (1, "plan"), (1, "raw/orders"), (1, "raw/sales")]
    assert await lineage(stub, "report", depth=1) == near


async def test_lineage_of_what_is_not_there_is_refused(client, stub):
    error = await client.refused(lineage(stub, "nothing"))
    assert error.reason == reasons.UNKNOWN_ASSET
    for wrong in (lineage(stub), lineage(stub, "report", depth=-1)):
        error = await client.refused(wrong)
        assert error.reason == reasons.INVALID_REQUEST


async def test_groups_are_counted_for_each_location(stub):
    answer = await stub.ListAssetGroups(graph_pb2.ListAssetGroupsRequest(page_size=2))
    rest = await stub.ListAssetGroups(
        graph_pb2.ListAssetGroupsRequest(page_size=2, page_token=answer.next_page_token)
    )
    found = [
        (group.location_name, group.name, group.asset_count)
        for group in (*answer.groups, *rest.groups)
    ]
    assert found == [("lake", "gold", 1), ("lake", "raw", 2), ("town", "", 2), ("town", "gold", 1)]


async def test_a_new_build_shows_at_once(mesh, host, stub, until_view):
    await slice_of(stub)
    added = snapshot_pb2.LocationSnapshot(assets=[code_location.asset("new")])
    await mesh.location(host, "late", added)
    await until_view(host, lambda registry: ("new",) in registry.graph())
    assert "new" in await slice_of(stub)

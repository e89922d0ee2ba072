"""The graphs of all locations become one."""

import pytest

from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll_host.locations import definitions, graph


def key(name: str) -> values_pb2.AssetKey:
    return values_pb2.AssetKey(path=name.split("/"))


def location(**assets: tuple[bool, list[str]]) -> definitions.Definitions:
    message = snapshot_pb2.LocationSnapshot(
        assets=[
            snapshot_pb2.AssetDefinition(
                key=key(name),
                executable=executable,
                dependencies=[
                    snapshot_pb2.AssetDependency(asset_key=key(each)) for each in upstream
                ],
            )
            for name, (executable, upstream) in assets.items()
        ]
    )
    return definitions.decode("digest", message.SerializeToString())


@pytest.fixture
def merged() -> graph.AssetGraph:
    return graph.AssetGraph(
        {
            "a": location(raw=(True, []), clean=(True, ["raw"]), shared=(True, [])),
            "b": location(
                clean=(False, []), report=(True, ["clean", "faraway"]), shared=(True, [])
            ),
        },
        {("raw",): "a", ("clean",): "a", ("report",): "b", ("shared",): "a"},
    )


def test_edges_cross_locations(merged):
    node = merged.node(("clean",))
    assert node is not None
    assert node.owner == "a"
    assert node.definition.executable
    assert node.upstream == (("raw",),)
    assert node.downstream == (("report",),)
    assert node.locations == ("a", "b")


def test_an_asset_that_nobody_defines_is_known_by_who_depends_on_it(merged):
    node = merged.node(("faraway",))
    assert node is not None
    assert node.owner == ""
    assert not node.executable
    assert node.locations == ("b",)
    assert list(node.definition.key.path) == ["faraway"]


def test_a_second_location_that_claims_an_asset_has_a_conflict(merged):
    assert merged.conflicts("b") == {("shared",): "a"}
    assert merged.conflicts("a") == {}
    assert merged.executable_in("b") == {("report",)}


def test_keys_are_sorted_and_unknown_ones_are_none(merged):
    assert list(merged) == [("clean",), ("faraway",), ("raw",), ("report",), ("shared",)]
    assert merged.node(("nothing",)) is None
    assert ("nothing",) not in merged
    assert merged.keys_of("b") == [("clean",), ("faraway",), ("report",), ("shared",)]
    assert merged.keys_of("nowhere") == []


def test_an_owner_that_no_longer_defines_the_asset_is_none():
    merged = graph.AssetGraph({"b": location(raw=(False, []))}, {("raw",): "a"})
    assert merged.owner(("raw",)) == ""

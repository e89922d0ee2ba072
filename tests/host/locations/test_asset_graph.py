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


def with_checks(*checks: tuple[str, str, bool], **assets) -> definitions.Definitions:
    message = location(**assets).message
    for asset, name, executable in checks:
        message.checks.append(
            snapshot_pb2.AssetCheckDefinition(
                key=values_pb2.AssetCheckKey(asset_key=key(asset), name=name),
                executable=executable,
            )
        )
    return definitions.decode("digest", message.SerializeToString())


@pytest.fixture
def checked() -> graph.AssetGraph:
    return graph.AssetGraph(
        {
            "a": with_checks(("raw", "early", True), ("raw", "shared", True)),
            "b": with_checks(
                ("raw", "shared", True), ("raw/more", "of_another", True), raw=(True, [])
            ),
            "c": with_checks(("raw", "early", True), ("raw", "shared", False)),
        },
        {("raw",): "b"},
    )


def test_several_locations_define_checks_of_one_asset(checked):
    assert checked.checks_of(["raw"]) == [(("raw",), "early"), (("raw",), "shared")]
    assert checked.checks_of(["raw", "more"]) == [(("raw", "more"), "of_another")]
    assert checked.checks_of(["nothing"]) == []
    assert len(checked.check_keys) == 3


def test_the_owner_of_the_asset_evaluates_a_check_that_several_define(checked):
    node = checked.check((("raw",), "shared"))
    assert node is not None
    assert (node.owner, node.locations) == ("b", ("a", "b", "c"))


def test_the_first_location_evaluates_a_check_that_the_owner_does_not_define(checked):
    assert checked.check_owner((("raw",), "early")) == "a"


def test_a_second_location_that_would_evaluate_a_check_has_a_conflict(checked):
    assert checked.check_conflicts("a") == {(("raw",), "shared"): "b"}
    assert checked.check_conflicts("b") == {}
    # A check that is only declared claims nothing.
    assert checked.check_conflicts("c") == {(("raw",), "early"): "a"}
    assert checked.check_conflicts("nowhere") == {}


def test_a_check_that_nobody_can_evaluate_has_no_owner():
    merged = graph.AssetGraph({"a": with_checks(("raw", "seen", False))}, {})
    node = merged.check((("raw",), "seen"))
    assert node is not None
    assert (node.owner, node.locations) == ("", ("a",))
    assert merged.check((("raw",), "unseen")) is None

"""What is requested becomes runs of one location each, and each partition is in one run."""

import collections
import datetime as dt

import hypothesis
import pytest
from hypothesis import strategies as st

from atoll._conditions import composites, entities, entity_subsets
from atoll._partitions import contexts, static_partitions
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll_host.automation.conditions import graphs, grouping
from atoll_host.locations import definitions, graph
from atoll_storage import records
from tests.host.automation.conditions import meshes

EAGER = composites.eager()
LETTERS = static_partitions.StaticPartitionsDefinition(list("uvwxyz"))
CONTEXT = contexts.PartitionLoadingContext(dt.datetime(2026, 3, 4, tzinfo=dt.UTC), None)


def blueprint(**locations: snapshot_pb2.LocationSnapshot) -> graphs.Blueprint:
    decoded = {
        name: definitions.decode(name, defines.SerializeToString())
        for name, defines in locations.items()
    }
    owners = {path: name for name, defined in decoded.items() for path in defined.executable}
    merged = graph.AssetGraph(decoded, owners)
    running = [records.SensorKey(name, meshes.SENSOR) for name in decoded]
    return graphs.build(decoded, merged, running)


def requested(**values: str | None) -> dict[entities.Entity, entity_subsets.EntitySubset]:
    """Return requests by the names of assets: letters, or None for an asset without partitions."""
    found = {}
    for name, letters in values.items():
        entity = entities.asset((name,))
        value = True if letters is None else LETTERS.subset_with_partition_keys(letters)
        found[entity] = entity_subsets.EntitySubset(entity, value)
    return found


def told(groups: list[grouping.Group]) -> set[tuple[str, str, str]]:
    """Return the location, the assets and the partitions of runs."""
    return {
        (
            each.sensor.location_name,
            "".join(sorted(path[0] for path in each.requested.asset_selection)),
            each.requested.partition_key
            or f"{each.requested.target.partition_range_start}-"
            f"{each.requested.target.partition_range_end}".strip("-"),
        )
        for each in groups
    }


def test_locations_and_partitions_are_kept_apart():
    made = blueprint(
        one=meshes.location(meshes.asset("a", EAGER), meshes.asset("b", EAGER, partitions=LETTERS)),
        two=meshes.location(meshes.asset("c", EAGER)),
    )
    found = grouping.groups(made, requested(a=None, b="xy", c=None), CONTEXT)
    assert told(found) == {("one", "a", ""), ("one", "b", "x"), ("one", "b", "y"), ("two", "c", "")}


def test_what_depends_on_each_other_shares_runs_whatever_their_policies():
    made = blueprint(
        one=meshes.location(
            meshes.asset("a", EAGER, partitions=LETTERS, at_once=0),
            meshes.asset("b", EAGER, deps=["a"], partitions=LETTERS, at_once=2),
        )
    )
    found = grouping.groups(made, requested(a="uvwx", b="vwx"), CONTEXT)
    assert told(found) == {("one", "a", "u"), ("one", "ab", "v-w"), ("one", "ab", "x")}


def test_checks_that_no_condition_decides_on_come_with_their_asset():
    def check(name: str, condition=None) -> snapshot_pb2.AssetCheckDefinition:
        key = values_pb2.AssetCheckKey(asset_key=values_pb2.AssetKey(path=["a"]), name=name)
        made = snapshot_pb2.AssetCheckDefinition(key=key, executable=True, op_name=f"a_{name}")
        if condition is not None:
            made.automation_condition.CopyFrom(meshes.message_of(condition))
        return made

    checks = [check("own", EAGER), check("other", EAGER), check("along")]
    made = blueprint(one=meshes.location(meshes.asset("a", EAGER), checks=checks))
    (alone,) = grouping.groups(made, requested(a=None), CONTEXT)
    assert alone.requested.target.asset_check_selection == ()
    own = entities.check(("a",), "own")
    both = {**requested(a=None), own: entity_subsets.EntitySubset(own, value=True)}
    (together,) = grouping.groups(made, both, CONTEXT)
    assert together.requested.target.asset_check_selection == ((("a",), "along"), (("a",), "own"))


@pytest.fixture(scope="module")
def many() -> graphs.Blueprint:
    return blueprint(
        one=meshes.location(
            meshes.asset("a", EAGER, partitions=LETTERS, at_once=0),
            meshes.asset("b", EAGER, deps=["a"], partitions=LETTERS, at_once=3),
            meshes.asset("c", EAGER, partitions=LETTERS),
            meshes.asset("d", EAGER, deps=["c"], partitions=LETTERS, at_once=2),
        ),
        two=meshes.location(
            meshes.asset("e", EAGER, deps=["b"], partitions=LETTERS, at_once=0),
            meshes.asset("f", EAGER, partitions=LETTERS, at_once=2),
        ),
    )


AT_ONCE = {"a": 6, "b": 3, "c": 1, "d": 2, "e": 6, "f": 2}


@hypothesis.given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("uvwxyz"))))
def test_each_partition_that_is_requested_is_in_one_run_that_may_hold_it(many, wanted):
    asked = requested(**{name: "".join(sorted(keys)) for name, keys in wanted.items()})
    found = grouping.groups(many, asked, CONTEXT)
    made: collections.Counter[tuple[str, str]] = collections.Counter()
    for each in found:
        target = each.requested.target
        letters = "uvwxyz"
        first = each.requested.partition_key or target.partition_range_start
        last = each.requested.partition_key or target.partition_range_end
        keys = letters[letters.index(first) : letters.index(last) + 1]
        names = [path[0] for path in each.requested.asset_selection]
        assert len({many.graph.node(entity).location for entity in each.members}) == 1
        assert all(len(keys) <= AT_ONCE[name] for name in names)
        made.update((name, key) for name in names for key in keys)
    assert made == collections.Counter((name, key) for name, keys in wanted.items() for key in keys)
    # What depends on each other in one location is together wherever both are requested.
    together = [{path[0] for path in each.requested.asset_selection} for each in found]
    for upstream, downstream in (("a", "b"), ("c", "d")):
        both = wanted.get(upstream, set()) & wanted.get(downstream, set())
        assert not both or any({upstream, downstream} <= names for names in together)

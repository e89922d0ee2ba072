"""What a backfill may be asked for: what that means, and what is refused before it is stored."""

import datetime as dt

import pytest

from atoll._partitions import (
    calendar_partitions,
    dynamic_partitions,
    static_partitions,
    time_window_mappings,
)
from atoll_host import errors
from atoll_host.automation.backfills import parts, planning, plans, targets
from atoll_host.locations import definitions, graph
from tests.host.automation.backfills import meshes

MOMENT = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
KEYS = plans.KnownKeys({"names": ["ann", "bob"]})
DAYS = calendar_partitions.DailyPartitionsDefinition("2026-01-01")
WEEKS = calendar_partitions.WeeklyPartitionsDefinition("2025-12-28")
LETTERS = static_partitions.StaticPartitionsDefinition(["a", "b", "c"])
NAMES = dynamic_partitions.DynamicPartitionsDefinition(name="names")
Choice = targets.Choice


def _defined(*assets, jobs=(), other=()) -> parts.Defined:
    """`one` defines some assets and jobs, `two` others."""
    known = {
        name: _decoded(name, meshes.snapshot(found, jobs if name == "one" else ()))
        for name, found in (("one", assets), ("two", other))
    }
    owners = {path: name for name, each in known.items() for path in each.executable}
    return parts.Defined(graph.AssetGraph(known, owners), known)


def _decoded(digest: str, snapshot: meshes.snapshot_pb2.LocationSnapshot):
    return definitions.decode(digest, snapshot.SerializeToString())


def _resolved(defined: parts.Defined, *names: str, known=None, **asked) -> dict[str, list[str]]:
    given = targets.Asked(paths=tuple((name,) for name in names), **asked)
    whole = targets.whole_parts(given, defined)
    time = targets.Time(MOMENT, KEYS)
    found = targets.resolve(given, whole, defined, time, known or {})
    planning.plan(found, defined, MOMENT, KEYS)
    return {part.name: list(part.subset) for part in found}


def test_named_partitions_are_those_of_the_first_and_map_to_the_others():
    defined = _defined(
        meshes.asset("raw", DAYS),
        meshes.asset("clean", DAYS, "raw"),
        other=[meshes.asset("weekly", WEEKS, "clean"), meshes.asset("all", None, "weekly")],
    )
    found = _resolved(
        defined, "raw", "clean", "weekly", "all", ranges=(("2026-01-02", "2026-01-04"),)
    )
    days = ["2026-01-02", "2026-01-03", "2026-01-04"]
    assert found == {
        "raw": days,
        "clean": days,
        "weekly": ["2025-12-28", "2026-01-04"],
        "all": [plans.WHOLE_KEY],
    }


def test_all_are_those_that_there_are_when_it_is_made():
    defined = _defined(meshes.asset("raw", DAYS), meshes.asset("of", NAMES))
    found = _resolved(defined, "raw", "of", choice=Choice.ALL)
    assert (found["raw"][0], found["raw"][-1]) == ("2026-01-01", "2026-01-14")
    assert found["of"] == ["ann", "bob"]


def test_missing_and_failed_look_at_what_was_done_before():
    defined = _defined(meshes.asset("x", LETTERS), meshes.asset("y", None, "x"))
    known = {
        ("x",): targets.Known(materialized=["a", "gone"], failed=["b"]),
        ("y",): targets.Known(materialized=[plans.WHOLE_KEY]),
    }
    missing = _resolved(defined, "x", "y", choice=Choice.MISSING, known=known)
    assert missing == {"x": ["b", "c"]}
    failed = _resolved(defined, "x", "y", choice=Choice.FAILED, known=known)
    assert failed == {"x": ["b"]}
    both = _resolved(defined, "x", choice=Choice.MISSING, partition_keys=("a", "c"), known=known)
    assert both == {"x": ["c"]}


def test_what_one_function_makes_together_is_taken_along():
    defined = _defined(
        meshes.asset("left", LETTERS, op_name="both"),
        meshes.asset("right", LETTERS, op_name="both"),
    )
    assert _resolved(defined, "left", partition_keys=("a",)) == {"left": ["a"], "right": ["a"]}


@pytest.mark.parametrize(
    ("names", "asked", "error", "told"),
    [
        (["none"], {}, errors.UnknownAsset, "No location defines an asset 'none'"),
        (["outside"], {}, errors.UnknownAsset, "cannot materialize asset|can materialize asset"),
        ([], {}, errors.InvalidRequest, "The backfill names nothing"),
        (["x"], {}, errors.InvalidRequest, "'x' has partitions, and none were given"),
        (["y"], {"partition_keys": ("a",)}, errors.InvalidRequest, "partition 'a' was given"),
        (
            ["x"],
            {"partition_keys": ("a", "z", "zz")},
            errors.InvalidRequest,
            "no partition 'z', 'zz'",
        ),
        (
            ["x"],
            {"partition_keys": tuple(f"n{number}" for number in range(9))},
            errors.InvalidRequest,
            "'n4' and 4 more",
        ),
        (["x"], {"ranges": (("c", "a"),)}, errors.InvalidRequest, "ends before it begins"),
        (["of"], {"partition_keys": ("eve",)}, errors.InvalidRequest, "no partition 'eve'"),
        (
            ["x", "raw"],
            {"partition_keys": ("a",)},
            errors.InvalidRequest,
            "have different partitions and neither needs the other",
        ),
        (["x"], {"choice": Choice.FAILED}, errors.InvalidRequest, "no newest run of it failed"),
        (["x"], {"job_name": "graph"}, errors.InvalidRequest, "both assets and a job"),
        (
            [],
            {"job_name": "graph", "location_name": "two"},
            errors.UnknownJob,
            "'two' has no job 'graph'",
        ),
        (
            [],
            {"job_name": "plain", "location_name": "one", "choice": Choice.ALL},
            errors.InvalidRequest,
            "Job 'plain' has no partitions",
        ),
        (
            [],
            {"job_name": "graph", "location_name": "one", "choice": Choice.MISSING},
            errors.InvalidRequest,
            "makes no assets, so nothing tells",
        ),
        (["seen"], {}, errors.InvalidRequest, "observes it and materializes nothing"),
    ],
)
def test_what_cannot_be_backfilled_is_refused_with_what_to_do(names, asked, error, told):
    seen = meshes.asset("seen")
    seen.observable = True
    graph_job = meshes.snapshot_pb2.JobDefinition(name="graph", graph_name="g")
    graph_job.partitions.CopyFrom(meshes.definition_messages.to_message(DAYS))
    defined = _defined(
        meshes.asset("x", LETTERS),
        meshes.asset("y"),
        meshes.asset("raw", DAYS),
        meshes.asset("of", NAMES),
        meshes.asset("outside", executable=False),
        seen,
        jobs=[graph_job, meshes.snapshot_pb2.JobDefinition(name="plain", graph_name="g")],
    )
    with pytest.raises(error, match=told):
        _resolved(defined, *names, **asked)


def test_a_mapping_that_only_its_location_knows_is_told_of():
    x = meshes.asset("x", LETTERS)
    y = meshes.asset("y", LETTERS, "x")
    y.dependencies[0].partition_mapping.custom.description = "By the moon."
    defined = _defined(x, y)
    with pytest.raises(errors.InvalidRequest, match="By the moon"):
        _resolved(defined, "x", "y", choice=Choice.ALL)
    assert _resolved(defined, "y", choice=Choice.ALL) == {"y": ["a", "b", "c"]}


def test_what_needs_each_other_in_a_circle_is_told_of():
    defined = _defined(
        meshes.asset("left", None, op_name="both"),
        meshes.asset("right", None, "between", op_name="both"),
        other=[meshes.asset("between", None, "left")],
    )
    with pytest.raises(errors.InvalidRequest, match="need each other in a circle"):
        _resolved(defined, "left", "between")


def test_the_policy_of_an_asset_says_how_many_a_run_takes():
    several = meshes.asset("several", LETTERS, policy=2)
    defined = _defined(
        meshes.asset("each", LETTERS), several, meshes.asset("single", LETTERS, policy=0)
    )
    given = targets.Asked(paths=(("each",), ("several",), ("single",)))
    found = targets.whole_parts(given, defined)
    planned = planning.plan(found, defined, MOMENT, KEYS)
    assert {unit.name: unit.per_run_max for unit in planned.plan.units} == {
        "each": 1,
        "several": 2,
        "single": None,
    }


def test_what_is_stored_is_read_back_and_told_apart_when_it_is_gone():
    defined = _defined(
        meshes.asset("x", LETTERS),
        meshes.asset("y", DAYS, ("y", time_window_mappings.TimeWindowPartitionMapping(-1, -1))),
        meshes.asset("z"),
    )
    given = targets.Asked(paths=(("x",), ("y",), ("z",)), choice=Choice.ALL)
    whole = targets.whole_parts(given, defined)
    found = targets.resolve(given, whole, defined, targets.Time(MOMENT, KEYS), {})
    message = parts.target_message(found, MOMENT)
    assert parts.read_target(message, defined) == found
    with pytest.raises(parts.NotDefined, match="no longer runs 'x'") as gone:
        parts.read_target(message, _defined(meshes.asset("y", DAYS), meshes.asset("z")))
    assert not gone.value.passing
    nothing = parts.Defined(graph.AssetGraph({}, {}), {})
    with pytest.raises(parts.NotDefined) as away:
        parts.read_target(message, nothing)
    assert away.value.passing
    unheard = parts.Defined(graph.AssetGraph(defined.locations, {}), defined.locations)
    with pytest.raises(parts.NotDefined) as unowned:
        parts.read_target(message, unheard)
    assert unowned.value.passing
    taken = parts.Defined(graph.AssetGraph(defined.locations, {("x",): "two"}), defined.locations)
    with pytest.raises(parts.NotDefined) as lost:
        parts.read_target(message, taken)
    assert not lost.value.passing
    fewer = static_partitions.StaticPartitionsDefinition(["a", "c"])
    changed = _defined(meshes.asset("x", fewer), meshes.asset("y", DAYS), meshes.asset("z"))
    with pytest.raises(parts.NotDefined, match="were changed after the backfill was made"):
        parts.read_target(message, changed)

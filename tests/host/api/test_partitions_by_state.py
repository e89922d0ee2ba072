"""What storage knows of partitions, and in which state they are for it."""

import datetime as dt

import pytest

from atoll._partitions import contexts, dynamic_partitions, static_partitions
from atoll_host.api import partition_states
from atoll_storage import condition_records, records

KEYS = ["a", "b", "c", "d", "e"]
STATIC = static_partitions.StaticPartitionsDefinition(KEYS)
CONTEXT = contexts.PartitionLoadingContext(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
NAMES = {
    partition_states.IN_PROGRESS: "in progress",
    partition_states.FAILED: "failed",
    partition_states.MATERIALIZED: "made",
}


def row(partition: str, made: int = 0, **fields) -> records.AssetPartition:
    return records.AssetPartition(partition, made, int(bool(made)), **fields)


def run(run_id: str, key: str = "", span: tuple[str, str] = ("", ""), **fields):
    values = {"asset_selection": (("x",),), "check_selection": (), **fields}
    return condition_records.OpenRun(
        run_id=run_id,
        location_name="town",
        job_name="job",
        status=records.RunStatus.QUEUED,
        tags={},
        partition_key=key,
        partition_range=span,
        **values,
    )


def told(known: partition_states.Known, partitions_def=STATIC, context=CONTEXT) -> dict[str, str]:
    states = partition_states.by_state(partitions_def, context, known)
    found = {key: NAMES[state] for state in NAMES for key in states[state].get_partition_keys()}
    missing = set(states[partition_states.MISSING].get_partition_keys())
    assert not missing & found.keys()
    return found


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([row("a", 5)], {"a": "made"}),
        ([row("a", 5), row("gone", 6)], {"a": "made"}),
        ([row("a", 5, failed_id=4)], {"a": "made"}),
        ([row("a", 5, failed_id=7)], {"a": "failed"}),
        ([row("a", planned_id=3, planned_run_id="r", planned_run_status="STARTED")],
         {"a": "in progress"}),
        ([row("a", planned_id=3, planned_run_id="r", planned_run_status="FAILURE")], {}),
        ([row("a", 5, planned_id=3, planned_run_id="r", planned_run_status="STARTED")],
         {"a": "made"}),
        ([row("a", 2, planned_id=3)], {"a": "in progress"}),
        ([row("a", 2, planned_id=3, failed_id=4)], {"a": "failed"}),
        ([row("a", observation_id=9)], {}),
    ],
)  # fmt: skip
def test_one_partition(known, expected):
    assert told(partition_states.Known(known)) == expected


def test_a_failed_range_counts_where_nothing_was_made_since():
    rows = [row("b", 3), row("c", 9)]
    known = partition_states.Known(rows, failed_id=5, failed_range=("b", "d"))
    assert told(known) == {"b": "failed", "c": "made", "d": "failed"}


def test_runs_that_have_not_planned_yet_are_in_progress():
    known = partition_states.Known([row("a", 3)], runs=[run("r", "a"), run("s", span=("c", "d"))])
    assert told(known) == dict.fromkeys(("a", "c", "d"), "in progress")


def test_a_run_of_a_range_is_over_for_what_it_has_made():
    rows = [row("c", 9), row("d", 3)]
    known = partition_states.Known(
        rows, planned_id=5, planned_run_id="s", runs=[run("s", span=("c", "e"))]
    )
    assert told(known) == {"c": "made", "d": "in progress", "e": "in progress"}


def test_keys_of_dynamic_partitions_that_were_taken_out_count_no_more():
    class Store:
        def get_dynamic_partitions(self, partitions_def_name):
            return ["a", "b"]

        def has_dynamic_partition(self, partitions_def_name, partition_key):
            return partition_key in {"a", "b"}

    definition = dynamic_partitions.DynamicPartitionsDefinition(name="files")
    context = contexts.PartitionLoadingContext(CONTEXT.effective_dt, Store())
    known = partition_states.Known([row("a", 3), row("z", 4)])
    states = partition_states.by_state(definition, context, known)
    counts = {each.state: each.count for each in partition_states.message_of(states)}
    assert counts[partition_states.MATERIALIZED] == counts[partition_states.MISSING] == 1


def test_which_runs_concern_an_asset():
    path, job = ("x",), [("x",), ("y",)]
    assert partition_states.concerns(run("r"), path, [])
    assert not partition_states.concerns(run("r", asset_selection=(("y",),)), path, job)
    assert partition_states.concerns(run("r", asset_selection=()), path, job)
    checks = ((("x",), "fresh"),)
    assert not partition_states.concerns(
        run("r", asset_selection=(), check_selection=checks), path, job
    )

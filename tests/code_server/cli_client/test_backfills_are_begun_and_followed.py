"""`atoll backfills` against a scripted host: what it prints and what it sends."""

import json

import pytest

from atoll._cli import backfills, waiting
from atoll.api.v1 import assets_pb2, backfills_pb2
from atoll.client import documents


def _backfill(status: str, **fields) -> backfills_pb2.Backfill:
    counts = backfills_pb2.BackfillCounts(**fields)
    number = backfills_pb2.BackfillStatus.Value(f"BACKFILL_STATUS_{status}")
    return backfills_pb2.Backfill(
        backfill_id="b1", status=number, title="t", run_count=7, counts=counts
    )


def _asset(name: str, *upstream: str, owner: str = "lake", group: str = "") -> assets_pb2.Asset:
    made = assets_pb2.Asset(owner_location_name=owner)
    made.definition.key.path.append(name)
    made.definition.group_name = group
    for each in upstream:
        made.definition.dependencies.add().asset_key.path.append(each)
    return made


def test_what_is_asked_for_reaches_the_host(host, say):
    done = say(
        backfills.backfills,
        "create",
        *("--asset", "a/b", "--asset", "c", "--partition", "p", "--partition-range", "x", "y"),
        *("--missing", "--title", "again", "--tag", "team=sales"),
    )
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "Began backfill b1 of 4 partitions."
    (asked,) = host.backfills.asked
    assert [documents.format_asset_key(key) for key in asked.asset_keys] == ["a/b", "c"]
    assert list(asked.partition_keys) == ["p"]
    assert [(each.start, each.end) for each in asked.partition_ranges] == [("x", "y")]
    assert asked.choice == backfills_pb2.BACKFILL_CHOICE_MISSING
    assert (asked.title, dict(asked.tags), asked.dry_run) == ("again", {"team": "sales"}, False)
    assert len(asked.request_id) == 36


def test_a_selection_is_resolved_over_all_locations_and_leaves_out_what_is_external(host, say):
    host.assets = [
        _asset("raw", owner=""),
        _asset("clean", "raw"),
        _asset("report", "clean", owner="other"),
        _asset("apart"),
    ]
    done = say(backfills.backfills, "create", "--select", "+key:report", "--all", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "Would request 4 partitions; nothing was begun." in done.output
    (asked,) = host.backfills.asked
    assert [documents.format_asset_key(key) for key in asked.asset_keys] == ["clean", "report"]
    assert asked.dry_run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Say what to backfill"),
        (["--asset", "a", "--all", "--missing"], "Give one of --all, --missing and --failed"),
        (["--select", "group:"], "--select"),
        (["--select", "group:none"], "means no asset that a location can materialize"),
        (["--asset", "a", "--tag", "x"], "'x' is no tag"),
    ],
)
def test_what_makes_no_sense_is_refused_before_it_is_sent(host, say, arguments, told):
    done = say(backfills.backfills, "create", *arguments)
    assert done.exit_code == 2
    assert told in done.output
    assert host.backfills.asked == []


def test_a_watch_tells_of_changes_until_the_end(host, say, monkeypatch):
    monkeypatch.setattr(waiting, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(waiting, "TOGETHER_S", 0.0)
    goes_on = _backfill("REQUESTED", total=4, materialized=1, in_progress=3)
    ended = _backfill("COMPLETED_FAILED", total=4, materialized=2, failed=1, blocked=1)
    host.backfills.coming = [goes_on, goes_on, ended]
    done = say(backfills.backfills, "watch", "b1")
    assert done.exit_code == 1
    assert done.output.splitlines()[:2] == [
        "REQUESTED 25% of 4: 3 in progress, 1 materialized",
        "COMPLETED_FAILED 50% of 4: 2 materialized, 1 failed, 1 blocked",
    ]
    host.backfills.coming = [_backfill("COMPLETED_SUCCESS", total=4, materialized=4)]
    assert say(backfills.backfills, "watch", "b1").exit_code == 0
    host.backfills.coming = [goes_on, ended]
    lines = say(backfills.backfills, "watch", "b1", "--json").output.splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["REQUESTED", "COMPLETED_FAILED"]


def test_backfills_are_listed_and_shown(host, say):
    assert "There are no such backfills." in say(backfills.backfills, "list").output
    host.backfills.backfills = [_backfill("PAUSED", total=4, materialized=1, failed=2)]
    row = say(backfills.backfills, "list", "--status", "paused").output.splitlines()[1].split()
    assert row[:5] == ["b1", "PAUSED", "1/4", "2", "7"]
    assert "There are no" in say(backfills.backfills, "list", "--status", "failed").output
    shown = say(backfills.backfills, "show", "b1").output
    assert "25% of 4" in shown
    held = say(backfills.backfills, "show", "b1", "--asset", "a", "--state", "in-progress")
    assert held.output.splitlines()[1].split() == ["p1", "IN_PROGRESS"]
    every = say(backfills.backfills, "show", "b1", "--asset", "a", "--json").output
    assert len(json.loads(every)["partitions"]) == 5


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("cancel", "CANCELING"),
        ("pause", "PAUSED"),
        ("resume", "REQUESTED"),
        ("retry", "REQUESTED"),
    ],
)
def test_steering_tells_the_state(host, say, how, told):
    assert say(backfills.backfills, how, "b1").output == f"Backfill b1 is {told}.\n"
    assert json.loads(say(backfills.backfills, how, "b1", "--json").output)["status"] == told
    assert host.backfills.steered == [(how, "b1")] * 2

"""What people and programs see: output is compared whole, with what differs by run replaced."""

import asyncio
import json
import re

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

_REPLACED = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3} [+-]\d{4})?", "<time>"),
    (r"\b\d+(\.\d+)? (ms|s)\b", "<duration>"),
)


def normalised(text: str) -> list[str]:
    for pattern, name in _REPLACED:
        text = re.sub(pattern, name, text)
    return [re.sub(r" {2,}", "  ", line).rstrip() for line in text.splitlines()]


def test_a_launch_that_waits_says_how_it_went(two_locations):
    done = two_locations.cli("runs", "launch", "--job", "make_numbers", "--wait")
    assert done.returncode == 0, done.stderr
    assert normalised(done.stdout) == [
        "Launched run <id> in up, waiting for its end.",
        "Run <id>: SUCCESS after <duration>.",
    ]


def test_a_run_that_fails_ends_the_launch_with_one(two_locations):
    done = two_locations.cli("runs", "launch", "--job", "fail", "--wait")
    assert done.returncode == 1
    last = normalised(done.stdout)[-1]
    assert last.startswith("Run <id>: FAILURE after <duration>.")
    assert "this asset cannot be made" in last


def test_logs_hold_messages_and_captured_output(two_locations):
    launched = two_locations.cli("runs", "launch", "--job", "make_numbers", "--json")
    run_id = json.loads(launched.stdout)["run_id"]
    done = two_locations.cli("runs", "logs", run_id, "--follow")
    assert done.returncode == 0, done.stderr
    assert "numbers: INFO Making 3 numbers" in done.stdout
    assert "asset_materialization" in done.stdout
    # Both come as they arrive, in whatever order.
    assert "numbers, stdout\nmaking numbers\n" in done.stdout


def test_a_failed_run_shows_where_it_failed(two_locations):
    launched = two_locations.cli("runs", "launch", "--job", "fail", "--wait", "--json")
    run_id = json.loads(launched.stdout)["run_id"]
    shown = two_locations.cli("runs", "show", run_id).stdout
    assert "ValueError: this asset cannot be made" in shown
    assert "upstream.py" in shown


def test_locations_are_shown(two_locations):
    done = two_locations.cli("locations", "list")
    title, *rows = [re.split(r" +", line) for line in normalised(done.stdout)]
    assert title == ["LOCATION", "STATE", "BUILD", "ASSETS", "JOBS", "SENSORS", "SINCE", "PROBLEM"]
    assert rows == [
        ["down", "SERVING", "down-1", "2", "1", "2", "<time>"],
        ["up", "SERVING", "up-1", "2", "2", "0", "<time>"],
    ]
    shown = normalised(two_locations.cli("locations", "show", "up").stdout)
    assert "jobs  fail, make_numbers" in shown


def test_assets_of_both_locations_are_one_graph(two_locations):
    two_locations.cli("runs", "launch", "--job", "make_numbers", "--wait")
    rows = [line.split("  ") for line in normalised(two_locations.cli("assets", "list").stdout)]
    by_key = {row[0]: row for row in rows}
    assert by_key["numbers"][1] == "up"
    assert by_key["total"][1] == "down"
    assert by_key["total"][3] == "numbers"
    shown = two_locations.cli("assets", "show", "numbers").stdout
    assert "The numbers below a bound." in shown
    assert "count=3" in shown


def test_a_sensor_is_started_and_stopped(two_locations):
    started = two_locations.cli("sensors", "start", "idle_sensor")
    assert started.returncode == 0, started.stderr
    assert started.stdout == "down/idle_sensor is RUNNING.\n"
    stopped = two_locations.cli("sensors", "stop", "idle_sensor", "--location", "down")
    assert stopped.stdout == "down/idle_sensor is STOPPED.\n"
    listed = json.loads(two_locations.cli("sensors", "list", "--json").stdout)["sensors"]
    status = {sensor["definition"]["name"]: sensor["status"] for sensor in listed}
    assert status == {"idle_sensor": "STOPPED", "numbers_changed": "RUNNING"}


def test_events_can_be_followed_by_a_program(two_locations):
    two_locations.cli("runs", "launch", "--job", "make_numbers", "--wait")
    arguments = ["--follow", "--from-beginning", "--kind", "asset_materialization"]
    done = two_locations.cli("events", *arguments, "--asset", "numbers", "--limit", "1", "--json")
    (line,) = done.stdout.splitlines()
    event = json.loads(line)
    assert event["location_name"] == "up"
    assert event["event"]["asset_materialization"]["asset_key"] == "numbers"


def test_a_good_reload_becomes_current_and_says_so(fresh_mesh, tmp_path):
    code = tmp_path / "definitions.py"
    code.write_text("import atoll as dg\n\n@dg.asset\ndef first(): ...\n")
    fresh_mesh.add("one", code)
    fresh_mesh.start()
    asyncio.run(fresh_mesh.serving("one"))
    code.write_text("import atoll as dg\n\n@dg.asset\ndef second(): ...\n")
    done = fresh_mesh.cli("locations", "reload", "one", "--build-id", "v2")
    assert done.returncode == 0, done.stderr
    assert normalised(done.stdout) == ["one serves build v2 (loaded in <duration>)."]
    code.write_text("import nowhere_to_be_found\n")
    failed = fresh_mesh.cli("locations", "reload", "one")
    assert failed.returncode == 1
    assert "build v2 stays" in failed.stderr
    assert "nowhere_to_be_found" in failed.stderr
    assert "second" in fresh_mesh.cli("assets", "list").stdout

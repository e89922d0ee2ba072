"""The commands against a scripted host: what they print, what they send, how they end."""

import json

import pytest

from atoll._cli import assets, checks, events, locations, runs, sensors
from atoll.api.v1 import automation_pb2, checks_pb2, locations_pb2, runs_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.mesh.v1 import mesh_pb2


def finished(status: int = runs_pb2.RUN_STATUS_SUCCESS) -> runs_pb2.Run:
    run = runs_pb2.Run(run_id="r1", job_name="daily", location_name="sales", status=status)
    run.create_time.FromJsonString("2026-01-02T03:04:05Z")
    run.start_time.FromJsonString("2026-01-02T03:04:06Z")
    run.end_time.FromJsonString("2026-01-02T03:04:07.5Z")
    return run


def test_locations_are_listed_in_columns(host, say):
    host.locations = [
        locations_pb2.Location(
            name="sales",
            state=events_pb2.LOCATION_STATE_SERVING,
            counts=locations_pb2.DefinitionCounts(assets=3, jobs=1, sensors=2),
        ),
        locations_pb2.Location(
            name="broken",
            state=events_pb2.LOCATION_STATE_FAILED,
            load_failure=values_pb2.Failure(type="builtins.ImportError", message="no pandas"),
        ),
    ]
    host.locations[0].build.build_id = "b1"
    result = say(locations.locations, "list")
    assert result.exit_code == 0
    title, first, second = result.output.splitlines()
    assert title.split() == [
        "LOCATION",
        "STATE",
        "BUILD",
        "ASSETS",
        "JOBS",
        "SENSORS",
        "SINCE",
        "PROBLEM",
    ]
    assert first.split() == ["sales", "SERVING", "b1", "3", "1", "2", "-"]
    assert second.endswith("ImportError: no pandas")


def test_json_lists_are_one_document(host, say):
    host.runs["r1"] = finished()
    result = say(runs.runs, "list", "--json")
    document = json.loads(result.output)
    assert document["runs"][0]["status"] == "SUCCESS"
    assert document["runs"][0]["create_time"] == "2026-01-02T03:04:05.000000Z"


def test_an_empty_list_says_what_to_do(say):
    assert "atoll serve" in say(locations.locations, "list").output
    assert json.loads(say(assets.assets, "list", "--json").output) == {"assets": []}


def checked(name: str, **found) -> checks_pb2.AssetCheck:
    check = checks_pb2.AssetCheck(owner_location_name="sales", location_names=["sales"])
    check.definition.key.asset_key.path.extend(["sales", "daily"])
    check.definition.key.name = name
    check.definition.blocking = True
    if found:
        body = events_pb2.AssetCheckEvaluation(check_name=name, **found)
        check.latest_evaluation.event.asset_check_evaluation.CopyFrom(body)
    return check


def test_checks_are_listed_with_what_they_found(host, say):
    warn = events_pb2.ASSET_CHECK_SEVERITY_WARN
    host.checks = [
        checked("fresh", passed=True),
        checked("full", passed=False, severity=warn),
        checked("sound", passed=False),
        checked("unseen"),
    ]
    title, *rows = say(checks.checks, "list").output.splitlines()
    assert title.split() == ["ASSET", "CHECK", "OWNER", "BLOCKING", "RESULT", "EVALUATED", "RUN"]
    told = [row.split()[1:5] for row in rows]
    assert told == [
        ["fresh", "sales", "yes", "PASSED"],
        ["full", "sales", "yes", "WARNING"],
        ["sound", "sales", "yes", "FAILED"],
        ["unseen", "sales", "yes", "-"],
    ]


def test_a_check_is_shown_with_its_evaluations(host, say):
    host.checks = [checked("sound", passed=False)]
    stored = events_pb2.StoredEvent(id=7)
    body = stored.event.asset_check_evaluation
    body.description, body.partition = "nulls found", "2024"
    body.metadata["nulls"].int = 3
    host.events = [stored]
    output = say(checks.checks, "show", "sales/daily", "sound").output
    assert "FAILED" in output
    assert output.splitlines()[-1].split() == [
        "7",
        "-",
        "2024",
        "FAILED",
        "-",
        "nulls",
        "found",
        "nulls=3",
    ]
    document = json.loads(say(checks.checks, "show", "sales/daily", "sound", "--json").output)
    assert document["definition"]["key"] == {"asset_key": "sales/daily", "name": "sound"}


def test_an_asset_is_shown_with_what_its_checks_found(host, say):
    host.checks = [checked("full", passed=False), checked("unseen")]
    lines = say(assets.assets, "show", "sales/daily").output.splitlines()
    assert lines[-2:] == ["checks  full FAILED", "        unseen -"]


@pytest.mark.parametrize("host", [()], indirect=True)
def test_an_asset_of_an_older_host_is_shown_without_checks(host, say):
    host.checks = [checked("full", passed=False)]
    result = say(assets.assets, "show", "sales/daily")
    assert result.exit_code == 0
    assert "checks" not in result.output


def test_an_unknown_check_fails_the_command(say):
    result = say(checks.checks, "show", "sales/daily", "nothing")
    assert result.exit_code == 1
    assert "No such check" in result.output


def test_a_run_shows_how_long_it_took(host, say):
    host.runs["r1"] = finished()
    assert "1.50 s" in say(runs.runs, "list").output
    shown = say(runs.runs, "show", "r1").output
    assert "took          1.50 s" in shown
    assert "waits because" not in shown


def test_a_launch_sends_what_was_asked_for(host, say, tmp_path):
    config = tmp_path / "config.json"
    config.write_text('{"ops": {"a": {"config": {"n": 1}}}}')
    arguments = ["--job", "daily", "--location", "sales", "--config", str(config)]
    result = say(runs.runs, "launch", *arguments, "--tag", "team=a=b", "--asset", "x/y")
    assert result.exit_code == 0, result.output
    (sent,) = host.launches
    assert (sent.job_name, sent.location_name) == ("daily", "sales")
    assert json.loads(sent.run_config.data) == {"ops": {"a": {"config": {"n": 1}}}}
    assert dict(sent.tags) == {"team": "a=b"}
    assert [list(key.path) for key in sent.asset_selection] == [["x", "y"]]
    assert sent.request_id


def test_a_launch_reads_its_config_from_standard_input(host, say):
    result = say(runs.runs, "launch", "--job", "daily", "--config", "-", input='{"ops": {}}')
    assert result.exit_code == 0, result.output
    assert json.loads(host.launches[0].run_config.data) == {"ops": {}}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (runs_pb2.RUN_STATUS_SUCCESS, 0),
        (runs_pb2.RUN_STATUS_FAILURE, 1),
        (runs_pb2.RUN_STATUS_CANCELED, 1),
    ],
)
def test_waiting_ends_with_the_outcome_of_the_run(host, say, status, code):
    host.run_by_request["id"] = "r1"
    host.runs["r1"] = finished(status)
    result = say(runs.runs, "launch", "--job", "daily", "--request-id", "id", "--wait")
    assert result.exit_code == code
    assert runs_pb2.RunStatus.Name(status).removeprefix("RUN_STATUS_") in result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Say what to run"),
        (["--job", "a", "--tag", "x"], "'x' is no tag"),
        (["--job", "a", "--config-json", "{"], "is no JSON"),
        (["--job", "a", "--config-json", "[1]"], "must be an object"),
        (["--job", "a", "--asset", "a//b"], "a part of it is empty"),
        (["--job", "a", "--config", "/nowhere.json"], "No such file"),
    ],
)
def test_a_wrong_command_line_reaches_no_host(host, say, arguments, complaint):
    result = say(runs.runs, "launch", *arguments)
    assert result.exit_code == 2
    assert complaint in result.output
    assert not host.launches


def test_an_unknown_run_is_an_error_of_one_line(say):
    result = say(runs.runs, "show", "nope")
    assert result.exit_code == 1
    assert result.output == ("Error: There is no run 'nope'. See them with 'atoll runs list'.\n")


def test_no_host_is_an_exit_code_of_its_own(say):
    result = say(runs.runs, "list", "--host", "127.0.0.1:1")
    assert result.exit_code == 3
    assert result.output.startswith("Error: No host answers at 127.0.0.1:1.")
    assert result.output.count("\n") == 1


def test_no_address_is_a_wrong_command_line(say):
    assert say(runs.runs, "list", "--host", "nowhere").exit_code == 2


def event(event_id: int, **body) -> events_pb2.StoredEvent:
    found = events_pb2.StoredEvent(id=event_id, location_name="sales")
    found.event.CopyFrom(events_pb2.Event(run_id="0123456789", **body))
    found.event.timestamp.FromJsonString("2026-01-02T03:04:05.678Z")
    return found


def test_following_events_prints_an_object_a_line(host, say):
    host.events = [
        event(1, run_started=events_pb2.RunStarted(build_id="b")),
        event(2, run_succeeded=events_pb2.RunSucceeded()),
    ]
    arguments = ["--follow", "--from-beginning", "--limit", "2"]
    result = say(events.events, *arguments, "--json")
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert [line["id"] for line in lines] == [1, 2]
    text = say(events.events, *arguments).output.splitlines()
    assert text[1].split() == ["03:04:05.678", "2", "sales/01234567", "run_succeeded", "Succeeded"]


def test_an_unknown_kind_of_event_is_a_wrong_command_line(say):
    assert say(events.events, "--kind", "nonsense").exit_code == 2


def test_logs_show_events_then_what_steps_wrote(host, say):
    host.runs["r1"] = finished()
    log = event(1, step_key="a", message="hello", log_message=events_pb2.LogMessage(level=2))
    host.events = [log, event(2, run_succeeded=events_pb2.RunSucceeded())]
    stdout = mesh_pb2.OUTPUT_STREAM_STDOUT
    host.output = [
        runs_pb2.GetRunOutputResponse(step_key="a", stream=stdout, data=b"caf\xc3"),
        runs_pb2.GetRunOutputResponse(step_key="a", stream=stdout, offset=4, data=b"\xa9\n"),
    ]
    result = say(runs.runs, "logs", "r1", "--follow")
    assert result.exit_code == 0, result.output
    assert "a: INFO hello" in result.output
    assert "a, stdout\ncafé\n" in result.output
    last = say(runs.runs, "logs", "r1", "--json").output.splitlines()[-1]
    assert json.loads(last)["text"] == "café\n"


def sensor(location: str) -> automation_pb2.Sensor:
    return automation_pb2.Sensor(
        location_name=location,
        definition=snapshot_pb2.SensorDefinition(
            name="watcher",
            kind=snapshot_pb2.SENSOR_KIND_ASSET,
            monitored_assets=[values_pb2.AssetKey(path=["a", "b"])],
        ),
        status=snapshot_pb2.SENSOR_STATUS_STOPPED,
    )


def test_a_sensor_needs_no_location_where_its_name_is_unique(host, say):
    host.sensors = [sensor("sales")]
    assert say(sensors.sensors, "start", "watcher").output == "sales/watcher is RUNNING.\n"


def test_a_sensor_of_two_locations_must_be_told_apart(host, say):
    host.sensors = [sensor("sales"), sensor("reports")]
    result = say(sensors.sensors, "start", "watcher")
    assert result.exit_code == 1
    assert "sales, reports" in result.output
    assert "--location" in result.output
    assert say(sensors.sensors, "start", "watcher", "--location", "reports").exit_code == 0


def test_ticks_say_what_was_decided(host, say):
    host.sensors = [sensor("sales")]
    skipped = automation_pb2.Tick(status=2, skip_reason="nothing new")
    failed = automation_pb2.Tick(status=3)
    failed.failure.type = "builtins.ValueError"
    failed.failure.message = "wrong"
    host.ticks = [skipped, failed]
    lines = say(sensors.sensors, "ticks", "watcher").output.splitlines()
    assert lines[1].endswith("nothing new")
    assert lines[2].endswith("ValueError: wrong")


def test_ticks_show_what_they_logged_and_where_they_failed(host, say):
    host.sensors = [sensor("sales")]
    failed = automation_pb2.Tick(status=3)
    failed.failure.type = "ValueError"
    failed.failure.message = "wrong"
    failed.failure.frames.add(file="s.py", line=3, function="watcher", source="raise ValueError")
    logged = failed.log_lines.add(level=3, message="about to")
    logged.timestamp.FromJsonString("2026-01-02T03:04:05.678Z")
    host.ticks = [failed]
    output = say(sensors.sensors, "ticks", "watcher", "--logs").output
    assert 'File "s.py", line 3, in watcher' in output
    assert "logged   03:04:05.678  WARNING about to" in output


def test_a_sensor_that_fails_says_how_often_and_when_it_is_tried_again(host, say):
    failing = sensor("sales")
    failing.failure_count, failing.cursor = 3, "17"
    failing.next_evaluation_time.FromJsonString("2026-01-02T03:04:05Z")
    host.sensors = [failing]
    row = say(sensors.sensors, "list").output.splitlines()[1]
    assert row.split()[-3:] == ["3", "2026-01-02", "03:04:05"]
    shown = say(sensors.sensors, "show", "watcher").output.splitlines()
    assert [line.split(maxsplit=1)[1] for line in shown if "cursor" in line] == ["17"]
    assert any("failures in a row" in line and line.endswith("3") for line in shown)


def test_a_sensor_on_runs_says_whose_it_watches(host, say):
    watching = automation_pb2.Sensor(location_name="sales")
    watching.definition.name = "alarm"
    watching.definition.kind = snapshot_pb2.SENSOR_KIND_RUN_STATUS
    watching.definition.run_status = "FAILURE"
    watching.definition.monitored_jobs.add(location_name="reports", job_name="nightly")
    watching.definition.monitored_jobs.add(location_name="shop")
    host.sensors = [watching]
    assert "FAILURE of reports/nightly, shop/*" in say(sensors.sensors, "show", "alarm").output
    del watching.definition.monitored_jobs[:]
    assert "FAILURE of own/*" in say(sensors.sensors, "show", "alarm").output
    watching.definition.monitors_all_locations = True
    assert "FAILURE of */*" in say(sensors.sensors, "show", "alarm").output


@pytest.mark.parametrize(
    ("arguments", "field", "text"),
    [
        (["--cursor", "x"], "cursor", "cursor"),
        (["--start-at", "earliest"], "start_position", "earliest: true"),
        (["--start-at", "latest"], "start_position", "latest: true"),
        (["--start-at", "2026-01-31T12:00+01:00"], "start_position", "1769857200"),
        ([], None, ""),
    ],
)
def test_a_reset_says_where_the_sensor_goes_on(host, say, arguments, field, text):
    host.sensors = [sensor("sales")]
    done = say(sensors.sensors, "reset", "watcher", *arguments)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("sales/watcher has ")
    (asked,) = host.resets
    assert asked.WhichOneof("target") == field
    assert text in str(asked)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--start-at", "yesterday"], "'yesterday'"),
        (["--start-at", "latest", "--cursor", "x"], "either"),
    ],
)
def test_a_reset_that_makes_no_sense_reaches_no_host(host, say, arguments, words):
    done = say(sensors.sensors, "reset", "watcher", *arguments)
    assert done.exit_code == 2
    assert words in done.output
    assert host.resets == []


def test_the_secret_of_a_webhook_is_printed_with_its_address(host, say):
    host.sensors = [sensor("sales")]
    told = say(sensors.sensors, "webhook-secret", "watcher").output
    assert "s3cret" in told
    assert "/webhooks/sales/watcher" in told
    assert "takes no webhooks yet" in told
    host.webhook_address = "127.0.0.1:4780"
    told = say(sensors.sensors, "webhook-secret", "watcher").output
    assert "http://127.0.0.1:4780/webhooks/sales/watcher" in told
    assert (
        json.loads(say(sensors.sensors, "webhook-secret", "watcher", "--json").output)["secret"]
        == "s3cret"
    )


def test_one_tick_is_shown_by_the_first_digits_of_its_id(host, say):
    host.sensors = [sensor("sales")]
    host.ticks = [automation_pb2.Tick(tick_id="abc-1", status=2, skip_reason="nothing new")]
    assert "nothing new" in say(sensors.sensors, "tick", "watcher", "ab").output
    assert say(sensors.sensors, "tick", "watcher", "x").exit_code == 1


def test_the_beginning_of_a_run_id_is_enough(host, say):
    for run_id in ("0123456789", "01239999", "abcdef"):
        host.runs[run_id] = finished()
        host.runs[run_id].run_id = run_id
    assert "01239999" in say(runs.runs, "show", "01239").output
    several = say(runs.runs, "show", "0123")
    assert several.exit_code == 1
    assert "2 runs begin with '0123'" in several.output
    assert say(runs.runs, "show", "01230000").output.startswith("Error: There is no run")


def test_the_log_of_a_run_holds_the_stack_of_what_failed_once(host, say):
    host.runs["r1"] = finished(runs_pb2.RUN_STATUS_FAILURE)
    failure = values_pb2.Failure(type="ValueError", message="wrong")
    failure.frames.add(file="a.py", line=3, function="a", source="raise ValueError")
    host.events = [
        event(1, step_key="a", step_failed=events_pb2.StepFailed(failure=failure)),
        event(2, run_failed=events_pb2.RunFailed(failure=failure)),
    ]
    output = say(runs.runs, "logs", "r1").output
    assert output.count('      File "a.py", line 3, in a') == 1
    assert "run_failed" in output


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (runs.runs, ["launch", "--job", "a", "--timeout", "3"]),
        (events.events, ["--from-beginning"]),
    ],
)
def test_an_option_that_means_nothing_alone_is_refused(host, say, command, arguments):
    result = say(command, *arguments)
    assert result.exit_code == 2
    assert "together with" in result.output
    assert not host.launches


def test_no_events_is_said_to_people_only(say):
    assert "no such events" in say(events.events).output
    assert json.loads(say(events.events, "--json").output) == {"events": []}

"""What `atoll schedules` says, and asks of the host."""

import json

import pytest

from atoll._cli import schedules
from atoll.api.v1 import automation_pb2, schedules_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2


def schedule(location_name: str, **fields) -> schedules_pb2.Schedule:
    made = schedules_pb2.Schedule(
        location_name=location_name,
        definition=snapshot_pb2.ScheduleDefinition(
            name="nightly",
            cron_schedules=["0 3 * * *", "@hourly"],
            job_name="load",
            skipped_times=snapshot_pb2.SKIPPED_TIMES_SHIFT,
            repeated_times=snapshot_pb2.REPEATED_TIMES_LAST,
            catch_up_max=0,
        ),
        status=snapshot_pb2.SCHEDULE_STATUS_RUNNING,
        **fields,
    )
    made.next_times.add().FromJsonString("2026-01-02T03:00:00Z")
    return made


def lines_of(output: str) -> list[str]:
    return [" ".join(line.split()) for line in output.splitlines()]


def test_without_schedules_it_says_so(host, say):
    assert say(schedules.schedules, "list").output == "There are no schedules yet.\n"
    assert "in sales." in say(schedules.schedules, "list", "--location", "sales").output


def test_the_list_tells_when_each_is_due_or_that_it_waits(host, say):
    host.schedules = [schedule("sales"), schedule("stock", waiting_reason="away")]
    first, second = lines_of(say(schedules.schedules, "list").output)[1:]
    assert "0 3 * * *, @hourly UTC" in first
    assert "2026" in first or "03:00" in first
    assert " waits " in second
    listed = json.loads(say(schedules.schedules, "list", "--json").output)["schedules"]
    assert listed[1]["waiting_reason"] == "away"


def test_one_is_shown_with_its_rules_and_why_it_waits(host, say):
    shown = schedule("sales", waiting_reason="Location 'sales' is away.")
    shown.latest_tick.skip_reason = "a holiday"
    shown.start_time.FromJsonString("2026-01-01T00:00:00Z")
    host.schedules = [shown]
    lines = lines_of(say(schedules.schedules, "show", "nightly").output)
    assert "repeated times last" in lines
    assert "made up for 0 missed ticks" in lines
    assert "tried again as the host says" in lines
    assert "job load" in lines
    assert "waits Location 'sales' is away." in lines
    assert "last tick a holiday" in lines
    assert any(line.startswith("started 2026-01-01") for line in lines)


def test_starting_tells_the_next_time_and_stopping_does_not(host, say):
    host.schedules = [schedule("sales")]
    started = say(schedules.schedules, "start", "nightly").output
    assert started.startswith("sales/nightly is RUNNING, and due next at 2026-01-02 03:00:00")
    del host.schedules[0].next_times[:]
    assert say(schedules.schedules, "stop", "nightly").output == "sales/nightly is STOPPED.\n"
    document = json.loads(say(schedules.schedules, "stop", "nightly", "--json").output)
    assert document["status"] == "STOPPED"


@pytest.mark.parametrize("command", ["show", "start", "stop", "ticks"])
def test_a_schedule_of_two_locations_or_none_must_be_named_better(command, host, say):
    unknown = say(schedules.schedules, command, "nightly")
    assert (unknown.exit_code, "atoll schedules list" in unknown.output) == (1, True)
    host.schedules = [schedule("sales"), schedule("stock")]
    doubtful = say(schedules.schedules, command, "nightly")
    assert (doubtful.exit_code, "sales, stock" in doubtful.output) == (1, True)
    assert say(schedules.schedules, command, "nightly", "--location", "stock").exit_code == 0


def test_ticks_tell_the_time_that_each_was_for(host, say):
    host.schedules = [schedule("sales")]
    skipped = automation_pb2.Tick(status=2, skip_reason="nothing new")
    skipped.scheduled_time.FromJsonString("2026-01-02T03:00:00Z")
    failed = automation_pb2.Tick(
        status=3, failure=values_pb2.Failure(type="ValueError", message="wrong")
    )
    failed.log_lines.add(message="This was try 1 of 4 of the tick. It is tried again.")
    host.schedule_ticks = [skipped, failed]
    lines = say(schedules.schedules, "ticks", "nightly").output.splitlines()
    assert lines[1].endswith("nothing new")
    assert lines[2].endswith("ValueError: wrong")
    logs = say(schedules.schedules, "ticks", "nightly", "--logs", "--limit", "2").output
    assert "scheduled  2026-01-02 03:00:00" in logs
    assert "This was try 1 of 4" in logs
    host.schedule_ticks = []
    none = say(schedules.schedules, "ticks", "nightly", "--status", "failure").output
    assert none == "sales/nightly has had no tick with that outcome.\n"

import datetime as dt
import itertools

import pytest

import atoll as dg
from atoll._partitions import timelines
from tests.code_server.partitions import transitions

NEW_YORK = "America/New_York"
SPAN = 2 * transitions.DAY


def _keys(partitions_def, current_time):
    return list(partitions_def.get_partition_keys(current_time=current_time))


def test_an_hour_that_clocks_repeat_has_two_partitions_and_the_second_says_its_offset():
    hourly = dg.HourlyPartitionsDefinition("2024-11-03-00:00", timezone=NEW_YORK)
    keys = _keys(hourly, dt.datetime(2024, 11, 3, 8, tzinfo=dt.UTC))
    assert keys == [
        "2024-11-03-00:00", "2024-11-03-01:00", "2024-11-03-01:00-0500", "2024-11-03-02:00",
    ]  # fmt: skip
    first = hourly.time_window_for_partition_key("2024-11-03-01:00")
    second = hourly.time_window_for_partition_key("2024-11-03-01:00-0500")
    assert first.start.isoformat() == "2024-11-03T01:00:00-04:00"
    assert second.start.isoformat() == "2024-11-03T01:00:00-05:00"
    assert first.end.timestamp() == second.start.timestamp()


def test_an_hour_that_clocks_skip_has_no_partition():
    hourly = dg.HourlyPartitionsDefinition("2024-03-10-01:00", timezone=NEW_YORK)
    keys = _keys(hourly, dt.datetime(2024, 3, 10, 9, tzinfo=dt.UTC))
    assert keys == ["2024-03-10-01:00", "2024-03-10-03:00", "2024-03-10-04:00"]
    assert not hourly.has_partition_key("2024-03-10-02:00")


def test_a_daily_time_that_clocks_skip_is_the_first_moment_there_is():
    daily = dg.DailyPartitionsDefinition("2024-03-09", hour_offset=2, timezone=NEW_YORK)
    window = daily.time_window_for_partition_key("2024-03-10")
    assert window.start.isoformat() == "2024-03-10T03:00:00-04:00"
    assert window.end.isoformat() == "2024-03-11T02:00:00-04:00"
    before = daily.time_window_for_partition_key("2024-03-09")
    assert before.end == window.start


def test_a_daily_time_that_clocks_repeat_comes_once():
    daily = dg.DailyPartitionsDefinition(
        "2024-11-02", hour_offset=1, minute_offset=30, timezone=NEW_YORK
    )
    keys = _keys(daily, dt.datetime(2024, 11, 5, 12, tzinfo=dt.UTC))
    assert keys == ["2024-11-02", "2024-11-03", "2024-11-04"]
    start, end = daily.time_window_for_partition_key("2024-11-03")
    assert start.isoformat() == "2024-11-03T01:30:00-04:00"
    assert end.timestamp() - start.timestamp() == 25 * 3600


def test_a_day_that_a_country_skips_is_no_gap_between_windows():
    daily = dg.DailyPartitionsDefinition("2011-12-28", timezone="Pacific/Apia")
    keys = _keys(daily, dt.datetime(2012, 1, 2, tzinfo=dt.UTC))
    assert keys == ["2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01"]
    at_five = dg.DailyPartitionsDefinition("2011-12-28", hour_offset=5, timezone="Pacific/Apia")
    assert "2011-12-30" in _keys(at_five, dt.datetime(2012, 1, 2, tzinfo=dt.UTC))


def test_times_that_are_skipped_together_make_one_partition():
    windows = dg.TimeWindowPartitionsDefinition(
        "2024-03-10-00:00", "%Y-%m-%d-%H:%M", cron_schedule="0,30 1,2,3 * * *", timezone=NEW_YORK
    )
    keys = _keys(windows, dt.datetime(2024, 3, 11, 6, tzinfo=dt.UTC))
    expected = ["2024-03-10-01:00", "2024-03-10-01:30", "2024-03-10-03:00", "2024-03-10-03:30"]
    assert keys[:4] == expected


def test_midnight_that_clocks_skip_keeps_its_date():
    daily = dg.DailyPartitionsDefinition("2024-04-25", timezone="Africa/Cairo")
    window = daily.time_window_for_partition_key("2024-04-26")
    assert window.start.isoformat() == "2024-04-26T01:00:00+03:00"
    assert window.end.isoformat() == "2024-04-27T00:00:00+03:00"


def _check(line, name, moment, expected):
    first, last = line.before(moment - SPAN), line.before(moment + SPAN)
    found = [tick.timestamp for tick in line.ticks(first, last)]
    assert found == expected, (name, moment)
    for number, tick in enumerate(found, first):
        assert line.before(tick) == number
        assert line.before(tick + 1) == number + 1


def test_there_is_something_to_look_at():
    assert len(transitions.all_zones()) > 500
    assert len(transitions.distinct_transitions()) > 150


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "times"),
    [
        ("0 0 * * *", [(0, 0)]),
        ("30 2 * * *", [(2, 30)]),
        ("0,30 1,2 * * *", [(1, 0), (1, 30), (2, 0), (2, 30)]),
        ("15 */6 * * *", [(hour, 15) for hour in (0, 6, 12, 18)]),
        ("45 23 * * *", [(23, 45)]),
    ],
)
def test_times_of_the_day_come_once_at_every_change_of_clocks(schedule, times):
    for name, moment in transitions.distinct_transitions():
        expected = transitions.daily_ticks(name, moment - SPAN, moment + SPAN, times)
        _check(timelines.timeline(schedule, name), name, moment, expected)


@pytest.mark.slow
def test_hours_follow_the_time_that_passes_at_every_change_of_clocks():
    for name, moment in transitions.distinct_transitions():
        for minute in (0, 30):
            expected = transitions.hourly_ticks(name, moment - SPAN, moment + SPAN, minute)
            line = timelines.timeline(f"{minute} * * * *", name)
            _check(line, name, moment, expected)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["0 * * * *", "30 2 * * *", "*/15 1 * * *"])
def test_every_key_of_every_zone_leads_back_to_its_window_at_every_change(schedule):
    fmt = "%Y-%m-%d-%H:%M"
    for name, moment in transitions.distinct_transitions():
        windows = dg.TimeWindowPartitionsDefinition(
            "2022-06-01-00:00", fmt, cron_schedule=schedule, timezone=name
        ).windows
        first, last = windows.starting_before(moment - SPAN), windows.starting_before(moment + SPAN)
        keys = [windows.key(index) for index in range(first, last)]
        assert len(set(keys)) == len(keys)
        assert [windows.index(key) for key in keys] == list(range(first, last)), name
        spans = [windows.moments(index) for index in range(first, last)]
        assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))

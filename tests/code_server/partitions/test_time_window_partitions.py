import datetime as dt

import pytest

import atoll as dg
from atoll import errors
from atoll._partitions import clock, contexts


def _utc(*parts):
    return dt.datetime(*parts, tzinfo=dt.UTC)


def _keys(partitions_def, *now):
    return list(partitions_def.get_partition_keys(current_time=_utc(*now)))


@pytest.mark.parametrize(
    ("partitions_def", "now", "expected"),
    [
        (dg.DailyPartitionsDefinition("2024-01-01"), (2024, 1, 3), ["2024-01-01", "2024-01-02"]),
        (dg.DailyPartitionsDefinition("2024-01-01"), (2024, 1, 2, 23), ["2024-01-01"]),
        (dg.DailyPartitionsDefinition("2024-01-01"), (2024, 1, 1), []),
        (dg.DailyPartitionsDefinition("2024-01-01", end_offset=1), (2024, 1, 1), ["2024-01-01"]),
        (dg.DailyPartitionsDefinition("2024-01-01", end_offset=-1), (2024, 1, 3), ["2024-01-01"]),
        # The window that has ended last is counted from, whether or not it is a partition.
        (dg.DailyPartitionsDefinition("2024-01-05", end_offset=2), (2024, 1, 4), ["2024-01-05"]),
        (dg.DailyPartitionsDefinition("2024-01-05", end_offset=2), (2024, 1, 3), []),
        (
            dg.DailyPartitionsDefinition("2024-01-05", end_offset=2),
            (2024, 1, 5),
            ["2024-01-05", "2024-01-06"],
        ),
        (
            dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-03", end_offset=5),
            (2024, 1, 9),
            ["2024-01-01", "2024-01-02"],
        ),
        (dg.DailyPartitionsDefinition(dt.datetime.fromisoformat("2024-01-01T12:00")), (2024, 1, 3), ["2024-01-02"]),  # noqa: E501
        (
            dg.WeeklyPartitionsDefinition("2024-01-01"),
            (2024, 1, 22),
            ["2024-01-07", "2024-01-14"],
        ),
        (dg.WeeklyPartitionsDefinition("2024-01-01", day_offset=1), (2024, 1, 8), ["2024-01-01"]),
        (
            dg.MonthlyPartitionsDefinition("2024-01", fmt="%Y-%m", day_offset=15),
            (2024, 3, 20),
            ["2024-01", "2024-02"],
        ),
        (
            dg.MonthlyPartitionsDefinition("2024-01-01", day_offset=31),
            (2024, 6, 1),
            ["2024-01-31", "2024-03-31"],
        ),
        (
            dg.DailyPartitionsDefinition(
                "2024-01-01", exclusions=["0 0 * * 6,7", dt.datetime.fromisoformat("2024-01-03")]
            ),
            (2024, 1, 10),
            ["2024-01-01", "2024-01-02", "2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"],
        ),
        (
            dg.TimeWindowPartitionsDefinition("2024", "%Y", cron_schedule="@yearly"),
            (2026, 1, 1),
            ["2024", "2025"],
        ),
    ],
)  # fmt: skip
def test_partitions_are_the_windows_that_have_ended(partitions_def, now, expected):
    assert _keys(partitions_def, *now) == expected
    assert partitions_def.get_num_partitions(current_time=_utc(*now)) == len(expected)
    subset = partitions_def.subset_with_all_partitions(_utc(*now))
    assert list(subset) == expected


def test_windows_end_where_the_next_window_starts_even_if_that_is_left_out():
    daily = dg.DailyPartitionsDefinition("2024-01-01", exclusions=["0 0 * * 6,0"])
    window = daily.time_window_for_partition_key("2024-01-05")
    assert (window.start, window.end) == (_utc(2024, 1, 5), _utc(2024, 1, 6))
    assert not daily.has_partition_key("2024-01-06")
    assert daily.is_window_start_excluded(_utc(2024, 1, 6))
    assert not daily.is_window_start_excluded(_utc(2024, 1, 8))
    windows = daily.time_windows_for_partition_keys(["2024-01-04", "2024-01-05", "2024-01-08"])
    assert [tuple(window) for window in windows] == [
        (_utc(2024, 1, 4), _utc(2024, 1, 6)),
        (_utc(2024, 1, 8), _utc(2024, 1, 9)),
    ]


def test_a_definition_may_be_written_in_several_ways():
    written = [
        dg.DailyPartitionsDefinition("2024-01-01", minute_offset=30, hour_offset=2),
        dg.TimeWindowPartitionsDefinition("2024-01-01", "%Y-%m-%d", cron_schedule="30 2 * * *"),
        dg.TimeWindowPartitionsDefinition(
            dt.datetime.fromisoformat("2024-01-01"), "%Y-%m-%d", schedule_type="DAILY", hour_offset=2,  # noqa: E501
            minute_offset=30, timezone="UTC",
        ),
    ]  # fmt: skip
    assert len(set(written)) == 1
    assert len({each.get_serializable_unique_identifier() for each in written}) == 1
    assert written[0] != dg.DailyPartitionsDefinition("2024-01-01", None, 30, 3)
    assert (written[1].hour_offset, written[1].minute_offset) == (2, 30)
    assert written[1].schedule_type.value == "DAILY"


def test_the_schedule_of_a_job_can_be_moved():
    weekly = dg.WeeklyPartitionsDefinition("2024-01-01")
    assert weekly.get_cron_schedule(hour_of_day=2, day_of_week=3) == "0 2 * * 3"
    assert (
        dg.MonthlyPartitionsDefinition("2024-01-01").get_cron_schedule(
            minute_of_hour=5, day_of_month=9
        )
        == "5 0 9 * *"
    )
    with pytest.raises(errors.InvalidDefinitionError, match="day_of_week"):
        dg.DailyPartitionsDefinition("2024-01-01").get_cron_schedule(day_of_week=3)
    with pytest.raises(errors.InvalidDefinitionError, match="Write a cron schedule"):
        dg.TimeWindowPartitionsDefinition(
            "2024-01-01", "%Y-%m-%d", cron_schedule="0 0 * * 1-5"
        ).get_cron_schedule(hour_of_day=3)


def test_partitions_are_found_by_time():
    daily = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")
    noon = _utc(2024, 1, 2, 12)
    assert daily.get_partition_key_for_timestamp(noon.timestamp()) == "2024-01-02"
    midnight = _utc(2024, 1, 2).timestamp()
    assert daily.get_partition_key_for_timestamp(midnight) == "2024-01-02"
    assert daily.get_partition_key_for_timestamp(midnight, end_closed=True) == "2024-01-01"
    assert daily.get_next_partition_window(noon).start == _utc(2024, 1, 3)
    assert daily.get_prev_partition_window(noon).start == _utc(2024, 1, 1)
    assert daily.get_next_partition_window(_utc(2024, 1, 5)) is None
    assert daily.get_prev_partition_window(_utc(2024, 1, 1)) is None
    assert daily.get_next_partition_key("2024-01-03") == "2024-01-04"
    assert daily.get_next_partition_key("2024-01-04") is None
    assert daily.get_first_partition_window().start == _utc(2024, 1, 1)
    assert daily.get_last_partition_window().end == _utc(2024, 1, 5)
    window = dg.TimeWindow(_utc(2024, 1, 1, 12), _utc(2024, 1, 3, 12))
    assert list(daily.get_partition_keys_in_time_window(window)) == ["2024-01-02", "2024-01-03"]
    assert daily.get_num_partitions_in_window(window) == 2
    whole = dg.TimeWindow(_utc(2024, 1, 1), _utc(2024, 1, 3))
    assert daily.get_partition_key_range_for_time_window(whole) == ("2024-01-01", "2024-01-02")
    assert daily.less_than("2024-01-01", "2024-01-02")


@pytest.mark.parametrize("key", ["2024-1-2", "zzz", "", "2024-02-30", "2023-12-31", "2024-01-09"])
def test_a_key_that_does_not_exist_is_told_with_what_there_is(key):
    daily = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")
    assert not daily.has_partition_key(key)
    with pytest.raises(errors.UnknownPartitionError) as caught:
        daily.validate_partition_key(key)
    assert repr(key) in str(caught.value)
    assert "from '2024-01-01' to '2024-01-04'" in str(caught.value)
    assert caught.value.partition_keys == (key,)


def test_a_key_that_is_nearly_right_is_told_which_is():
    daily = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")
    with pytest.raises(errors.UnknownPartitionError, match="Did you mean '2024-01-02'"):
        daily.subset_with_partition_keys(["2024-1-02"])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: dg.HourlyPartitionsDefinition("2024-01-01", fmt="%Y-%m-%d"), "does not tell"),
        (lambda: dg.DailyPartitionsDefinition("01-01", fmt="%m-%d"), "does not tell"),
        (lambda: dg.DailyPartitionsDefinition("x"), "does not have the format"),
        (lambda: dg.DailyPartitionsDefinition(20240101), "is a datetime, or a text"),
        (lambda: dg.DailyPartitionsDefinition("2024-01-01", hour_offset=24), "from 0 to 23"),
        (lambda: dg.WeeklyPartitionsDefinition("2024-01-01", day_offset=9), "from 0 to 7"),
        (lambda: dg.DailyPartitionsDefinition("2024-01-01", timezone="X/Y"), "'X/Y' is not known"),
        (lambda: dg.TimeWindowPartitionsDefinition("2024-01-01", "%Y-%m-%d"), "cron_schedule="),
        (
            lambda: dg.TimeWindowPartitionsDefinition(
                "2024-01-01", "%Y-%m-%d", schedule_type="DAILY", cron_schedule="0 0 * * *"
            ),
            "Leave out schedule_type",
        ),
        (
            lambda: dg.TimeWindowPartitionsDefinition(
                "2024-01-01", "%Y-%m-%d", schedule_type="HOURLY", hour_offset=3
            ),
            "hour_offset=3 has no meaning",
        ),
        (
            lambda: dg.TimeWindowPartitionsDefinition("2024", "%Y", schedule_type="YEARLY"),
            "there are HOURLY",
        ),
        (lambda: dg.DailyPartitionsDefinition("2024-01-01", exclusions="0 0 * * 6"), "is a list"),
    ],
)  # fmt: skip
def test_a_definition_that_cannot_be_says_why(make, told):
    with pytest.raises(errors.InvalidDefinitionError, match=told):
        make()


def test_keys_may_say_their_offset():
    hourly = dg.HourlyPartitionsDefinition(
        "2024-11-03-00:00-0400", fmt="%Y-%m-%d-%H:%M%z", timezone="America/New_York"
    )
    keys = _keys(hourly, 2024, 11, 3, 7)
    assert keys == ["2024-11-03-00:00-0400", "2024-11-03-01:00-0400", "2024-11-03-01:00-0500"]
    assert [hourly.index_of(key) for key in keys] == [0, 1, 2]


@pytest.mark.parametrize("ascending", [True, False])
def test_pages_put_together_are_all_keys(ascending):
    daily = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-12")
    keys, cursor, more = [], None, True
    while more:
        page = daily.get_paginated_partition_keys(None, 4, ascending, cursor)
        keys += page.results
        cursor, more = page.cursor, page.has_more
    assert keys == list(daily.get_partition_keys())[:: 1 if ascending else -1]


def test_a_context_sets_the_time_for_all_that_is_asked_inside():
    daily = dg.DailyPartitionsDefinition("2024-01-01")
    with dg.partition_loading_context(_utc(2024, 1, 3)) as context:
        assert context.effective_dt == _utc(2024, 1, 3)
        assert daily.get_last_partition_key() == "2024-01-02"
        assert daily.get_last_partition_key(_utc(2024, 1, 9)) == "2024-01-08"
        with dg.partition_loading_context(
            new_ctx=contexts.PartitionLoadingContext(_utc(2024, 1, 2))
        ):
            assert daily.get_num_partitions() == 1
    assert daily.get_num_partitions() > 365


def test_without_a_time_the_clock_says_it():
    daily = dg.DailyPartitionsDefinition("2024-01-01")
    last = daily.get_last_partition_window()
    assert dt.timedelta() <= clock.now() - last.end < dt.timedelta(days=1, minutes=1)


def test_exclusions_that_leave_out_every_window_are_told():
    monthly = dg.MonthlyPartitionsDefinition("2024-01-01", exclusions=["0 0 * * *"])
    with pytest.raises(errors.InvalidDefinitionError, match="leave out every window"):
        monthly.get_next_partition_window(_utc(2024, 1, 1), respect_bounds=False)
    assert monthly.get_num_partitions(_utc(2025, 1, 1)) == 0

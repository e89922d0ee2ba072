import datetime as dt

import pytest

from atoll import errors
from atoll._partitions import timelines


def _fires(schedule, start, count, timezone="UTC"):
    line = timelines.timeline(schedule, timezone)
    first = line.before(dt.datetime.fromisoformat(start + "+00:00").timestamp())
    walls = [timelines.wall_datetime(tick.wall) for tick in line.ticks(first, first + count)]
    return [wall.isoformat(" ", "minutes") for wall in walls]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("*/20 * * * *", ["2024-01-01 00:00", "2024-01-01 00:20", "2024-01-01 00:40"]),
        ("5 */12 * * *", ["2024-01-01 00:05", "2024-01-01 12:05", "2024-01-02 00:05"]),
        ("@monthly", ["2024-01-01 00:00", "2024-02-01 00:00", "2024-03-01 00:00"]),
        ("0 9 * * mon-fri", ["2024-01-01 09:00", "2024-01-02 09:00", "2024-01-03 09:00"]),
        ("0 0 * * 7", ["2024-01-07 00:00", "2024-01-14 00:00", "2024-01-21 00:00"]),
        ("0 0 29 feb *", ["2024-02-29 00:00", "2028-02-29 00:00", "2032-02-29 00:00"]),
        ("0 0 31 * *", ["2024-01-31 00:00", "2024-03-31 00:00", "2024-05-31 00:00"]),
        ("0 0 l * *", ["2024-01-31 00:00", "2024-02-29 00:00", "2024-03-31 00:00"]),
        ("0 0 * * fri#2", ["2024-01-12 00:00", "2024-02-09 00:00", "2024-03-08 00:00"]),
        ("0 0 * * friL", ["2024-01-26 00:00", "2024-02-23 00:00", "2024-03-29 00:00"]),
        # Two fields that both name days widen each other.
        ("0 0 3 * wed", ["2024-01-03 00:00", "2024-01-10 00:00", "2024-01-17 00:00"]),
        ("0 0 10-12 1,6 *", ["2024-01-10 00:00", "2024-01-11 00:00", "2024-01-12 00:00"]),
        ("7/20 0 * * *", ["2024-01-01 00:07", "2024-01-01 00:27", "2024-01-01 00:47"]),
    ],
)
def test_a_schedule_fires_when_cron_says(schedule, expected):
    assert _fires(schedule, "2024-01-01T00:00", 3) == expected


@pytest.mark.parametrize(
    "schedule",
    [
        "", "0 0 * *", "0 0 * * * *", "60 * * * *", "* 24 * * *", "0 0 0 * *", "0 0 * 13 *",
        "0 0 * * 8", "5-1 * * * *", "*/0 * * * *", "a * * * *", "0 0 30 2 *", "0 0 * * fri#6",
        "0 0 , * *", "0 0 * * l", "@never", "\u0661 * * * *",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused_with_an_example(schedule):
    with pytest.raises(errors.InvalidDefinitionError, match="Write five fields such as"):
        timelines.timeline(schedule, "UTC")


def test_ticks_before_the_first_known_year_have_numbers_too():
    line = timelines.timeline("0 0 1 * *", "Europe/Berlin")
    early = line.before(dt.datetime(1901, 5, 17, tzinfo=dt.UTC).timestamp())
    late = line.before(dt.datetime(2050, 5, 17, tzinfo=dt.UTC).timestamp())
    assert late - early == 149 * 12
    assert timelines.wall_datetime(line.at(early).wall) == dt.datetime.fromisoformat("1901-06-01")
    assert timelines.wall_datetime(line.at(late).wall) == dt.datetime.fromisoformat("2050-06-01")


def test_a_zone_that_nobody_knows_is_refused_with_what_to_do():
    with pytest.raises(errors.InvalidDefinitionError, match="install the package tzdata"):
        timelines.timeline("0 0 * * *", "Europe/Atlantis")

"""How the schedules of this project are tested: by their function, for a time of choice."""

import datetime as dt
import zoneinfo

import definitions
import pytest

import atoll as dg

ZURICH = zoneinfo.ZoneInfo("Europe/Zurich")


def tick(name: str, when: dt.datetime, **resources: object):
    """Evaluate a schedule of the project for a time."""
    context = dg.build_schedule_context(
        scheduled_execution_time=when, resources=resources, definitions=definitions.defs
    )
    return definitions.defs.get_schedule_def(name).evaluate_tick(context)


def test_the_day_that_has_just_ended_is_asked_for() -> None:
    """A schedule of a partitioned job names the partition itself."""
    (request,) = tick("after_each_day", dt.datetime(2026, 3, 1, 0, 30, tzinfo=ZURICH)).run_requests
    assert request.partition_key == "2026-02-28"


def test_each_tick_has_its_configuration() -> None:
    """The function makes it of the time that the tick is for, not of the time by the clock."""
    (request,) = tick("fetch_prices", dt.datetime(2026, 3, 2, 8, tzinfo=ZURICH)).run_requests
    assert request.run_config["ops"] == {
        "prices": {"config": {"as_of": "2026-03-02T08:00:00+01:00"}}
    }


@pytest.mark.parametrize("shop", ["zurich", "new_york"])
def test_a_shop_in_which_nothing_was_moved_is_not_counted(shop: str) -> None:
    """The resource decides; a test gives another one."""
    when = dt.datetime(2026, 3, 2, 2, 30, tzinfo=ZURICH)
    (request,) = tick(f"stock_taking_{shop}", when).run_requests
    assert (request.tags["shop"], request.tags["moved"]) == (shop, "7")
    closed = definitions.Shelves(closed_shops=[shop])
    skipped = tick(f"stock_taking_{shop}", when, shelves=closed)
    assert skipped.skip_message == f"Nothing was moved in {shop}."

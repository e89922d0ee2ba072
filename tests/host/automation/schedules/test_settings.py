"""What the host is told counts where a schedule does not say."""

import pydantic
import pytest

from atoll_host import settings as host_settings
from atoll_host.automation.schedules import leading
from atoll_host.automation.schedules import settings as schedule_settings
from tests.host.automation.schedules import world

TOLD = schedule_settings.ScheduleSettings(catch_up_max=2, retries_max=7, retry_first_s=0.5)


def test_a_schedule_that_says_nothing_takes_what_the_host_says():
    made = leading.schedule_of("a", world.definition("s", "0 * * * *"), TOLD)
    assert (made.catch_up_max, made.retries_max) == (2, 7)


def test_a_schedule_may_say_none():
    defined = world.definition("s", "0 * * * *", catch_up_max=0, retries_max=0)
    made = leading.schedule_of("a", defined, TOLD)
    assert (made.catch_up_max, made.retries_max) == (0, 0)


def test_a_schedule_of_an_unknown_zone_is_left_out_and_logged(caplog):
    assert leading.schedule_of("a", world.definition("s", zone="Mars/Olympus"), TOLD) is None
    assert [record.action for record in caplog.records] == ["schedule_unusable"]


def test_the_bounds_of_the_agenda_are_those_of_the_settings():
    limits = leading.limits_of(TOLD)
    assert (limits.workers_per_location, limits.late_after_s) == (4, 60.0)
    assert [limits.failure_backoff.delay_s(n) for n in (1, 2, 20)] == [0.5, 1.0, 300.0]


@pytest.mark.parametrize(
    "wrong", [{"catch_up_max": -1}, {"retries_max": 101}, {"late_after_s": 0}, {"unknown": 1}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError, match=next(iter(wrong))):
        schedule_settings.ScheduleSettings(**wrong)


def test_a_host_has_them_by_default():
    assert host_settings.Settings().schedules == schedule_settings.ScheduleSettings()

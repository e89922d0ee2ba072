"""The freshness checks that Atoll brings along, and the sensor that has them evaluated."""

import datetime as dt

import pytest

import atoll as dg
from atoll._instance import instance as instances

UTC = dt.UTC
NOON = dt.datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = dt.timedelta(hours=1)
DAYS = dg.DailyPartitionsDefinition("2026-03-01")


@dg.asset
def orders(): ...


@dg.asset(partitions_def=DAYS)
def daily(): ...


@pytest.fixture
def instance():
    with dg.instance_for_test() as made:
        yield made


def _tell(instance, event, at):
    instance.backend.record_event(instances.runless_event(event, at.timestamp()))


def _evaluate(instance, checks, at, assets=(orders, daily), **options):
    defs = dg.Definitions(assets=assets, asset_checks=checks)
    keys = {key for one in checks for key in one.check_keys}
    job = defs.get_job_def("__ASSET_JOB").get_subset(asset_check_selection=keys)
    with dg.partition_loading_context(effective_dt=at):
        result = job.execute_in_process(instance=instance, raise_on_error=False, **options)
    return result.get_asset_check_evaluations()


def _lately(**options):
    return dg.build_last_update_freshness_checks(
        **{"assets": [orders], "lower_bound_delta": HOUR, **options}
    )


def test_what_was_never_updated_is_not_fresh(instance):
    (found,) = _evaluate(instance, _lately(), NOON)
    assert (found.check_name, found.passed) == ("freshness_check", False)
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert found.description == "The asset was never updated, as far as the log tells."
    assert found.metadata["atoll/freshness_lower_bound_timestamp"].value == (
        (NOON - HOUR).timestamp()
    )


@pytest.mark.parametrize(("ago", "fresh"), [(59, True), (60, True), (61, False)])
def test_the_last_update_may_be_so_old(instance, ago, fresh):
    updated = NOON - dt.timedelta(minutes=ago)
    _tell(instance, dg.AssetMaterialization("orders"), updated - dt.timedelta(days=1))
    _tell(instance, dg.AssetMaterialization("orders"), updated)
    (found,) = _evaluate(instance, _lately(severity=dg.AssetCheckSeverity.ERROR), NOON)
    assert found.passed is fresh
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert found.metadata["atoll/last_updated_timestamp"].value == updated.timestamp()
    if fresh:
        until = found.metadata["atoll/fresh_until_timestamp"].value
        assert until == (updated + HOUR).timestamp()
    else:
        assert found.metadata["atoll/overdue_seconds"].value == 60
        assert found.description == (
            "Overdue by 1 minute: the last update was at 2026-03-10 10:59:00 (UTC), and an update "
            "was due 1 hour later."
        )


def test_an_update_in_time_for_the_deadline_counts_until_the_next(instance):
    checks = _lately(deadline_cron="0 9 * * *", timezone="Europe/Berlin")
    deadline = dt.datetime(2026, 3, 10, 8, tzinfo=UTC)
    _tell(instance, dg.AssetMaterialization("orders"), deadline - HOUR)
    (found,) = _evaluate(instance, checks, NOON)
    assert found.passed
    assert found.metadata["atoll/latest_cron_tick_timestamp"].value == deadline.timestamp()
    until = found.metadata["atoll/fresh_until_timestamp"].value
    assert until == (deadline + dt.timedelta(days=1)).timestamp()
    (found,) = _evaluate(instance, checks, deadline + dt.timedelta(days=1, minutes=90))
    assert not found.passed
    assert found.metadata["atoll/overdue_seconds"].value == 90 * 60
    assert found.description.startswith("Overdue by 1 hour, 30 minutes: the last update was at")
    assert "the 1 hour before the deadline at 2026-03-11 09:00:00 (Europe/Berlin)" in (
        found.description
    )


def test_observations_count_by_what_they_tell(instance):
    key = "elsewhere"
    checks = _lately(assets=[dg.AssetSpec(key)])
    _tell(instance, dg.AssetObservation(key), NOON)
    assert not _evaluate(instance, checks, NOON)[0].passed

    told = dg.MetadataValue.timestamp(NOON - 2 * HOUR)
    metadata = {"atoll/last_updated_timestamp": told}
    _tell(instance, dg.AssetObservation(key, metadata=metadata), NOON)
    (found,) = _evaluate(instance, checks, NOON)
    assert found.metadata["atoll/overdue_seconds"].value == 3600

    tags = {"atoll/data_version": "one"}
    _tell(instance, dg.AssetObservation(key, tags=tags), NOON - dt.timedelta(minutes=30))
    _tell(instance, dg.AssetObservation(key, tags=tags), NOON)
    (found,) = _evaluate(instance, checks, NOON)
    assert found.passed
    assert found.metadata["atoll/last_updated_timestamp"].value == (
        (NOON - dt.timedelta(minutes=30)).timestamp()
    )


def test_partitions_have_to_be_there_by_the_deadline(instance):
    checks = dg.build_time_partition_freshness_checks(assets=[daily], deadline_cron="0 9 * * *")
    _tell(instance, dg.AssetMaterialization("daily", partition="2026-03-08"), NOON)
    (found,) = _evaluate(instance, checks, NOON)
    assert not found.passed
    assert found.description == "Overdue by 3 hours: the partition '2026-03-09' is not there."
    _tell(instance, dg.AssetMaterialization("daily", partition="2026-03-09"), NOON)
    (found,) = _evaluate(instance, checks, NOON)
    assert found.passed
    assert found.metadata["expected_partition"].value == "2026-03-09"
    # The next one is due tomorrow at nine.
    tomorrow = NOON + dt.timedelta(hours=20, minutes=59)
    assert _evaluate(instance, checks, tomorrow)[0].passed
    assert not _evaluate(instance, checks, tomorrow + dt.timedelta(minutes=1))[0].passed
    assert _evaluate(instance, checks, dt.datetime(2026, 3, 1, 12, tzinfo=UTC))[0].passed


def test_partitions_may_be_known_by_the_definitions_alone(instance):
    checks = dg.build_time_partition_freshness_checks(
        assets=["daily"], deadline_cron="0 9 * * *", blocking=True
    )
    assert next(iter(checks[0].check_specs)).blocking
    assert not _evaluate(instance, checks, NOON)[0].passed
    wrong = dg.build_time_partition_freshness_checks(assets=["orders"], deadline_cron="0 9 * * *")
    assert _evaluate(instance, wrong, NOON) == []
    with pytest.raises(dg.InvalidDefinitionError, match="have to be windows of time"):
        dg.build_time_partition_freshness_checks(assets=[orders], deadline_cron="0 9 * * *")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"assets": []}, "got no assets"),
        ({"assets": "orders"}, "Put it into brackets"),
        ({"assets": [orders, "orders"]}, "'orders' more than once"),
        ({"lower_bound_delta": dt.timedelta()}, "positive datetime.timedelta"),
        ({"lower_bound_delta": 60}, "got 60"),
        ({"deadline_cron": "soon"}, "'soon'"),
        ({"timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"severity": "BAD"}, "'BAD'"),
    ],
)
def test_what_cannot_be_built(options, message):
    with pytest.raises(dg.InvalidDefinitionError, match=message):
        _lately(**options)


def test_one_op_evaluates_those_that_are_asked_for(instance):
    (made,) = _lately(assets=[orders, daily])
    assert {key.to_user_string() for key in made.check_keys} == {
        "orders:freshness_check",
        "daily:freshness_check",
    }
    assert made.source.file == __file__
    job = dg.Definitions(assets=[orders], asset_checks=[made]).get_job_def("__ASSET_JOB")
    chosen = {dg.AssetCheckKey(orders.key, "freshness_check")}
    result = job.get_subset(asset_check_selection=chosen).execute_in_process(instance=instance)
    assert [one.asset_key for one in result.get_asset_check_evaluations()] == [orders.key]
    result = dg.materialize([orders, made], selection=[orders], instance=instance)
    assert [one.passed for one in result.get_asset_check_evaluations()] == [True]


def _tick(sensor, instance, at, cursor=None):
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    with dg.partition_loading_context(effective_dt=at):
        return sensor.evaluate_tick(context)


def test_the_sensor_asks_when_a_result_may_no_longer_hold(instance):
    checks = _lately(assets=[orders, "rates"])
    sensor = dg.build_sensor_for_freshness_checks(freshness_checks=checks, tags={"team": "a"})
    assert (sensor.name, sensor.default_status) == (
        "freshness_checks_sensor",
        dg.DefaultSensorStatus.STOPPED,
    )
    first = _tick(sensor, instance, NOON)
    (request,) = first.run_requests
    assert [key.to_user_string() for key in request.asset_check_keys] == [
        "orders:freshness_check",
        "rates:freshness_check",
    ]
    assert (request.job_name, list(request.asset_selection)) == ("__ASSET_JOB", [])
    assert request.tags["team"] == "a"
    # What was asked for is on its way: it is not asked for again until it was to no avail.
    again = _tick(sensor, instance, NOON, first.cursor)
    assert (again.run_requests, again.cursor) == ((), first.cursor)
    assert "No freshness check has to be evaluated now" in again.skip_message
    assert _tick(sensor, instance, NOON + 2 * HOUR, first.cursor).run_requests

    _tell(instance, dg.AssetMaterialization("orders"), NOON)
    _evaluate(instance, checks, NOON)
    assert _tick(sensor, instance, NOON, first.cursor).run_requests == ()
    later = _tick(sensor, instance, NOON + HOUR, first.cursor)
    assert [key.asset_key for key in later.run_requests[0].asset_check_keys] == [orders.key]
    # The other one failed: it is looked at again once its asset was updated.
    _tell(instance, dg.AssetMaterialization("rates"), NOON)
    soon = _tick(sensor, instance, NOON, first.cursor)
    assert [key.asset_key.path for key in soon.run_requests[0].asset_check_keys] == [("rates",)]


def test_the_sensor_takes_freshness_checks_only():
    other = dg.build_column_schema_change_checks(assets=[orders])
    for given, message in (
        (other, "is no freshness check"),
        ([], "no freshness checks"),
        ([*_lately(), *_lately()], "twice"),
    ):
        with pytest.raises(dg.InvalidDefinitionError, match=message):
            dg.build_sensor_for_freshness_checks(freshness_checks=given)

"""Schedules that fill partitions, and requests for runs of partitions."""

import datetime as dt

import pytest

import atoll as dg
from atoll._execution import ticks

UTC = dt.UTC
DAYS = dg.DailyPartitionsDefinition("2026-03-01", timezone="Europe/Berlin")
SHOPS = dg.StaticPartitionsDefinition(["north", "south"])


@dg.op
def load(): ...


def _job(partitions, **options):
    @dg.job(name="filling", partitions_def=partitions, **options)
    def filling():
        load()

    return filling


def _tick(schedule, day=3, hour=6, **options):
    moment = dt.datetime(2026, 3, day, hour, tzinfo=UTC)
    return schedule.evaluate_tick(
        dg.build_schedule_context(scheduled_execution_time=moment, **options)
    )


def test_a_day_is_filled_when_it_has_ended():
    made = dg.build_schedule_from_partitioned_job(_job(DAYS), tags={"a": "b"}, owners=["team:a"])
    assert (made.name, made.cron_schedule, made.execution_timezone) == (
        "filling_schedule",
        "0 0 * * *",
        "Europe/Berlin",
    )
    assert made.source.file == __file__
    (request,) = _tick(made).run_requests
    assert (request.run_key, request.partition_key, request.job_name) == (
        "2026-03-02",
        "2026-03-02",
        "filling",
    )
    assert request.tags == {
        "a": "b",
        "atoll/partition": "2026-03-02",
        "atoll/schedule_name": "filling_schedule",
    }
    assert _tick(made, day=1).skip_message == "The job 'filling' has no partitions yet."


def test_it_may_be_moved():
    made = dg.build_schedule_from_partitioned_job(
        _job(DAYS), name="early", hour_of_day=4, minute_of_hour=30, description="Fills days."
    )
    assert (made.name, made.cron_schedule, made.description) == (
        "early",
        "30 4 * * *",
        "Fills days.",
    )


def test_static_partitions_are_filled_at_the_times_given():
    made = dg.build_schedule_from_partitioned_job(
        _job(SHOPS), cron_schedule="0 1 * * *", execution_timezone="Europe/Rome"
    )
    assert (made.cron_schedule, made.execution_timezone) == ("0 1 * * *", "Europe/Rome")
    assert [one.run_key for one in _tick(made).run_requests] == ["north", "south"]


def test_a_second_dimension_is_filled_with_the_first():
    both = dg.MultiPartitionsDefinition({"day": DAYS, "shop": SHOPS})
    made = dg.build_schedule_from_partitioned_job(_job(both))
    assert made.cron_schedule == "0 0 * * *"
    requests = _tick(made).run_requests
    assert [one.partition_key for one in requests] == ["2026-03-02|north", "2026-03-02|south"]
    assert requests[0].tags["atoll/partition/shop"] == "north"


def test_configuration_and_labels_of_the_partition():
    @dg.daily_partitioned_config(start_date="2026-03-01")
    def config(start, end):
        return {"ops": {"load": {"config": {"day": f"{start:%d}"}}}}

    @dg.job(config=config)
    def filling():
        load()

    made = dg.build_schedule_from_partitioned_job(filling)
    (request,) = _tick(made).run_requests
    assert request.run_config == {"ops": {"load": {"config": {"day": "02"}}}}


@pytest.mark.parametrize(
    ("partitions", "options", "message"),
    [
        (None, {}, "which has no partitions"),
        (SHOPS, {}, "got no cron_schedule"),
        (SHOPS, {"cron_schedule": "@daily", "hour_of_day": 1}, "got hour_of_day"),
        (DAYS, {"cron_schedule": "@daily"}, "cron_schedule cannot be chosen"),
        (DAYS, {"execution_timezone": "UTC"}, "execution_timezone cannot be chosen"),
        (dg.DynamicPartitionsDefinition(name="x"), {"cron_schedule": "@daily"}, "dynamic|Dynamic"),
    ],
)
def test_what_cannot_be_filled(partitions, options, message):
    with pytest.raises(dg.InvalidDefinitionError, match=message):
        dg.build_schedule_from_partitioned_job(_job(partitions), **options)


def test_partitions_of_assets_are_known_once_the_definitions_are():
    @dg.asset(partitions_def=DAYS)
    def daily(): ...

    job = dg.define_asset_job("filling", [daily])
    made = dg.build_schedule_from_partitioned_job(job, hour_of_day=2)
    defs = dg.Definitions(assets=[daily], schedules=[made])
    defs.validate_loadable()
    resolved = defs.get_schedule_def("filling_schedule")
    assert resolved is defs.get_schedule_def("filling_schedule")
    assert (resolved.cron_schedule, resolved.source.file) == ("0 2 * * *", __file__)
    told = ticks.evaluate_schedule(
        defs,
        "filling_schedule",
        scheduled_execution_time=dt.datetime(2026, 3, 3, 1, tzinfo=UTC),
        instance=dg.Instance.ephemeral(),
    )
    assert [one.partition_key for one in told.run_requests] == ["2026-03-02"]
    told_early = dg.define_asset_job("filling", [daily], partitions_def=DAYS)
    assert isinstance(dg.build_schedule_from_partitioned_job(told_early), dg.ScheduleDefinition)
    unpartitioned = dg.asset(name="plain")(lambda: None)
    wrong = dg.build_schedule_from_partitioned_job(dg.define_asset_job("plain_job", ["plain"]))
    with pytest.raises(dg.InvalidDefinitionError, match="which has no partitions"):
        dg.Definitions(assets=[unpartitioned], schedules=[wrong]).validate_loadable()


def test_a_job_makes_requests_for_its_partitions():
    job = _job(DAYS, config={"ops": {}})
    request = job.run_request_for_partition("2026-03-02", run_key="k", tags={"a": "b"})
    assert (request.job_name, request.run_key, request.partition_key) == (
        "filling",
        "k",
        "2026-03-02",
    )
    assert request.tags == {"a": "b", "atoll/partition": "2026-03-02"}
    assert request.has_resolved_partition()
    own = job.run_request_for_partition("2026-03-02", run_config={"ops": {"load": {}}})
    assert own.run_config == {"ops": {"load": {}}}
    assert job.get_tags_for_partition_key("2026-03-02") == {"atoll/partition": "2026-03-02"}
    assert job.get_run_config_for_partition_key("2026-03-02") == {"ops": {}}
    with pytest.raises(dg.UnknownPartitionError, match="'yesterday'"):
        job.run_request_for_partition("yesterday")
    early = dt.datetime(2026, 3, 2, 12, tzinfo=UTC)
    with pytest.raises(dg.UnknownPartitionError):
        job.run_request_for_partition("2026-03-02", current_time=early)
    with dg.partition_loading_context(effective_dt=early):
        assert job.get_partition_keys() == ["2026-03-01"]
    with pytest.raises(dg.InvariantViolationError, match="'filling' has no partitions"):
        _job(None).run_request_for_partition("x")


def test_dynamic_partitions_of_the_instance():
    job = _job(dg.DynamicPartitionsDefinition(name="customers"))
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("customers", ["ada"])
        request = job.run_request_for_partition("ada", dynamic_partitions_store=instance)
        assert request.tags == {"atoll/partition": "ada"}
        with pytest.raises(dg.UnknownPartitionError, match="'bob'"):
            job.run_request_for_partition("bob", dynamic_partitions_store=instance)


def test_the_job_of_all_assets_asks_the_selected_ones():
    @dg.asset(partitions_def=DAYS)
    def daily(): ...

    @dg.asset(partitions_def=SHOPS)
    def shops(): ...

    @dg.asset
    def plain(): ...

    job = dg.Definitions(assets=[daily, shops, plain]).get_job_def("__ASSET_JOB")
    assert job.get_partition_keys([shops.key]) == ["north", "south"]
    job.validate_partition_key("north", [shops.key, plain.key])
    with pytest.raises(dg.UnknownPartitionError):
        job.validate_partition_key("north", [daily.key])
    with pytest.raises(dg.InvariantViolationError, match="2 kinds of partitions"):
        job.get_partition_keys([daily.key, shops.key])
    with pytest.raises(dg.InvariantViolationError, match="in the selected assets"):
        job.get_partition_keys([plain.key])


@pytest.mark.parametrize("changes", [True, False])
def test_a_sensor_may_ask_for_partitions_that_it_adds(changes):
    customers = dg.DynamicPartitionsDefinition(name="customers")

    @dg.sensor(job=_job(customers))
    def asking():
        requests = [customers.build_add_request(["ada"])] if changes else []
        return dg.SensorResult(
            [dg.RunRequest(partition_key="ada")], dynamic_partitions_requests=requests
        )

    context = dg.build_sensor_context()
    if not changes:
        with pytest.raises(dg.UnknownPartitionError, match="'asking' asks for a run of the job"):
            asking.evaluate_tick(context)
        return
    told = asking.evaluate_tick(context)
    assert told.run_requests[0].tags["atoll/partition"] == "ada"
    assert list(told.dynamic_partitions_requests[0].partition_keys) == ["ada"]


def test_a_sensor_may_not_ask_for_partitions_that_it_deletes():
    customers = dg.DynamicPartitionsDefinition(name="customers")

    @dg.sensor(job=_job(customers))
    def asking(context):
        assert context.instance.has_dynamic_partition("customers", "ada")
        return dg.SensorResult(
            [dg.RunRequest(partition_key="ada")],
            dynamic_partitions_requests=[customers.build_delete_request(["ada"])],
        )

    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("customers", ["ada"])
        with pytest.raises(dg.UnknownPartitionError):
            asking.evaluate_tick(dg.build_sensor_context(instance))


def test_a_sensor_of_an_asset_job_needs_the_definitions_for_partitions():
    @dg.asset(partitions_def=SHOPS)
    def shops(): ...

    @dg.sensor(job=dg.define_asset_job("filling", [shops]))
    def asking():
        return dg.RunRequest(partition_key="north")

    with pytest.raises(dg.InvariantViolationError, match="give the context the definitions"):
        asking.evaluate_tick(dg.build_sensor_context())
    defs = dg.Definitions(assets=[shops], sensors=[asking])
    told = asking.evaluate_tick(dg.build_sensor_context(definitions=defs))
    assert told.run_requests[0].tags["atoll/partition"] == "north"
    far = dg.sensor(name="far", job_name="elsewhere/job")(
        lambda: dg.RunRequest(partition_key="anything")
    )
    told = far.evaluate_tick(dg.build_sensor_context(definitions=defs))
    assert told.run_requests[0].tags["atoll/partition"] == "anything"


def test_what_a_run_request_holds():
    check = dg.AssetCheckKey(dg.AssetKey("a"), "b")
    request = dg.RunRequest(
        asset_selection=["a"],
        asset_check_keys=[check],
        stale_assets_only=True,
        tags={
            "atoll/asset_partition_range_start": "x",
            "atoll/asset_partition_range_end": "y",
        },
    )
    assert list(request.entity_keys) == [dg.AssetKey("a"), check]
    assert request.partition_key_range == dg.PartitionKeyRange("x", "y")
    assert request.with_replaced_attrs(run_key="k").stale_assets_only
    assert dg.RunRequest().partition_key_range is None
    assert not dg.RunRequest(partition_key="x").has_resolved_partition()
    with pytest.raises(dg.InvariantViolationError, match="AssetCheckKeys"):
        dg.RunRequest(asset_check_keys=["a:b"])
    with pytest.raises(dg.InvariantViolationError, match="names no partition"):
        dg.RunRequest().with_resolved_tags_and_config(_job(SHOPS))

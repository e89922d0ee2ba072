import logging

import pytest

import atoll as dg
from atoll._execution import ticks


@dg.asset
def watched(context):
    return dg.MaterializeResult(metadata={"run": context.run_id})


@dg.asset
def made() -> None: ...


JOB = dg.define_asset_job("job", [made])


@pytest.fixture
def instance():
    return dg.Instance.ephemeral()


def _materialize(instance, times=1):
    for _ in range(times):
        dg.materialize([watched], instance=instance)


def _evaluate(sensor, instance, cursor=None):
    return sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor))


def test_nothing_new_is_skipped_with_the_words_users_know(instance):
    @dg.asset_sensor(dg.AssetKey("daily_sales_data"), job=JOB)
    def waiting():
        return dg.RunRequest()

    told = _evaluate(waiting, instance, cursor="7")
    assert told.run_requests == ()
    assert told.cursor == "7"
    assert told.skip_message == (
        "No new materialization events found for asset key AssetKey(['daily_sales_data'])"
    )


def test_each_materialization_is_seen_once_in_order(instance):
    seen = []

    @dg.asset_sensor(watched, job=JOB)
    def every(context, event):
        seen.append(event.asset_materialization.metadata["run"].value)
        return dg.RunRequest(run_key=context.cursor)

    _materialize(instance, 3)
    expected = [
        record.run_id
        for record in instance.fetch_materializations(watched.key, 10, ascending=True).records
    ]
    cursor, keys = None, []
    for _ in range(3):
        told = _evaluate(every, instance, cursor)
        (request,) = told.run_requests
        keys.append(request.run_key)
        assert request.tags == {"atoll/sensor_name": "every"}
        assert request.job_name == "job"
        cursor = told.cursor
    assert seen == expected
    assert keys[0] is None
    assert len(set(keys)) == 3
    assert _evaluate(every, instance, cursor).skip_message.startswith("No new")


def test_a_coalescing_sensor_sees_the_newest_only(instance):
    @dg.asset_sensor(watched, job=JOB, coalesce=True)
    def newest(context, event):
        return dg.RunRequest()

    _materialize(instance, 3)
    told = _evaluate(newest, instance)
    newest_id = instance.fetch_materializations(watched.key, 1).records[0].storage_id
    assert told.cursor == str(newest_id)
    assert newest.coalesce


def test_the_cursor_moves_also_when_nothing_is_asked_for(instance):
    @dg.asset_sensor(watched, job=JOB)
    def silent(context, event):
        if False:
            yield dg.RunRequest()

    _materialize(instance)
    told = _evaluate(silent, instance)
    assert told.cursor is not None
    assert told.skip_message == "Sensor function returned an empty result"


@pytest.mark.parametrize(
    "function",
    [
        lambda: dg.RunRequest(run_key="k"),
        lambda context: dg.RunRequest(run_key="k", tags={"c": str(context.cursor)}),
        lambda asset_event: dg.RunRequest(run_key="k", tags={"e": asset_event.run_id}),
        lambda context, anything: dg.RunRequest(run_key="k", tags={"e": anything.run_id}),
        lambda context, event, db: [dg.RunRequest(run_key="k", tags={"db": db})],
        lambda db: dg.SensorResult([dg.RunRequest(run_key="k", tags={"db": db})]),
    ],
)
def test_the_function_takes_what_it_names(instance, function):
    sensor = dg.asset_sensor(watched, name="named", job=JOB)(function)
    _materialize(instance)
    context = dg.build_sensor_context(instance=instance, resources={"db": "x"})
    (request,) = sensor.evaluate_tick(context).run_requests
    assert request.run_key == "k"
    assert all(value is not None for value in request.tags.values())


def test_a_function_that_takes_too_much_is_told(instance):
    sensor = dg.asset_sensor(watched, name="greedy", job=JOB)(lambda context, event, more: None)
    _materialize(instance)
    with pytest.raises(dg.InvalidDefinitionError, match="'more'"):
        _evaluate(sensor, instance)


def test_the_triggering_event_is_the_one_seen(instance):
    seen = []

    @dg.asset_sensor(watched, job=JOB)
    def every(context, event):
        seen.append((context.cursor, event.event.event_specific_data.materialization.asset_key))
        return dg.SkipReason("because")

    _materialize(instance, 2)
    second = instance.fetch_materializations(watched.key, 1).records[0]
    defs = dg.Definitions(assets=[watched, made], sensors=[every])
    told = ticks.evaluate_sensor(
        defs, "every", cursor="3", triggering_event=second, instance=instance
    )
    assert seen == [("3", watched.key)]
    assert told.cursor == str(second.storage_id)
    assert told.skip_reason == "because"


def test_a_cursor_of_ones_own_is_refused(instance):
    @dg.asset_sensor(watched, job=JOB)
    def moving(context, event):
        return dg.SensorResult(cursor="x")

    @dg.asset_sensor(watched, job=JOB)
    def updating(context, event):
        context.update_cursor("x")

    _materialize(instance)
    with pytest.raises(dg.InvariantViolationError, match="'x'"):
        _evaluate(moving, instance)
    messages = []
    handler = logging.Handler()
    handler.emit = messages.append
    defs = dg.Definitions(assets=[watched, made], sensors=[updating])
    told = ticks.evaluate_sensor(
        defs,
        "updating",
        cursor=None,
        triggering_event=None,
        instance=instance,
        log_handler=handler,
    )
    assert told.cursor.isdigit()
    assert [record.levelname for record in messages] == ["WARNING"]


def test_a_cursor_that_is_no_position_is_told(instance):
    @dg.asset_sensor(watched, job=JOB)
    def every(): ...

    with pytest.raises(dg.InvariantViolationError, match="'abc'"):
        _evaluate(every, instance, cursor="abc")


def test_the_defaults():
    @dg.asset_sensor(watched, job=JOB)
    def every():
        """Watches."""

    assert every.sensor_type is dg.SensorType.ASSET
    assert every.default_status is dg.DefaultSensorStatus.STOPPED
    assert every.minimum_interval_seconds is None
    assert every.effective_minimum_interval_s == 0
    assert every.description == "Watches."
    assert every.monitored_assets == (watched.key,)
    assert every.job_name == "job"
    assert every.source.file == __file__


def test_the_partition_of_the_materialization_reaches_the_function(instance):
    days = dg.StaticPartitionsDefinition(["mon", "tue"])

    @dg.asset(partitions_def=days)
    def downstream() -> None: ...

    job = dg.define_asset_job("partitioned", [downstream])

    @dg.asset_sensor(dg.AssetKey("upstream"), job=job, start_at="earliest")
    def by_partition(event: dg.EventLogEntry):
        return dg.RunRequest(partition_key=event.asset_materialization.partition)

    defs = dg.Definitions(assets=[downstream], jobs=[job], sensors=[by_partition])
    cursor, asked = None, []
    for day in ("tue", "mon"):
        told = dg.AssetMaterialization("upstream", partition=day)
        instance.report_runless_asset_event(told)
        context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=defs)
        tick = by_partition.evaluate_tick(context)
        cursor = tick.cursor
        asked += [(one.partition_key, one.tags["atoll/partition"]) for one in tick.run_requests]
    assert asked == [("tue", "tue"), ("mon", "mon")]
    assert by_partition.start_at == "earliest"

"""Sensors receive resources, made ready for each tick and closed after it."""

from __future__ import annotations

import gc
import logging

import pytest

import atoll as dg
from atoll._execution import ticks

TOLD: list[str] = []


class Warehouse(dg.ConfigurableResource):
    name: str = "w"

    def setup_for_execution(self, context):
        TOLD.append("open")

    def teardown_after_execution(self, context):
        TOLD.append("closed")


@pytest.fixture(autouse=True)
def _nothing_told():
    TOLD.clear()


@dg.asset
def made():
    return 1


@dg.sensor(target=[made])
def annotated(context: dg.SensorEvaluationContext, warehouse: Warehouse):
    TOLD.append(warehouse.name)
    yield dg.SkipReason(warehouse.name)


@dg.sensor(target=[made], required_resource_keys={"warehouse"})
def by_key(context):
    return dg.SkipReason(context.resources.warehouse.name)


@dg.sensor(target=[made])
def by_mark(warehouse: dg.ResourceParam[str]):
    return dg.SkipReason(str(warehouse))


def _tick(sensor, log_handler=None, instance=None, **resources):
    defs = dg.Definitions(assets=[made], sensors=[sensor], resources=resources)
    return ticks.evaluate_sensor(
        defs,
        sensor.name,
        cursor=None,
        triggering_event=None,
        instance=instance or dg.Instance.ephemeral(),
        log_handler=log_handler,
    )


def test_a_tick_makes_the_resource_ready_and_closes_it():
    unused = Warehouse(name="unused")
    told = _tick(annotated, warehouse=Warehouse(name="north"), unused=unused)
    assert told.skip_message == "north"
    assert TOLD == ["open", "north", "closed"]
    assert annotated.required_resource_keys == {"warehouse"}


def test_the_context_has_the_required_ones():
    assert _tick(by_key, warehouse=Warehouse()).skip_message == "w"
    assert _tick(by_mark, warehouse="plain").skip_message == "plain"

    @dg.sensor(target=[made], required_resource_keys={"warehouse"})
    def reaching(context):
        TOLD.append("reached")
        return context.resources.other

    TOLD.clear()
    with pytest.raises(dg.UserCodeExecutionError, match="no resource 'other'"):
        _tick(reaching, warehouse=Warehouse(), other=1)
    assert TOLD == ["open", "reached", "closed"]


def test_it_is_closed_when_the_function_raises():
    @dg.sensor(target=[made])
    def failing(warehouse: Warehouse):
        raise ZeroDivisionError

    with pytest.raises(dg.UserCodeExecutionError):
        _tick(failing, warehouse=Warehouse())
    assert TOLD == ["open", "closed"]


def test_an_error_while_closing_is_logged_and_the_tick_counts():
    class Stuck(dg.ConfigurableResource):
        def teardown_after_execution(self, context):
            raise ValueError("stuck")

    @dg.sensor(target=[made])
    def stuck_sensor(stuck: Stuck):
        return dg.RunRequest("k")

    records = []
    handler = logging.Handler()
    handler.emit = records.append
    told = _tick(stuck_sensor, handler, stuck=Stuck())
    assert [request.run_key for request in told.run_requests] == ["k"]
    assert "'stuck' could not be closed" in records[0].getMessage()


def test_a_resource_that_cannot_be_made_ready_fails_the_tick():
    @dg.resource
    def broken():
        raise ValueError("no luck")

    with pytest.raises(dg.ResourceFunctionError, match="'warehouse'"):
        _tick(by_key, warehouse=broken)


def test_a_missing_resource_is_a_problem_of_the_definitions():
    defs = dg.Definitions(assets=[made], sensors=[annotated])
    with pytest.raises(dg.InvalidDefinitionError, match="needs the resource 'warehouse'"):
        defs.validate_loadable()


def test_asset_sensors_take_resources_beside_the_event():
    @dg.asset_sensor("made", job_name="j")
    def watching(context, event: dg.EventLogEntry, warehouse: Warehouse):
        return dg.SkipReason(f"{event.asset_materialization.asset_key} {warehouse.name}")

    instance = dg.Instance.ephemeral()
    instance.report_runless_asset_event(dg.AssetMaterialization("made"))
    told = _tick(watching, instance=instance, warehouse=Warehouse())
    assert told.skip_message.endswith(" w")
    assert TOLD == ["open", "closed"]


def test_several_assets_watched_with_a_resource():
    @dg.multi_asset_sensor([dg.AssetKey("made")], job_name="j")
    def watching(context: dg.MultiAssetSensorEvaluationContext, warehouse: Warehouse):
        return dg.SkipReason(warehouse.name)

    assert _tick(watching, warehouse=Warehouse()).skip_message == "w"
    with dg.build_multi_asset_sensor_context(
        monitored_assets=["made"], resources={"warehouse": Warehouse(name="x")}
    ) as context:
        assert watching(context).skip_message == "x"
    assert TOLD == ["open", "closed"] * 2


def test_a_built_context_makes_resources_ready_when_they_are_used():
    resources = {"warehouse": Warehouse(name="x"), "unused": Warehouse()}
    with dg.build_sensor_context(resources=resources) as context:
        assert TOLD == []
        assert annotated.evaluate_tick(context).skip_message == "x"
        assert by_key(context).skip_message == "x"
        assert TOLD == ["open", "x"]
    assert TOLD == ["open", "x", "closed"]


def test_resources_of_a_built_context_are_closed_with_it():
    context = dg.build_sensor_context(resources={"warehouse": Warehouse()})
    assert context.resources.warehouse.name == "w"
    merged = context.merge_resources({"other": 5})
    del context
    gc.collect()
    assert (merged.resources.warehouse.name, merged.resources.other) == ("w", 5)
    assert TOLD == ["open"]
    del merged
    gc.collect()
    assert TOLD == ["open", "closed"]


def test_a_direct_call_takes_resources_by_name_or_from_the_context():
    given = Warehouse(name="given")
    assert next(annotated(dg.build_sensor_context(), warehouse=given)).skip_message == "given"
    assert next(annotated(dg.build_sensor_context(), given)).skip_message == "given"
    with dg.build_sensor_context(resources={"warehouse": given}) as context:
        assert next(annotated(context=context)).skip_message == "given"


def test_a_missing_resource_in_a_test_says_how_to_give_it():
    with pytest.raises(dg.UnknownResourceError, match="build_sensor_context"):
        annotated.evaluate_tick(dg.build_sensor_context())
    with pytest.raises(dg.UnknownResourceError, match="build_sensor_context"):
        annotated(dg.build_sensor_context())

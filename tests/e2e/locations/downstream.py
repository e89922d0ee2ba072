"""A location that watches an asset of another one and computes from its value."""

import atoll as dg


@dg.asset
def total(context: dg.AssetExecutionContext, numbers: list) -> int:
    """The sum of the numbers."""
    context.add_output_metadata({"total": sum(numbers)})
    return sum(numbers)


add_up = dg.define_asset_job("add_up", selection=[total])


@dg.asset_sensor(
    asset_key=dg.AssetKey("numbers"),
    job=add_up,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def numbers_changed(context: dg.SensorEvaluationContext, asset_event: dg.EventLogEntry):
    """Adds up anew whenever there are new numbers."""
    return dg.RunRequest(tags={"upstream_run": asset_event.run_id})


@dg.sensor(job=add_up, minimum_interval_seconds=3600)
def idle_sensor():
    """Stopped until somebody starts it."""
    return dg.SkipReason("nothing to do")


defs = dg.Definitions(
    assets=[dg.AssetSpec("numbers"), total], jobs=[add_up], sensors=[numbers_changed, idle_sensor]
)

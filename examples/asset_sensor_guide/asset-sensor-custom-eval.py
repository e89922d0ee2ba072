"""An asset sensor that decides by what the materialization says of itself.

There is no Definitions object here: a file without one serves every definition found in it.
"""

import atoll as dg


@dg.asset
def daily_sales_data(context: dg.AssetExecutionContext):
    context.log.info("Materializing daily_sales_data with metadata")
    yield dg.MaterializeResult(metadata={"specific_property": "value"})


@dg.asset
def weekly_report(context: dg.AssetExecutionContext):
    context.log.info("Materialized weekly_report")


my_job = dg.define_asset_job("my_job", [weekly_report])


@dg.asset_sensor(asset_key=dg.AssetKey("daily_sales_data"), job=my_job)
def daily_sales_data_sensor(context: dg.SensorEvaluationContext, asset_event):
    # A generator may yield run requests or a reason for none, but not both.
    materialization: dg.AssetMaterialization = asset_event.event.event_specific_data.materialization
    if "specific_property" in materialization.metadata:
        context.log.info("The property is there: requesting a run")
        # The cursor of the evaluation before: no two materializations share it.
        yield dg.RunRequest(run_key=context.cursor)
    else:
        yield dg.SkipReason("The materialization has no specific_property")

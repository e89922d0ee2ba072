"""An asset sensor that hands what a materialization says on to the job, as run configuration.

Like asset-sensor-custom-eval.py, this file needs no Definitions object to be served.
"""

import atoll as dg


class MyConfig(dg.Config):
    param1: str


@dg.asset
def daily_sales_data(context: dg.AssetExecutionContext):
    context.log.info("Materializing daily_sales_data with metadata")
    yield dg.MaterializeResult(metadata={"specific_property": "value"})


@dg.asset
def weekly_report(context: dg.AssetExecutionContext, config: MyConfig):
    context.log.info("Running with param1 = %s", config.param1)


# The job has a configuration of its own, for launches that bring none.
my_job = dg.define_asset_job(
    "my_job",
    [weekly_report],
    config=dg.RunConfig(ops={"weekly_report": MyConfig(param1="value")}),
)


@dg.asset_sensor(asset_key=dg.AssetKey("daily_sales_data"), job=my_job)
def daily_sales_data_sensor(context: dg.SensorEvaluationContext, asset_event):
    materialization: dg.AssetMaterialization = asset_event.event.event_specific_data.materialization
    # Nothing is yielded when the property is missing: the evaluation counts as skipped.
    if "specific_property" in materialization.metadata:
        value = str(materialization.metadata.get("specific_property"))
        yield dg.RunRequest(
            run_key=context.cursor,
            run_config=dg.RunConfig(ops={"weekly_report": MyConfig(param1=value)}),
        )

"""An asset sensor at its simplest: whenever one asset is materialized, run a job.

The watched asset is in this file for brevity. It could as well belong to another code location: the
sensor knows its key and nothing else.
"""

import atoll as dg


@dg.asset
def daily_sales_data(context: dg.AssetExecutionContext):
    context.log.info("Materialized daily_sales_data, which the sensor watches")


@dg.asset
def weekly_report(context: dg.AssetExecutionContext):
    context.log.info("Materialized weekly_report, which the sensor's job makes")


my_job = dg.define_asset_job("my_job", [weekly_report])


# The function needs neither the context nor the event, so it takes no parameters.
@dg.asset_sensor(asset_key=dg.AssetKey("daily_sales_data"), job_name="my_job")
def daily_sales_data_sensor():
    return dg.RunRequest()


defs = dg.Definitions(
    assets=[daily_sales_data, weekly_report],
    jobs=[my_job],
    sensors=[daily_sales_data_sensor],
)

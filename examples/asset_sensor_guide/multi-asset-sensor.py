"""A sensor that watches several assets and asks for a run once all of them are new.

Watched assets keep their news until the sensor takes it with `advance_all_cursors`.
"""

import atoll as dg


@dg.asset
def target_asset(context: dg.AssetExecutionContext):
    context.log.info("Materialized target_asset, which the sensor's job makes")


downstream_job = dg.define_asset_job("downstream_job", [target_asset])


@dg.asset
def asset_a():
    return [1, 2, 3]


@dg.asset
def asset_b():
    return [6, 7, 8]


@dg.multi_asset_sensor(
    monitored_assets=[dg.AssetKey("asset_a"), dg.AssetKey("asset_b")],
    job=downstream_job,
)
def asset_a_and_b_sensor(context: dg.MultiAssetSensorEvaluationContext):
    latest = context.latest_materialization_records_by_key()
    if all(latest.values()):
        context.advance_all_cursors()
        return dg.RunRequest(run_key=context.cursor, run_config={})
    return None


defs = dg.Definitions(
    assets=[target_asset, asset_a, asset_b],
    jobs=[downstream_job],
    sensors=[asset_a_and_b_sensor],
)

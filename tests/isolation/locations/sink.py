"""A location that answers each materialization of an asset of another one with exactly one run."""

import atoll as dg


@dg.asset(deps=[dg.AssetKey("numbers")])
def answer() -> None:
    """What the materializations lead to."""


answer_job = dg.define_asset_job("answer_job", [answer])


@dg.asset_sensor(
    dg.AssetKey("numbers"), job=answer_job, default_status=dg.DefaultSensorStatus.RUNNING
)
def on_numbers(context, asset_event):
    return dg.RunRequest(run_key=asset_event.run_id)


defs = dg.Definitions([dg.AssetSpec("numbers"), answer], jobs=[answer_job], sensors=[on_numbers])

"""Sensors that never return: some wait for ever, one of them on the asset that others watch too,
and one burns a core."""

import threading

import atoll as dg


@dg.asset
def unreached() -> None:
    """What the sensors would ask for, if they ever did."""


unreached_job = dg.define_asset_job("unreached_job", selection=[unreached])
RUNNING = dg.DefaultSensorStatus.RUNNING


@dg.sensor(job=unreached_job, minimum_interval_seconds=1, default_status=RUNNING)
def waits():
    threading.Event().wait()


@dg.sensor(job=unreached_job, minimum_interval_seconds=1, default_status=RUNNING)
def spins():
    while True:
        pass


@dg.asset_sensor(dg.AssetKey("numbers"), job=unreached_job, default_status=RUNNING)
def waits_on_the_same_asset(context, asset_event):
    threading.Event().wait()


defs = dg.Definitions(
    assets=[dg.AssetSpec("numbers"), unreached],
    jobs=[unreached_job],
    sensors=[waits, spins, waits_on_the_same_asset],
)

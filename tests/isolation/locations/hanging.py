"""Sensors that never return: one waits, one waits on the asset that others watch too, and the rest
burn a core each. They are so many that whenever one is killed the next one takes its place.
"""

import os
import threading

import atoll as dg


@dg.asset(name=f"unreached_{os.environ['NAME_OF_LOCATION']}")
def unreached() -> None:
    """What the sensors would ask for, if they ever did."""


unreached_job = dg.define_asset_job("unreached_job", selection=[unreached])
ALWAYS = dg.DefaultSensorStatus.RUNNING


@dg.sensor(job=unreached_job, minimum_interval_seconds=1, default_status=ALWAYS)
def waits():
    threading.Event().wait()


@dg.asset_sensor(dg.AssetKey("numbers"), job=unreached_job, default_status=ALWAYS)
def waits_on_the_same_asset(context, asset_event):
    threading.Event().wait()


def spinning(number: int) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"spins_{number}", job=unreached_job, minimum_interval_seconds=1, default_status=ALWAYS
    )
    def spins():
        while True:
            pass

    return spins


defs = dg.Definitions(
    assets=[dg.AssetSpec("numbers"), unreached],
    jobs=[unreached_job],
    sensors=[waits, waits_on_the_same_asset, *(spinning(number) for number in range(10))],
)

"""User code that ends its process: in every tick and in every run."""

import os

import atoll as dg


@dg.asset(name=f"crash_{os.environ['NAME_OF_LOCATION']}")
def crash() -> None:
    os._exit(3)


crash_job = dg.define_asset_job("crash_job", selection=[crash])


def crashing_sensor(number: int) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"crash_{number}",
        job=crash_job,
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def exits(context):
        os._exit(4)

    return exits


defs = dg.Definitions(
    assets=[crash],
    jobs=[crash_job],
    sensors=[crashing_sensor(number) for number in range(8)],
)

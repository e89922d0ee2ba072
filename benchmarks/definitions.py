"""Source texts of the definitions that cases serve."""

NOOP = '''
import atoll as dg

@dg.asset
def noop() -> None:
    """Do nothing."""

defs = dg.Definitions([noop], jobs=[dg.define_asset_job("noop_job", [noop])])
'''

PRODUCER = """
import atoll as dg

@dg.asset
def source() -> None: ...

defs = dg.Definitions([source], jobs=[dg.define_asset_job("source_job", [source])])
"""

CONSUMER = """
import time
import atoll as dg

@dg.asset
def sink() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"began_ns": time.time_ns()})

sink_job = dg.define_asset_job("sink_job", [sink])

@dg.asset_sensor(
    dg.AssetKey("source"), job=sink_job, default_status=dg.DefaultSensorStatus.RUNNING
)
def on_source():
    return dg.RunRequest()

defs = dg.Definitions([sink], jobs=[sink_job], sensors=[on_source])
"""


def many_assets(count: int, last: str = "last") -> str:
    """Return definitions of many assets in chains of ten, the last one of a given name."""
    return f'''
import atoll as dg

def made(number: int):
    upstream = [dg.AssetKey(["area", f"asset_{{number - 1}}"])] if number % 10 else []

    @dg.asset(
        name=f"asset_{{number}}", key_prefix="area", deps=upstream,
        group_name=f"g{{number // 100}}",
        description="One of many.", owners=["team:data"], tags={{"tier": "1"}}, kinds={{"python"}},
        metadata={{"rows": number}},
    )
    def computed() -> None: ...

    return computed

@dg.asset(name="{last}")
def computed_last() -> None: ...

defs = dg.Definitions([*map(made, range({count - 1})), computed_last])
'''


def many_steps(count: int) -> str:
    """Return jobs of one step that does nothing and of many, in process and forked one by one."""
    return f"""
import atoll as dg

def made(number: int):
    @dg.asset(name=f"step_{{number}}")
    def computed() -> None: ...
    return computed

steps = [made(number) for number in range({count + 1})]
forked = dg.multiprocess_executor.configured({{"max_concurrent": 1}})
defs = dg.Definitions(
    steps,
    jobs=[
        dg.define_asset_job("one_step", steps[:1]),
        dg.define_asset_job("many_steps", steps),
        dg.define_asset_job("one_forked_step", steps[:1], executor_def=forked),
        dg.define_asset_job("many_forked_steps", steps, executor_def=forked),
    ],
)
"""


def polling_sensors(count: int) -> str:
    """Return sensors that count their evaluations in their cursors, once a second each."""
    return f"""
import atoll as dg

@dg.asset
def thing() -> None: ...

job = dg.define_asset_job("thing_job", [thing])

def made(number: int):
    @dg.sensor(
        name=f"sensor_{{number}}", job=job, minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def counting(context):
        context.update_cursor(str(int(context.cursor or 0) + 1))
        return dg.SkipReason("nothing to do")
    return counting

defs = dg.Definitions([thing], jobs=[job], sensors=[made(number) for number in range({count})])
"""

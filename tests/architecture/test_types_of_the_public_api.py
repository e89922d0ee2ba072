"""What a type checker says of right and wrong uses of the public API.

Lines that must be refused carry `# refused:` and the code of the error; every other line must pass
under strict settings.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import atoll as dg


class Settings(dg.Config):
    size: int = 3


@dg.asset(deps=["orders"], group_name="sales", kinds={"table"}, tags={"tier": "1"})
def sums(context: dg.AssetExecutionContext, config: Settings) -> dg.MaterializeResult:
    context.log.info("size %s", config.size)
    context.add_output_metadata({"size": config.size, "done": True})
    return dg.MaterializeResult(metadata={"size": config.size})


@dg.asset
def plain(orders: list[int]) -> int:
    return sum(orders)


job = dg.define_asset_job("sums_job", selection=[sums], tags={"a": "b"})


@dg.asset_sensor(dg.AssetKey("orders"), job=job, coalesce=True)
def on_orders(context: dg.SensorEvaluationContext, event: dg.EventLogEntry) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=context.cursor, run_config=dg.RunConfig(ops={"sums": Settings(size=4)})
    )


defs = dg.Definitions(assets=[sums, plain, dg.AssetSpec("orders")], jobs=[job], sensors=[on_orders])
succeeded: bool = dg.materialize([plain]).success
key: dg.AssetKey = dg.AssetKey(["a", "b"]).with_prefix("c")

dg.AssetKey(5)  # refused: arg-type
dg.RunRequest(run_key=5)  # refused: arg-type
dg.RunRequest(run_keys="x")  # refused: call-arg
dg.SkipReason(1)  # refused: arg-type
dg.Definitions(assets=5)  # refused: arg-type
dg.define_asset_job()  # refused: call-arg
dg.asset_sensor(job=job)  # refused: call-arg
dg.MaterializeResult(metadata=[1])  # refused: arg-type
Settings(size="many")  # refused: arg-type
wrong: int = dg.AssetKey("a").to_user_string()  # refused: assignment
dg.no_such_name  # refused: attr-defined
"""
_ERROR = re.compile(r"^[^:]+:(\d+): error: .*\[([a-z-]+)\]$")


@pytest.mark.slow
def test_right_uses_pass_and_wrong_ones_are_refused(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    outcome = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = {
        (int(match[1]), match[2])
        for line in outcome.stdout.splitlines()
        if line.startswith(str(program)) or "program.py" in line
        if (match := _ERROR.match(line))
    }
    wanted = {
        (number, line.partition("# refused:")[2].strip())
        for number, line in enumerate(PROGRAM.splitlines(), start=1)
        if "# refused:" in line
    }
    assert found == wanted, outcome.stdout

"""The plant: what its sensors read each day, and the same without nonsense."""

import json
import os
from pathlib import Path

import atoll as dg

LAKE = Path(os.environ.get("LAKE", ".lake"))
DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-04", end_date="2026-01-25")


@dg.asset(partitions_def=DAYS)
def readings(context: dg.AssetExecutionContext) -> None:
    day = context.partition_key
    if (LAKE / f"broken-{day}").exists():
        raise ValueError(f"the sensors did not answer on {day}")
    store("readings", day, [int(day[-2:]), -999, 7])


@dg.asset(partitions_def=DAYS, deps=[readings])
def clean_readings(context: dg.AssetExecutionContext) -> None:
    day = context.partition_key
    values = json.loads((LAKE / "readings" / f"{day}.json").read_text())
    store("clean_readings", day, [value for value in values if value >= 0])


def store(table: str, day: str, values: list[int]) -> None:
    folder = LAKE / table
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{day}.json").write_text(json.dumps(values))


defs = dg.Definitions(assets=[readings, clean_readings])

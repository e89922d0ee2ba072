"""The reports: one for each week of what the plant cleaned, in a location of its own."""

import datetime as dt
import json
import os
from pathlib import Path

import atoll as dg

LAKE = Path(os.environ.get("LAKE", ".lake"))
WEEKS = dg.WeeklyPartitionsDefinition(start_date="2026-01-04", end_date="2026-01-25")


@dg.asset(
    partitions_def=WEEKS,
    deps=[dg.AssetDep("clean_readings", partition_mapping=dg.TimeWindowPartitionMapping())],
)
def weekly_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    first = dt.date.fromisoformat(context.partition_key)
    days = [first + dt.timedelta(days=number) for number in range(7)]
    files = [LAKE / "clean_readings" / f"{day}.json" for day in days]
    total = sum(sum(json.loads(file.read_text())) for file in files)
    return dg.MaterializeResult(metadata={"total": total})


defs = dg.Definitions(
    assets=[
        weekly_report,
        dg.AssetSpec(
            "clean_readings",
            partitions_def=dg.DailyPartitionsDefinition("2026-01-04", end_date="2026-01-25"),
        ),
    ]
)

"""A location that computes from partitions of another one, checks its assets, and has a job of ops.

It knows of the other location's assets nothing but their keys.
"""

import os
import pathlib

import atoll as dg


@dg.asset(partitions_def=dg.WeeklyPartitionsDefinition("2026-01-04"))
def weekly_orders(context: dg.AssetExecutionContext, daily_orders: dict):
    context.add_output_metadata({"days": ",".join(sorted(daily_orders))})
    return sum(daily_orders.values())


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-01-04"))
def daily_clicks(context: dg.AssetExecutionContext, hourly_clicks: dict):
    context.add_output_metadata({"hours": len(hourly_clicks)})
    return len(hourly_clicks)


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["eu", "us"]))
def orders_of_region(context: dg.AssetExecutionContext, regional_orders: dict):
    context.add_output_metadata({"parts": ",".join(sorted(regional_orders))})
    return len(regional_orders)


@dg.asset_check(asset="raw")
def raw_is_odd(raw):
    return dg.AssetCheckResult(passed=raw % 2 == 1)


@dg.op
def load() -> int:
    return 3


@dg.op
def transform(number: int) -> int:
    """Fail the first time."""
    marker = pathlib.Path(os.environ["ATOLL_STORAGE_DIR"]) / "transformed"
    if not marker.exists():
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        raise ValueError("not yet")
    return number + 1


@dg.op
def publish(context: dg.OpExecutionContext, number: int) -> None:
    context.log.info("published %s", number)


@dg.job
def pipeline():
    """Load, transform, publish."""
    publish(transform(load()))


defs = dg.Definitions(
    assets=[
        dg.AssetSpec("daily_orders"),
        dg.AssetSpec("hourly_clicks"),
        dg.AssetSpec("regional_orders"),
        dg.AssetSpec("raw"),
        weekly_orders,
        daily_clicks,
        orders_of_region,
    ],
    asset_checks=[raw_is_odd],
    jobs=[pipeline],
)

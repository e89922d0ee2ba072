"""A location that makes partitioned assets for others, and checks one of its own."""

import datetime as dt

import atoll as dg

days = dg.DailyPartitionsDefinition("2026-01-04", end_date="2026-02-01")
hours = dg.HourlyPartitionsDefinition("2026-01-04-00:00", end_date="2026-01-06-00:00")
regions = dg.StaticPartitionsDefinition(["eu", "us"])


def _by_partition(context):
    keys = list(context.partition_keys)
    made = {key: len(key) for key in keys}
    return made if len(keys) > 1 else made[keys[0]]


@dg.asset(partitions_def=days, owners=["team:orders"], kinds={"table"})
def daily_orders(context: dg.AssetExecutionContext):
    """The orders of a day."""
    return _by_partition(context)


@dg.asset(partitions_def=hours)
def hourly_clicks(context: dg.AssetExecutionContext):
    return _by_partition(context)


@dg.asset(partitions_def=dg.MultiPartitionsDefinition({"day": days, "region": regions}))
def regional_orders(context: dg.AssetExecutionContext):
    return _by_partition(context)


@dg.asset
def raw():
    return 1


@dg.asset_check(asset=raw, blocking=True)
def raw_is_large(raw):
    return dg.AssetCheckResult(passed=raw > 1, metadata={"found": raw})


@dg.asset
def refined(raw):
    return raw


@dg.asset
def measured(context: dg.AssetExecutionContext):
    """Have a lot on the way to the host when the checks ask."""
    for _ in range(4):
        context.log.info("x" * 4_000_000)
    return dg.MaterializeResult(metadata={"rows": 5})


measured_checks = [
    *dg.build_last_update_freshness_checks(
        assets=[measured], lower_bound_delta=dt.timedelta(hours=1)
    ),
    *dg.build_metadata_bounds_checks(assets=[measured], metadata_key="rows", min_value=1),
]


defs = dg.Definitions(
    assets=[daily_orders, hourly_clicks, regional_orders, raw, refined, measured],
    asset_checks=[raw_is_large, *measured_checks],
)

"""Reports on what another location does: after its runs, and once all its partitions are there."""

import atoll as dg

months = dg.MonthlyPartitionsDefinition(start_date="2026-01-01", end_date="2026-03-01")
SALES = dg.AssetKey("sales")


@dg.op
def write_summary() -> None:
    """Sum the day up."""


@dg.job
def summary() -> None:
    """The summary of a day."""
    write_summary()


@dg.op
def count_copies() -> None:
    """Count."""


@dg.job
def nightly() -> None:
    """Called like a job of the shop, and not the same."""
    count_copies()


@dg.run_status_sensor(
    dg.RunStatus.SUCCESS,
    monitored_jobs=[dg.JobSelector(location_name="shop", job_name="nightly")],
    request_job=summary,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def after_the_shop_closed(context: dg.RunStatusSensorContext):
    """Sum a day up after each night of the shop."""
    return dg.RunRequest(run_key=context.run.run_id, tags={"after": context.run.run_id})


@dg.asset(partitions_def=months, deps=[SALES])
def sales_by_month(context: dg.AssetExecutionContext) -> None:
    """What was sold in a month."""
    context.log.info("sold in %s", context.partition_key)


by_month = dg.define_asset_job("by_month", selection=[sales_by_month])


@dg.multi_asset_sensor(
    monitored_assets=[SALES],
    job=by_month,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def months_that_are_complete(context: dg.MultiAssetSensorEvaluationContext):
    """Sum a month up once every day of it was sold."""
    new = context.latest_materialization_records_by_partition(SALES)
    touched = {
        month
        for day in new
        for month in context.get_downstream_partition_keys(day, SALES, sales_by_month.key)
    }
    sales_days = context.assets_defs_by_key[SALES].partitions_def.get_partition_keys()
    requests = []
    for month in sorted(touched):
        of_month = [day for day in sales_days if day.startswith(month[:7])]
        if context.all_partitions_materialized(SALES, of_month):
            requests.append(dg.RunRequest(run_key=month, partition_key=month))
    context.advance_all_cursors()
    return requests or dg.SkipReason(f"not complete yet: {', '.join(sorted(touched))}")


defs = dg.Definitions(
    assets=[sales_by_month],
    jobs=[summary, nightly, by_month],
    sensors=[after_the_shop_closed, months_that_are_complete],
)

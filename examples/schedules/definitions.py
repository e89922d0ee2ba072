"""A shop in two time zones, and what it does at which time."""

from collections.abc import Iterator

import atoll as dg

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", timezone="Europe/Zurich")
SHOPS = {"zurich": "Europe/Zurich", "new_york": "America/New_York"}


# Partitions as they come: the day that has just ended is asked for at half past midnight.


@dg.asset(partitions_def=DAYS)
def sales(context: dg.AssetExecutionContext) -> str:
    """What was sold on a day."""
    return context.partition_key


daily_sales = dg.define_asset_job("daily_sales", selection=[sales], partitions_def=DAYS)
after_each_day = dg.build_schedule_from_partitioned_job(
    daily_sales,
    name="after_each_day",
    hour_of_day=0,
    minute_of_hour=30,
    # A day that nobody was there for is still a day: make up for two weeks of them.
    max_catchup_runs=14,
)


# Run configuration for each tick.


class PriceList(dg.Config):
    """Which prices to fetch."""

    as_of: str


@dg.asset
def prices(context: dg.AssetExecutionContext, config: PriceList) -> str:
    """The prices as they were at a time."""
    context.log.info("prices as of %s", config.as_of)
    return config.as_of


@dg.schedule(
    cron_schedule="0 8,12,16 * * 1-5",
    execution_timezone="Europe/Zurich",
    target=[prices],
    tags={"team": "purchasing"},
)
def fetch_prices(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Prices of the opening, of noon and of the afternoon, on working days."""
    as_of = context.scheduled_execution_time.isoformat()
    return dg.RunRequest(
        run_key=as_of,
        run_config=dg.RunConfig(ops={"prices": PriceList(as_of=as_of)}),
    )


# A time of the day in several time zones: a schedule for each.


@dg.op
def count_shelves(context: dg.OpExecutionContext) -> None:
    """Count what is on the shelves."""
    context.log.info("counting in %s", context.run.tags["shop"])


@dg.job
def stock_taking() -> None:
    """Count everything."""
    count_shelves()


class Shelves(dg.ConfigurableResource):
    """Knows whether anything was moved."""

    closed_shops: list[str] = []  # noqa: RUF012 - a field of configuration, copied for each

    def moved(self, shop: str) -> int:
        """Return how many things were moved since the last time."""
        return 0 if shop in self.closed_shops else 7


def _stock_taking_of(shop: str, timezone: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"stock_taking_{shop}",
        cron_schedule="30 2 * * *",
        execution_timezone=timezone,
        job=stock_taking,
        # The night in which 02:30 comes twice has more time: count at the end of it.
        repeated_times="last",
        skipped_times="shift",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, shelves: Shelves
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """Count, if anything was moved."""
        moved = shelves.moved(shop)
        if not moved:
            yield dg.SkipReason(f"Nothing was moved in {shop}.")
            return
        night = f"{context.scheduled_execution_time:%Y-%m-%d}"
        yield dg.RunRequest(run_key=night, tags={"shop": shop, "moved": str(moved)})

    return schedule


# Several moments that no single cron expression names, and no function at all.


@dg.op
def close_week() -> None:
    """Close the books of the week."""


@dg.job
def books() -> None:
    """Close the books."""
    close_week()


close_books = dg.ScheduleDefinition(
    name="close_books",
    job=books,
    cron_schedule=["0 18 * * 5", "0 9 l * *"],
    execution_timezone="Europe/Zurich",
    description="On Friday evening, and in the morning of the last day of a month.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    max_catchup_runs=1,
    max_tick_retries=5,
)


defs = dg.Definitions(
    assets=[sales, prices],
    jobs=[daily_sales, stock_taking, books],
    schedules=[
        after_each_day,
        fetch_prices,
        *(_stock_taking_of(shop, timezone) for shop, timezone in SHOPS.items()),
        close_books,
    ],
    resources={"shelves": Shelves()},
)

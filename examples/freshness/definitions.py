"""A warehouse whose tables have to be fresh, and a table of others that has to be fresh for us."""

from datetime import timedelta

import atoll as dg

HOURLY = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=2), warn_window=timedelta(hours=1)
)
"""Loaded every hour; late once is worth a look, late twice is a failure."""

BEFORE_WORK = dg.FreshnessPolicy.cron(
    deadline_cron="0 8 * * 1-5", lower_bound_delta=timedelta(hours=3), timezone="Europe/Berlin"
)
"""Made in the early morning of each working day, and not the evening before."""

exchange_rates = dg.AssetSpec(
    "exchange_rates",
    description="Loaded by the bank, which tells us so: no location materializes it.",
    freshness_policy=BEFORE_WORK,
)


@dg.asset(freshness_policy=HOURLY)
def orders() -> list[int]:
    """The orders so far."""
    return [3, 4]


@dg.asset(deps=[orders])
def customers() -> int:
    """How many customers there are."""
    return 2


@dg.asset(deps=[exchange_rates])
def report(orders: list[int], customers: int) -> float:
    """What a customer orders."""
    return sum(orders) / customers


defs = dg.Definitions(assets=[exchange_rates, orders, customers, report])

# Everything that nobody thought of is made once a day.
defs = defs.map_asset_specs(
    func=lambda spec: dg.apply_freshness_policy(
        spec,
        dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26)),
        overwrite_existing=False,
    )
)

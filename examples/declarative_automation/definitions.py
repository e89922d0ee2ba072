"""Assets that say themselves when they are to be made."""

import datetime as dt

import atoll as dg

Condition = dg.AutomationCondition

orders = dg.AssetSpec("orders", group_name="outside")
exchange_rates = dg.AssetSpec("exchange_rates", group_name="outside_by_the_minute")


@dg.asset_check(asset="orders", automation_condition=Condition.eager())
def orders_look_right() -> dg.AssetCheckResult:
    """Runs whenever orders are updated."""
    return dg.AssetCheckResult(passed=True)


follows_orders = Condition.eager().ignore(
    dg.AssetSelection.groups("outside_by_the_minute", include_sources=True)
)


@dg.asset(deps=[orders, exchange_rates], automation_condition=follows_orders)
def revenue() -> None:
    """Follows orders, not rates."""


@dg.asset_check(asset=revenue, blocking=True)
def revenue_is_positive() -> dg.AssetCheckResult:
    """Stops what is downstream in the same run."""
    return dg.AssetCheckResult(passed=True)


last_three_days = Condition.eager().replace(
    "in_latest_time_window", Condition.in_latest_time_window(dt.timedelta(days=3))
)


@dg.asset(
    deps=[revenue],
    partitions_def=dg.DailyPartitionsDefinition("2026-01-01"),
    automation_condition=last_three_days,
)
def revenue_by_day() -> None:
    """A partition a day."""


@dg.asset(
    deps=[revenue],
    automation_condition=Condition.on_cron("0 7 1 * *", "Europe/Berlin")
    & Condition.all_deps_blocking_checks_passed(),
)
def monthly_letter() -> None:
    """Written on the first of the month, once revenue is fresh and its check has passed."""


class OutsideOfficeHours(dg.AutomationCondition):
    """True at night, between two hours of UTC."""

    def __init__(self, evening: int = 20, morning: int = 5) -> None:
        self.evening = evening
        self.morning = morning

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        """Say for which of the candidates it is true: all of them, or none."""
        hour = context.evaluation_time.hour
        night = hour >= self.evening or hour < self.morning
        true = context.candidate_subset if night else context.get_empty_subset()
        return dg.AutomationResult(context, true)


@dg.asset(
    deps=[revenue],
    automation_condition=Condition.any_deps_updated().since_last_handled() & OutsideOfficeHours(),
)
def big_model() -> None:
    """Trained at night after revenue changed."""


@dg.asset(deps=[orders])
def search_index() -> None:
    """Made by the job below."""


rebuild_search = dg.define_asset_job(
    "rebuild_search",
    selection=[search_index],
    automation_condition=Condition.any_job_root_assets_match(Condition.any_deps_updated()),
)

shop_automation = dg.AutomationConditionSensorDefinition(
    "shop_automation",
    target=[dg.AssetSelection.all(), rebuild_search],
    run_tags={"asked_by": "shop_automation"},
    use_user_code_server=True,
)

defs = dg.Definitions(
    assets=[
        orders,
        exchange_rates,
        revenue,
        revenue_by_day,
        monthly_letter,
        big_model,
        search_index,
    ],
    asset_checks=[orders_look_right, revenue_is_positive],
    jobs=[rebuild_search],
    sensors=[shop_automation],
)

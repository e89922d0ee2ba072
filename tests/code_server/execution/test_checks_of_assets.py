"""Checks that are defined apart from the assets that they look at."""

import asyncio

import pytest

import atoll as dg
from atoll import errors

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


@dg.asset
def orders() -> int:
    return 5


@dg.asset
def rates() -> int:
    return 2


def _only(result):
    (found,) = result.get_asset_check_evaluations()
    return found


def _failure(*given, **options):
    result = dg.materialize(list(given), raise_on_error=False, **options)
    assert not result.success
    (key,) = result.get_failed_step_keys()
    return result.failure_data_for_node(key)


def test_a_parameter_called_like_the_asset_gets_its_value():
    @dg.asset_check(asset=orders, description="Looks at orders.")
    def some(orders: int) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=orders == 5, metadata={"count": orders}, description="found some"
        )

    with dg.instance_for_test() as instance:
        result = dg.materialize([orders, some], instance=instance)
        found = _only(result)
        made = instance.get_latest_materialization_records([orders.key])[orders.key]
        stored = instance.get_latest_asset_check_evaluation_record(some.check_key)
    assert (found.asset_key, found.check_name) == (dg.AssetKey("orders"), "some")
    assert (found.passed, found.severity, found.blocking) == (True, ERROR, False)
    assert (found.description, found.metadata["count"].value) == ("found some", 5)
    target = found.target_materialization_data
    assert (target.storage_id, target.run_id) == (made.storage_id, result.run_id)
    assert stored.event_log_entry.asset_check_evaluation == found
    assert result.asset_check_evaluations_for_node("orders_some") == [found]
    assert result.asset_check_evaluations_for_node("orders") == []


def test_the_first_free_parameter_gets_the_value_whatever_its_name():
    @dg.asset_check(asset=dg.AssetKey(["raw", "orders"]))
    def some(context: dg.AssetCheckExecutionContext, data: int):
        assert data == 7
        assert context.selected_asset_check_keys == {some.check_key}
        assert [one.name for one in context.check_specs] == ["some"]
        assert context is dg.AssetCheckExecutionContext.get()
        return dg.AssetCheckResult(passed=True)

    @dg.asset(key=["raw", "orders"])
    def raw_orders():
        return 7

    assert _only(dg.materialize([raw_orders, some])).passed


def test_without_a_parameter_nothing_is_loaded():
    class Refusing(dg.IOManager):
        def handle_output(self, context, obj): ...

        def load_input(self, context):
            raise AssertionError("loaded")

    @dg.asset_check(asset=orders)
    def some():
        return dg.AssetCheckResult(passed=False, severity=WARN)

    result = dg.materialize([orders, some], resources={"io_manager": Refusing()})
    assert result.success
    assert (_only(result).passed, _only(result).severity) == (False, WARN)


def test_values_and_order_of_further_assets():
    @dg.asset
    def late(): ...

    @dg.asset_check(
        asset=orders, additional_ins={"other": dg.AssetIn("rates")}, additional_deps=[late]
    )
    def some(orders: int, other: int):
        return dg.AssetCheckResult(passed=orders > other)

    assert {dep.asset_key for dep in next(iter(some.check_specs)).additional_deps} == {
        rates.key,
        late.key,
    }
    result = dg.materialize([some, late, rates, orders])
    assert _only(result).passed
    assert list(dict.fromkeys(one.step_key for one in result.all_events if one.step_key))[-1] == (
        "orders_some"
    )


def test_config_resources_and_retries():
    class Limits(dg.Config):
        least: int

    class Clock(dg.ConfigurableResource):
        now: int

    tried = []

    @dg.asset_check(
        asset=orders, retry_policy=dg.RetryPolicy(max_retries=2), required_resource_keys={"db"}
    )
    def some(context, config: Limits, clock: Clock, orders: int):
        tried.append(context.retry_number)
        if len(tried) < 3:
            raise ValueError("not yet")
        return dg.AssetCheckResult(
            passed=orders >= config.least, metadata={"now": clock.now, "db": context.resources.db}
        )

    result = dg.materialize(
        [orders, some],
        run_config={"ops": {"orders_some": {"config": {"least": 6}}}},
        resources={"clock": Clock(now=3), "db": "the db"},
    )
    found = _only(result)
    assert tried == [0, 1, 2]
    assert (found.passed, found.metadata["now"].value, found.metadata["db"].value) == (
        False,
        3,
        "the db",
    )


def test_resources_that_a_check_brings_along():
    @dg.asset_check(asset=orders, resource_defs={"db": dg.ResourceDefinition.hardcoded_resource(1)})
    def some(context, db: dg.ResourceParam[int]):
        return dg.AssetCheckResult(passed=db == 1)

    assert _only(dg.materialize([orders, some])).passed


def test_results_may_be_yielded_awaited_or_both():
    @dg.asset_check(asset=orders)
    def yielding(orders):
        yield dg.AssetCheckResult(passed=True)

    @dg.asset_check(asset=orders)
    async def awaiting(orders):
        await asyncio.sleep(0)
        return dg.AssetCheckResult(passed=True)

    @dg.asset_check(asset=orders)
    async def both(orders):
        await asyncio.sleep(0)
        yield dg.AssetCheckResult(passed=True)

    result = dg.materialize([orders, yielding, awaiting, both])
    found = result.get_asset_check_evaluations()
    assert {one.check_name for one in found if one.passed} == {"yielding", "awaiting", "both"}


@pytest.mark.parametrize("value", [True, "fine", 0, {"passed": True}])
def test_only_a_result_is_a_result(value):
    @dg.asset_check(asset=orders)
    def some():
        return value

    failure = _failure(orders, some)
    assert "'orders_some' returned" in failure.message
    assert "Return an AssetCheckResult" in failure.message


def test_nothing_is_no_result():
    @dg.asset_check(asset=orders)
    def some(): ...

    assert "without a result of the check 'orders:some'" in _failure(orders, some).message


def test_a_result_for_a_check_that_the_step_does_not_have():
    @dg.asset_check(asset=orders)
    def some():
        return dg.AssetCheckResult(passed=True, check_name="other")

    assert "fits none of its checks: orders:some" in _failure(orders, some).message


@pytest.mark.parametrize(
    ("blocking", "severity", "goes_on"),
    [(True, ERROR, False), (True, WARN, True), (False, ERROR, True)],
)
def test_what_stops_downstream(blocking, severity, goes_on):
    @dg.asset_check(asset=orders, blocking=blocking)
    def some(orders):
        return dg.AssetCheckResult(passed=False, severity=severity)

    @dg.asset(deps=[orders])
    def report(): ...

    @dg.asset
    def unrelated(): ...

    result = dg.materialize([report, some, orders, unrelated], raise_on_error=False)
    made = {one.asset_key for one in result.get_asset_materialization_events()}
    assert result.success is goes_on
    assert (report.key in made) is goes_on
    assert {orders.key, unrelated.key} <= made
    assert _only(result).blocking is blocking
    skipped = result.filter_events(dg.EventType.STEP_SKIPPED)
    assert [one.step_key for one in skipped] == ([] if goes_on else ["report"])
    assert result.get_failed_step_keys() == (set() if goes_on else {"orders_some"})


def test_a_blocking_check_that_passes_lets_downstream_begin_after_it():
    order = []

    @dg.asset
    def base():
        order.append("base")

    @dg.asset_check(asset=base, blocking=True)
    def some():
        order.append("check")
        return dg.AssetCheckResult(passed=True)

    @dg.asset(deps=[base])
    def report():
        order.append("report")

    assert dg.materialize([report, base, some]).success
    assert order == ["base", "check", "report"]


def test_a_failed_blocking_check_is_raised_and_not_tried_again():
    @dg.asset_check(asset=orders, blocking=True, retry_policy=dg.RetryPolicy(max_retries=3))
    def some():
        return dg.AssetCheckResult(passed=False)

    with pytest.raises(errors.AssetCheckFailedError, match="orders:some"):
        dg.materialize([orders, some])
    result = dg.materialize([orders, some], raise_on_error=False)
    assert not result.filter_events(dg.EventType.STEP_UP_FOR_RETRY)


@pytest.mark.parametrize("known", [[], [dg.AssetSpec("elsewhere")]])
def test_an_asset_of_another_location_is_checked_here(known):
    @dg.asset_check(asset="elsewhere", blocking=True)
    def some():
        return dg.AssetCheckResult(passed=False)

    @dg.asset(deps=["elsewhere"])
    def report(): ...

    result = dg.materialize([*known, report, some], raise_on_error=False)
    assert _only(result).asset_key == dg.AssetKey("elsewhere")
    assert _only(result).target_materialization_data is None
    assert result.get_asset_materialization_events() == []


def test_several_checks_of_one_function():
    seen = []

    @dg.multi_asset_check(
        specs=[
            dg.AssetCheckSpec("many", asset=orders),
            dg.AssetCheckSpec("few", asset=orders, blocking=True),
            dg.AssetCheckSpec("low", asset=rates),
        ],
        can_subset=True,
        ins={"value": dg.AssetIn("orders")},
    )
    def several(context, value):
        seen.append(context.is_subset)
        for key in sorted(context.selected_asset_check_keys):
            yield dg.AssetCheckResult(
                passed=value == 5, asset_key=key.asset_key, check_name=key.name
            )

    defs = dg.Definitions(assets=[orders, rates], asset_checks=[several])
    job = defs.get_job_def("__ASSET_JOB")
    result = job.execute_in_process()
    assert {one.check_name for one in result.get_asset_check_evaluations()} == {
        "many",
        "few",
        "low",
    }
    chosen = dg.AssetCheckKey(rates.key, "low")
    narrow = job.get_subset(asset_check_selection={chosen, dg.AssetCheckKey(orders.key, "few")})
    with dg.instance_for_test() as instance:
        dg.materialize([orders], instance=instance)
        result = narrow.execute_in_process(instance=instance)
    assert {one.check_name for one in result.get_asset_check_evaluations()} == {"few", "low"}
    assert result.get_asset_materialization_events() == []
    assert seen == [False, True]
    planned = result.filter_events(dg.EventType.ASSET_CHECK_EVALUATION_PLANNED)
    assert len(planned) == 2


def test_a_partition_is_checked():
    days = dg.DailyPartitionsDefinition("2026-01-01")

    @dg.asset(partitions_def=days)
    def daily() -> int:
        return 1

    @dg.asset_check(asset=daily, partitions_def=days)
    def some(context, daily: int):
        assert daily == 1
        return dg.AssetCheckResult(passed=context.partition_key == "2026-01-02")

    result = dg.materialize([daily, some], partition_key="2026-01-02")
    assert (_only(result).passed, _only(result).partition) == (True, "2026-01-02")


def test_a_check_in_a_unit_test():
    class Limits(dg.Config):
        least: int

    @dg.asset_check(asset=orders)
    def plain(orders):
        return dg.AssetCheckResult(passed=orders > 1)

    @dg.asset_check(asset=orders)
    def full(
        context: dg.AssetCheckExecutionContext, config: Limits, orders, db: dg.ResourceParam[int]
    ):
        context.log.info("looking")
        return dg.AssetCheckResult(passed=orders >= config.least, metadata={"db": db})

    @dg.multi_asset_check(specs=[dg.AssetCheckSpec("a", asset=orders)])
    def several():
        yield dg.AssetCheckResult(passed=True)

    assert plain(2).passed
    assert not plain(orders=1).passed
    with dg.build_asset_check_context(resources={"db": 9}, asset_config={"least": 3}) as context:
        told = full(context, orders=3)
    assert (told.passed, told.metadata["db"].value) == (True, 9)
    assert [one.passed for one in several()] == [True]
    with pytest.raises(dg.InvalidInvocationError):
        plain()

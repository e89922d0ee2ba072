"""Sensors that watch partitioned assets, of this location and of others."""

import pytest

import atoll as dg
from atoll import errors
from atoll._execution import multi_asset_context, sensor_contexts
from atoll._instance import ephemeral
from atoll._instance import instance as instances

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-01-15")
WEEKS = dg.WeeklyPartitionsDefinition(start_date="2025-12-28", end_date="2026-01-18")
SHOPS = dg.StaticPartitionsDefinition(["north", "south", "east"])


@dg.asset(partitions_def=SHOPS)
def sales() -> None: ...


@dg.asset(partitions_def=SHOPS)
def costs() -> None: ...


@dg.asset(partitions_def=DAYS)
def visits() -> None: ...


@dg.asset(partitions_def=WEEKS, deps=[visits])
def visits_by_week() -> None: ...


@dg.asset
def plain() -> None: ...


HERE = dg.Definitions(assets=[sales, costs, visits, visits_by_week, plain])
ELSEWHERE = dg.Definitions(assets=[plain])


class Mesh(ephemeral.EphemeralBackend):
    """An instance that knows what another location defines."""

    def asset_specs(self, asset_keys):
        specs = HERE.graph.specs
        return {key: specs[key] for key in asset_keys if key in specs}


@pytest.fixture(params=["here", "elsewhere"])
def context_of(request):
    """Make a context of a sensor beside the assets, or in another location."""
    instance = dg.Instance.ephemeral()
    defs = HERE
    if request.param == "elsewhere":
        instance, defs = instances.Instance(Mesh()), ELSEWHERE

    def make(*monitored, cursor=None, definitions=defs):
        return dg.build_multi_asset_sensor_context(
            monitored_assets=[one.key for one in monitored],
            instance=instance,
            cursor=cursor,
            definitions=definitions,
        )

    return make


def report(context, made, partition=None):
    told = dg.AssetMaterialization(made.key, partition=partition)
    context.instance.report_runless_asset_event(told)


def after(context):
    context.update_cursor_after_evaluation()
    return context.cursor


def test_the_newest_of_each_partition_that_was_not_consumed(context_of):
    context = context_of(sales)
    for shop in ("south", "north", "south"):
        report(context, sales, shop)
    found = context.latest_materialization_records_by_partition(sales.key)
    assert list(found) == ["north", "south"]
    newest = context.instance.fetch_materializations(sales.key, 1).records[0]
    assert found["south"] == newest
    context.advance_cursor({sales.key: found["north"]})
    cursor = after(context)
    context = context_of(sales, cursor=cursor)
    # The first of the south was passed over, and a newer one has come: the newer one is told.
    assert dict(context.latest_materialization_records_by_partition(sales.key)) == {"south": newest}
    context.advance_all_cursors()
    context = context_of(sales, cursor=after(context))
    assert context.latest_materialization_records_by_partition(sales.key) == {}


def test_a_partition_that_was_passed_over_still_waits(context_of):
    context = context_of(sales)
    report(context, sales, "south")
    report(context, sales, "east")
    found = context.latest_materialization_records_by_partition(sales.key)
    context.advance_cursor({sales.key: found["east"]})
    context = context_of(sales, cursor=after(context))
    assert [one.partition_key for one in context.get_trailing_unconsumed_events(sales.key)] == [
        "south"
    ]
    assert list(context.latest_materialization_records_by_partition(sales.key)) == ["south"]


def test_only_partitions_after_that_of_the_cursor(context_of):
    context = context_of(sales)
    report(context, sales, "south")
    found = context.latest_materialization_records_by_partition(sales.key)
    context.advance_cursor({sales.key: found["south"]})
    context = context_of(sales, cursor=after(context))
    report(context, sales, "north")
    report(context, sales, "east")
    later = context.latest_materialization_records_by_partition(
        sales.key, after_cursor_partition=True
    )
    assert list(later) == ["east"]


def test_by_partition_and_asset(context_of):
    context = context_of(sales, costs)
    report(context, sales, "south")
    report(context, costs, "south")
    report(context, costs, "north")
    found = context.latest_materialization_records_by_partition_and_asset()
    assert {name: set(by_asset) for name, by_asset in found.items()} == {
        "south": {sales.key, costs.key},
        "north": {costs.key},
    }
    with pytest.raises(errors.InvariantViolationError, match="one asset at a time"):
        context_of(sales, visits).latest_materialization_records_by_partition_and_asset()


def test_whether_all_partitions_were_materialized_whatever_was_consumed(context_of):
    context = context_of(sales)
    report(context, sales, "south")
    report(context, sales, "north")
    context.advance_all_cursors()
    context = context_of(sales, cursor=after(context))
    assert not context.all_partitions_materialized(sales.key)
    assert context.all_partitions_materialized(sales.key, ["north", "south"])
    report(context, sales, "east")
    assert context.all_partitions_materialized(sales.key)
    for wrong in ([], "north"):
        with pytest.raises(errors.InvariantViolationError, match="at least one"):
            context.all_partitions_materialized(sales.key, wrong)


def test_the_partitions_downstream_of_one(context_of):
    context = context_of(visits, sales)
    found = context.get_downstream_partition_keys("2026-01-05", visits.key, visits_by_week.key)
    assert list(found) == ["2026-01-04"]
    same = context.get_downstream_partition_keys("north", sales.key, costs.key)
    assert list(same) == ["north"]
    with pytest.raises(errors.UnknownPartitionError):
        context.get_downstream_partition_keys("2027-01-01", visits.key, visits_by_week.key)


def test_what_defines_the_watched_assets(context_of):
    context = context_of(sales, plain)
    defined = context.assets_defs_by_key
    assert defined[sales.key].partitions_def == SHOPS
    assert defined[plain.key].partitions_def is None


def test_an_asset_without_partitions_is_told(context_of):
    context = context_of(plain)
    with pytest.raises(errors.InvariantViolationError, match="not partitioned"):
        context.latest_materialization_records_by_partition(plain.key)
    nobody = dg.build_multi_asset_sensor_context(monitored_assets=["nowhere"])
    assert nobody.assets_defs_by_key == {dg.AssetKey("nowhere"): None}
    with pytest.raises(errors.InvariantViolationError, match="no location defines it"):
        nobody.all_partitions_materialized(dg.AssetKey("nowhere"))


def test_a_mention_of_an_asset_does_not_hide_its_definition_elsewhere():
    mentioning = dg.Definitions(assets=[plain, dg.AssetSpec(sales.key)])
    context = dg.build_multi_asset_sensor_context(
        monitored_assets=[sales.key], instance=instances.Instance(Mesh()), definitions=mentioning
    )
    assert context.assets_defs_by_key[sales.key].partitions_def == SHOPS


def test_what_came_before_the_sensor_counts_as_consumed():
    instance = dg.Instance.ephemeral()
    context = dg.build_multi_asset_sensor_context(
        monitored_assets=[sales.key], instance=instance, definitions=HERE
    )
    report(context, sales, "north")
    begins = instance.fetch_materializations(sales.key, 1).records[0].storage_id
    around = sensor_contexts.TickSurroundings(
        "s", instance, definitions=HERE, start_event_id=begins
    )
    context = multi_asset_context.MultiAssetSensorEvaluationContext(around, [sales.key])
    assert context.latest_materialization_records_by_key() == {sales.key: None}
    report(context, sales, "south")
    assert list(context.latest_materialization_records_by_partition(sales.key)) == ["south"]
    assert [one.partition_key for one in context.materialization_records_for_key(sales.key)] == [
        "south"
    ]

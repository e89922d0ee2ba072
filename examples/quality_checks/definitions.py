"""Orders, the checks that they have to pass, and the report that is made of good ones."""

from pydantic import Field

import atoll as dg

ORDERS = [{"id": 1, "pieces": 3}, {"id": 2, "pieces": 4}]
WARN = dg.AssetCheckSeverity.WARN


class Source(dg.ConfigurableResource):
    """Where orders come from."""

    orders: list[dict[str, int]] = Field(ORDERS)


@dg.asset(check_specs=[dg.AssetCheckSpec("has_rows", asset="orders")])
def orders(source: Source):
    """The orders of the day. Whether there are any, the asset itself can tell."""
    yield dg.Output(source.orders, metadata={"rows": len(source.orders)})
    yield dg.AssetCheckResult(check_name="has_rows", passed=bool(source.orders))


@dg.asset_check(asset=orders, blocking=True)
def ids_are_unique(orders: list[dict[str, int]]) -> dg.AssetCheckResult:
    """No order is there twice. A report of doubled orders would be wrong, so it is not made."""
    ids = [order["id"] for order in orders]
    doubled = sorted({one for one in ids if ids.count(one) > 1})
    return dg.AssetCheckResult(passed=not doubled, metadata={"doubled": doubled})


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec("pieces_within_bounds", asset="orders"),
        dg.AssetCheckSpec("enough_orders", asset="orders"),
    ],
    ins={"orders": dg.AssetIn("orders")},
)
def usual_day(orders: list[dict[str, int]]):
    """Whether the day looks like other days. What does not is told, and stops nothing."""
    strange = [order["id"] for order in orders if not 0 < order["pieces"] <= 1_000]
    yield dg.AssetCheckResult(
        check_name="pieces_within_bounds",
        asset_key="orders",
        passed=not strange,
        severity=WARN,
        metadata={"strange": strange},
    )
    yield dg.AssetCheckResult(
        check_name="enough_orders",
        asset_key="orders",
        passed=len(orders) >= 2,
        severity=WARN,
        description=f"{len(orders)} orders",
    )


@dg.asset
def report(orders: list[dict[str, int]]) -> int:
    """How many pieces were sold."""
    return sum(order["pieces"] for order in orders)


defs = dg.Definitions(
    assets=[orders, report],
    asset_checks=[ids_are_unique, usual_day],
    resources={"source": Source()},
)

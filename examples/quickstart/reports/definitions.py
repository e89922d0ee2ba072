"""The reporting team: sums up the orders as soon as the sales team has published them."""

import atoll as dg


@dg.asset(group_name="reports")
def turnover(context: dg.AssetExecutionContext, orders: list) -> float:
    """What all orders are worth together. `orders` belongs to the location `sales`."""
    total = round(sum(pieces * price for _, pieces, price in orders), 2)
    context.log.info("Turnover: %s", total)
    context.add_output_metadata({"turnover": total})
    return total


report = dg.define_asset_job("report", [turnover])


@dg.asset_sensor(
    asset_key=dg.AssetKey("orders"),
    job=report,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def orders_published():
    return dg.RunRequest()


defs = dg.Definitions(
    assets=[dg.AssetSpec("orders"), turnover], jobs=[report], sensors=[orders_published]
)

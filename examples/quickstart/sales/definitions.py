"""The sales team: publishes the orders of the day."""

import atoll as dg

ORDERS = [("pen", 3, 1.20), ("paper", 10, 0.05), ("ink", 1, 7.90)]


@dg.asset(group_name="sales")
def orders(context: dg.AssetExecutionContext) -> list:
    """What was sold today: item, pieces, price of one."""
    context.add_output_metadata({"orders": len(ORDERS)})
    return [list(order) for order in ORDERS]


publish = dg.define_asset_job("publish", [orders])

defs = dg.Definitions(assets=[orders], jobs=[publish])

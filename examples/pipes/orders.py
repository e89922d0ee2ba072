"""A program that any Python can run: `atoll_pipes` is one file without dependencies.

Started by hand, `python orders.py` runs as well, and reports to nobody.
"""

from atoll_pipes import open_pipes

ORDERS = [12.5, 30.0, 7.25]

with open_pipes() as pipes:
    pipes.log.info("Reading the orders of %s", pipes.get_extra("day"))
    total = sum(ORDERS)
    pipes.report_asset_materialization(
        metadata={
            "orders": len(ORDERS),
            "turnover": total,
            "report": {"raw_value": f"**{total}** in total", "type": "md"},
        },
        data_version="2024-05-01",
    )

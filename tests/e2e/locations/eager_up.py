"""A location whose report follows the totals of another one by itself."""

import atoll as dg


@dg.asset
def orders() -> list:
    """The orders."""
    return [1, 2, 3]


@dg.asset(deps=["totals"], automation_condition=dg.AutomationCondition.eager())
def report() -> None:
    """The report over the totals."""


defs = dg.Definitions(assets=[dg.AssetSpec("totals"), orders, report])

# ruff: noqa: T201 - what steps print is captured
"""A location that materializes things for others to watch."""

import atoll as dg


class NumbersConfig(dg.Config):
    count: int = 3


@dg.asset
def numbers(context: dg.AssetExecutionContext, config: NumbersConfig) -> list:
    """The numbers below a bound."""
    print("making numbers")
    context.log.info("Making %s numbers", config.count)
    context.add_output_metadata({"count": config.count})
    return list(range(config.count))


@dg.asset
def broken():
    """Never there."""
    print("about to fail")
    raise ValueError("this asset cannot be made")


make_numbers = dg.define_asset_job("make_numbers", selection=[numbers])
fail = dg.define_asset_job("fail", selection=[broken])

defs = dg.Definitions(assets=[numbers, broken], jobs=[make_numbers, fail])

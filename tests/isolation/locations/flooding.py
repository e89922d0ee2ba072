"""Runs that log as fast as they can until they are canceled."""

import os

import atoll as dg


@dg.asset(name=f"flood_{os.environ['NAME_OF_LOCATION']}")
def flood(context: dg.AssetExecutionContext) -> None:
    number = 0
    while True:
        number += 1
        context.log.info("message %s of a flood", number)


flood_job = dg.define_asset_job("flood_job", selection=[flood])

defs = dg.Definitions(assets=[flood], jobs=[flood_job])

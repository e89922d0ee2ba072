"""The location that works without pause: each run materializes what the other one watches."""

import hashlib

import atoll as dg

days = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-01-21")


class WorkConfig(dg.Config):
    rounds: int = 1


@dg.asset(pool="storm")
def numbers(context: dg.AssetExecutionContext, config: WorkConfig) -> dg.MaterializeResult:
    """Takes some tens of milliseconds, so that there are workers to kill."""
    digest = b"numbers"
    for turn in range(config.rounds):
        digest = hashlib.pbkdf2_hmac("sha256", digest, b"salt", 20_000)
        context.log.info("round %s", turn)
    return dg.MaterializeResult(metadata={"digest": digest.hex()})


@dg.asset(pool="storm", partitions_def=days)
def readings(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """What backfills make, and what a condition of the other location looks at."""
    context.log.info("of %s", context.partition_key)
    return dg.MaterializeResult()


make_numbers = dg.define_asset_job("make_numbers", selection=[numbers])
defs = dg.Definitions(assets=[numbers, readings], jobs=[make_numbers])

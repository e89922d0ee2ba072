"""The location that works without pause: each run materializes what the other one watches."""

import hashlib

import atoll as dg


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


make_numbers = dg.define_asset_job("make_numbers", selection=[numbers])
defs = dg.Definitions(assets=[numbers], jobs=[make_numbers])

"""Three sources behind one API and one warehouse, which must not be asked too much at once."""

import atoll as dg

SOURCES = ("orders", "customers", "returns")


def source(name: str) -> list[dg.AssetsDefinition]:
    """Return the two assets of a source: what the API says, and what stands in the warehouse."""

    @dg.asset(name=f"{name}_extract", pool="api", group_name=name)
    def extract() -> list[str]:
        return [f"{name} {number}" for number in range(3)]

    @dg.asset(
        name=f"{name}_table",
        ins={"rows": dg.AssetIn(f"{name}_extract")},
        pool="warehouse",
        group_name=name,
        retry_policy=dg.RetryPolicy(max_retries=2, delay=1),
    )
    def table(rows: list[str]) -> int:
        return len(rows)

    return [extract, table]


assets = [one for name in SOURCES for one in source(name)]

nightly = dg.define_asset_job(
    "nightly",
    "*",
    run_tags={"atoll/max_retries": "2", "atoll/retry_strategy": "FROM_FAILURE"},
    executor_def=dg.multiprocess_executor,
)
refresh = dg.define_asset_job(
    "refresh",
    "group:orders",
    run_tags={"atoll/priority": "5", dg.MAX_RUNTIME_SECONDS_TAG: "60"},
)

defs = dg.Definitions(assets, jobs=[nightly, refresh])

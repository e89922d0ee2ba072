"""Sales by day and region, prices by region, and a report of each day."""

import json
import pathlib

import atoll as dg

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", timezone="Europe/Zurich")
DAYS_WITH_ONE_BEFORE = dg.DailyPartitionsDefinition(
    start_date="2026-01-02", timezone="Europe/Zurich"
)
REGIONS = dg.StaticPartitionsDefinition(["eu", "us"])
DAYS_AND_REGIONS = dg.MultiPartitionsDefinition({"day": DAYS, "region": REGIONS})


class PartitionFolders(dg.ConfigurableIOManager):
    """Keeps the value of each partition in a JSON file of its own, in a folder for each asset."""

    folder: str

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        path = self._path(context, context.partition_key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(obj))
        context.add_output_metadata({"path": dg.MetadataValue.path(str(path))})

    def load_input(self, context: dg.InputContext) -> object:
        """Return the value of one partition, or of several by key."""
        keys = context.asset_partition_keys
        found = {key: json.loads(self._path(context, key).read_text()) for key in keys}
        return found if len(keys) > 1 else found[keys[0]]

    def _path(self, context: dg.InputContext | dg.OutputContext, key: str) -> pathlib.Path:
        folder = pathlib.Path(self.folder, *context.asset_key.path)
        return folder.joinpath(*key.split("|")).with_suffix(".json")


@dg.asset(partitions_def=REGIONS)
def prices(context: dg.AssetExecutionContext) -> dict[str, float]:
    """What a piece costs in the region."""
    return {"eu": {"pen": 1.0, "ink": 8.0}, "us": {"pen": 1.2, "ink": 9.0}}[context.partition_key]


@dg.asset(partitions_def=DAYS_AND_REGIONS)
def sales(context: dg.AssetExecutionContext, prices: dict[str, float]) -> float:
    """What was sold in a region on a day. It needs the prices of its region."""
    key = context.partition_key.keys_by_dimension
    pieces = int(key["day"][-2:])
    return pieces * prices["pen"]


@dg.asset(
    partitions_def=DAYS,
    ins={
        "sales": dg.AssetIn(partition_mapping=dg.MultiToSingleDimensionPartitionMapping("day")),
    },
)
def report(context: dg.AssetExecutionContext, sales: dict[str, float]) -> dict[str, float]:
    """What was sold on a day, by region. It needs the sales of its day in all regions."""
    context.add_output_metadata({"total": sum(sales.values())})
    return {key.split("|")[1]: amount for key, amount in sales.items()}


@dg.asset(
    partitions_def=DAYS_WITH_ONE_BEFORE,
    ins={"report": dg.AssetIn(partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1))},
)
def growth(report: dict[str, dict[str, float]]) -> float:
    """How much more was sold than on the day before. It needs the reports of both days."""
    before, today = (sum(report[day].values()) for day in sorted(report))
    return today - before


defs = dg.Definitions(
    assets=[prices, sales, report, growth],
    resources={"io_manager": PartitionFolders(folder=".atoll/shop")},
)

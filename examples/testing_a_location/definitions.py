"""A location that reads measurements of a station and sums them up by day."""

import atoll as dg

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01")


class Station(dg.ConfigurableResource):
    """The station that measures. The real one is far away; tests give another."""

    address: str

    def measurements(self, day: str) -> list[float]:
        raise ConnectionError(f"{self.address} does not answer about {day}")


class Cleaning(dg.Config):
    """What counts as a measurement."""

    lowest: float = -50.0
    highest: float = 60.0


@dg.asset(partitions_def=DAYS)
def measurements(
    context: dg.AssetExecutionContext, config: Cleaning, station: Station
) -> list[float]:
    """What the station measured on a day, without what cannot be."""
    found = station.measurements(context.partition_key)
    good = [one for one in found if config.lowest <= one <= config.highest]
    context.add_output_metadata({"dropped": len(found) - len(good)})
    return good


@dg.asset(partitions_def=DAYS)
def mean_temperature(measurements: list[float]) -> float:
    if not measurements:
        raise dg.Failure("There is no measurement", allow_retries=False)
    return sum(measurements) / len(measurements)


@dg.asset_check(asset=mean_temperature, partitions_def=DAYS)
def plausible(mean_temperature: float) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=-30 < mean_temperature < 45)


@dg.op
def announce(context: dg.OpExecutionContext) -> int:
    """Says how many days are known."""
    known = context.instance.get_materialized_partitions(dg.AssetKey("mean_temperature"))
    context.log.info("%s days are known", len(known))
    return len(known)


@dg.job
def announcement():
    announce()


@dg.sensor(job=announcement)
def new_days(context: dg.SensorEvaluationContext):
    """Asks for an announcement whenever more days are known than before."""
    known = context.instance.get_materialized_partitions(dg.AssetKey("mean_temperature"))
    if len(known) == int(context.cursor or 0):
        return dg.SkipReason(f"still {len(known)} days")
    context.update_cursor(str(len(known)))
    return dg.RunRequest(run_key=f"days-{len(known)}")


defs = dg.Definitions(
    assets=[measurements, mean_temperature],
    asset_checks=[plausible],
    jobs=[announcement],
    sensors=[new_days],
    resources={"station": Station(address=dg.EnvVar("STATION_ADDRESS"))},
)

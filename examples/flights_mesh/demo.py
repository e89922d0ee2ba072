"""`make demo`: two teams in two environments, one mesh, real data; shown and verified.

Creates one virtual environment a location (`.venvs/flights_mesh/`), runs `atoll dev` on this
project, launches the job of `ops`, waits until the sensor of `lab` had its job run, and prints what
happened. Exit code 0 means that every line under "verified" was found true in what the host
recorded.

    KEEP=1      leave everything running at the end, and say how to look at it
    DEADLINE=s  give up after so many seconds (default 480)
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

from atoll._cli import rendering
from atoll.api.v1 import assets_pb2, automation_pb2, locations_pb2, runs_pb2
from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import connection, documents, errors
from atoll.client import runs as client_runs
from atoll.definitions.v1 import snapshot_pb2
from atoll.events.v1 import events_pb2

FOLDER = pathlib.Path(__file__).resolve().parent
REPOSITORY = FOLDER.parent.parent
ENVIRONMENTS = REPOSITORY / ".venvs" / FOLDER.name
DATA = FOLDER / ".atoll"
LOG = DATA / "dev.log"
PID = DATA / "dev.pid"
LOCATIONS = ("ops", "lab")
JOB, SENSOR, ASSET = "refresh_operations", "departures_changed", "departures"
STOP_WITHIN_S = 25.0
LOG_LINES_SHOWN = 60


class DemoError(Exception):
    """The demo did not do what it is there to show."""


@dataclasses.dataclass
class Observed:
    """What the host recorded of one pass through the mesh."""

    launched: dt.datetime
    locations: dict[str, locations_pb2.Location]
    upstream: runs_pb2.Run
    downstream: runs_pb2.Run
    materializations: dict[str, events_pb2.StoredEvent]
    downstream_events: list[events_pb2.StoredEvent]
    tick: automation_pb2.Tick
    asset: assets_pb2.Asset

    def metadata(self, asset: str) -> dict:
        stored = self.materializations[asset]
        return documents.metadata(stored.event.asset_materialization.metadata)


def say(text: str) -> None:
    print(text, flush=True)


def create_environment(name: str, left_s: float) -> None:
    """Create the environment of a location, unless it is there with the very same contents."""
    folder = ENVIRONMENTS / name
    requirements = FOLDER / name / "requirements.txt"
    wanted = hashlib.sha256()
    for file in (requirements, REPOSITORY / "code_server" / "pyproject.toml"):
        wanted.update(file.read_bytes())
    wanted.update(sys.version.encode())
    stamp = folder / ".contents"
    if stamp.is_file() and stamp.read_text() == wanted.hexdigest():
        return
    say(f"Creating the environment of {name} ({requirements.relative_to(REPOSITORY)}) ...")
    uv = str(pathlib.Path(sys.executable).with_name("uv"))
    python = str(folder / "bin" / "python")
    light = ["--editable", str(REPOSITORY / "code_server")]
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", python, "-r", str(requirements), *light],
    ):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=max(left_s, 1), check=False
        )
        if done.returncode:
            raise DemoError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    stamp.write_text(wanted.hexdigest())


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def refuse_second() -> None:
    """Stop if an earlier demo was left running on the same data: it must not be pulled away."""
    if not PID.is_file():
        return
    pid = PID.read_text()
    cmdline = pathlib.Path("/proc") / pid / "cmdline"
    if cmdline.is_file() and str(FOLDER / "atoll.toml").encode() in cmdline.read_bytes():
        raise DemoError(f"An earlier demo still runs. Stop it first: kill {pid}")


def start_mesh(address: str) -> subprocess.Popen:
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    command = [str(pathlib.Path(sys.executable).with_name("atoll")), "dev", "--listen", address]
    with LOG.open("wb") as log:
        mesh = subprocess.Popen(
            [*command, "--project", str(FOLDER / "atoll.toml")],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=FOLDER,
            start_new_session=True,
        )
    PID.write_text(str(mesh.pid))
    return mesh


def stop_mesh(mesh: subprocess.Popen) -> None:
    if mesh.poll() is None:
        mesh.send_signal(signal.SIGTERM)
    try:
        code = mesh.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        mesh.kill()
        mesh.wait(5)
        raise DemoError(f"atoll dev did not stop within {STOP_WITHIN_S:g} s.") from None
    if code:
        raise DemoError(f"atoll dev ended with exit code {code}.")


async def locations_serving(mesh: subprocess.Popen, address: str) -> dict:
    """Wait until both locations serve their definitions."""
    while True:
        if mesh.poll() is not None:
            raise DemoError(f"atoll dev ended with exit code {mesh.returncode}.")
        with contextlib.suppress(errors.ConnectError, errors.RpcError):
            async with connection.connect(address) as host:
                found = {location.name: location async for location in host.locations.list()}
            for location in found.values():
                if location.HasField("load_failure"):
                    text = documents.failure_text(location.load_failure)
                    raise DemoError(f"Location {location.name} does not load:\n{text}")
            states = [found[name].state for name in LOCATIONS if name in found]
            if states == [events_pb2.LOCATION_STATE_SERVING] * len(LOCATIONS):
                return found
        await asyncio.sleep(0.1)


async def run_through(host: connection.Client, locations: dict) -> Observed:
    """Launch the job of ops and watch until the job that lab's sensor asks for has ended."""
    sensor = await host.sensors.get("lab", SENSOR)
    if sensor.status != snapshot_pb2.SENSOR_STATUS_RUNNING:
        raise DemoError(f"The sensor {SENSOR} is not running.")
    seen: list[events_pb2.StoredEvent] = []
    async with host.events.watch(api_pb2.EventFilter()) as watch:
        await watch.opened()
        launched = dt.datetime.now(dt.UTC)  # noqa: TID251  # the demo's own clock is wanted here
        upstream = await host.runs.launch(client_runs.Launch(JOB, "ops", tags={"demo": "1"}))
        ended: dict[str, str] = {}
        downstream_id = ""
        async for stored in watch:
            seen.append(stored)
            kind = stored.event.WhichOneof("body")
            run_id = stored.event.run_id
            if kind in client_runs.FINAL_KINDS:
                ended[run_id] = kind
            if kind == "run_enqueued" and run_id != upstream.run_id:
                run = await host.runs.get(run_id)
                if run.sensor_name == SENSOR:
                    downstream_id = run_id
            if upstream.run_id in ended and downstream_id in ended:
                break
            if ended.get(upstream.run_id) == "run_failed":
                break
    return await collect(host, launched, locations, (upstream.run_id, downstream_id), seen)


async def collect(host, launched, locations, run_ids, seen) -> Observed:
    upstream, downstream_id = await host.runs.get(run_ids[0]), run_ids[1]
    if upstream.status != runs_pb2.RUN_STATUS_SUCCESS:
        raise DemoError(f"Run of {JOB}: {documents.failure_text(upstream.failure)}")
    downstream = await host.runs.get(downstream_id)
    if downstream.status != runs_pb2.RUN_STATUS_SUCCESS:
        raise DemoError(
            f"Run of {downstream.job_name}: {documents.failure_text(downstream.failure)}"
        )
    ticks = [tick async for tick in host.sensors.ticks("lab", SENSOR)]
    ticks = [tick for tick in ticks if downstream_id in tick.run_ids]
    if len(ticks) != 1:
        raise DemoError(f"{len(ticks)} ticks say that they requested run {downstream_id}.")
    materializations = {
        documents.format_asset_key(stored.event.asset_materialization.asset_key): stored
        for stored in seen
        if stored.event.WhichOneof("body") == "asset_materialization"
        and stored.event.run_id in run_ids
    }
    return Observed(
        launched=launched,
        locations=locations,
        upstream=upstream,
        downstream=downstream,
        materializations=materializations,
        downstream_events=[each for each in seen if each.event.run_id == downstream_id],
        tick=ticks[0],
        asset=await host.assets.get(documents.parse_asset_key(ASSET)),
    )


def moments(observed: Observed) -> list[tuple[dt.datetime, str, str, str]]:
    """What happened, in order: when, where, what, and in which build."""
    upstream, downstream, tick = observed.upstream, observed.downstream, observed.tick
    lab_build = downstream.build_id
    found = [
        (
            documents.moment(upstream, "start_time"),
            "ops",
            f"run of {JOB} starts",
            upstream.build_id,
        ),
        (documents.moment(tick, "start_time"), "lab", f"tick of {SENSOR}", tick.build_id),
        (documents.moment(tick, "end_time"), "host", "tick committed, run requested", ""),
        (
            documents.moment(downstream, "start_time"),
            "lab",
            "run of study_delays starts",
            lab_build,
        ),
        (
            documents.moment(downstream, "end_time"),
            "lab",
            "run of study_delays succeeded",
            lab_build,
        ),
        (
            documents.moment(upstream, "end_time"),
            "ops",
            f"run of {JOB} succeeded",
            upstream.build_id,
        ),
    ]
    for key, stored in observed.materializations.items():
        is_upstream = stored.event.run_id == upstream.run_id
        run = upstream if is_upstream else downstream
        where = "ops" if is_upstream else "lab"
        when = documents.moment(stored.event, "timestamp")
        found.append((when, where, f"{key} materialized", run.build_id))
    return sorted(found, key=lambda each: each[0])


def verified(observed: Observed) -> list[tuple[str, bool]]:
    """The claims of the demo, and whether the records bear them out."""
    upstream, downstream, tick = observed.upstream, observed.downstream, observed.tick
    source, model = observed.metadata(ASSET), observed.metadata("delay_model")
    trigger = observed.materializations[ASSET]
    consumed = {
        documents.format_asset_key(each.event.loaded_input.asset_key)
        for each in observed.downstream_events
        if each.event.WhichOneof("body") == "loaded_input"
    }
    builds = {name: location.build.build_id for name, location in observed.locations.items()}
    interpreters = [source["interpreter"], model["interpreter"]]
    environments = [str(ENVIRONMENTS / name) for name in LOCATIONS]
    majors = [source["pandas"].split(".")[0], model["pandas"].split(".")[0]]
    every_key = ["hourly_weather", ASSET, "monthly_traffic", "delay_by_carrier", "delay_model"]
    return [
        (f"pandas {source['pandas']} and {model['pandas']} in one mesh", majors == ["2", "3"]),
        (
            "each run used its own environment's interpreter",
            all(map(str.startswith, interpreters, environments)),
        ),
        (
            "both runs succeeded, all five assets once",
            sorted(every_key) == sorted(observed.materializations),
        ),
        (
            f"the run in lab is tagged with sensor {SENSOR}",
            downstream.tags["atoll/sensor_name"] == SENSOR and downstream.sensor_name == SENSOR,
        ),
        (
            f"its tick was due for event {trigger.id}, the materialization in ops",
            tick.event_id == trigger.id and downstream.tick_id == tick.tick_id,
        ),
        (
            "and names the run in ops",
            downstream.tags["operations_run"] == upstream.run_id == trigger.event.run_id,
        ),
        (
            "lab loaded departures, and its digest is that of ops",
            ASSET in consumed and model["source_fingerprint"] == source["fingerprint"],
        ),
        ("lab counted every row that ops wrote", model["source_rows"] == source["rows"]),
        ("departures are stored as Parquet, nothing as a pickle", stored_as_tables()),
        (
            "every run and tick names the build that decided or ran it",
            [upstream.build_id, downstream.build_id, tick.build_id]
            == [builds["ops"], builds["lab"], builds["lab"]],
        ),
        (
            "the graph knows ops as the owner of departures",
            observed.asset.owner_location_name == "ops",
        ),
    ]


def stored_as_tables() -> bool:
    """Whether what lies in the shared storage are Parquet files and their descriptions."""
    files = [file for file in (DATA / "storage").rglob("*") if file.is_file()]
    tables = [file for file in files if file.read_bytes()[:4] == b"PAR1"]
    others = [file for file in files if file not in tables]
    has_departures = any(file.name.startswith(f"{ASSET}.") for file in tables)
    return has_departures and all(file.suffix == ".json" for file in others)


def report(observed: Observed, claims: list[tuple[str, bool]]) -> str:
    terminal = rendering.terminal_of(sys.stdout)
    upstream, downstream = observed.upstream, observed.downstream
    source, model = observed.metadata(ASSET), observed.metadata("delay_model")
    carriers = observed.metadata("delay_by_carrier")
    columns = [
        rendering.Column("AFTER", align="right"),
        rendering.Column("WHERE"),
        rendering.Column("WHAT"),
        rendering.Column("BUILD", colour="dim"),
    ]
    rows = [
        [f"{(when - observed.launched).total_seconds() * 1000:,.0f} ms", where, what, build]
        for when, where, what, build in moments(observed)
    ]
    environments = [
        ["ops", source["pandas"], source["carrier_dtype"], source["interpreter"], upstream.run_id],
        ["lab", model["pandas"], model["carrier_dtype"], model["interpreter"], downstream.run_id],
    ]
    for row in environments:
        row[3] = row[3].removeprefix(f"{REPOSITORY}/")
    titles = ["LOCATION", "PANDAS", "TEXT IS", "INTERPRETER", "RUN"]
    lines = [
        "",
        rendering.table(columns, rows, terminal),
        "",
        rendering.table([rendering.Column(title) for title in titles], environments, terminal),
        "",
        (
            f"ops   {source['rows']:,} flights cleaned and typed, "
            f"{source['canceled_or_diverted']:,} never arrived; digest {source['fingerprint'][:12]}"
        ),
        (
            f"lab   {carriers['worst_carrier']} is more than 15 min late on "
            f"{carriers['worst_late_share']:.1%} of its flights, {carriers['best_carrier']} on "
            f"{carriers['best_late_share']:.1%}"
        ),
        (
            f"      error on {model['test_flights']:,} unseen flights: "
            f"{model['error_of_the_mean_min']:.1f} min by the mean, "
            f"{model['error_day_before_min']:.1f} a day before, "
            f"{model['error_at_takeoff_min']:.1f} at takeoff"
        ),
        "",
    ]
    for text, holds in claims:
        mark = terminal.paint("ok ", "green") if holds else terminal.paint("NO ", "red")
        lines.append(f"verified  {mark} {text}")
    return "\n".join(lines)


async def show(mesh: subprocess.Popen, address: str) -> None:
    say("Starting the host, its Postgres and both locations ...")
    locations = await locations_serving(mesh, address)
    say("Both serve. Launching the job of ops ...")
    async with connection.connect(address) as host:
        observed = await run_through(host, locations)
    claims = verified(observed)
    say(report(observed, claims))
    wrong = [text for text, holds in claims if not holds]
    if wrong:
        raise DemoError(f"Not true: {'; '.join(wrong)}.")


def keep_running(mesh: subprocess.Popen, address: str) -> None:
    atoll = pathlib.Path(sys.executable).with_name("atoll")
    relative = os.path.relpath(atoll)
    say(
        f"""
Left running (process {mesh.pid}), as asked. Look around:
  export ATOLL_HOST={address}
  {relative} runs list          {relative} assets list
  {relative} events --follow    {relative} sensors ticks {SENSOR}
  {relative} runs launch --job {JOB} --wait
Its output: {os.path.relpath(LOG)}
Stop it:    kill {mesh.pid}"""
    )


def main() -> int:
    started = time.monotonic()
    deadline_s = float(os.environ.get("DEADLINE", "480"))
    keep = os.environ.get("KEEP", "") not in ("", "0")
    mesh = None
    try:
        refuse_second()
        for name in LOCATIONS:
            create_environment(name, deadline_s - (time.monotonic() - started))
        address = f"127.0.0.1:{free_port()}"
        mesh = start_mesh(address)
        left_s = deadline_s - (time.monotonic() - started)
        asyncio.run(asyncio.wait_for(show(mesh, address), left_s))
        if keep:
            keep_running(mesh, address)
        else:
            stop_mesh(mesh)
            say("\nEverything is stopped.")
    except (DemoError, errors.ConnectError, errors.RpcError, TimeoutError, OSError) as error:
        text = (
            f"It took longer than {deadline_s:g} s." if isinstance(error, TimeoutError) else error
        )
        say(f"\nThe demo failed: {text}")
        show_log()
        return 1
    except KeyboardInterrupt:
        return 130
    else:
        return 0
    finally:
        if mesh is not None and not keep and mesh.poll() is None:
            with contextlib.suppress(DemoError):
                stop_mesh(mesh)


def show_log() -> None:
    if LOG.is_file():
        lines = LOG.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        say(f"\nThe last lines of {os.path.relpath(LOG)}:\n" + "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())

"""``atoll runs``: launch, show, follow, run again, cancel and delete runs."""

import asyncio
import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, TextIO, cast

import click

from atoll._cli import (
    connection,
    events,
    rendering,
    run_choices,
    run_following,
    tag_options,
    waiting,
)
from atoll.api.v1 import events_pb2 as api_pb2
from atoll.api.v1 import runs_pb2
from atoll.client import connection as client_connection
from atoll.client import documents, narration
from atoll.client import runs as client_runs
from atoll.definitions.v1 import values_pb2
from atoll.mesh.v1 import mesh_pb2

_COLUMNS = (
    rendering.Column("RUN", colour="bold"),
    rendering.Column("JOB", shrinks=True, names=True),
    rendering.Column("LOCATION", shrinks=True),
    rendering.Column("STATUS", is_status=True),
    rendering.Column("PARTITION", shrinks=True),
    rendering.Column("CREATED"),
    rendering.Column("TOOK", align="right"),
    rendering.Column("REQUESTED BY", shrinks=True),
)
_COUNT_COLUMNS = (
    rendering.Column("LOCATION", colour="bold"),
    rendering.Column("STATUS", is_status=True),
    rendering.Column("RUNS", align="right"),
)
_BACKFILL_TAG: Final = "atoll/backfill"
_CHOOSING: Final = (
    "job",
    "location",
    "assets",
    "checks",
    "ops",
    "partition",
    "partition_range",
)
_SCHEDULE_NAME_TAG = "atoll/schedule_name"


@click.group()
def runs() -> None:
    """Launch, show and cancel runs."""


@runs.command("list")
@run_choices.options
@click.option("--count", is_flag=True, help="Count them, by location and status.")
@connection.limit_option(25)
@connection.host_option
@connection.json_option
def list_(*, chosen: run_choices.Chosen, limit: int, host: str, count: bool, as_json: bool) -> None:
    """List runs, newest first."""
    query = chosen.filter()

    async def work(client: client_connection.Client) -> None:
        if count:
            _show_counts(await client.runs.counts(query), as_json=as_json)
            return
        found = [run async for run in client.runs.list(query=query, limit=limit)]
        if as_json:
            click.echo(documents.listing("runs", found))
        elif not found:
            click.echo("There are no such runs.")
        else:
            terminal = connection.terminal()
            rows = [_row(run, terminal) for run in found]
            click.echo(rendering.table(_COLUMNS, rows, terminal))

    connection.run(host, work)


@runs.command()
@click.argument("run_id")
@connection.host_option
@connection.json_option
def show(run_id: str, host: str, *, as_json: bool) -> None:
    """Show one run."""

    async def work(client: client_connection.Client) -> None:
        run = await client.runs.get(await client.runs.full_id(run_id))
        click.echo(documents.single(run) if as_json else _details(run))

    connection.run(host, work)


@runs.command()
@click.option("--job", default="", help="The job to run.")
@click.option("--location", default="", help="Needed where several locations have the job.")
@click.option(
    "--config",
    "config_file",
    type=click.File("r", encoding="utf-8"),
    help="A file with the run configuration as JSON; - reads standard input.",
)
@click.option("--config-json", help="The run configuration itself, as JSON.")
@click.option(
    "--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag of the run; may be repeated."
)
@click.option(
    "--asset",
    "assets",
    multiple=True,
    type=connection.asset_key,
    metavar="KEY",
    help="Materialize this asset only; may be repeated.",
)
@click.option("--partition", default="", metavar="KEY", help="Run for this partition.")
@click.option(
    "--partition-range",
    nargs=2,
    metavar="FIRST LAST",
    help="Run once for the partitions from one to another, both included.",
)
@click.option(
    "--ops",
    multiple=True,
    metavar="SELECTION",
    help="Only these ops of the job, such as 'load,*report'; may be repeated.",
)
@click.option(
    "--checks",
    multiple=True,
    metavar="ASSET:CHECK",
    help="Evaluate this check only, and no others; may be repeated.",
)
@click.option("--rerun", default="", metavar="RUN_ID", help="Run this run again.")
@click.option(
    "--from-failure",
    default="",
    metavar="RUN_ID",
    help="Run what did not end well in this run again, with what the rest of it gave.",
)
@click.option(
    "--steps",
    multiple=True,
    metavar="KEYS",
    help="With --rerun: only these steps, with commas between them; may be repeated.",
)
@click.option("--request-id", help="Repeating a launch with the same id returns the first run.")
@click.option("--wait", is_flag=True, help="Wait for the end; exit code 1 unless it succeeded.")
@click.option("--timeout", type=click.FloatRange(min=0), help="With --wait: seconds to wait.")
@connection.host_option
@connection.json_option
def launch(*, host: str, as_json: bool, wait: bool, timeout: float | None, **given: Any) -> None:
    """Launch a run of a job, of some assets or checks, or of an earlier run again."""
    request = _launch(given)
    if timeout is not None and not wait:
        raise click.UsageError("--timeout says how long to wait: give it together with --wait.")

    async def work(client: client_connection.Client) -> int:
        run = await client.runs.launch(await _completed(client, request, given))
        if not wait:
            click.echo(documents.single(run) if as_json else f"Launched run {run.run_id}.")
            return 0
        if not as_json:
            click.echo(f"Launched run {run.run_id} in {run.location_name}, waiting for its end.")
        return await _wait(client, run, timeout, as_json=as_json)

    connection.run(host, work)


@runs.command()
@click.argument("run_id")
@click.option("--reason", default="", help="Why, in words.")
@connection.host_option
@connection.json_option
def cancel(run_id: str, reason: str, host: str, *, as_json: bool) -> None:
    """Cancel a run that waits, or ask a running one to stop."""

    async def work(client: client_connection.Client) -> None:
        full_id = await client.runs.full_id(run_id)
        run = await client.runs.cancel(full_id, reason=reason)
        status = connection.terminal().status(documents.enum_name(run, "status"))
        over = run.status in (runs_pb2.RUN_STATUS_SUCCESS, runs_pb2.RUN_STATUS_FAILURE)
        told = f"had ended already: {status}" if over else f"is {status}"
        click.echo(documents.single(run) if as_json else f"Run {run.run_id} {told}.")

    connection.run(host, work)


@runs.command("cancel-all")
@run_choices.options
@click.option("--reason", default="", help="Why, in words.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@connection.host_option
@connection.json_option
def cancel_all(
    *, chosen: run_choices.Chosen, reason: str, host: str, yes: bool, as_json: bool
) -> None:
    """Cancel all runs that are chosen and have not ended."""
    query = chosen.filter()
    if not query.ListFields():
        raise click.UsageError("Choose runs: with --location, --job, --tag or another option.")
    if not yes:
        click.confirm("Cancel all runs like that which have not ended?", abort=True, err=True)

    async def work(client: client_connection.Client) -> None:
        canceled = [run async for run in client.runs.cancel_all(query, reason=reason)]
        if as_json:
            click.echo(documents.listing("runs", canceled))
            return
        click.echo(f"{rendering.count(len(canceled), 'run')} canceled, or asked to stop.")

    connection.run(host, work)


@runs.command()
@click.argument("run_id")
@click.option("--from-failure", is_flag=True, help="Only what did not end well.")
@click.option(
    "--steps",
    multiple=True,
    metavar="KEYS",
    help="Only these steps, with commas between them; may be repeated.",
)
@click.option(
    "--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag besides; may be repeated."
)
@click.option("--request-id", default="", help="Repeating it with the same id makes no second run.")
@connection.host_option
@connection.json_option
def reexecute(run_id: str, *, host: str, as_json: bool, **given: Any) -> None:
    """Run an ended run again: the same job, selection, partition, configuration and tags."""
    if given["from_failure"] and given["steps"]:
        raise click.UsageError("Give either --from-failure or --steps.")
    added = tag_options.parse(given["tags"])

    async def work(client: client_connection.Client) -> None:
        run = await client.runs.reexecute(
            await client.runs.full_id(run_id),
            from_failure=given["from_failure"],
            step_keys=_separated(given["steps"]),
            tags=added,
            request_id=given["request_id"],
        )
        told = f"Launched run {run.run_id}, which runs {run.parent_run_id} again."
        click.echo(documents.single(run) if as_json else told)

    connection.run(host, work)


@runs.command()
@click.argument("run_id")
@connection.host_option
@connection.json_option
def delete(run_id: str, host: str, *, as_json: bool) -> None:
    """Remove a run that has ended, and its captured output; its events stay in the log."""

    async def work(client: client_connection.Client) -> None:
        full_id = await client.runs.full_id(run_id)
        await client.runs.delete(full_id)
        deleted = json.dumps({"deleted_run_id": full_id})
        click.echo(deleted if as_json else f"Deleted run {full_id}.")

    connection.run(host, work)


@runs.command()
@click.argument("run_id")
@connection.host_option
@connection.json_option
def watch(run_id: str, host: str, *, as_json: bool) -> None:
    """Tell of each change of a run's status until it has ended; exit code 1 unless it succeeded."""

    async def work(client: client_connection.Client) -> int:
        full_id = await client.runs.full_id(run_id)
        run = await run_following.states(client, full_id, as_json=as_json)
        if run is not None and not as_json:
            click.echo(_outcome(run))
        succeeded = run is not None and run.status == runs_pb2.RUN_STATUS_SUCCESS
        return 0 if succeeded else connection.EXIT_FAILED

    connection.run(host, work)


@runs.command()
@click.argument("run_id")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended.")
@click.option("--step", default="", help="Only output of this step.")
@connection.host_option
@connection.json_option
def logs(run_id: str, step: str, host: str, *, follow: bool, as_json: bool) -> None:
    """Show what a run logged, then what its steps wrote. With --json: one object a line.

    With --follow both come as they arrive.
    """

    async def work(client: client_connection.Client) -> None:
        # An unknown run is an error, not an empty log.
        run = await client.runs.get(await client.runs.full_id(run_id))
        if follow:
            await run_following.logs(client, run.run_id, step, as_json=as_json)
            return
        await _show_events(client, run.run_id, as_json=as_json)
        await _show_output(client, run.run_id, step, as_json=as_json)

    connection.run(host, work)


async def _show_events(client: client_connection.Client, run_id: str, *, as_json: bool) -> None:
    tell = documents.line if as_json else events.RunLog(connection.terminal()).tell
    query = api_pb2.EventFilter(run_id=run_id)
    async for stored in client.events.list(query):
        click.echo(tell(stored))


async def _show_output(
    client: client_connection.Client, run_id: str, step_key: str, *, as_json: bool
) -> None:
    terminal = connection.terminal()
    collected: dict[tuple[str, mesh_pb2.OutputStream.ValueType], bytearray] = {}
    async for piece in client.runs.output(run_id, step_key=step_key):
        collected.setdefault((piece.step_key, piece.stream), bytearray()).extend(piece.data)
    for (step, stream), data in collected.items():
        text = data.decode("utf-8", "replace")
        name = run_following.stream_name(stream)
        if as_json:
            click.echo(run_following.line(run_id, step, name, text))
            continue
        title = f"{step or 'outside the steps'}, {name}"
        click.echo(f"\n{terminal.paint(title, 'bold')}\n{rendering.printable(text).rstrip()}")
    if step_key and not collected and not as_json:
        click.echo(f"\nStep {step_key!r} wrote nothing in this run.", err=True)


def _launch(given: Mapping[str, Any]) -> client_runs.Launch:
    again = [name for name in ("rerun", "from_failure") if given[name]]
    chosen = [name for name in _CHOOSING if given[name]]
    if len(again) > 1:
        raise click.UsageError("Give one of --rerun and --from-failure.")
    if again and chosen:
        raise click.UsageError(
            "What an earlier run ran is run again: leave out --job, --location, --asset, --checks, "
            "--ops, --partition and --partition-range."
        )
    if given["steps"] and not given["rerun"]:
        raise click.UsageError(
            "--steps chooses among those of an earlier run: give --rerun RUN_ID."
        )
    if not again and not given["job"] and not given["assets"] and not given["checks"]:
        raise click.UsageError(
            "Say what to run: --job JOB, --asset KEY, --checks ASSET:CHECK, or several of them."
        )
    request = client_runs.Launch(
        job_name=given["job"],
        location_name=given["location"],
        run_config=_run_config(given["config_file"], given["config_json"]),
        tags=tag_options.parse(given["tags"]),
        asset_selection=cast("tuple[values_pb2.AssetKey, ...]", given["assets"]),
        partition_key=given["partition"],
        partition_range=given["partition_range"] or None,
        op_selection=_separated(given["ops"]),
        asset_check_selection=[_check_key(text) for text in given["checks"]],
    )
    if given["request_id"]:
        return dataclasses.replace(request, request_id=given["request_id"])
    return request


async def _completed(
    client: client_connection.Client, request: client_runs.Launch, given: Mapping[str, Any]
) -> client_runs.Launch:
    """Return the launch, with what an earlier run says where one is run again."""
    earlier = given["rerun"] or given["from_failure"]
    if not earlier:
        return request
    run = await client.runs.get(await client.runs.full_id(earlier))
    made = client_runs.again(
        run, step_keys=_separated(given["steps"]), from_failure=bool(given["from_failure"])
    )
    return dataclasses.replace(
        made,
        tags={**made.tags, **request.tags},
        run_config=made.run_config if request.run_config is None else request.run_config,
        request_id=request.request_id,
    )


def _separated(texts: Sequence[str]) -> list[str]:
    parts = (part.strip() for text in texts for part in text.split(","))
    return [part for part in parts if part]


def _check_key(text: str) -> values_pb2.AssetCheckKey:
    asset, separator, name = text.rpartition(":")
    if not separator or not name:
        raise click.BadParameter(
            f"{text!r} is no check. Write the asset and the check, such as sales/daily:is_fresh.",
            param_hint="--checks",
        )
    return values_pb2.AssetCheckKey(asset_key=connection.asset_key(asset), name=name)


def _run_config(file: TextIO | None, text: str | None) -> Mapping[str, Any] | None:
    if file is not None and text is not None:
        raise click.UsageError("Give the run configuration once: --config or --config-json.")
    option = "--config" if file is not None else "--config-json"
    document = file.read() if file is not None else text
    if document is None:
        return None
    name = f" ({pathlib.Path(file.name).name})" if file is not None else ""
    try:
        value = json.loads(document)
    except ValueError as error:
        raise click.BadParameter(
            f"the run configuration{name} is no JSON: {error}. Correct it there.",
            param_hint=option,
        ) from error
    if not isinstance(value, dict):
        raise click.BadParameter(
            f"the run configuration{name} must be an object such as "
            f'{{"ops": {{...}}}}, not {json.dumps(value)[:80]}.',
            param_hint=option,
        )
    return cast("Mapping[str, Any]", value)


def _show_counts(counts: Sequence[runs_pb2.RunCount], *, as_json: bool) -> None:
    if as_json:
        click.echo(documents.listing("counts", counts))
        return
    rows = [
        [each.location_name, documents.enum_name(each, "status"), f"{each.count:,}"]
        for each in counts
    ]
    click.echo(rendering.table(_COUNT_COLUMNS, rows, connection.terminal()))


def _row(run: runs_pb2.Run, terminal: rendering.Terminal) -> list[str]:
    return [
        connection.run_id(run.run_id, terminal),
        run.job_name,
        run.location_name,
        documents.enum_name(run, "status"),
        _partition(run) or rendering.NOTHING,
        rendering.moment(documents.moment(run, "create_time")),
        rendering.duration(_seconds(run)),
        _asked_by(run),
    ]


def _details(run: runs_pb2.Run) -> str:
    terminal = connection.terminal()
    config = json.dumps(documents.user_data(run.run_config)) if run.HasField("run_config") else ""
    failure = run.failure if run.HasField("failure") else None
    pairs = [
        ("run", run.run_id),
        ("job", run.job_name),
        ("location", run.location_name),
        ("status", documents.enum_name(run, "status")),
        ("waits because", run.waiting_reason),
        ("build", run.build_id),
        ("created", rendering.moment_exact(documents.moment(run, "create_time"))),
        ("started", rendering.moment_exact(documents.moment(run, "start_time"))),
        ("ended", rendering.moment_exact(documents.moment(run, "end_time"))),
        ("took", rendering.duration(_seconds(run))),
        ("requested by", _asked_by(run)),
        ("tick", run.tick_id),
        ("run key", run.run_key),
        ("decided by build", run.requested_build_id),
        ("partition", _partition(run)),
        ("assets", ", ".join(documents.format_asset_key(key) for key in run.asset_selection)),
        (
            "checks",
            ", ".join(
                f"{documents.format_asset_key(key.asset_key)}:{key.name}"
                for key in run.asset_check_selection
            ),
        ),
        ("ops", ", ".join(run.op_selection)),
        ("steps", ", ".join(run.step_keys)),
        ("runs again", run.parent_run_id),
        ("tags", "\n".join(f"{name} = {run.tags[name]}" for name in sorted(run.tags))),
        ("config", config),
        ("failure", documents.failure_text(failure) if failure else ""),
    ]
    return rendering.fields([pair for pair in pairs if pair[1] != rendering.NOTHING], terminal)


async def _wait(
    client: client_connection.Client, run: runs_pb2.Run, timeout: float | None, *, as_json: bool
) -> int:
    """Wait for the end of a run and tell of it; return the exit code."""
    try:
        ended = await waiting.run_end(client, run, timeout, as_json=as_json)
    except asyncio.CancelledError:
        # Ctrl-C ends the waiting, which is easily taken for the run.
        click.echo(f"Not waiting any longer; run {run.run_id} goes on.", err=True)
        raise
    click.echo(documents.single(ended) if as_json else _outcome(ended))
    if ended.status == runs_pb2.RUN_STATUS_SUCCESS:
        return 0
    if not as_json:
        click.echo(f"See what it logged with 'atoll runs logs {run.run_id}'.", err=True)
    return connection.EXIT_FAILED


def _outcome(run: runs_pb2.Run) -> str:
    status = connection.terminal().status(documents.enum_name(run, "status"))
    took = rendering.duration(_seconds(run))
    told = f"Run {run.run_id}: {status} after {took}."
    if not run.HasField("failure"):
        return told
    reason = rendering.one_line(documents.failure_line(run.failure))
    return f"{told} {reason}"


def _partition(run: runs_pb2.Run) -> str:
    if run.partition_range_start:
        return f"{run.partition_range_start} to {run.partition_range_end}"
    return run.partition_key


def _asked_by(run: runs_pb2.Run) -> str:
    if run.sensor_name:
        return f"sensor {run.sensor_name}"
    if run.tags.get(_BACKFILL_TAG):
        return f"backfill {narration.short_run_id(run.tags[_BACKFILL_TAG])}"
    schedule_name = run.tags.get(_SCHEDULE_NAME_TAG)
    return f"schedule {schedule_name}" if schedule_name else "launch"


def _seconds(run: runs_pb2.Run) -> float | None:
    started = documents.moment(run, "start_time")
    ended = documents.moment(run, "end_time")
    return (ended - started).total_seconds() if started and ended else None

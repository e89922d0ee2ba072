"""`atoll check`: load the definitions of a location and say what is wrong with them.

The code is loaded in a process of its own, as `atoll serve` does it. With `--against` a host says
as well what they would break, for whom. Exit code 0: it loads, and breaks nothing; 1: it does not
load, or breaks something that was not allowed; 2: the command line was wrong; 3: the host does not
answer.
"""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

import click

from atoll._cli import connection, impact, targets
from atoll._location import launch
from atoll._server import checking, errors
from atoll._server import settings as server_settings
from atoll.client import connection as client_connection
from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2

_FRAMES_SHOWN = 10
_METHODS = {
    location_pb2.START_METHOD_FORK: "fork",
    location_pb2.START_METHOD_SPAWN: "spawn",
}


@click.command()
@targets.options
@click.option(
    "--against",
    metavar="HOST:PORT",
    default=None,
    help="Also ask this host what the definitions would break, for whom.",
)
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    metavar="RULE",
    help="Accept what breaks by this rule; may be repeated. With --against.",
)
@click.option("--markdown", is_flag=True, help="Print a summary for a pull request.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def check(  # one parameter for each option
    *,
    against: str | None,
    allowed: tuple[str, ...],
    markdown: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Load the definitions of a code location and say what is wrong, all at once."""
    if against is None and (allowed or markdown):
        raise click.UsageError("--allow and --markdown are about what --against finds: give it.")
    if markdown and as_json:
        raise click.UsageError("Give --json or --markdown, not both.")
    module, file, package = given["module"], given["file"], given["package"]
    working_directory: pathlib.Path = given["working_directory"]
    target = targets.parse(module, file, package, working_directory)
    location_name = targets.name_of(given["name"], target)
    chosen = server_settings.Settings(
        location_name=location_name, target=target, state_path=pathlib.Path()
    )
    try:
        outcome = checking.check(chosen)
    except errors.CodeServerError as error:
        raise click.ClickException(str(error)) from error
    snapshot = outcome.snapshot
    if against is not None and snapshot is not None:

        async def compare(client: client_connection.Client) -> int:
            answer = await client.impact.check(location_name, snapshot)
            if as_json:
                told = impact.document(answer, against, allowed)
                whole = {**_document(location_name, outcome), "against": told}
                click.echo(json.dumps(whole, indent=2))
            elif markdown:
                click.echo(impact.markdown(answer, location_name, allowed))
            else:
                click.echo(_summary(location_name, target, outcome))
                click.echo(impact.table(answer, against, allowed))
            return connection.EXIT_FAILED if impact.breaks(answer, allowed) else 0

        connection.run(against, compare)
    if as_json:
        click.echo(json.dumps(_document(location_name, outcome), indent=2))
    elif outcome.failure is not None:
        click.echo(_complaint(location_name, outcome.failure), err=True)
    else:
        click.echo(_summary(location_name, target, outcome))
    sys.exit(0 if outcome.failure is None else 1)


def _counts(outcome: checking.Outcome) -> dict[str, int]:
    snapshot = outcome.snapshot
    if snapshot is None:
        return {}
    return {
        "assets": len(snapshot.assets),
        "executable_assets": sum(asset.executable for asset in snapshot.assets),
        "jobs": sum(not job.implicit for job in snapshot.jobs),
        "sensors": len(snapshot.sensors),
        "schedules": len(snapshot.schedules),
        "checks": len(snapshot.checks),
        "resources": len(snapshot.resources),
    }


def _summary(location_name: str, target: launch.Target, outcome: checking.Outcome) -> str:
    counts = _counts(outcome)
    external = counts["assets"] - counts["executable_assets"]
    numbers = [
        _number(counts["executable_assets"], "asset"),
        *([_number(external, "external asset")] if external else []),
        _number(counts["jobs"], "job"),
        _number(counts["sensors"], "sensor"),
        *([_number(counts["schedules"], "schedule")] if counts["schedules"] else []),
        *([_number(counts["checks"], "check")] if counts["checks"] else []),
        *([_number(counts["resources"], "resource")] if counts["resources"] else []),
    ]
    what = f"{target.kind.value} {target.value}, {outcome.duration_s:.1f} s"
    lines = [f"{location_name} loads ({what}): {', '.join(numbers)}."]
    if outcome.loaded is not None:
        method = _METHODS.get(outcome.loaded.start_method, "unknown")
        lines.append(f"Processes are made by {method}: {outcome.loaded.start_method_reason}")
    return "\n".join(lines)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _complaint(location_name: str, failure: values_pb2.Failure) -> str:
    name = failure.type.removeprefix("atoll.")
    lines = [f"{location_name} does not load: {name}: {failure.message}"]
    # A frame without a function is the place of a wrong definition, which the message names.
    lines += (
        f"  {frame.file}:{frame.line} in {frame.function}: {frame.source}"
        for frame in failure.frames[-_FRAMES_SHOWN:]
        if frame.function
    )
    if failure.HasField("cause"):
        lines.append(f"Caused by {failure.cause.type}: {failure.cause.message}")
    if failure.last_output:
        lines.append("It wrote last:")
        lines += (f"  {line}" for line in failure.last_output.splitlines()[-_FRAMES_SHOWN:])
    return "\n".join(lines)


def _document(location_name: str, outcome: checking.Outcome) -> dict[str, Any]:
    failure = outcome.failure
    document: dict[str, Any] = {
        "location": location_name,
        "ok": failure is None,
        "duration_s": round(outcome.duration_s, 3),
        **_counts(outcome),
    }
    if outcome.loaded is not None:
        document["start_method"] = _METHODS.get(outcome.loaded.start_method, "unknown")
        document["start_method_reason"] = outcome.loaded.start_method_reason
    if failure is not None:
        document["failure"] = {
            "type": failure.type,
            "message": failure.message,
            "frames": [
                {
                    "file": frame.file,
                    "line": frame.line,
                    "function": frame.function,
                    "source": frame.source,
                }
                for frame in failure.frames
            ],
            "last_output": failure.last_output,
        }
    return document

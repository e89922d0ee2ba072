"""`atoll check`: load the definitions of a location and say what is wrong with them.

The code is loaded in a process of its own, as `atoll serve` does it. Exit code 0: it loads; 1: it
does not; 2: the command line was wrong.
"""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

import click

from atoll._cli import targets
from atoll._location import launch
from atoll._server import checking, errors
from atoll._server import settings as server_settings
from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2

_FRAMES_SHOWN = 10
_METHODS = {
    location_pb2.START_METHOD_FORK: "fork",
    location_pb2.START_METHOD_SPAWN: "spawn",
}


@click.command()
@targets.options
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def check(  # one parameter for each option
    *,
    module: str | None,
    file: pathlib.Path | None,
    package: str | None,
    name: str | None,
    working_directory: pathlib.Path,
    as_json: bool,
) -> None:
    """Load the definitions of a code location and say what is wrong, all at once."""
    target = targets.parse(module, file, package, working_directory)
    location_name = targets.name_of(name, target)
    chosen = server_settings.Settings(
        location_name=location_name, target=target, state_path=pathlib.Path()
    )
    try:
        outcome = checking.check(chosen)
    except errors.CodeServerError as error:
        raise click.ClickException(str(error)) from error
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

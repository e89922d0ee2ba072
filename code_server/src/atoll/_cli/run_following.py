"""What a run does, told as it happens: ``atoll runs watch`` and ``atoll runs logs --follow``.

Used by the commands of runs.
"""

import asyncio
import codecs
import json
from typing import Final

import click

from atoll._cli import connection, events, rendering
from atoll.api.v1 import events_pb2 as api_pb2
from atoll.api.v1 import runs_pb2
from atoll.client import connection as client_connection
from atoll.client import documents
from atoll.client import runs as client_runs
from atoll.mesh.v1 import mesh_pb2

_LINE_LENGTH_MAX: Final = 64 * 1024


async def states(
    client: client_connection.Client, run_id: str, *, as_json: bool
) -> runs_pb2.Run | None:
    """Tell of each change of a run's status; return the run as it ended."""
    terminal = connection.terminal()
    run: runs_pb2.Run | None = None
    async with client.runs.watch(run_id, patience_s=None) as watch:
        async for run in watch:
            if as_json:
                click.echo(documents.line(run))
                continue
            changed = rendering.clock_time(documents.moment(run, "update_time"))
            status = terminal.status(documents.enum_name(run, "status"))
            why = f"  {run.waiting_reason}" if run.waiting_reason else ""
            click.echo(f"{changed}  {status}{why}")
    return run


async def logs(
    client: client_connection.Client, run_id: str, step_key: str, *, as_json: bool
) -> None:
    """Tell what a run logs and what its steps write, as it arrives, until it has ended."""
    telling = [
        asyncio.ensure_future(_events(client, run_id, as_json=as_json)),
        asyncio.ensure_future(_output(client, run_id, step_key, as_json=as_json)),
    ]
    try:
        await asyncio.gather(*telling)
    finally:
        for task in telling:
            task.cancel()
        await asyncio.gather(*telling, return_exceptions=True)


async def _events(client: client_connection.Client, run_id: str, *, as_json: bool) -> None:
    tell = documents.line if as_json else events.RunLog(connection.terminal()).tell
    query = api_pb2.EventFilter(run_id=run_id)
    async with client.events.watch(query, from_beginning=True) as watch:
        async for stored in watch:
            click.echo(tell(stored))
            if stored.event.WhichOneof("body") in client_runs.FINAL_KINDS:
                return


async def _output(
    client: client_connection.Client, run_id: str, step_key: str, *, as_json: bool
) -> None:
    lines: dict[tuple[str, mesh_pb2.OutputStream.ValueType], _Lines] = {}
    shown: tuple[str, mesh_pb2.OutputStream.ValueType] | None = None
    async with client.runs.watch_output(run_id, step_key=step_key) as watch:
        async for piece in watch:
            place = (piece.step_key, piece.stream)
            text = lines.setdefault(place, _Lines()).taken(piece.data)
            if text:
                _tell_output(run_id, place, text, title=place != shown, as_json=as_json)
                shown = place
    for place, kept in lines.items():
        if text := kept.rest():
            _tell_output(run_id, place, text, title=place != shown, as_json=as_json)
            shown = place


class _Lines:
    """Makes whole lines of the pieces of a stream; what never ends a line comes in pieces."""

    def __init__(self) -> None:
        # A character may be cut where a piece ends.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""

    def taken(self, data: bytes) -> str:
        """Return the lines that a piece ends."""
        text = self._begun + self._decoder.decode(data)
        end = len(text) if len(text) > _LINE_LENGTH_MAX else text.rfind("\n") + 1
        self._begun = text[end:]
        return text[:end]

    def rest(self) -> str:
        """Return the line that no piece ended."""
        return self._begun + self._decoder.decode(b"", final=True)


def _tell_output(
    run_id: str,
    place: "tuple[str, mesh_pb2.OutputStream.ValueType]",
    text: str,
    *,
    title: bool,
    as_json: bool,
) -> None:
    step_key, name = place[0], stream_name(place[1])
    if as_json:
        click.echo(line(run_id, step_key, name, text))
        return
    if title:
        words = f"{step_key or 'outside the steps'}, {name}"
        click.echo(connection.terminal().paint(words, "bold"))
    click.echo(rendering.printable(text), nl=not text.endswith("\n"))


def stream_name(stream: "mesh_pb2.OutputStream.ValueType") -> str:
    """Return what people call a stream."""
    return "stderr" if stream == mesh_pb2.OUTPUT_STREAM_STDERR else "stdout"


def line(run_id: str, step_key: str, stream: str, text: str) -> str:
    """Return output as one line of JSON."""
    document = {"run_id": run_id, "step_key": step_key, "stream": stream, "text": text}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))

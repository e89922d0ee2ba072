"""``atoll events``: the event log of a host, and what is added to it."""

import textwrap
from collections.abc import Mapping
from typing import Final

import click

from atoll._cli import connection, rendering
from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import connection as client_connection
from atoll.client import documents, narration
from atoll.client import events as client_events
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2

LIMIT_DEFAULT: Final = 1000
KINDS: Final = tuple(
    sorted(field.name for field in events_pb2.Event.DESCRIPTOR.oneofs_by_name["body"].fields)
)
_WHERE_WIDTH: Final = 18
_KIND_WIDTH: Final = 22
_INDENT: Final = "    "
_COLOURS: Final[Mapping[narration.Severity, tuple[rendering.Colour, ...]]] = {
    "plain": (),
    "good": ("green",),
    "warning": ("yellow",),
    "bad": ("red",),
    "quiet": ("dim",),
}


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on as new events arrive.")
@click.option(
    "--from-beginning", is_flag=True, help="With --follow, begin with the oldest stored event."
)
@click.option("--run", "run_id", default="", help="Only events of this run.")
@click.option("--location", default="", help="Only events of this location.")
@click.option(
    "--asset", type=connection.asset_key, metavar="KEY", help="Only events about this asset."
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(KINDS),
    metavar="KIND",
    help="Only events of this kind, such as asset_materialization; may be repeated.",
)
@click.option("--job", default="", help="Only events of runs of this job.")
@click.option("--step", default="", help="Only events of this step.")
@click.option("--partition", default="", metavar="KEY", help="Only events of this partition.")
@click.option(
    "--after",
    type=click.IntRange(min=1),
    default=None,
    metavar="ID",
    help="Only events after this one; with --follow, go on after it.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), help=f"How many; {LIMIT_DEFAULT} without --follow."
)
@connection.host_option
@connection.json_option
def events(  # noqa: PLR0913 - one parameter for each option
    *,
    run_id: str,
    location: str,
    asset: values_pb2.AssetKey | None,
    kinds: tuple[str, ...],
    job: str,
    step: str,
    partition: str,
    after: int | None,
    limit: int | None,
    host: str,
    follow: bool,
    from_beginning: bool,
    as_json: bool,
) -> None:
    """Show the event log, oldest first, or follow it. With --json --follow: one object a line."""
    if from_beginning and after is not None:
        raise click.UsageError("Give either --from-beginning or --after.")
    if from_beginning and not follow:
        raise click.UsageError(
            "--from-beginning says where following begins: give it together with --follow. "
            "Without --follow the oldest events come first anyway."
        )

    async def work(client: client_connection.Client) -> None:
        query = api_pb2.EventFilter(
            run_id=await client.runs.full_id(run_id),
            location_name=location,
            asset_key=asset,
            kinds=kinds,
            job_name=job,
            step_key=step,
            partition_key=partition,
        )
        after_event_id = after or 0
        if follow:
            watch = client.events.watch(
                query, from_beginning=from_beginning, after_event_id=after_event_id
            )
            await _follow(watch, limit, as_json=as_json)
            return
        listed = client.events.list(
            query, after_event_id=after_event_id, limit=limit or LIMIT_DEFAULT
        )
        found = [stored async for stored in listed]
        if as_json:
            click.echo(documents.listing("events", found))
            return
        terminal = connection.terminal()
        for stored in found:
            click.echo(line(stored, terminal))
        if not found:
            click.echo("There are no such events.", err=True)
        if limit is None and len(found) == LIMIT_DEFAULT:
            click.echo(f"The first {LIMIT_DEFAULT} events; --limit shows more.", err=True)

    connection.run(host, work)


async def _follow(watch: client_events.Watch, limit: int | None, *, as_json: bool) -> None:
    terminal = connection.terminal()
    shown = 0
    async with watch:
        async for stored in watch:
            click.echo(documents.line(stored) if as_json else line(stored, terminal))
            shown += 1
            if limit is not None and shown >= limit:
                return


def line(stored: events_pb2.StoredEvent, terminal: rendering.Terminal) -> str:
    """Return an event on one line: time, id, location, run, kind, step and what happened."""
    event = stored.event
    told = narration.tell(event)
    where = "/".join(
        part for part in (stored.location_name, narration.short_run_id(event.run_id)) if part
    )
    begin = f"{rendering.clock_time(documents.moment(event, 'timestamp'))}  {stored.id:>6}  "
    shown = (where or rendering.NOTHING).ljust(_WHERE_WIDTH)
    text = f"{shown}  {_told(event.step_key, told, terminal)}"
    return terminal.paint(begin, "dim") + text


class RunLog:
    """The events of a run that is known anyway: a line each, and the whole of what went wrong."""

    def __init__(self, terminal: rendering.Terminal) -> None:
        self._terminal = terminal
        self._shown = False

    def tell(self, stored: events_pb2.StoredEvent) -> str:
        """Return an event in words."""
        event = stored.event
        told = narration.tell(event)
        begin = f"{rendering.clock_time(documents.moment(event, 'timestamp'))}  "
        line = self._terminal.paint(begin, "dim") + _told(event.step_key, told, self._terminal)
        failure = getattr(getattr(event, told.kind, None), "failure", None)
        if told.severity != "bad" or not isinstance(failure, values_pb2.Failure):
            return line
        # The failure of a run repeats that of its step, and the line says all that there is to say
        # of one without a stack.
        more = failure.frames or failure.HasField("cause") or failure.metadata
        if not more or (told.kind == "run_failed" and self._shown):
            return line
        self._shown = True
        text = rendering.printable(documents.failure_text(failure))
        return f"{line}\n{textwrap.indent(text, _INDENT)}"


def _told(step_key: str, told: narration.Told, terminal: rendering.Terminal) -> str:
    kind = terminal.paint(told.kind.ljust(_KIND_WIDTH), *_COLOURS[told.severity])
    step = f"{step_key}: " if step_key else ""
    return f"{kind}  {rendering.one_line(step + told.text)}".rstrip()

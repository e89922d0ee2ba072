"""Which runs a command is about: the options that choose them.

Used by the commands that list, count and cancel runs.
"""

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from atoll._cli import connection, moments, tag_options
from atoll.api.v1 import runs_pb2
from atoll.client import calls
from atoll.definitions.v1 import values_pb2

STATUSES: Final[Mapping[str, "runs_pb2.RunStatus.ValueType"]] = {
    name.removeprefix("RUN_STATUS_").lower(): number
    for name, number in runs_pb2.RunStatus.items()
    if number != runs_pb2.RUN_STATUS_UNSPECIFIED
}
"""The states of runs by the names that commands take."""


@dataclasses.dataclass(frozen=True)
class Chosen:
    """What the options of `options` say."""

    location: str
    job: str
    statuses: tuple[str, ...]
    tags: tuple[str, ...]
    partition: str
    asset: values_pb2.AssetKey | None
    backfill: str
    sensor: str
    schedule: str
    parent: str
    root: str
    created_from: dt.datetime | None
    created_before: dt.datetime | None
    updated_from: dt.datetime | None
    updated_before: dt.datetime | None

    def filter(self) -> runs_pb2.RunFilter:
        """Return them as the API takes them.

        Raises:
            click.BadParameter: A tag is none.
        """
        values: dict[str, list[str]] = {}
        for pair in self.tags:
            for key, value in tag_options.parse([pair]).items():
                values.setdefault(key, []).append(value)
        return runs_pb2.RunFilter(
            location_name=self.location,
            job_name=self.job,
            statuses=[STATUSES[status] for status in self.statuses],
            tags=[runs_pb2.RunTagFilter(key=key, values=each) for key, each in values.items()],
            created_from=calls.timestamp(self.created_from),
            created_before=calls.timestamp(self.created_before),
            updated_from=calls.timestamp(self.updated_from),
            updated_before=calls.timestamp(self.updated_before),
            partition_key=self.partition,
            asset_key=self.asset,
            backfill_id=self.backfill,
            sensor_name=self.sensor,
            schedule_name=self.schedule,
            parent_run_id=self.parent,
            root_run_id=self.root,
        )


def _time(name: str, what: str) -> Callable[[connection.Command], connection.Command]:
    return click.option(
        f"--{name}", type=moments.parse, metavar=moments.METAVAR, help=f"Only runs {what}."
    )


_OPTIONS: Final = (
    click.option("--location", default="", help="Only runs of this location."),
    click.option("--job", default="", help="Only runs of this job."),
    click.option(
        "--status",
        "statuses",
        multiple=True,
        type=click.Choice(sorted(STATUSES)),
        help="Only runs in this state; may be repeated.",
    ),
    click.option(
        "--tag",
        "tags",
        multiple=True,
        metavar="KEY=VALUE",
        help="Only runs with this tag; may be repeated. Of several values of one key, one will do.",
    ),
    click.option("--partition", default="", metavar="KEY", help="Only runs for this partition."),
    click.option(
        "--asset",
        type=connection.asset_key,
        metavar="KEY",
        help="Only runs that planned, materialized, observed or checked this asset.",
    ),
    click.option("--backfill", default="", metavar="ID", help="Only runs of this backfill."),
    click.option("--sensor", default="", metavar="NAME", help="Only runs that it asked for."),
    click.option("--schedule", default="", metavar="NAME", help="Only runs that it asked for."),
    click.option("--parent", default="", metavar="RUN_ID", help="Only runs of this run again."),
    click.option("--root", default="", metavar="RUN_ID", help="Only runs that go back to this."),
    _time("created-from", "that were queued at this time or later"),
    _time("created-before", "that were queued before"),
    _time("updated-from", "whose status changed last at this time or later"),
    _time("updated-before", "whose status changed last before"),
)
_NAMES: Final = tuple(field.name for field in dataclasses.fields(Chosen))


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that choose runs; it takes them as `chosen`."""

    @functools.wraps(command)
    def called(**values: Any) -> None:
        chosen = Chosen(**{name: values.pop(name) for name in _NAMES})
        command(chosen=chosen, **values)

    decorated: Callable[..., None] = called
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated

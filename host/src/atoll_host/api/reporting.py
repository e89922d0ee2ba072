"""Takes what people and programs outside report on assets that no run of the host made.

Called by the servicer of reports. What is stored is an event like those that user code reports
(`instance.reporting`), so that whoever follows the log sees no difference. Here a report is checked
against what locations define: assets, partitions and checks that nobody defines are refused, unless
the report says that it is meant so.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping

from atoll.events.v1 import events_pb2
from atoll_host import clock as clocks
from atoll_host import errors, moments
from atoll_host.api import partition_reading
from atoll_host.instance import dynamic_partitions
from atoll_host.locations import definitions
from atoll_host.locations import graph as graphs
from atoll_host.locations import registry as registries
from atoll_host.runs import partitions as run_partitions
from atoll_storage import database

Path = tuple[str, ...]

EVENT_BYTES_MAX = 1024 * 1024
CLOCK_SKEW_MAX = dt.timedelta(minutes=5)
"""The clock of whoever reports may be so far ahead of the host's."""

MESSAGE = "Reported from outside."
DATA_VERSION_TAG = "atoll/data_version"
DATA_VERSION_BY_USER_TAG = "atoll/data_version_is_user_provided"
CODE_VERSION_TAG = "atoll/code_version"
_OWN_TAGS = "atoll/"


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """A report before it is checked.

    Attributes:
        event: The event, with its body and without anything else.
        path: The asset.
        partition: The partition, empty for none.
        check_name: The check; empty for a report on the asset itself.
        needs_partition: Whether it has to name a partition where there are partitions.
        allow_undefined: Whether it may be about something that no location defines.
        request_id: Makes it exactly once.
    """

    event: events_pb2.Event
    path: Path
    partition: str
    check_name: str = ""
    needs_partition: bool = True
    allow_undefined: bool = False
    request_id: str = ""

    @property
    def told(self) -> str:
        """What it is about, for messages."""
        name = "/".join(self.path)
        return f"Check {name}:{self.check_name}" if self.check_name else f"Asset {name!r}"


class Reporting:
    """Stores reports.

    Args:
        store: Storage.
        registry: The definitions of all locations.
        clock: Tells the time.
    """

    def __init__(
        self, store: database.Database, registry: registries.Registry, clock: clocks.Clock
    ) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock

    async def report(self, report: Report) -> int:
        """Store a report and return the id of its event; the same request id returns the first.

        Raises:
            errors.InvalidRequest: The partition, the time or the size is wrong.
            errors.UnknownAsset: No location knows of the asset.
            errors.UnknownCheck: No location defines the check.
        """
        dynamic_partitions.check_request_id(report.request_id)
        location_name = await self._checked(report)
        event = report.event
        now = self._clock.now()
        told = moments.of(event, "timestamp")
        if told is None:
            event.timestamp.FromDatetime(now)
        elif told > now + CLOCK_SKEW_MAX:
            raise errors.InvalidRequest(
                f"event_time is {event.timestamp.ToJsonString()}, which is in the future. Give "
                "the time when it happened, or none for now.",
                field="event_time",
            )
        event.message = MESSAGE
        if report.check_name:
            await self._tell_checked(report)
        if event.ByteSize() > EVENT_BYTES_MAX:
            raise errors.InvalidRequest(
                f"The report has {event.ByteSize()} bytes; {EVENT_BYTES_MAX} is the most. Put a "
                "link to large data into the metadata, and not the data.",
                field="metadata",
            )
        return await self._store.events.report(event, location_name, request_id=report.request_id)

    async def _checked(self, report: Report) -> str:
        """Check what a report is about; return the location that it counts for, empty for none."""
        if not report.path or not all(report.path):
            raise errors.InvalidRequest(
                "The report names no asset, or a part of its key is empty. Give the asset key.",
                field="asset_key",
            )
        graph = self._registry.graph()
        known = {
            name: view.definitions
            for name, view in self._registry.locations().items()
            if view.definitions is not None
        }
        whose = subject(graph, known, report)
        if whose is None:
            check_key_of_nobody(report.partition)
            return ""
        check_presence(report, whose)
        if report.partition and whose.partitions_def is not None:
            dynamic = await run_partitions.read_dynamic(
                self._store.partitions, known[whose.location_name], [report.partition]
            )
            wanted = run_partitions.Wanted(report.partition, "", "")
            run_partitions.check(report.told, [whose.partitions_def], wanted, dynamic)
        return whose.location_name

    async def _tell_checked(self, report: Report) -> None:
        """Say what the check is, and which materialization it looked at: the newest there is."""
        node = self._registry.graph().check((report.path, report.check_name))
        if node is not None:
            report.event.asset_check_evaluation.blocking = node.definition.blocking
        if report.partition:
            found = await self._store.assets.latest_of_partitions(report.path, [report.partition])
        else:
            found = await self._store.events.latest_materializations([report.path])
        for stored in found:
            checked = report.event.asset_check_evaluation.checked_materialization
            checked.event_id = stored.id
            checked.run_id = stored.event.run_id
            checked.timestamp.CopyFrom(stored.event.timestamp)


def subject(
    graph: graphs.AssetGraph, locations: Mapping[str, definitions.Definitions], report: Report
) -> partition_reading.Subject | None:
    """Return what a report is about, None for what nobody defines where that is meant so.

    Raises:
        errors.UnknownAsset: No location knows of the asset.
        errors.UnknownCheck: No location defines the check.
    """
    if not report.check_name:
        if report.path not in graph and report.allow_undefined:
            return None
        return partition_reading.of_asset(graph, locations, report.path)
    node = graph.check((report.path, report.check_name))
    if node is None:
        if report.allow_undefined:
            return None
        raise errors.UnknownCheck(
            f"No location defines a check {report.check_name!r} of asset "
            f"{'/'.join(report.path)!r}. List the checks of the asset, or say that the check need "
            "not be defined.",
            asset_key="/".join(report.path),
            check_name=report.check_name,
        )
    of_check = partition_reading.of_check(graph, locations, node.key)
    if of_check.partitions_def is not None or not report.partition:
        return of_check
    # A check without partitions may be evaluated for one of the asset all the same.
    if report.path in graph:
        return partition_reading.of_asset(graph, locations, report.path)
    return of_check


def check_presence(report: Report, whose: partition_reading.Subject) -> None:
    """Refuse a partition of what has none, and a missing one of what has some.

    Raises:
        errors.InvalidRequest: It is so.
    """
    has_partitions = whose.partitions_def is not None
    if report.partition and not has_partitions:
        raise errors.InvalidRequest(
            f"{report.told} has no partitions, and the report names partition "
            f"{report.partition!r}. Leave the partition out.",
            field="partition",
        )
    if has_partitions and not report.partition and report.needs_partition:
        raise errors.InvalidRequest(
            f"{report.told} has partitions, and the report names none. Say which partition it is "
            "about.",
            field="partition",
        )


def check_key_of_nobody(partition: str) -> None:
    """Refuse a partition key that could not be stored.

    Raises:
        errors.InvalidRequest: It is too long, or has a NUL character.
    """
    if len(partition.encode()) > dynamic_partitions.KEY_BYTES_MAX or "\0" in partition:
        raise errors.InvalidRequest(
            f"The partition {partition[:40]!r} cannot be one. Give a key of at most "
            f"{dynamic_partitions.KEY_BYTES_MAX} bytes without NUL characters.",
            field="partition",
        )


def checked_tags(
    tags: Mapping[str, str], data_version: str, code_version: str = ""
) -> dict[str, str]:
    """Return the labels of an event.

    Args:
        tags: Those that were given.
        data_version: The version of the data; empty for none.
        code_version: The version of the code; empty for none.

    Raises:
        errors.InvalidRequest: One of them is for Atoll alone.
    """
    for name in tags:
        if name.startswith(_OWN_TAGS):
            raise errors.InvalidRequest(
                f"The tag {name!r} begins with {_OWN_TAGS!r}, which is for Atoll alone. Give "
                "versions as data_version and code_version, and rename other tags.",
                field="tags",
            )
    found = dict(tags)
    if data_version:
        found[DATA_VERSION_TAG] = data_version
        found[DATA_VERSION_BY_USER_TAG] = "true"
    if code_version:
        found[CODE_VERSION_TAG] = code_version
    return found

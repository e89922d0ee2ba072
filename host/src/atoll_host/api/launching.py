"""Launches by people and programs: resolves names, checks, and puts the run into the queue.

Called by the runs servicer. What makes a run acceptable is decided in `runs.requests`, which
sensors use too.
"""

import asyncio
import dataclasses
import uuid

from atoll.api.v1 import runs_pb2
from atoll_host import errors
from atoll_host.access import callers
from atoll_host.locations import registry as registries
from atoll_host.runs import partitions, requests
from atoll_storage import errors as storage_errors
from atoll_storage import records, run_store

_REQUEST_ID_LENGTH_MAX = 200


class Launching:
    """Puts runs into the queue."""

    def __init__(
        self,
        runs: run_store.RunStore,
        registry: registries.Registry,
        dynamic: partitions.PartitionStore,
    ) -> None:
        self._runs = runs
        self._registry = registry
        self._dynamic = dynamic

    async def launch(self, message: runs_pb2.LaunchRunRequest) -> records.RunRecord:
        """Check a launch and queue its run; the same request id returns the first run.

        Raises:
            errors.InvalidRequest: Something in it is wrong.
            errors.NotFound: It names a location, a job or an asset that is not there.
            errors.NotAllowed: The caller may not launch in that location.
            errors.PolicyForbids: It asks for what the host's policy forbids.
            errors.RequestIdReused: Its request id launched another run.
        """
        _check_request_id(message.request_id)
        run = await self._checked(message, await self._lineage(message))
        try:
            record = await self._runs.create(run)
        except storage_errors.UnknownParent as error:
            raise errors.UnknownRun(message.parent_run_id) from error
        if record.run_id != run.run_id:
            _check_repeated(record, run)
        return record

    async def _lineage(self, message: runs_pb2.LaunchRunRequest) -> str:
        """Return the id of the first run of those that were run again; empty for a new one.

        Raises:
            errors.UnknownRun: There is no parent of that id.
            errors.InvalidRequest: What failed in the parent is to be run again, and nothing did.
        """
        if not message.parent_run_id:
            return message.root_run_id
        parent = await self._runs.get(message.parent_run_id)
        caller = callers.current()
        if parent is None or not caller.holds(callers.Role.VIEWER, parent.location_name):
            raise errors.UnknownRun(message.parent_run_id)
        if message.tags.get(requests.RESUME_TAG) == "true":
            _check_resumable(parent)
        return message.root_run_id or parent.target.root_run_id or parent.run_id

    async def _checked(
        self, message: runs_pb2.LaunchRunRequest, root_run_id: str
    ) -> records.NewRun:
        requested = requests.of_launch(message)
        target = dataclasses.replace(requested.target, root_run_id=root_run_id)
        requested = dataclasses.replace(requested, target=target)
        place = self._place(message.location_name, requested)
        run_id = str(uuid.uuid4())
        texts = requests.partition_texts(requested)
        if not any(texts):
            return requests.launch(place, requested, run_id)
        dynamic = await partitions.read_dynamic(self._dynamic, place.definitions, texts)
        place = dataclasses.replace(place, dynamic=dynamic)
        # The first to ask for partitions reads their definition, which may have many keys.
        return await asyncio.to_thread(requests.launch, place, requested, run_id)

    def _place(self, location_name: str, requested: requests.RequestedRun) -> requests.Place:
        graph = self._registry.graph()
        location_name = location_name or requests.find_location(
            requested,
            {
                name: view.definitions
                for name, view in self._registry.locations().items()
                if view.definitions is not None
            },
            graph.owner,
            graph.check_owner,
        )
        callers.current().require(callers.Role.LAUNCHER, [location_name])
        defined = self._registry.location(location_name).definitions
        if defined is None:
            raise errors.UnknownJob(
                f"No build of location {location_name!r} ever loaded, so it has nothing to run. "
                "Look at its load failure.",
                job_name=requested.job_name,
                location_name=location_name,
            )
        for path in requested.asset_selection:
            owner = graph.owner(path)
            if path not in defined.executable and owner:
                name = "/".join(path)
                raise errors.UnknownAsset(
                    f"Location {location_name!r} cannot materialize asset {name!r}: location "
                    f"{owner!r} does. Launch the run there.",
                    asset_key=name,
                    location_name=location_name,
                )
        return requests.Place(location_name, defined, graph.owner, graph.check_owner)


def _check_resumable(parent: records.RunRecord) -> None:
    """Refuse to go on from a run that did not end badly."""
    if parent.status not in {records.RunStatus.FAILURE, records.RunStatus.CANCELED}:
        raise errors.InvalidRequest(
            f"Run {parent.run_id} is {parent.status.value}, so nothing of it ended badly that "
            "could be run again. Wait for its end, or run all of it again.",
            field="parent_run_id",
        )


def _check_request_id(request_id: str) -> None:
    if len(request_id) > _REQUEST_ID_LENGTH_MAX or "\x00" in request_id:
        raise errors.InvalidRequest(
            f"request_id is {request_id[:40]!r}, {len(request_id)} characters long. Give a UUID, "
            "or nothing.",
            field="request_id",
        )


def _check_repeated(record: records.RunRecord, run: records.NewRun) -> None:
    """Refuse a request id that comes back with another request."""
    pairs = {
        "its location": (record.location_name, run.location_name),
        "its job": (record.job_name, run.job_name),
        "its run config": (record.run_config, run.run_config),
        "its asset selection": (tuple(record.asset_selection), tuple(run.asset_selection)),
        "its tags": (dict(record.tags), dict(run.tags)),
        "its partition": (record.partition_key, run.partition_key),
        "its selection": (record.target, run.target),
    }
    for what, (first, second) in pairs.items():
        if first != second:
            raise errors.RequestIdReused(run.request_id, record.run_id, what)

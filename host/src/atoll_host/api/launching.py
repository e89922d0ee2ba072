"""Launches by people and programs: resolves names, checks, and puts the run into the queue.

Called by the runs servicer. What makes a run acceptable is decided in `runs.requests`, which
sensors use too.
"""

import uuid

from atoll.api.v1 import runs_pb2
from atoll_host import errors
from atoll_host.locations import registry as registries
from atoll_host.runs import requests
from atoll_storage import records, run_store

_REQUEST_ID_LENGTH_MAX = 200


class Launching:
    """Puts runs into the queue."""

    def __init__(
        self,
        runs: run_store.RunStore,
        registry: registries.Registry,
    ) -> None:
        self._runs = runs
        self._registry = registry

    async def launch(self, message: runs_pb2.LaunchRunRequest) -> records.RunRecord:
        """Check a launch and queue its run; the same request id returns the first run.

        Raises:
            errors.InvalidRequest: Something in it is wrong.
            errors.NotFound: It names a location, a job or an asset that is not there.
            errors.PolicyForbids: It asks for what the host's policy forbids.
            errors.RequestIdReused: Its request id launched another run.
        """
        _check_request_id(message.request_id)
        run = self._checked(message)
        record = await self._runs.create(run)
        if record.run_id != run.run_id:
            _check_repeated(record, run)
        return record

    def _checked(self, message: runs_pb2.LaunchRunRequest) -> records.NewRun:
        requested = requests.of_launch(message)
        graph = self._registry.graph()
        location_name = message.location_name or requests.find_location(
            requested,
            {
                name: view.definitions
                for name, view in self._registry.locations().items()
                if view.definitions is not None
            },
            graph.owner,
        )
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
        place = requests.Place(location_name, defined, graph.owner)
        return requests.launch(place, requested, str(uuid.uuid4()))


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
    }
    for what, (first, second) in pairs.items():
        if first != second:
            raise errors.RequestIdReused(run.request_id, record.run_id, what)

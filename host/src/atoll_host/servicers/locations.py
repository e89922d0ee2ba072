"""LocationsService: the code locations, for everyone."""

import asyncio

from atoll._rpc import errors as rpc_errors
from atoll.api.v1 import locations_pb2, locations_pb2_grpc
from atoll_host import errors
from atoll_host.api import pages, rendering
from atoll_host.locations import registry as registries
from atoll_host.runs import requests, selections
from atoll_host.servicers import contexts

_VIEW_TIMEOUT_S = 20.0


class LocationsServicer(locations_pb2_grpc.LocationsServiceServicer):
    """Shows and steers locations."""

    def __init__(self, registry: registries.Registry) -> None:
        self._registry = registry

    async def ListLocations(
        self, request: locations_pb2.ListLocationsRequest, context: contexts.Context
    ) -> locations_pb2.ListLocationsResponse:
        """Return the locations that ever registered, by name."""
        page = pages.Page(request)
        views, graph = self._registry.locations(), self._registry.graph()
        shown, token = page.of_sorted([(name,) for name in sorted(views)])
        return locations_pb2.ListLocationsResponse(
            locations=[rendering.location(views[name], graph) for (name,) in shown],
            next_page_token=token,
        )

    async def GetLocation(
        self, request: locations_pb2.GetLocationRequest, context: contexts.Context
    ) -> locations_pb2.GetLocationResponse:
        """Return one location."""
        view = self._registry.location(request.name)
        location = rendering.location(view, self._registry.graph(), with_job_names=True)
        return locations_pb2.GetLocationResponse(location=location)

    async def GetJob(
        self, request: locations_pb2.GetJobRequest, context: contexts.Context
    ) -> locations_pb2.GetJobResponse:
        """Return one job with the graphs and ops that it is made of."""
        name = request.location_name or requests.location_of_job(
            request.job_name,
            {
                name: view.definitions
                for name, view in self._registry.locations().items()
                if view.definitions is not None
            },
        )
        defined = self._registry.location(name).definitions
        job = None if defined is None else defined.jobs.get(request.job_name)
        if defined is None or job is None:
            raise errors.UnknownJob(
                f"Location {name!r} has no job {request.job_name!r}. Show the location to see its "
                "jobs.",
                job_name=request.job_name,
                location_name=name,
            )
        graphs, ops = selections.made_of(defined, job)
        return locations_pb2.GetJobResponse(location_name=name, job=job, graphs=graphs, ops=ops)

    async def ReloadLocation(
        self, request: locations_pb2.ReloadLocationRequest, context: contexts.Context
    ) -> locations_pb2.ReloadLocationResponse:
        """Make a location load its code anew; answer once the host sees the new build."""
        changed = self._registry.subscribe()
        try:
            response = await self._registry.control(request.name).reload(request.build_id)
        except errors.LocationUnavailable as error:
            raise rpc_errors.UnavailableError(str(error), reason=error.reason) from error
        except errors.LocationRefused as error:
            raise rpc_errors.FailedPreconditionError(str(error), reason=error.reason) from error
        if not response.HasField("load_failure"):
            try:
                async with asyncio.timeout(_VIEW_TIMEOUT_S):
                    while not self._serves(request.name, response.current_build.build_id):
                        await changed.wait(_VIEW_TIMEOUT_S)
            except TimeoutError:
                pass  # the reload is done all the same; the view follows
        return locations_pb2.ReloadLocationResponse(
            current_build=response.current_build if response.HasField("current_build") else None,
            load_failure=response.load_failure if response.HasField("load_failure") else None,
        )

    def _serves(self, name: str, build_id: str) -> bool:
        build = self._registry.location(name).build
        return build is not None and build.build_id == build_id

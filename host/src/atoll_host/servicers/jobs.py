"""JobsService: the jobs of all locations, for everyone."""

import bisect

from atoll.api.v1 import jobs_pb2, jobs_pb2_grpc
from atoll.definitions.v1 import snapshot_pb2
from atoll_host.api import pages
from atoll_host.locations import definitions
from atoll_host.locations import registry as registries
from atoll_host.runs import selections
from atoll_host.servicers import contexts

PAGE_BYTES_MAX = 4 * 1024 * 1024


class JobsServicer(jobs_pb2_grpc.JobsServiceServicer):
    """Lists jobs."""

    def __init__(self, registry: registries.Registry) -> None:
        self._registry = registry

    async def ListJobs(
        self, request: jobs_pb2.ListJobsRequest, context: contexts.Context
    ) -> jobs_pb2.ListJobsResponse:
        """Return the jobs of all locations, by location and name."""
        page = pages.Page(request)
        if request.location_name:
            self._registry.location(request.location_name)
        known = {
            name: view.definitions
            for name, view in self._registry.locations().items()
            if view.definitions is not None and request.location_name in {"", name}
        }
        keys = sorted(
            (name, job.name)
            for name, defined in known.items()
            for job in defined.jobs.values()
            if request.with_implicit or not job.implicit
        )
        start = bisect.bisect_right(keys, tuple(map(str, page.after))) if page.after else 0
        shown: list[jobs_pb2.Job] = []
        left = PAGE_BYTES_MAX
        for name, job_name in keys[start : start + page.size]:
            job = _rendered(
                name, known[name], known[name].jobs[job_name], with_config=request.with_config
            )
            left -= job.ByteSize()
            # The schema of a job's configuration may be large: at least one job fits any page.
            if left < 0 and shown:
                break
            shown.append(job)
        more = start + len(shown) < len(keys)
        return jobs_pb2.ListJobsResponse(
            jobs=shown,
            next_page_token=page.token(*keys[start + len(shown) - 1]) if more else "",
        )


def _rendered(
    location_name: str,
    defined: definitions.Definitions,
    job: snapshot_pb2.JobDefinition,
    *,
    with_config: bool,
) -> jobs_pb2.Job:
    rendered = jobs_pb2.Job(
        location_name=location_name,
        definition=job,
        op_names=sorted(selections.top_level(defined, job)),
    )
    if not with_config:
        rendered.definition.ClearField("config_schema")
        rendered.definition.ClearField("default_config")
    return rendered

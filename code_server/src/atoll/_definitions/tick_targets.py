"""Which runs a sensor or a schedule may ask for, and run requests completed accordingly.

Called by sensor and schedule definitions at the end of a tick. What a request leaves out is filled
in, and what cannot be is told there, not by the host after the tick.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from atoll import _records as records
from atoll import errors
from atoll._definitions import asset_selection as asset_selections
from atoll._definitions import jobs, run_requests, runs
from atoll._partitions import dynamic_requests

JobTarget: TypeAlias = jobs.UnresolvedAssetJobDefinition | jobs.JobDefinition
_JOBS = (jobs.UnresolvedAssetJobDefinition, jobs.JobDefinition)


class Around(Protocol):
    """What a tick knows of its surroundings."""

    @property
    def instance(self) -> Any:
        """Answers questions about assets and runs."""
        ...

    @property
    def definitions(self) -> Any:
        """The definitions of the location, None where they are not known."""
        ...


class Targets(records.Record):
    """What a sensor or a schedule may ask for.

    Attributes:
        whose: What it is, for errors: "The sensor 'x'".
        job_names: The jobs by name.
        jobs: Those of them that were given as objects.
        asset_selection: The assets that it may ask for directly; None where it may not.
    """

    whose: str
    job_names: Sequence[str]
    jobs: Sequence[JobTarget] = ()
    asset_selection: asset_selections.AssetSelection | None = None

    def completed(
        self,
        request: run_requests.RunRequest,
        around: Around,
        tag: tuple[str, str],
        changes: Sequence[dynamic_requests.DynamicPartitionsRequest] = (),
    ) -> run_requests.RunRequest:
        """Fill in the job, the partition's part and the labels of a request.

        Args:
            request: The request.
            around: The tick.
            tag: The label that tells who asked.
            changes: Changes of dynamic partitions that are made before the run.

        Raises:
            InvariantViolationError: It does not say which job, names a wrong one, or asks for a
                partition of a job that has none.
            UnknownPartitionError: The job has no such partition.
        """
        name = self._job_name(request)
        found = request.with_replaced_attrs(job_name=name)
        if name == jobs.ASSET_JOB_NAME and not request.entity_keys:
            found = self._with_all_assets(found, around)
        if request.partition_key is not None:
            found = self._with_partition(found, name, request.partition_key, around, changes)
        return found.with_replaced_attrs(tags={**found.tags, tag[0]: tag[1]})

    def _job_name(self, request: run_requests.RunRequest) -> str:
        name = request.job_name
        if name is None:
            if len(self.job_names) == 1:
                return self.job_names[0]
            if not self.job_names and self.asset_selection is not None:
                return jobs.ASSET_JOB_NAME
            told = f"one of {', '.join(self.job_names)}" if self.job_names else "a job"
            raise errors.InvariantViolationError(
                f"{self.whose} returned a run request without a job. Give "
                f"RunRequest(job_name=...) {told}, or give it exactly one target."
            )
        if name not in self.job_names and (self.job_names or "/" in name):
            raise errors.InvariantViolationError(
                f"{self.whose} asks for the job {name!r}, which is none of its targets: "
                f"{', '.join(self.job_names) or 'it has no job'}. Name it among them."
            )
        return name

    def _with_all_assets(
        self, request: run_requests.RunRequest, around: Around
    ) -> run_requests.RunRequest:
        """Ask for all that may be asked for, which is not all that the location has.

        In a unit test without definitions nobody knows which these are, and nobody makes the run.
        """
        if self.asset_selection is None or around.definitions is None:
            return request
        chosen = self.asset_selection.resolve(around.definitions.graph.selectable)
        return request.with_replaced_attrs(asset_selection=sorted(chosen))

    def _with_partition(
        self,
        request: run_requests.RunRequest,
        job_name: str,
        partition_key: str,
        around: Around,
        changes: Sequence[dynamic_requests.DynamicPartitionsRequest],
    ) -> run_requests.RunRequest:
        if "/" in job_name:
            # A job of another location, whose partitions only that location knows.
            tags = {**request.tags, runs.PARTITION_TAG: partition_key}
            return request.with_replaced_attrs(tags=tags)
        job = self._job(job_name, around)
        if job is None:
            raise errors.InvariantViolationError(
                f"{self.whose} asks for the partition {partition_key!r} of the job {job_name!r}, "
                "whose partitions are not known here. In a test, give the context the definitions."
            )
        try:
            return request.with_resolved_tags_and_config(job, changes, around.instance)
        except errors.UnknownPartitionError as error:
            raise errors.UnknownPartitionError(
                f"{self.whose} asks for a run of the job {job_name!r} for a partition that it does "
                f"not have. {error}",
                error.partition_keys,
            ) from error
        except errors.InvariantViolationError as error:
            raise errors.InvariantViolationError(
                f"{self.whose} asks for the partition {partition_key!r}. {error}"
            ) from error

    def _job(self, name: str, around: Around) -> run_requests.Partitioned | None:
        if around.definitions is not None:
            found: jobs.JobDefinition = around.definitions.get_job_def(name)
            return found
        for one in self.jobs:
            if one.name != name:
                continue
            if isinstance(one, jobs.JobDefinition):
                return one
            own = one.own_partitions
            return own if own.partitions_def is not None else None
        return None


def split(
    target: Any,
) -> tuple[Sequence[JobTarget], asset_selections.CoercibleToAssetSelection | None]:
    """Tell the jobs and the assets among what was given as a target."""
    if target is None:
        return (), None
    if isinstance(target, _JOBS):
        return (target,), None
    if isinstance(target, (list, tuple)):
        found = _jobs_among(target)  # pyright: ignore[reportUnknownArgumentType]
        if found:
            return found, None
    return (), target  # pyright: ignore[reportUnknownVariableType]


def _jobs_among(members: Sequence[Any]) -> Sequence[JobTarget]:
    """Return the members if all of them are jobs."""
    found: list[JobTarget] = [one for one in members if isinstance(one, _JOBS)]
    return found if len(found) == len(members) else ()

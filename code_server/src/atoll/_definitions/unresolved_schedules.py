"""Schedules of jobs whose partitions come from assets that are not known yet.

Called by `Definitions`, which resolves them, and made by `partitioned_schedules`. Apart from that
module, so that whoever only holds definitions does not load everything about partitions.
"""

from collections.abc import Callable, Sequence

from atoll._definitions import jobs as job_definitions
from atoll._definitions import schedules, sources


class UnresolvedPartitionedScheduleDefinition:
    """A schedule that fills the partitions of a job, of which only the selection is known.

    Made by `build_schedule_from_partitioned_job`; definitions that hold it resolve it.

    Attributes:
        name: The name of the schedule.
        job: The job that it asks for.
        source: Where the definition stands in the user's code.
    """

    def __init__(
        self,
        name: str,
        job: job_definitions.UnresolvedAssetJobDefinition,
        source: sources.SourcePosition | None,
        build: Callable[[job_definitions.JobDefinition], schedules.ScheduleDefinition],
    ) -> None:
        self.name = name
        self.job = job
        self.source = source
        self._build = build

    @property
    def job_name(self) -> str:
        """The name of the job that it asks for."""
        return self.job.name

    @property
    def jobs(self) -> Sequence[schedules.JobTarget]:
        """The job that it asks for."""
        return (self.job,)

    def resolve(self, job: job_definitions.JobDefinition) -> schedules.ScheduleDefinition:
        """Return the schedule.

        Args:
            job: What its job means among the assets of the location.

        Raises:
            InvalidDefinitionError: The job has no partitions, or none that such a schedule can
                fill.
        """
        return self._build(job)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

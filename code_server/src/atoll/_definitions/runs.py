"""Runs as user code sees them.

Called by contexts, the instance and the execution of runs. Holds data only.
"""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from atoll._definitions import keys


class RunStatus(str, enum.Enum):
    """The state of a run."""

    NOT_STARTED = "NOT_STARTED"
    QUEUED = "QUEUED"
    STARTING = "STARTING"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"

    @property
    def is_final(self) -> bool:
        """Whether a run in this state has ended."""
        return self in (RunStatus.SUCCESS, RunStatus.FAILURE, RunStatus.CANCELED)


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a job.

    Attributes:
        job_name: The job.
        run_id: The id of the run.
        run_config: The run configuration; empty means the job's default.
        asset_selection: The assets to materialize; None means all of the job.
        status: How the run is doing.
        tags: Labels.
        location_name: The location that runs it; empty for runs in the process of whoever asked.
    """

    job_name: str
    run_id: str
    run_config: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    asset_selection: frozenset[keys.AssetKey] | None = None
    status: RunStatus = RunStatus.NOT_STARTED
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    location_name: str = ""

    def has_tag(self, key: str) -> bool:
        """Tell whether the run has the tag."""
        return key in self.tags

    def get_tag(self, key: str) -> str | None:
        """Return the value of a tag, None where the run has none of that name."""
        return self.tags.get(key)

    @property
    def is_success(self) -> bool:
        """Whether the run succeeded."""
        return self.status is RunStatus.SUCCESS

    @property
    def is_failure(self) -> bool:
        """Whether the run failed."""
        return self.status is RunStatus.FAILURE

    @property
    def is_finished(self) -> bool:
        """Whether the run has ended."""
        return self.status.is_final

"""What locations may ask of each other: the section `[policy]` of the settings.

Read by `other_locations`. Nothing is allowed unless it is written down.
"""

import fnmatch
from collections.abc import Sequence

import pydantic

RULES_MAX = 1000


class RunRequestRule(pydantic.BaseModel):
    """Lets the sensors of some locations ask for runs of jobs of others.

    Names may hold `*` for any text.

    Attributes:
        source: The locations that may ask; `from` in the file.
        target: The locations whose jobs they may ask for; `to` in the file.
        jobs: The jobs.
    """

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, strict=True, populate_by_name=True
    )

    source: str = pydantic.Field(alias="from", min_length=1, description="who may ask")
    target: str = pydantic.Field(
        alias="to", min_length=1, description="whose jobs may be asked for"
    )
    jobs: Sequence[str] = pydantic.Field(
        min_length=1, max_length=RULES_MAX, description="the jobs that may be asked for"
    )

    def allows(self, source: str, target: str, job_name: str) -> bool:
        """Tell whether the rule lets a location ask for a job of another."""
        return (
            fnmatch.fnmatchcase(source, self.source)
            and fnmatch.fnmatchcase(target, self.target)
            and any(fnmatch.fnmatchcase(job_name, pattern) for pattern in self.jobs)
        )


class PolicySettings(pydantic.BaseModel):
    """What locations may ask of each other.

    Attributes:
        run_requests: Which sensors may ask for runs of which other locations' jobs.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    run_requests: Sequence[RunRequestRule] = pydantic.Field(
        default=(), max_length=RULES_MAX, description="who may ask for runs of whose jobs"
    )

    def allows_run(self, source: str, target: str, job_name: str) -> bool:
        """Tell whether a sensor of a location may ask for a run of another location's job."""
        return any(rule.allows(source, target, job_name) for rule in self.run_requests)


DEFAULT = PolicySettings()
"""No location may ask for runs of another."""

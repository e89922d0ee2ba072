"""What locations may do with what others make, as the host says it: the section `[policy]`.

Read by `deciding`. What a location says of its own things stands in its definitions; both have to
allow.
"""

from collections.abc import Sequence
from typing import Literal

import pydantic

RULES_MAX = 1000
Action = Literal["watch", "depend", "launch", "read"]
Default = Literal["allow", "deny"]
ReadDefault = Literal["allow", "declared", "deny"]


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, strict=True, populate_by_name=True
    )


class RunRequestRule(_Model):
    """Lets the sensors of some locations ask for runs of jobs of others.

    Names may hold `*` for any text. The same as a rule that allows launching.

    Attributes:
        source: The locations that may ask; `from` in the file.
        target: The locations whose jobs they may ask for; `to` in the file.
        jobs: The jobs.
    """

    source: str = pydantic.Field(alias="from", min_length=1, description="who may ask")
    target: str = pydantic.Field(
        alias="to", min_length=1, description="whose jobs may be asked for"
    )
    jobs: Sequence[str] = pydantic.Field(
        min_length=1, max_length=RULES_MAX, description="the jobs that may be asked for"
    )


class Rule(_Model):
    """Lets locations do something with what others make, or forbids it. Names may hold `*`.

    Attributes:
        source: Who it is about; `from` in the file.
        target: Whose things it is about; `to` in the file.
        what: What it is about; empty for everything.
        assets: The assets it is about, by key with slashes.
        jobs: The jobs it is about. Where neither assets nor jobs are given, it is about all.
        allow: Whether it allows, or forbids.
        reason: Why; shown to those that it stops.
    """

    source: str = pydantic.Field(alias="from", min_length=1, description="who it is about")
    target: str = pydantic.Field(alias="to", min_length=1, description="whose things")
    what: Sequence[Action] = pydantic.Field(
        default=(), max_length=4, description="what it is about; empty for everything"
    )
    assets: Sequence[str] = pydantic.Field(
        default=(), max_length=RULES_MAX, description="assets by key with slashes"
    )
    jobs: Sequence[str] = pydantic.Field(default=(), max_length=RULES_MAX, description="jobs")
    allow: bool = pydantic.Field(description="whether it allows, or forbids")
    reason: str = pydantic.Field(default="", max_length=1000, description="why")


class Defaults(_Model):
    """What holds where no rule of the host fits.

    Attributes:
        watch: Whether sensors and conditions hear of what other locations make.
        depend: Whether assets are made from those of other locations.
        launch: Whether sensors ask for runs of other locations' jobs.
        read: What code asks the instance about others: anything, what its location declares to
            watch or depend on, or nothing.
    """

    watch: Default = pydantic.Field(default="allow", description="hearing of assets and runs")
    depend: Default = pydantic.Field(default="allow", description="making assets from others'")
    launch: Default = pydantic.Field(default="deny", description="asking for runs")
    read: ReadDefault = pydantic.Field(
        default="declared", description="asking the instance: allow, declared or deny"
    )


class PolicySettings(_Model):
    """What locations may do with what others make.

    Attributes:
        default: What holds where no rule fits.
        rules: The rules; the first that fits decides.
        run_requests: Which sensors may ask for runs of which other locations' jobs; looked at after
            the rules.
    """

    default: Defaults = pydantic.Field(
        default=Defaults(), description="what holds where no rule fits"
    )
    rules: Sequence[Rule] = pydantic.Field(
        default=(), max_length=RULES_MAX, description="who may do what; the first that fits decides"
    )
    run_requests: Sequence[RunRequestRule] = pydantic.Field(
        default=(), max_length=RULES_MAX, description="who may ask for runs of whose jobs"
    )


DEFAULT = PolicySettings()
"""All may watch and depend; none may ask for runs of others, or read what is not declared."""

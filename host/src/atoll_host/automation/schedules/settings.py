"""What a host may be told about schedules. A field of `atoll_host.settings.Settings`."""

import pydantic


class ScheduleSettings(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How the host evaluates schedules."""

    catch_up_max: int = pydantic.Field(
        default=5,
        ge=0,
        le=1000,
        description="How many missed ticks of a schedule are made up for, the newest of them, "
        "where the schedule itself does not say.",
    )
    late_after_s: float = pydantic.Field(
        default=60.0,
        ge=1.0,
        le=3600.0,
        description="A tick that could not begin so long after its time counts as missed.",
    )
    retries_max: int = pydantic.Field(
        default=3,
        ge=0,
        le=100,
        description="How often a failed tick is tried again, where the schedule itself does not "
        "say.",
    )
    retry_first_s: float = pydantic.Field(
        default=5.0,
        ge=0.01,
        le=3600.0,
        description="The pause before a failed tick is tried again; doubled each time.",
    )
    retry_max_s: float = pydantic.Field(
        default=300.0,
        ge=0.01,
        le=86_400.0,
        description="The longest pause before a failed tick is tried again.",
    )
    evaluations_per_location_max: int = pydantic.Field(
        default=4,
        ge=1,
        le=100,
        description="How many schedules of one location are evaluated at once.",
    )

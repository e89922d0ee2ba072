"""What the queue may be told: limits besides that of the host and of each location.

A section of the settings, `[queue]` in the file; read by `limits` and `launching`.
"""

import pydantic

COUNT_MAX = 100_000


class TagLimit(pydantic.BaseModel):
    """How many runs that carry a tag may be active at once.

    Attributes:
        key: The key of the tag.
        value: Its value; None means any.
        limit: How many runs.
        per_unique_value: Whether the limit holds for the runs of each value by themselves.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    key: str = pydantic.Field(min_length=1, max_length=200, description="the key of a tag")
    value: str | None = pydantic.Field(
        default=None, max_length=1000, description="its value; any value without it"
    )
    limit: int = pydantic.Field(
        ge=0, le=COUNT_MAX, description="how many such runs may be active at once; 0 holds them all"
    )
    per_unique_value: bool = pydantic.Field(
        default=False, description="whether each value of the tag has a limit of its own"
    )

    @pydantic.model_validator(mode="after")
    def _value_or_each(self) -> "TagLimit":
        if self.value is not None and self.per_unique_value:
            raise ValueError(
                f"key {self.key!r} has the value {self.value!r} and per_unique_value too. Keep "
                "value to limit the runs of that value, or per_unique_value to limit those of each"
            )
        return self


class QueueSettings(pydantic.BaseModel):
    """Limits of the queue.

    Attributes:
        locations: How many runs may be active at once, by location, where it is not
            `active_per_location_max`.
        jobs: How many, by job, written ``location/job``.
        tags: How many, by tag.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    locations: dict[str, int] = pydantic.Field(
        default={}, description="how many runs may be active at once, by the name of a location"
    )
    jobs: dict[str, int] = pydantic.Field(
        default={}, description='how many runs may be active at once, by "location/job"'
    )
    tags: list[TagLimit] = pydantic.Field(
        default=[], max_length=100, description="how many runs with a tag may be active at once"
    )

    @pydantic.field_validator("locations", "jobs")
    @classmethod
    def _counts(cls, value: dict[str, int]) -> dict[str, int]:
        for name, count in value.items():
            if not 0 <= count <= COUNT_MAX:
                raise ValueError(f"{name!r} is {count}; it must be from 0 to {COUNT_MAX}")
        return value

    @pydantic.field_validator("jobs")
    @classmethod
    def _names(cls, value: dict[str, int]) -> dict[str, int]:
        for name in value:
            location, _, job = name.partition("/")
            if not location or not job:
                raise ValueError(f'{name!r} names no job; write "location/job"')
        return value


DEFAULT = QueueSettings()
"""No further limits."""

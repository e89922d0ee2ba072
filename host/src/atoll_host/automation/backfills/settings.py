"""What a host may be told about backfills."""

import pydantic


class BackfillSettings(pydantic.BaseModel):
    """The bounds of backfills."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    queued_max: int = pydantic.Field(
        default=500,
        ge=1,
        le=100_000,
        description="How many runs of one backfill may wait in the queue of one location.",
    )
    chunk_max: int = pydantic.Field(
        default=200,
        ge=1,
        le=1000,
        description="How many runs one backfill requests before the next one has its turn.",
    )

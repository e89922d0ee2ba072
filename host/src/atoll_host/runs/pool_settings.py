"""What the host may be told about pools: the section `[pools]` of the settings.

Read by `pools` and by the queue. The limits of single pools are no settings: they are kept in the
database, where people and programs change them while everything runs.
"""

from typing import Literal

import pydantic

SLOTS_MAX = 100_000


class PoolSettings(pydantic.BaseModel):
    """How pools work.

    Attributes:
        default_limit: How many slots a pool has that was given no limit; None means that it holds
            up nothing.
        granularity: Who takes a slot: "op" means a step, while it runs; "run" means a run, of each
            of its pools, from when it leaves the queue until it has ended.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    default_limit: int | None = pydantic.Field(
        default=None,
        ge=0,
        le=SLOTS_MAX,
        description="how many slots a pool without a limit of its own has",
    )
    granularity: Literal["op", "run"] = pydantic.Field(
        default="op", description='who takes a slot, a step ("op") or a whole run ("run")'
    )


DEFAULT = PoolSettings()
"""Pools hold up nothing until they are given limits."""

"""What the host may be told about runs that fail or go on for too long: the section `[runs]`.

Read by `retrying` and `watching`. Tags of a run win over all of it.
"""

import pydantic

RETRIES_MAX = 100
RUNTIME_MAX_S = 366 * 86_400.0


class RunSettings(pydantic.BaseModel):
    """How runs are looked after.

    Attributes:
        max_retries: How often a run that failed is run again.
        retry_on_asset_or_op_failure: Whether also one of which a step failed, or only one that
            ended in another way, such as by the death of its process.
        max_runtime_s: How long a run may go on; None means without limit.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    max_retries: int = pydantic.Field(
        default=0, ge=0, le=RETRIES_MAX, description="how often a run that failed is run again"
    )
    retry_on_asset_or_op_failure: bool = pydantic.Field(
        default=True, description="whether a run of which a step failed is run again"
    )
    max_runtime_s: float | None = pydantic.Field(
        default=None,
        gt=0,
        le=RUNTIME_MAX_S,
        description="how many seconds a run may go on",
    )


DEFAULT = RunSettings()
"""Runs are not run again and may take as long as they like."""

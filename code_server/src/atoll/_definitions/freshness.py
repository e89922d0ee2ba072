"""Freshness policies: how old an asset may become, as data.

Called by users, who give them to assets. Whoever watches assets reads them off their specs.
"""

import datetime as dt
from typing import Any, overload

from atoll import _records as records
from atoll import errors
from atoll._definitions import assets, specs
from atoll._partitions import timelines

_MINUTE = dt.timedelta(minutes=1)


class FreshnessPolicy(records.Record):
    """How old an asset may become. Made by `time_window` or `cron`.

    Attributes:
        fail_window: At most this long ago, it has to have been materialized.
        warn_window: After this long, it is worth a warning; None for no warning.
        deadline_cron: When it has to have been materialized, again and again.
        lower_bound_delta: How long before each deadline a materialization counts for it.
        timezone: The time zone of the deadlines.
    """

    fail_window: dt.timedelta | None = None
    warn_window: dt.timedelta | None = None
    deadline_cron: str | None = None
    lower_bound_delta: dt.timedelta | None = None
    timezone: str = "UTC"

    @staticmethod
    def time_window(
        fail_window: dt.timedelta, warn_window: dt.timedelta | None = None
    ) -> "FreshnessPolicy":
        """Say how long ago an asset may have been materialized.

        Args:
            fail_window: The longest time.
            warn_window: After this long, it is worth a warning.

        Raises:
            InvalidDefinitionError: A window is shorter than a minute, or the warning comes last.

        Example:
            `FreshnessPolicy.time_window(fail_window=timedelta(hours=24))`
        """
        for name, window in (("fail_window", fail_window), ("warn_window", warn_window)):
            if window is not None and window < _MINUTE:
                raise errors.InvalidDefinitionError(
                    f"The {name} of a freshness policy is at least a minute, got {window}."
                )
        if warn_window is not None and warn_window >= fail_window:
            raise errors.InvalidDefinitionError(
                f"A freshness policy that fails after {fail_window} cannot warn after "
                f"{warn_window}. Let warn_window be the shorter one."
            )
        return FreshnessPolicy(fail_window=fail_window, warn_window=warn_window)

    @staticmethod
    def cron(
        deadline_cron: str, lower_bound_delta: dt.timedelta, timezone: str = "UTC"
    ) -> "FreshnessPolicy":
        """Say by when an asset has to have been materialized, again and again.

        Args:
            deadline_cron: The deadlines.
            lower_bound_delta: How long before each deadline a materialization counts for it.
            timezone: The time zone of the deadlines.

        Raises:
            InvalidDefinitionError: The cron expression or the time zone cannot be read, or
                `lower_bound_delta` is shorter than a minute.

        Example:
            `FreshnessPolicy.cron(deadline_cron="0 9 * * *", lower_bound_delta=timedelta(hours=1))`
        """
        # Raises where one of them cannot be read.
        timelines.timeline(deadline_cron, timezone)
        if lower_bound_delta < _MINUTE:
            raise errors.InvalidDefinitionError(
                "The lower_bound_delta of a freshness policy is at least a minute, got "
                f"{lower_bound_delta}."
            )
        return FreshnessPolicy(
            deadline_cron=deadline_cron, lower_bound_delta=lower_bound_delta, timezone=timezone
        )


@overload
def apply_freshness_policy(
    spec: specs.AssetSpec,
    policy: FreshnessPolicy,
    overwrite_existing: bool = True,  # noqa: FBT001, FBT002 - the field's signature
) -> specs.AssetSpec: ...
@overload
def apply_freshness_policy(
    spec: assets.AssetsDefinition,
    policy: FreshnessPolicy,
    overwrite_existing: bool = True,  # noqa: FBT001, FBT002 - the field's signature
) -> assets.AssetsDefinition: ...
def apply_freshness_policy(
    spec: Any,
    policy: FreshnessPolicy,
    overwrite_existing: bool = True,  # noqa: FBT001, FBT002 - the field's signature
) -> Any:
    """Give assets a freshness policy.

    Args:
        spec: A spec, or assets.
        policy: The policy.
        overwrite_existing: Whether it replaces a policy that is there.

    Returns:
        The same with the policy.

    Example:
        `defs.map_asset_specs(func=lambda spec: apply_freshness_policy(spec, policy))`
    """

    def changed(one: specs.AssetSpec) -> specs.AssetSpec:
        if one.freshness_policy is not None and not overwrite_existing:
            return one
        return one.replace_attributes(freshness_policy=policy)

    return changed(spec) if isinstance(spec, specs.AssetSpec) else spec.map_asset_specs(changed)

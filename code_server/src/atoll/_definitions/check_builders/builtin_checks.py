"""What all checks that Atoll brings along have in common: their assets, and the one op.

Called by the modules of the kinds of checks.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from atoll import _records as records
from atoll import errors
from atoll._definitions import (
    asset_check_decorators,
    asset_checks,
    assets,
    keys,
    sources,
    specs,
)

CheckedAsset: TypeAlias = keys.CoercibleToAssetKey | specs.HasKey
Evaluate: TypeAlias = Callable[[Any, keys.AssetKey], asset_checks.AssetCheckResult]


class Kind(records.Record):
    """A kind of checks, of several assets at once.

    Attributes:
        op_name: What the name of the op begins with.
        check_name: The name of each check.
        description: What each check finds out.
        blocking: Whether a failed check of severity ERROR stops what is downstream in the run.
        metadata: What is attached to each check.
    """

    op_name: str
    check_name: str
    description: str
    blocking: bool = False
    metadata: Mapping[str, Any] = {}


def checked_assets(given: Sequence[CheckedAsset], builder: str) -> list[keys.AssetKey]:
    """Return the keys of the assets to check.

    Args:
        given: Keys, specs and assets.
        builder: The function that was called, for errors.

    Raises:
        InvalidDefinitionError: There are none, or one is given twice.
    """
    if isinstance(given, (str, keys.AssetKey, specs.HasKey)):
        raise errors.InvalidDefinitionError(
            f"{builder} takes a list of assets, got {given!r}. Put it into brackets."
        )
    found = [key for one in given for key in _keys_of(one)]
    if not found:
        raise errors.InvalidDefinitionError(f"{builder} got no assets. Name at least one.")
    twice = {key for key in found if found.count(key) > 1} if len(set(found)) < len(found) else None
    if twice:
        raise errors.InvalidDefinitionError(
            f"{builder} got {keys.in_words(twice)} more than once. Name each asset once."
        )
    return found


def severity_of(severity: asset_checks.AssetCheckSeverity) -> asset_checks.AssetCheckSeverity:
    """Return a severity that was given.

    Raises:
        InvalidDefinitionError: It is none.
    """
    try:
        return asset_checks.AssetCheckSeverity(severity)
    except ValueError:
        raise errors.InvalidDefinitionError(
            f"The severity of a check is AssetCheckSeverity.WARN or .ERROR, got {severity!r}."
        ) from None


def build(
    kind: Kind, asset_keys: Sequence[keys.AssetKey], evaluate: Evaluate
) -> Sequence[assets.AssetChecksDefinition]:
    """Make one check of each asset, all evaluated by one op that can evaluate some of them.

    Args:
        kind: What the checks are.
        asset_keys: The assets.
        evaluate: Evaluates the check of one asset, given the context and the key.
    """
    check_specs = [
        asset_checks.AssetCheckSpec(
            kind.check_name,
            asset=key,
            description=kind.description,
            blocking=kind.blocking,
            metadata=kind.metadata,
        )
        for key in asset_keys
    ]
    op_name = f"{kind.op_name}_{_digest(kind.check_name, asset_keys)}"

    def evaluate_selected(context: Any) -> Iterable[asset_checks.AssetCheckResult]:
        for check in sorted(context.selected_asset_check_keys):
            found = evaluate(context, check.asset_key)
            yield asset_checks.AssetCheckResult(
                passed=found.passed,
                asset_key=check.asset_key,
                check_name=check.name,
                metadata=found.metadata,
                severity=found.severity,
                description=found.description,
            )

    decorate = asset_check_decorators.multi_asset_check(
        specs=check_specs, name=op_name, can_subset=True
    )
    made = decorate(evaluate_selected)
    return [
        assets.AssetChecksDefinition(
            keys_by_input_name={},
            keys_by_output_name={},
            node_def=made.node_def,
            specs=(),
            check_specs_by_output_name=made.check_specs_by_output_name,
            can_subset=True,
            # Where the user called the builder, not where the function stands.
            source=sources.of_caller(),
        )
    ]


def _keys_of(one: CheckedAsset) -> Iterable[keys.AssetKey]:
    if isinstance(one, assets.AssetsDefinition):
        return sorted(one.keys)
    if isinstance(one, specs.HasKey):
        return (one.single_key(),)
    return (
        keys.AssetKey.from_user_string(one)
        if isinstance(one, str)
        else keys.AssetKey.from_coercible(one),
    )


def _digest(check_name: str, asset_keys: Iterable[keys.AssetKey]) -> str:
    """Tell apart the ops of several calls, the same in every process."""
    text = "\n".join([check_name, *sorted(key.to_user_string() for key in asset_keys)])
    return hashlib.sha256(text.encode()).hexdigest()[:8]

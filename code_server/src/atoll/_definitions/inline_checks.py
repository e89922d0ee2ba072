"""Checks that an asset's own function evaluates, next to what it materializes.

Called by the decorators of assets that take `check_specs`.
"""

from collections.abc import Iterable, Mapping, Sequence

from atoll import errors
from atoll._definitions import asset_checks, keys
from atoll._definitions.nodes import ins_and_outs


def by_output_name(
    check_specs: Sequence[asset_checks.AssetCheckSpec] | None,
    own: Iterable[keys.AssetKey],
    op_name: str,
) -> dict[str, asset_checks.AssetCheckSpec]:
    """Return check specs by the outputs that evaluate them.

    Args:
        check_specs: The check specs, if any.
        own: The assets that the function makes.
        op_name: The op, for errors.

    Raises:
        InvalidDefinitionError: A check looks at another asset, or two have one name.
    """
    if not check_specs:
        return {}
    made = frozenset(own)
    found: dict[str, asset_checks.AssetCheckSpec] = {}
    for one in check_specs:
        if one.asset_key not in made:
            raise errors.InvalidDefinitionError(
                f"The check {one.key.to_user_string()!r} among the check_specs of {op_name!r} "
                f"looks at an asset that it does not make; it makes {keys.in_words(made)}. Use "
                "@asset_check for checks of other assets."
            )
        name = one.get_python_identifier()
        if name in found:
            raise errors.InvalidDefinitionError(
                f"The check_specs of {op_name!r} hold the check {one.key.to_user_string()!r} "
                "twice. Rename one of them."
            )
        found[name] = one
    return found


def outputs(
    checks: Mapping[str, asset_checks.AssetCheckSpec],
) -> list[ins_and_outs.OutputDefinition]:
    """Return the outputs that evaluate checks."""
    return [ins_and_outs.OutputDefinition(name) for name in checks]

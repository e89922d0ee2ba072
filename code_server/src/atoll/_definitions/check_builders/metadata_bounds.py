"""Checks that a number among the metadata of an asset lies within bounds.

Called by users.
"""

from collections.abc import Sequence
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._definitions import asset_checks, keys
from atoll._definitions import assets as asset_definitions
from atoll._definitions.check_builders import builtin_checks


class Bounds(records.Record):
    """Between which numbers a value may lie.

    Attributes:
        min_value: The least number, None for none.
        max_value: The greatest number, None for none.
        exclusive_min: Whether the least number is too small itself.
        exclusive_max: Whether the greatest number is too great itself.
    """

    min_value: float | None = None
    max_value: float | None = None
    exclusive_min: bool = False
    exclusive_max: bool = False

    def check(self) -> None:
        """Check that something fits.

        Raises:
            InvalidDefinitionError: There are no bounds, or nothing lies between them.
        """
        least, most = self.min_value, self.max_value
        for name, value in (("min_value", least), ("max_value", most)):
            if value is not None and not _is_number(value):
                raise errors.InvalidDefinitionError(f"{name} is a number, got {value!r}.")
        if least is None and most is None:
            raise errors.InvalidDefinitionError(
                "Bounds of metadata need a number: give min_value, max_value or both."
            )
        if least is not None and most is not None:
            exclusive = self.exclusive_min or self.exclusive_max
            if least > most or (least == most and exclusive):
                raise errors.InvalidDefinitionError(
                    f"No number is {self.in_words()}. Give a min_value below max_value."
                )

    def in_words(self) -> str:
        """Return what a value has to be."""
        told: list[str] = []
        if self.min_value is not None:
            told.append(f"{'more than' if self.exclusive_min else 'at least'} {self.min_value}")
        if self.max_value is not None:
            told.append(f"{'less than' if self.exclusive_max else 'at most'} {self.max_value}")
        return " and ".join(told)

    def holds(self, value: float) -> bool:
        """Tell whether a value lies within."""
        least, most = self.min_value, self.max_value
        above = least is None or (value > least if self.exclusive_min else value >= least)
        below = most is None or (value < most if self.exclusive_max else value <= most)
        return above and below


def build_metadata_bounds_checks(
    *,
    assets: Sequence[builtin_checks.CheckedAsset],
    severity: asset_checks.AssetCheckSeverity = asset_checks.AssetCheckSeverity.WARN,
    metadata_key: str,
    min_value: float | None = None,
    max_value: float | None = None,
    exclusive_min: bool = False,
    exclusive_max: bool = False,
) -> Sequence[asset_definitions.AssetChecksDefinition]:
    """Build checks that fail when a number among the metadata is out of bounds.

    They look at the newest materialization; without one, or without the number, they fail.

    Args:
        assets: The assets, of any location.
        severity: How bad it is.
        metadata_key: The key of the metadata.
        min_value: The least number.
        max_value: The greatest number.
        exclusive_min: Whether the least number is too small itself.
        exclusive_max: Whether the greatest number is too great itself.

    Returns:
        The checks, for `Definitions(asset_checks=...)`.

    Raises:
        InvalidDefinitionError: No asset is given, one twice, or no number lies within the bounds.
    """
    bad = builtin_checks.severity_of(severity)
    bounds = Bounds(min_value, max_value, bool(exclusive_min), bool(exclusive_max))
    bounds.check()

    def evaluate(context: Any, key: keys.AssetKey) -> asset_checks.AssetCheckResult:
        record = context.instance.get_latest_materialization_records([key]).get(key)
        told = None if record is None else record.asset_materialization
        found = None if told is None else told.metadata.get(metadata_key)
        if told is None:
            problem = "The asset was never materialized."
        elif found is None:
            problem = f"The newest materialization has no metadata {metadata_key!r}."
        elif not _is_number(found.value):
            problem = f"The metadata {metadata_key!r} is {found.value!r}, which is no number."
        else:
            return _result(metadata_key, found.value, bounds, bad)
        return asset_checks.AssetCheckResult(passed=False, severity=bad, description=problem)

    kind = builtin_checks.Kind(
        "metadata_bounds",
        f"{_identifier(metadata_key)}_bounds_check",
        f"Whether the metadata {metadata_key!r} of the newest materialization is "
        f"{bounds.in_words()}.",
    )
    targets = builtin_checks.checked_assets(assets, "build_metadata_bounds_checks")
    return builtin_checks.build(kind, targets, evaluate)


def _result(
    metadata_key: str, value: float, bounds: Bounds, severity: asset_checks.AssetCheckSeverity
) -> asset_checks.AssetCheckResult:
    passed = bounds.holds(value)
    words = "as it should be" if passed else f"but should be {bounds.in_words()}"
    return asset_checks.AssetCheckResult(
        passed=passed,
        severity=severity,
        description=f"The metadata {metadata_key!r} is {value}, {words}.",
        metadata={"value": value},
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _identifier(text: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in text)

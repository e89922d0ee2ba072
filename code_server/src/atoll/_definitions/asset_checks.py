"""What asset checks are and what they find: specs, severities, results and evaluations.

Called by users from checks and assets, by the decorators, and by the execution that records
evaluations. Holds data only; how a check becomes a step stands in `asset_check_decorators`.
"""

import enum
from collections.abc import Iterable, Mapping
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._definitions import keys, specs
from atoll._definitions import metadata as metadata_values


class AssetCheckSeverity(str, enum.Enum):
    """How bad it is when a check does not pass. Only an ERROR can block what is downstream."""

    WARN = "WARN"
    ERROR = "ERROR"


class AssetCheckSpec(records.Record):
    """What an asset check is, apart from how it is evaluated.

    Attributes:
        name: The name of the check, unique among the checks of the asset.
        asset_key: The asset that it looks at, of this location or of another.
        description: What it finds out.
        additional_deps: Further assets that have to come first.
        blocking: Whether a failed check of severity ERROR stops what is downstream in the run.
        metadata: What the user attached.
        automation_condition: When the host is to evaluate the check by itself.
        partitions_def: The partitions that the check is evaluated for.
    """

    name: str
    asset_key: keys.AssetKey
    description: str | None
    additional_deps: tuple[specs.AssetDep, ...]
    blocking: bool
    metadata: Mapping[str, metadata_values.MetadataValue[Any]]
    automation_condition: Any
    partitions_def: Any

    def __init__(
        self,
        name: str,
        *,
        asset: specs.CoercibleToAssetDep,
        description: str | None = None,
        additional_deps: Iterable[specs.CoercibleToAssetDep] | None = None,
        blocking: bool = False,
        metadata: metadata_values.RawMetadataMapping | None = None,
        automation_condition: Any = None,
        partitions_def: Any = None,
    ) -> None:
        key = keys.AssetCheckKey(specs.AssetDep.from_coercible(asset).asset_key, name)
        deps = tuple(specs.dependencies(additional_deps, key.asset_key))
        if key.asset_key in {dep.asset_key for dep in deps}:
            raise errors.InvalidDefinitionError(
                f"The check {key.to_user_string()!r} names its own asset in additional_deps. Take "
                "it out: a check depends on its asset anyway."
            )
        assign = object.__setattr__
        assign(self, "name", name)
        assign(self, "asset_key", key.asset_key)
        assign(self, "description", description)
        assign(self, "additional_deps", deps)
        assign(self, "blocking", bool(blocking))
        assign(self, "metadata", metadata_values.normalize(metadata))
        assign(self, "automation_condition", automation_condition)
        assign(self, "partitions_def", partitions_def)

    @property
    def key(self) -> keys.AssetCheckKey:
        """The key of the check."""
        return keys.AssetCheckKey(self.asset_key, self.name)

    def get_python_identifier(self) -> str:
        """Return the name of the output and the step that evaluate the check."""
        return f"{self.asset_key.to_python_identifier()}_{self.name}"

    def replace_key(self, key: keys.AssetCheckKey) -> "AssetCheckSpec":
        """Return the same check under another key."""
        return self._like(key, self.additional_deps)

    def with_deps(self, additional_deps: Iterable[specs.AssetDep]) -> "AssetCheckSpec":
        """Return the same check with other further assets that come first."""
        return self._like(self.key, additional_deps)

    def _like(
        self, key: keys.AssetCheckKey, additional_deps: Iterable[specs.AssetDep]
    ) -> "AssetCheckSpec":
        return AssetCheckSpec(
            key.name,
            asset=key.asset_key,
            description=self.description,
            additional_deps=additional_deps,
            blocking=self.blocking,
            metadata=self.metadata,
            automation_condition=self.automation_condition,
            partitions_def=self.partitions_def,
        )


class AssetCheckResult(records.Record):
    """What a check found. Returned or yielded by a check, or by an asset that has check specs.

    Attributes:
        passed: Whether the asset is as it should be.
        asset_key: The asset; told from the check where there is only one.
        check_name: The check; told from the function where there is only one.
        metadata: What was found, in detail.
        severity: How bad it is if it did not pass.
        description: What was found, in words.
    """

    passed: bool
    asset_key: keys.AssetKey | None
    check_name: str | None
    metadata: Mapping[str, metadata_values.MetadataValue[Any]]
    severity: AssetCheckSeverity
    description: str | None

    def __init__(
        self,
        *,
        passed: bool,
        asset_key: keys.CoercibleToAssetKey | None = None,
        check_name: str | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        severity: AssetCheckSeverity = AssetCheckSeverity.ERROR,
        description: str | None = None,
    ) -> None:
        if not _is_truth(passed):
            raise errors.InvariantViolationError(
                f"passed of an AssetCheckResult is True or False, got {passed!r} of type "
                f"{type(passed).__name__}. Wrap it in bool(...)."
            )
        assign = object.__setattr__
        assign(self, "passed", bool(passed))
        key = None if asset_key is None else keys.AssetKey.from_coercible(asset_key)
        assign(self, "asset_key", key)
        assign(self, "check_name", check_name)
        assign(self, "metadata", metadata_values.normalize(metadata))
        assign(self, "severity", AssetCheckSeverity(severity))
        assign(self, "description", description)

    def with_metadata(
        self, metadata: metadata_values.RawMetadataMapping | None
    ) -> "AssetCheckResult":
        """Return the same result with other metadata."""
        return AssetCheckResult(
            passed=self.passed,
            asset_key=self.asset_key,
            check_name=self.check_name,
            metadata=metadata,
            severity=self.severity,
            description=self.description,
        )


class AssetCheckEvaluationTargetMaterializationData(records.Record):
    """The materialization that a check looked at: its position in the log, its run and its time."""

    storage_id: int
    run_id: str
    timestamp: float


class AssetCheckEvaluation(records.Record):
    """An evaluation of a check as the log keeps it.

    Attributes:
        asset_key: The asset.
        check_name: The check.
        passed: Whether the asset is as it should be.
        metadata: What was found, in detail.
        target_materialization_data: The newest materialization at the time, where there is one.
        severity: How bad it is if it did not pass.
        description: What was found, in words.
        blocking: Whether a failure of severity ERROR stops what is downstream in the run.
        partition: The partition of the asset, None for none.
    """

    asset_key: keys.AssetKey
    check_name: str
    passed: bool
    metadata: Mapping[str, metadata_values.MetadataValue[Any]]
    target_materialization_data: AssetCheckEvaluationTargetMaterializationData | None
    severity: AssetCheckSeverity
    description: str | None
    blocking: bool
    partition: str | None

    def __init__(
        self,
        asset_key: keys.CoercibleToAssetKey,
        check_name: str,
        passed: bool,  # noqa: FBT001 - the field's signature
        metadata: metadata_values.RawMetadataMapping | None = None,
        target_materialization_data: AssetCheckEvaluationTargetMaterializationData | None = None,
        severity: AssetCheckSeverity = AssetCheckSeverity.ERROR,
        description: str | None = None,
        blocking: bool = False,  # noqa: FBT001, FBT002 - the field's signature
        partition: str | None = None,
    ) -> None:
        super().__init__(
            keys.AssetKey.from_coercible(asset_key),
            check_name,
            passed,
            metadata_values.normalize(metadata),
            target_materialization_data,
            severity,
            description,
            blocking,
            partition,
        )

    @property
    def asset_check_key(self) -> keys.AssetCheckKey:
        """The key of the check."""
        return keys.AssetCheckKey(self.asset_key, self.check_name)

    @property
    def stops_downstream(self) -> bool:
        """Whether what is downstream in the run must not happen."""
        return self.blocking and not self.passed and self.severity is AssetCheckSeverity.ERROR


def _is_truth(value: object) -> bool:
    # numpy has a truth value of its own, which every check over a table returns.
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")

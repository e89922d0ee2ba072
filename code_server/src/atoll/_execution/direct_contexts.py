"""Contexts with which tests call ops, assets and checks directly.

Called by users. Such a context belongs to no run: it answers from what the test gave.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from atoll import errors
from atoll._definitions import annotations, asset_events, keys, runs
from atoll._execution import (
    io_managers,
    logs,
    op_context,
    resource_scope,
    step_partitions,
)
from atoll._execution import resources as resource_objects
from atoll._instance import instance as instances
from atoll._partitions import partition_keys

DIRECT_RUN_ID = "EPHEMERAL"
DIRECT_JOB_NAME = "EPHEMERAL"


def build_op_context(
    resources: Mapping[str, Any] | None = None,
    op_config: Any = None,
    resources_config: Mapping[str, Any] | None = None,
    instance: instances.Instance | None = None,
    config: Any = None,
    partition_key: str | None = None,
    partition_key_range: partition_keys.PartitionKeyRange | None = None,
    mapping_key: str | None = None,
    run_tags: Mapping[str, str] | None = None,
) -> op_context.OpExecutionContext:
    """Make a context with which a test calls an op directly.

    Args:
        resources: Resources by key; they are made ready when first asked for.
        op_config: The config of the op.
        resources_config: Config of resources by key.
        instance: The instance; an ephemeral one where not given.
        config: Another name of `op_config`.
        partition_key: The partition that the op is for.
        partition_key_range: The range of partitions that the op is for.
        mapping_key: Which value of a dynamic output the op is mapped for.
        run_tags: The labels of the run.

    Returns:
        The context.

    Example:
        `my_op(build_op_context(resources={"warehouse": FakeWarehouse()}), 5)`
    """
    around = _surroundings(
        resources,
        op_config if op_config is not None else config,
        resources_config,
        instance,
        _run(partition_key, partition_key_range, run_tags),
        mapping_key,
    )
    return DirectOpExecutionContext(around)


def build_asset_context(
    resources: Mapping[str, Any] | None = None,
    resources_config: Mapping[str, Any] | None = None,
    asset_config: Any = None,
    instance: instances.Instance | None = None,
    partition_key: str | None = None,
    partition_key_range: partition_keys.PartitionKeyRange | None = None,
    run_tags: Mapping[str, str] | None = None,
) -> op_context.AssetExecutionContext:
    """Make a context with which a test calls an asset directly.

    Args:
        resources: Resources by key; they are made ready when first asked for.
        resources_config: Config of resources by key.
        asset_config: The config of the asset.
        instance: The instance; an ephemeral one where not given.
        partition_key: The partition that the asset is for.
        partition_key_range: The range of partitions that the asset is for.
        run_tags: The labels of the run.

    Returns:
        The context.

    Example:
        `my_asset(build_asset_context(partition_key="2026-01-01"))`
    """
    around = _surroundings(
        resources,
        asset_config,
        resources_config,
        instance,
        _run(partition_key, partition_key_range, run_tags),
        None,
    )
    return DirectAssetExecutionContext(around)


def build_asset_check_context(
    resources: Mapping[str, Any] | None = None,
    resources_config: Mapping[str, Any] | None = None,
    asset_config: Any = None,
    instance: instances.Instance | None = None,
) -> op_context.AssetCheckExecutionContext:
    """Make a context with which a test calls a check directly.

    Args:
        resources: Resources by key; they are made ready when first asked for.
        resources_config: Config of resources by key.
        asset_config: The config of the check.
        instance: The instance; an ephemeral one where not given.

    Returns:
        The context.
    """
    around = _surroundings(
        resources, asset_config, resources_config, instance, _run(None, None, None), None
    )
    return DirectAssetCheckExecutionContext(around)


class _DirectContext(op_context.OpExecutionContext):
    """What contexts for direct calls have in common."""

    def __init__(self, surroundings: op_context.StepSurroundings) -> None:
        super().__init__(surroundings)
        self._raw: dict[tuple[str, str | None], dict[str, Any]] = {}

    def add_output_metadata(
        self,
        metadata: Mapping[str, Any],
        output_name: str | None = None,
        mapping_key: str | None = None,
    ) -> None:
        """Attach metadata to an output."""
        super().add_output_metadata(metadata, output_name, mapping_key)
        place = (self._output_named(output_name), mapping_key)
        self._raw.setdefault(place, {}).update(metadata)

    def get_output_metadata(
        self, output_name: str, mapping_key: str | None = None
    ) -> Mapping[str, Any]:
        """Return what was attached to an output so far, as it was given."""
        return dict(self._raw.get((output_name, mapping_key), {}))

    def bind_to(self, definition: object) -> None:
        """Let the context belong to what a test calls with it."""
        super().bind_to(definition)
        around = self._around
        run = around.run
        has_partitions = run.partition_key is not None or run.partition_range_start is not None
        if self._assets_def is not None and has_partitions:
            self._around = _with_partitions(around, self._assets_def.partitions_def)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        if self._around.close is not None:
            self._around.close()


class DirectOpExecutionContext(_DirectContext):
    """The context of an op that a test calls directly."""


class DirectAssetExecutionContext(_DirectContext, op_context.AssetExecutionContext):
    """The context of an asset that a test calls directly."""


class DirectAssetCheckExecutionContext(_DirectContext, op_context.AssetCheckExecutionContext):
    """The context of a check that a test calls directly."""


def _run(
    partition_key: str | None,
    partition_key_range: partition_keys.PartitionKeyRange | None,
    run_tags: Mapping[str, str] | None,
) -> runs.Run:
    if partition_key is not None and partition_key_range is not None:
        raise errors.InvalidInvocationError(
            f"A context is for one partition or for a range, got both: {partition_key!r} and "
            f"{partition_key_range!r}."
        )
    return runs.Run(
        DIRECT_JOB_NAME,
        DIRECT_RUN_ID,
        tags=dict(run_tags or {}),
        partition_key=partition_key,
        partition_range_start=partition_key_range.start if partition_key_range else None,
        partition_range_end=partition_key_range.end if partition_key_range else None,
    )


def _surroundings(
    resources: Mapping[str, Any] | None,
    config: Any,
    resources_config: Mapping[str, Any] | None,
    instance: instances.Instance | None,
    run: runs.Run,
    mapping_key: str | None,
) -> op_context.StepSurroundings:
    own = instance if instance is not None else instances.Instance.ephemeral()
    given = dict(resources or {})
    around = resource_scope.Surroundings(instance=own, run=run, whose="The context")
    scope = resource_scope.Scope(given, resources_config, around)
    opening = resource_scope.Opening(given, scope)
    return op_context.StepSurroundings(
        run=run,
        run_config={},
        instance=own,
        log=logs.to_handler(None),
        resources=resource_objects.Resources(opening, "The context"),
        load=functools.partial(_load, opening),
        take_event=_take_event(own),
        op_config=config,
        partitions=step_partitions.StepPartitions(run, None, None, own),
        mapping_key=mapping_key,
        close=scope.close,
    )


def _with_partitions(
    around: op_context.StepSurroundings, partitions_def: Any
) -> op_context.StepSurroundings:
    changed = step_partitions.StepPartitions(around.run, partitions_def, None, around.instance)
    return dataclasses.replace(around, partitions=changed)


def _take_event(instance: instances.Instance) -> Callable[[Any], None]:
    def take(event: Any) -> None:
        if isinstance(event, asset_events.ExpectationResult):
            return
        instance.report_runless_asset_event(event)

    return take


def _load(
    opening: Mapping[str, Any],
    key: keys.AssetKey,
    python_type: Any,
    partition_key: str | None,
) -> Any:
    if "io_manager" not in opening:
        raise errors.InvalidInvocationError(
            f"The value of {key.to_user_string()!r} cannot be loaded in a direct call. Use "
            "materialize, pass it as an argument, or give the context an io_manager among its "
            "resources."
        )
    context = io_managers.build_input_context(
        asset_key=key,
        partition_key=partition_key,
        python_type=annotations.UNKNOWN if python_type is None else python_type,
    )
    return opening["io_manager"].load_input(context)

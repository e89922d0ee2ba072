"""Putting the definitions of several places together.

Called by `Definitions.merge`. Works on plain parts, so that it knows nothing of what they are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from atoll import _records as records
from atoll import errors


class Parts(records.Record):
    """What a `Definitions` object holds. What may be None was not given."""

    assets: Sequence[Any] = ()
    asset_checks: Sequence[Any] = ()
    jobs: Sequence[Any] = ()
    schedules: Sequence[Any] = ()
    sensors: Sequence[Any] = ()
    resources: Mapping[str, Any] = {}
    loggers: Mapping[str, Any] = {}
    executor: Any = None
    metadata: Mapping[str, Any] = {}
    component_tree: Any = None
    policy: Any = None


def merged(part_sets: Sequence[Parts]) -> Parts:
    """Put several sets of parts together.

    What stands in several of them is kept once. Two different things with one name are left to the
    check of the whole, which knows where they stand. Of metadata entries with one name, the last
    counts.

    Args:
        part_sets: The parts.

    Returns:
        Everything that they hold.

    Raises:
        InvalidDefinitionError: A resource, a logger or the executor means different things; all of
            these are told.
    """
    conflicts: list[str] = []
    metadata: dict[str, Any] = {}
    for one in part_sets:
        metadata.update(one.metadata)
    whole = Parts(
        assets=_unique(part_sets, lambda one: one.assets),
        asset_checks=_unique(part_sets, lambda one: one.asset_checks),
        jobs=_unique(part_sets, lambda one: one.jobs),
        schedules=_unique(part_sets, lambda one: one.schedules),
        sensors=_unique(part_sets, lambda one: one.sensors),
        resources=_joined("resource", [one.resources for one in part_sets], conflicts),
        loggers=_joined("logger", [one.loggers for one in part_sets], conflicts),
        executor=_single("executor", [one.executor for one in part_sets], conflicts),
        metadata=metadata,
        component_tree=_single(
            "component tree", [one.component_tree for one in part_sets], conflicts
        ),
        policy=_single("policy", [one.policy for one in part_sets], conflicts),
    )
    if conflicts:
        told = " ".join(conflicts)
        raise errors.InvalidDefinitionError(
            f"The definitions cannot be merged. {told}", [errors.Problem(one) for one in conflicts]
        )
    return whole


def _unique(part_sets: Sequence[Parts], of: Callable[[Parts], Iterable[Any]]) -> tuple[Any, ...]:
    return tuple({id(item): item for one in part_sets for item in of(one)}.values())


def _joined(
    kind: str, mappings: Sequence[Mapping[str, Any]], conflicts: list[str]
) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    first_at: dict[str, int] = {}
    for position, mapping in enumerate(mappings):
        for name, value in mapping.items():
            if name in joined and not _same(joined[name], value):
                conflicts.append(
                    f"The {kind} {name!r} is {joined[name]!r} in the definitions number "
                    f"{first_at[name] + 1} and {value!r} in number {position + 1}: rename one, or "
                    "share one object."
                )
                continue
            joined.setdefault(name, value)
            first_at.setdefault(name, position)
    return joined


def _single(kind: str, values: Sequence[Any], conflicts: list[str]) -> Any:
    found: Any = None
    found_at = 0
    for position, value in enumerate(values):
        if value is None:
            continue
        if found is None:
            found, found_at = value, position
        elif not _same(found, value):
            conflicts.append(
                f"The {kind} is {found!r} in the definitions number {found_at + 1} and {value!r} "
                f"in number {position + 1}: give one of them only."
            )
    return found


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - boundary to the user's objects, which may not compare
        return False

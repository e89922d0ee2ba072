"""What counts as a definition among the values of a module.

Called by everything that loads modules. A kind of definition that is to be found gets its line
here.
"""

from collections.abc import Iterable
from typing import Any

from atoll import _records as records
from atoll._definitions import (
    assets,
    jobs,
    schedules,
    sensors,
    specs,
    unresolved_schedules,
)

# The keyword of `Definitions`, and the classes of what belongs there.
_CLASSES: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("assets", (assets.AssetsDefinition,)),
    ("specs", (specs.AssetSpec,)),
    ("jobs", (jobs.UnresolvedAssetJobDefinition, jobs.JobDefinition)),
    ("sensors", (sensors.SensorDefinition,)),
    (
        "schedules",
        (
            schedules.ScheduleDefinition,
            unresolved_schedules.UnresolvedPartitionedScheduleDefinition,
        ),
    ),
)


class Found(records.Record):
    """The definitions among some values, each once and in order."""

    assets: tuple[Any, ...] = ()
    specs: tuple[Any, ...] = ()
    asset_checks: tuple[Any, ...] = ()
    jobs: tuple[Any, ...] = ()
    sensors: tuple[Any, ...] = ()
    schedules: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.record_fields)

    def as_arguments(self) -> dict[str, Any]:
        """Return the arguments that make `Definitions` of them, empty ones left out."""
        arguments = {name: getattr(self, name) for name in self.record_fields if name != "specs"}
        arguments["assets"] = (*self.assets, *self.specs)
        return {name: list(some) for name, some in arguments.items() if some}


def found_among(values: Iterable[Any]) -> Found:
    """Sort values into kinds of definitions.

    Args:
        values: The values; what is no definition is passed over.

    Returns:
        The definitions.
    """
    by_kind: dict[str, dict[int, Any]] = {}
    for value in values:
        kind = _kind_of(value)
        if kind is not None:
            by_kind.setdefault(kind, {})[id(value)] = value
    return Found(**{kind: tuple(some.values()) for kind, some in by_kind.items()})


def _kind_of(value: object) -> str | None:
    if isinstance(value, type):
        return None
    if evaluates_checks_only(value):
        return "asset_checks"
    return next((kind for kind, classes in _CLASSES if isinstance(value, classes)), None)


def evaluates_checks_only(value: object) -> bool:
    """Tell whether a value evaluates asset checks and makes no asset."""
    # The class is asked: values of users may answer to any name.
    kind = type(value)
    if not (hasattr(kind, "check_keys") and hasattr(kind, "check_specs")):
        return False
    return not getattr(value, "keys", None)

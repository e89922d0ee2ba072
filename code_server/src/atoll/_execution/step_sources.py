"""Where the inputs of steps get their values.

Made by the planning, read by the engine. Data only: what loads a value stands in `step_inputs`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from atoll import _records as records
from atoll._definitions import keys


class FromStep(records.Record):
    """An output of a step of this run.

    Attributes:
        step_key: The step.
        output_name: Its output.
        mapping_key: Which value of a dynamic output.
    """

    step_key: str
    output_name: str
    mapping_key: str | None = None


class FromCollected(records.Record):
    """All values of a dynamic output, or of all copies of a step that is mapped over one."""

    step_key: str
    output_name: str


class FromEarlierRun(records.Record):
    """An output of a step that an earlier run executed, and this one does not.

    Attributes:
        run_id: The earlier run.
        step_key: The step.
        output_name: Its output.
        mapping_key: Which value of a dynamic output.
    """

    run_id: str
    step_key: str
    output_name: str
    mapping_key: str | None = None


class FromAsset(records.Record):
    """The stored value of an asset.

    Attributes:
        asset_key: The asset.
        made_by: The step and output of this run that make it; None where it was made before.
    """

    asset_key: keys.AssetKey
    made_by: FromStep | None = None


class FromConfig(records.Record):
    """A value that run configuration gives.

    Attributes:
        plain: The plain config.
        path: Where in the run configuration it stands.
    """

    plain: Any
    path: tuple[str, ...]


class FromInputManager(records.Record):
    """A value that an input manager loads and nothing of the graph gives."""


class FromValue(records.Record):
    """A value that is there already: a default, or one that was given for an input of the graph."""

    value: Any


class FromSeveral(records.Record):
    """Several values as a list. Members that were left out are left out of the list."""

    members: Sequence["Source"]


Source: TypeAlias = (
    FromStep
    | FromCollected
    | FromEarlierRun
    | FromAsset
    | FromConfig
    | FromInputManager
    | FromValue
    | FromSeveral
)


def steps_of(source: Source) -> Iterator[FromStep | FromCollected]:
    """Yield the outputs of steps of this run that a source needs."""
    if isinstance(source, (FromStep, FromCollected)):
        yield source
    elif isinstance(source, FromAsset) and source.made_by is not None:
        yield source.made_by
    elif isinstance(source, FromSeveral):
        for member in source.members:
            yield from steps_of(member)

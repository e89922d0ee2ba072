"""Which rows of a table belong to partitions, as a condition in SQL.

Called by IO managers that keep all partitions of an asset in one table. The metadata
`partition_expr` of the asset says what to compare: an expression, or one a dimension.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from atoll import errors
from atoll._execution import io_contexts
from atoll._partitions import multi_partitions, window_sequences

EXPRESSION_METADATA = "partition_expr"


def condition_of(
    context: io_contexts.OutputContext | io_contexts.InputContext, metadata: Mapping[str, Any]
) -> str | None:
    """Return the condition for the partitions of a context; None where the asset has none.

    Args:
        context: Which partitions are stored or loaded.
        metadata: What the user attached to the definition of the asset.

    Raises:
        InvariantViolationError: The metadata says not what to compare.
    """
    if not (context.has_asset_key and context.has_asset_partitions):
        return None
    name = context.asset_key.to_user_string()
    told = metadata.get(EXPRESSION_METADATA)
    told = getattr(told, "value", told)
    wanted = context.asset_partition_keys
    partitions_def = context.asset_partitions_def
    if not wanted:
        return "FALSE"
    if not isinstance(partitions_def, multi_partitions.MultiPartitionsDefinition):
        if not isinstance(told, str):
            raise errors.InvariantViolationError(
                f"The partitions of {name!r} are kept in one table: give the asset "
                f"metadata={{{EXPRESSION_METADATA!r}: '<column>'}}, the SQL expression that tells "
                f"to which a row belongs; got {told!r}."
            )
        return _one_dimension(partitions_def, told, wanted)
    dimensions = partitions_def.partition_dimension_names
    expressions: Mapping[str, Any] = (
        cast("Mapping[str, Any]", told) if isinstance(told, Mapping) else {}
    )
    if any(not isinstance(expressions.get(one), str) for one in dimensions):
        listed = ", ".join(f"{one!r}: '<column>'" for one in dimensions)
        raise errors.InvariantViolationError(
            f"The partitions of {name!r} are kept in one table: give the asset "
            f"metadata={{{EXPRESSION_METADATA!r}: {{{listed}}}}}, with the SQL expression that "
            f"tells to which a row belongs in each dimension; got {told!r}."
        )
    return _two_dimensions(partitions_def, expressions, wanted)


def literal(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _two_dimensions(
    partitions_def: multi_partitions.MultiPartitionsDefinition,
    expressions: Mapping[str, str],
    wanted: Sequence[str],
) -> str:
    first, second = partitions_def.partition_dimension_names
    by_first: dict[str, list[str]] = {}
    for key in wanted:
        parts = partitions_def.get_partition_key_from_str(key).keys_by_dimension
        by_first.setdefault(parts[first], []).append(parts[second])
    own = {one: partitions_def.get_partitions_def_for_dimension(one) for one in (first, second)}
    return " OR ".join(
        f"({_one_dimension(own[first], expressions[first], [key])}"
        f" AND {_one_dimension(own[second], expressions[second], others)})"
        for key, others in by_first.items()
    )


def _one_dimension(partitions_def: Any, expression: str, wanted: Sequence[str]) -> str:
    window_for = getattr(partitions_def, "time_window_for_partition_key", None)
    if window_for is None:
        listed = ", ".join(literal(str(key)) for key in wanted)
        return f"({expression}) IN ({listed})"
    spans: list[list[Any]] = []
    for window in sorted((window_for(key) for key in wanted), key=_start):
        if spans and spans[-1][1] == window.start:
            spans[-1][1] = window.end
        else:
            spans.append([window.start, window.end])
    told = " OR ".join(
        f"(({expression}) >= {_moment(start)} AND ({expression}) < {_moment(end)})"
        for start, end in spans
    )
    return f"({told})"


def _start(window: window_sequences.TimeWindow) -> Any:
    return window.start


def _moment(moment: Any) -> str:
    # As clocks show it in the time zone of the partitions: so their rows have it too.
    return f"TIMESTAMP {literal(moment.strftime('%Y-%m-%d %H:%M:%S'))}"

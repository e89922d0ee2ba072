"""The rules for values of several partitions, which all IO managers with a path a value share.

A run for several partitions gives a dict with the value of each: one value for all of them is an
error, since nothing says which part of it belongs to which partition. An input that needs several
partitions gets a dict of their values by partition key, in order; an input that needs one gets its
value. Called by the default IO manager and by `UPathIOManager`.
"""

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from atoll import errors
from atoll._definitions import annotations
from atoll._execution import io_contexts
from atoll._partitions import multi_partitions, partition_keys

# Metadata of an input: partitions of which there is no value are left out.
ALLOW_MISSING_METADATA = "allow_missing_partitions"


def path_parts(
    context: io_contexts.OutputContext | io_contexts.InputContext, key: str
) -> list[str]:
    """Return the names of the folders and the file of a partition: one a dimension.

    Args:
        context: Whose partition it is.
        key: Its key.
    """
    if not isinstance(key, partition_keys.MultiPartitionKey):
        partitions_def = context.asset_partitions_def if context.has_asset_partitions_def else None
        if not isinstance(partitions_def, multi_partitions.MultiPartitionsDefinition):
            return [key]
        key = partitions_def.get_partition_key_from_str(key)
    return list(key.keys_by_dimension.values())


def by_partition(context: io_contexts.OutputContext, value: Any) -> Mapping[str, Any]:
    """Return the values of a run for several partitions, by partition key.

    Args:
        context: What belongs to the value.
        value: What the function gave.

    Raises:
        InvariantViolationError: It is no dict with a value for each partition.
    """
    wanted = context.asset_partition_keys
    name = context.asset_key.to_user_string()
    if not isinstance(value, Mapping):
        raise errors.InvariantViolationError(
            f"The run stores the partitions {partition_keys.listed(wanted)} of {name!r} and got "
            f"one {type(value).__name__} for all of them. Return a dict with the value of each, by "
            "partition key, or give the asset BackfillPolicy.multi_run() to compute each by itself."
        )
    given = cast("Mapping[str, Any]", value)
    missing = [key for key in wanted if key not in given]
    further = [key for key in given if key not in set(wanted)]
    if missing or further:
        problem = (
            f"no value for {partition_keys.listed(missing)}"
            if missing
            else f"values for {partition_keys.listed([str(key) for key in further])} as well"
        )
        raise errors.InvariantViolationError(
            f"The run stores the partitions {partition_keys.listed(wanted)} of {name!r}, and the "
            f"dict it got has {problem}. Return a dict with exactly these keys."
        )
    return {key: given[key] for key in wanted}


def load(context: io_contexts.InputContext, load_one: Callable[[str, Any], Any]) -> Any:
    """Load the partitions that an input needs.

    Args:
        context: Which ones.
        load_one: Loads the partition of a key as the wanted Python type. It raises
            ValueNotFoundError where there is no value.

    Returns:
        The value of the only partition, or a dict of values by partition key. A partition without
        a value is an error; where the input has the metadata `allow_missing_partitions`, it is left
        out, and the only one is None.

    Raises:
        InvariantViolationError: The parameter is annotated with what no dict is.
    """
    wanted = context.asset_partition_keys
    leaves_out = bool(context.definition_metadata.get(ALLOW_MISSING_METADATA))
    is_single = len(wanted) == 1
    kind = context.python_type if is_single else kind_of_each(context)

    def with_value(key: str) -> Iterator[tuple[str, Any]]:
        try:
            yield key, load_one(key, kind)
        except errors.ValueNotFoundError:
            if not leaves_out:
                raise
            context.log.warning("The partition %s has no value and is left out.", key)

    found = dict(pair for key in wanted for pair in with_value(key))
    return found.get(wanted[0]) if is_single else found


def kind_of_each(context: io_contexts.InputContext) -> Any:
    """Return as what each of several partitions is loaded: the values of the annotated dict.

    Args:
        context: The input.

    Raises:
        InvariantViolationError: The annotation is none of a dict.
    """
    told = context.python_type
    if told is annotations.UNKNOWN or told is None or told is Any or told is object:
        return annotations.UNKNOWN
    found = _values_of(told)
    if found is None:
        name = f"The input {context.name!r}" if context.has_input_name else "What is loaded"
        raise errors.InvariantViolationError(
            f"{name} is annotated with {getattr(told, '__name__', told)} and takes "
            f"{len(context.asset_partition_keys)} partitions of "
            f"{context.asset_key.to_user_string()!r}, which come as a dict by partition key. "
            "Annotate it with dict[str, ...], or give the dependency a partition mapping that "
            "needs one."
        )
    return found


def _values_of(annotation: Any) -> Any:
    """Return what the values of an annotated dict are, None where it is no dict."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        members = (_values_of(one) for one in typing.get_args(annotation))
        return next((one for one in members if one is not None), None)
    kind = origin if origin is not None else annotation
    if not (isinstance(kind, type) and issubclass(kind, Mapping) and issubclass(dict, kind)):
        return None
    arguments = typing.get_args(annotation)
    if len(arguments) != 2 or arguments[1] is Any:  # noqa: PLR2004 - key and value
        return annotations.UNKNOWN
    return arguments[1]

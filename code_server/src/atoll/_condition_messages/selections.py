"""Selections of dependencies and checks to messages and back.

Called by `conditions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atoll import errors
from atoll._conditions import selections
from atoll.definitions.v1 import conditions_pb2, values_pb2

_Message = conditions_pb2.ConditionSelection

_FUNCTIONS = {
    "roots": conditions_pb2.SELECT_FUNCTION_ROOTS,
    "sinks": conditions_pb2.SELECT_FUNCTION_SINKS,
    "materializable": conditions_pb2.SELECT_FUNCTION_MATERIALIZABLE,
    "upstream_source_assets": conditions_pb2.SELECT_FUNCTION_UPSTREAM_SOURCES,
    "required_multi_asset_neighbors": conditions_pb2.SELECT_FUNCTION_REQUIRED_NEIGHBORS,
    "checks_for_assets": conditions_pb2.SELECT_FUNCTION_CHECKS_FOR,
}
_FUNCTION_NAMES: dict[int, str] = {number: name for name, number in _FUNCTIONS.items()}


def to_message(selection: selections.Selection) -> conditions_pb2.ConditionSelection:
    """Return a selection as a message.

    Args:
        selection: The selection.
    """
    return _ENCODERS[type(selection)](selection)


def from_message(message: conditions_pb2.ConditionSelection) -> selections.Selection:
    """Return the selection that a message holds.

    Args:
        message: The message.

    Raises:
        InvalidInvocationError: It is of a kind that this release does not know.
    """
    kind = message.WhichOneof("kind")
    if kind is None:
        raise errors.InvalidInvocationError(
            "A condition has a selection of a kind that this release does not know; its code"
            " location runs a newer one. Upgrade this side."
        )
    return _DECODERS[kind](getattr(message, kind))


def _key(path: tuple[str, ...]) -> values_pb2.AssetKey:
    return values_pb2.AssetKey(path=path)


def _checks(selection: selections.Checks) -> _Message:
    keys = [
        values_pb2.AssetCheckKey(asset_key=_key(path), name=name) for path, name in selection.keys
    ]
    return _Message(checks=conditions_pb2.SelectChecks(keys=keys))


def _traversal(selection: selections.Traversal) -> _Message:
    return _Message(
        traversal=conditions_pb2.SelectTraversal(
            downstream=selection.direction == selections.DOWNSTREAM,
            child=to_message(selection.child),
            depth=selection.depth,
        )
    )


def _from_applied(message: conditions_pb2.SelectApplied) -> selections.Applied:
    name = _FUNCTION_NAMES.get(message.function)
    if name is None:
        raise errors.InvalidInvocationError(
            "A condition has a selection by a function that this release does not know; its code"
            " location runs a newer one. Upgrade this side."
        )
    return selections.Applied(name, from_message(message.child))


def _paths(keys: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(key.path) for key in keys)


def _operands(operands: Any) -> tuple[selections.Selection, ...]:
    return tuple(map(from_message, operands))


_ENCODERS: dict[type[selections.Selection], Callable[[Any], _Message]] = {
    selections.Everything: lambda one: _Message(
        everything=conditions_pb2.SelectEverything(include_sources=one.include_sources)
    ),
    selections.Keys: lambda one: _Message(
        keys=conditions_pb2.SelectKeys(keys=map(_key, one.paths))
    ),
    selections.KeyPattern: lambda one: _Message(
        key_pattern=conditions_pb2.SelectKeyPattern(pieces=one.pieces)
    ),
    selections.KeyPrefixes: lambda one: _Message(
        key_prefixes=conditions_pb2.SelectKeyPrefixes(
            prefixes=map(_key, one.prefixes), include_sources=one.include_sources
        )
    ),
    selections.KeySubstring: lambda one: _Message(
        key_substring=conditions_pb2.SelectKeySubstring(
            text=one.text, include_sources=one.include_sources
        )
    ),
    selections.Groups: lambda one: _Message(
        groups=conditions_pb2.SelectGroups(names=one.names, include_sources=one.include_sources)
    ),
    selections.Tag: lambda one: _Message(
        tag=conditions_pb2.SelectTag(
            key=one.key, value=one.value, include_sources=one.include_sources
        )
    ),
    selections.Owner: lambda one: _Message(owner=conditions_pb2.SelectOwner(owner=one.owner)),
    selections.Kind: lambda one: _Message(
        asset_kind=conditions_pb2.SelectKind(kind=one.kind, include_sources=one.include_sources)
    ),
    selections.Location: lambda one: _Message(
        location=conditions_pb2.SelectLocation(name=one.name)
    ),
    selections.Checks: _checks,
    selections.AllChecks: lambda _: _Message(all_checks=conditions_pb2.SelectAllChecks()),
    selections.Traversal: _traversal,
    selections.Applied: lambda one: _Message(
        applied=conditions_pb2.SelectApplied(
            function=_FUNCTIONS[one.function], child=to_message(one.child)
        )
    ),
    selections.Either: lambda one: _Message(
        either=conditions_pb2.SelectEither(operands=map(to_message, one.operands))
    ),
    selections.Both: lambda one: _Message(
        both=conditions_pb2.SelectBoth(operands=map(to_message, one.operands))
    ),
    selections.Without: lambda one: _Message(
        without=conditions_pb2.SelectWithout(left=to_message(one.left), right=to_message(one.right))
    ),
}
_DECODERS: dict[str, Callable[[Any], selections.Selection]] = {
    "everything": lambda one: selections.Everything(one.include_sources),
    "keys": lambda one: selections.Keys(_paths(one.keys)),
    "key_pattern": lambda one: selections.KeyPattern(tuple(one.pieces)),
    "key_prefixes": lambda one: selections.KeyPrefixes(_paths(one.prefixes), one.include_sources),
    "key_substring": lambda one: selections.KeySubstring(one.text, one.include_sources),
    "groups": lambda one: selections.Groups(tuple(one.names), one.include_sources),
    "tag": lambda one: selections.Tag(one.key, one.value, one.include_sources),
    "owner": lambda one: selections.Owner(one.owner if one.HasField("owner") else None),
    "asset_kind": lambda one: selections.Kind(
        one.kind if one.HasField("kind") else None, one.include_sources
    ),
    "location": lambda one: selections.Location(one.name),
    "checks": lambda one: selections.Checks(
        tuple((tuple(key.asset_key.path), key.name) for key in one.keys)
    ),
    "all_checks": lambda _: selections.AllChecks(),
    "traversal": lambda one: selections.Traversal(
        selections.DOWNSTREAM if one.downstream else selections.UPSTREAM,
        from_message(one.child),
        one.depth if one.HasField("depth") else None,
    ),
    "applied": _from_applied,
    "either": lambda one: selections.Either(_operands(one.operands)),
    "both": lambda one: selections.Both(_operands(one.operands)),
    "without": lambda one: selections.Without(from_message(one.left), from_message(one.right)),
}

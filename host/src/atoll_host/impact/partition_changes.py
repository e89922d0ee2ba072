"""What becomes of those who use assets with other partitions. Pure."""

import functools
from collections.abc import Callable, Iterable, Iterator

from atoll import errors as location_errors
from atoll._partition_messages import mappings as mapping_messages
from atoll._partitions import definitions as partition_definitions
from atoll._partitions import inference
from atoll.definitions.v1 import partitions_pb2, snapshot_pb2
from atoll_host.impact import findings, uses, world
from atoll_host.locations import definitions, partitioned

_Rule, _Severity = findings.Rule, findings.Severity
_Partitions = partition_definitions.PartitionsDefinition | None
KEYS_SHOWN = 5


def changed(known: world.World) -> list[world.Path]:
    """Return the assets of the location that stay, and have other partitions."""
    both = known.owned_by(known.old) & known.owned_by(known.new)
    return sorted(
        path
        for path in both
        if known.old.assets[path].partitions != known.new.assets[path].partitions
    )


def find(known: world.World, used: uses.Uses) -> Iterator[findings.Finding]:
    """Yield what changes of partitions bring about."""
    for path in changed(known):
        before = _read(known.old, path)
        after = _read(known.new, path)
        for use in used.of_assets.get(path, ()):
            yield _for_use(known, path, use, (before, after))
        yield from _lost(known, path)
    yield from _dynamic(known)


def _for_use(
    known: world.World, path: world.Path, use: uses.Use, partitions: tuple[_Partitions, _Partitions]
) -> findings.Finding:
    name = "/".join(path)
    was, becomes = map(_words, (known.old.assets[path], known.new.assets[path]))
    if use.how is uses.How.DEPENDS:
        problem = _misfit(known.others[use.location_name], path, use, partitions)
        if problem:
            return findings.Finding(
                severity=_Severity.BREAKING,
                rule=_Rule.MAPPING_MISFIT,
                subject=f"asset {name}",
                location_name=use.location_name,
                affected=use.what,
                message=f"Asset {name} would have {becomes} instead of {was}, and the mapping by "
                f"which {use.what} is made from it no longer fits: {problem}",
            )
    return findings.Finding(
        severity=_Severity.RISKY,
        rule=_Rule.PARTITIONS_CHANGED,
        subject=f"asset {name}",
        location_name=use.location_name,
        affected=use.what,
        message=f"Asset {name} would have {becomes} instead of {was}; {use.what} {use.how.value}. "
        "Check that it takes the new keys.",
    )


def _misfit(
    defined: definitions.Definitions,
    path: world.Path,
    use: uses.Use,
    partitions: tuple[_Partitions, _Partitions],
) -> str:
    """Return why a mapping that fitted no longer does; empty where it does, or never did."""
    for edge, downstream in _edges(defined, path, use):
        before, after = (_problem(edge, downstream, each) for each in partitions)
        if after and not before:
            return after
    return ""


def _edges(
    defined: definitions.Definitions, path: world.Path, use: uses.Use
) -> Iterator[tuple[snapshot_pb2.AssetDependency, _Partitions]]:
    """Yield the edges by which something is made from an asset, with its own partitions."""
    for of_asset, asset in defined.assets.items():
        if use.what == f"asset {'/'.join(of_asset)}":
            for edge in asset.dependencies:
                if tuple(edge.asset_key.path) == path:
                    yield edge, _read(defined, of_asset)
    for key, check in defined.checks.items():
        if use.what == f"check {'/'.join(key[0])}:{key[1]}":
            for edge in check.additional_dependencies:
                if tuple(edge.asset_key.path) == path:
                    yield edge, _safely(functools.partial(defined.partitions.of_check, key))


def _problem(
    edge: snapshot_pb2.AssetDependency, downstream: _Partitions, upstream: _Partitions
) -> str:
    try:
        written = None
        if edge.HasField("partition_mapping"):
            written = mapping_messages.from_message(edge.partition_mapping)
        mapping = inference.infer_partition_mapping(written, downstream, upstream)
        if upstream is None:
            return "it has no partitions any more." if written is not None else ""
        mapping.validate_partition_mapping(upstream, downstream)
    except (location_errors.Error, ValueError, OverflowError) as error:
        return str(error)
    return ""


def _lost(known: world.World, path: world.Path) -> Iterator[findings.Finding]:
    keys, name = known.lost_keys.get(path, ()), "/".join(path)
    if keys:
        more = f" and {len(keys) - KEYS_SHOWN} more" if len(keys) > KEYS_SHOWN else ""
        yield findings.Finding(
            severity=_Severity.RISKY,
            rule=_Rule.KEYS_FALL_OUT,
            subject=f"asset {name}",
            location_name=known.location_name,
            affected=f"asset {name}",
            message=f"Materialized partitions of {name} would be none any more: "
            f"{', '.join(keys[:KEYS_SHOWN])}{more}. What is stored of them stays, and nothing "
            "shows it.",
        )


def _dynamic(known: world.World) -> Iterator[findings.Finding]:
    old, new = known.old.partitions.dynamic_names, known.new.partitions.dynamic_names
    elsewhere = {name for each in known.others.values() for name in each.partitions.dynamic_names}
    for name in sorted(old - new):
        count = known.dynamic_keys.get(name, 0)
        if not count:
            continue
        now = _dynamic_now(known, name)
        hint = (
            f" They are probably called {now!r} now (a guess): add the keys there." if now else ""
        )
        shared = " Other locations use them as well." if name in elsewhere else ""
        yield findings.Finding(
            severity=_Severity.RISKY,
            rule=_Rule.DYNAMIC_PARTITIONS_RENAMED,
            subject=f"dynamic partitions {name}",
            location_name=known.location_name,
            affected="",
            message=f"Nothing here would use the dynamic partitions {name!r} any more, which have "
            f"{count} keys; keys do not move to another name.{hint}{shared}",
            renamed_to=now,
        )


def _dynamic_now(known: world.World, name: str) -> str:
    """Return what the assets that had some dynamic partitions have instead; empty where unclear."""
    names: set[str] = set()
    for path, asset in known.old.assets.items():
        if asset.partitions.dynamic.name == name and path in known.new.assets:
            names.add(known.new.assets[path].partitions.dynamic.name)
    return names.pop() if len(names) == 1 else ""


def _read(defined: definitions.Definitions, path: world.Path) -> _Partitions:
    return _safely(functools.partial(defined.partitions.of_asset, path))


def _safely(read: Callable[[], _Partitions]) -> _Partitions:
    """Return partitions; None for those that make no sense, which a build cannot have either."""
    try:
        return read()
    except (location_errors.Error, ValueError, OverflowError):
        return None


def lost(known: world.World, path: world.Path, keys: Iterable[str]) -> tuple[str, ...]:
    """Return those of some keys that the new partitions of an asset do not have.

    Keys of dynamic partitions are data: none of them is lost by a definition.
    """
    partitions_def = _read(known.new, path)
    if partitions_def is not None and any(partitioned.dynamic_parts(partitions_def)):
        return ()
    return tuple(
        key for key in keys if partitions_def is None or not partitions_def.has_partition_key(key)
    )


_KINDS = {
    "time_window": "partitions by time",
    "static": "static partitions",
    "multi": "partitions of several dimensions",
    "dynamic": "dynamic partitions",
}


def _words(asset: snapshot_pb2.AssetDefinition) -> str:
    if not asset.HasField("partitions"):
        return "no partitions"
    kind = asset.partitions.WhichOneof("kind") or ""
    detail = _detail(asset.partitions)
    return _KINDS.get(kind, "partitions") + (f" ({detail})" if detail else "")


def _detail(partitions: partitions_pb2.PartitionsDefinition) -> str:
    match partitions.WhichOneof("kind"):
        case "time_window":
            return partitions.time_window.cron_schedule
        case "static":
            return f"{len(partitions.static.partition_keys)} keys"
        case "dynamic":
            return partitions.dynamic.name
        case _:
            return ""

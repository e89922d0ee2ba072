"""Checks which checks, ops and steps a run is asked for, against what its location defines. Pure.

Called by `requests`, which checks assets itself. What ops a job has follows from the graphs of the
snapshot; a selection of them is resolved by the location, which knows the same graph.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Mapping

from atoll.definitions.v1 import nodes_pb2, snapshot_pb2
from atoll_host import errors
from atoll_host.locations import definitions

Path = tuple[str, ...]
CheckKey = tuple[Path, str]

_CLAUSE = re.compile(r"[*+]*(?P<name>[^*+,\s]+)[*+]*")
_EVERYTHING = "*"
_DEPTH_MAX = 100


def steps_of(
    defined: definitions.Definitions, job: snapshot_pb2.JobDefinition
) -> Mapping[str, None]:
    """Return the keys of the steps that a job may have, each once.

    Args:
        defined: What the location defines.
        job: The job.
    """
    found: dict[str, None] = {}
    if job.graph_name:
        _walk(defined, job.graph_name, (), found)
        return found
    for name in top_level(defined, job):
        if name in defined.graphs:
            _walk(defined, name, (name,), found)
        else:
            found[name] = None
    return found


def top_level(
    defined: definitions.Definitions, job: snapshot_pb2.JobDefinition
) -> Mapping[str, None]:
    """Return the names that run configuration has sections for, under "ops".

    Args:
        defined: What the location defines.
        job: The job.
    """
    if job.graph_name:
        graph = defined.graphs.get(job.graph_name)
        return {} if graph is None else dict.fromkeys(node.name for node in graph.nodes)
    keys = [(tuple(key.asset_key.path), key.name) for key in job.check_keys]
    names = {
        asset.op_name: None
        for key in job.asset_keys
        if (asset := defined.assets.get(tuple(key.path))) is not None
    }
    names.update(
        (check.op_name, None) for key in keys if (check := defined.checks.get(key)) is not None
    )
    names.pop("", None)
    return names


def made_of(
    defined: definitions.Definitions, job: snapshot_pb2.JobDefinition
) -> tuple[list[nodes_pb2.GraphDefinition], list[nodes_pb2.OpDefinition]]:
    """Return the graphs and ops that a job is made of, sorted by name.

    Args:
        defined: What the location defines.
        job: The job.
    """
    names = [job.graph_name] if job.graph_name else list(top_level(defined, job))
    graphs: dict[str, nodes_pb2.GraphDefinition] = {}
    ops: dict[str, nodes_pb2.OpDefinition] = {}
    while names:
        name = names.pop()
        if name in defined.graphs and name not in graphs:
            graphs[name] = defined.graphs[name]
            names.extend(node.definition_name for node in graphs[name].nodes)
        elif name in defined.ops:
            ops[name] = defined.ops[name]
    return [graphs[name] for name in sorted(graphs)], [ops[name] for name in sorted(ops)]


def _walk(
    defined: definitions.Definitions, graph_name: str, handle: Path, found: dict[str, None]
) -> None:
    graph = defined.graphs.get(graph_name)
    if graph is None or len(handle) > _DEPTH_MAX:
        return
    for node in graph.nodes:
        inner = (*handle, node.name)
        if node.definition_name in defined.graphs:
            _walk(defined, node.definition_name, inner, found)
        else:
            found[".".join(inner)] = None


def check_checks(
    location_name: str,
    defined: definitions.Definitions,
    job: snapshot_pb2.JobDefinition,
    selected: Iterable[CheckKey],
    owner_of: Callable[[CheckKey], str],
) -> None:
    """Check that the location evaluates the selected checks, and the job holds them.

    Args:
        location_name: The location.
        defined: What it defines.
        job: The job.
        selected: The checks.
        owner_of: Returns the location that evaluates a check, empty for none.

    Raises:
        errors.UnknownCheck: It has no such check, or the job does not hold it.
        errors.PolicyForbids: Another location evaluates it.
    """
    wanted = tuple(selected)
    if not wanted:
        return
    of_job = {(tuple(key.asset_key.path), key.name) for key in job.check_keys}
    for key in wanted:
        check = defined.checks.get(key)
        owner = owner_of(key)
        if owner and owner != location_name:
            raise errors.PolicyForbids(
                f"Check {_told(key)!r} is evaluated by location {owner!r}, not by location "
                f"{location_name!r}. Launch the run there."
            )
        if check is None or not check.executable:
            able = (_told(known) for known, one in defined.checks.items() if one.executable)
            raise errors.UnknownCheck(
                f"Location {location_name!r} cannot evaluate check {_told(key)!r}; it has "
                f"{some(able)}.",
                asset_key="/".join(key[0]),
                check_name=key[1],
            )
        if not job.implicit and key not in of_job:
            raise errors.UnknownCheck(
                f"Job {job.name!r} does not hold check {_told(key)!r}; it holds "
                f"{some(map(_told, of_job))}. Leave the job out to evaluate the check by itself.",
                asset_key="/".join(key[0]),
                check_name=key[1],
            )


def check_ops(
    defined: definitions.Definitions,
    job: snapshot_pb2.JobDefinition,
    selection: Iterable[str],
) -> None:
    """Check that a job has the ops that a selection names.

    Args:
        defined: What the location defines.
        job: The job.
        selection: The clauses of the selection.

    Raises:
        errors.InvalidRequest: A clause cannot be read, or names an op that is not there.
    """
    clauses = tuple(selection)
    if not clauses:
        return
    known = {**steps_of(defined, job), **top_level(defined, job)}
    for clause in clauses:
        if clause.strip() == _EVERYTHING or not known:
            continue
        match = _CLAUSE.fullmatch(clause.strip())
        if match is None:
            raise errors.InvalidRequest(
                f"The selection of ops has the clause {clause!r}, which cannot be read. Write one "
                "name a clause, with pluses or a star before or behind it.",
                field="op_selection",
            )
        if match["name"] not in known:
            raise errors.InvalidRequest(
                f"Job {job.name!r} has no op {match['name']!r}; it has {some(known)}.",
                field="op_selection",
            )


def check_steps(
    defined: definitions.Definitions,
    job: snapshot_pb2.JobDefinition,
    step_keys: Iterable[str],
) -> None:
    """Check that a job has steps.

    Args:
        defined: What the location defines.
        job: The job.
        step_keys: The steps; a copy of a mapped one is written "step[key]".

    Raises:
        errors.InvalidRequest: It has not.
    """
    wanted = tuple(step_keys)
    if not wanted:
        return
    known = steps_of(defined, job)
    for key in wanted:
        if known and key.partition("[")[0] not in known:
            raise errors.InvalidRequest(
                f"Job {job.name!r} has no step {key!r}; it has {some(known)}.",
                field="step_keys",
            )


def some(names: Iterable[str], at_most: int = 10) -> str:
    """Return the first few names as text, for messages."""
    ordered = sorted(names)
    shown = ", ".join(map(repr, itertools.islice(ordered, at_most)))
    more = len(ordered) - at_most
    return (f"{shown} and {more} more" if more > 0 else shown) or "none"


def _told(key: CheckKey) -> str:
    return f"{'/'.join(key[0])}:{key[1]}"

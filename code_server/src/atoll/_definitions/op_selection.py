"""Selections of ops: which nodes of a job run.

Called by jobs, for `op_selection=["a", "*b", "+c++"]`. A name with pluses before it also means as
many steps of what it depends on, with pluses behind it of what depends on it; a star means all of
them. Knows nothing of jobs: it is given a graph of names.
"""

import re
from collections.abc import Iterable, Mapping

from atoll import errors
from atoll._selections import graph as graphs

_CLAUSE = re.compile(r"(?P<before>[*+]*)(?P<name>[^*+,\s]+)(?P<after>[*+]*)")
_EVERYTHING = "*"


def resolve(
    op_selection: Iterable[str], upstream_by_name: Mapping[str, Iterable[str]]
) -> list[str]:
    """Return the ops that are meant.

    Args:
        op_selection: The clauses; an op has to be meant by one of them. None at all mean all ops.
        upstream_by_name: The ops, and those that each of them depends on.

    Returns:
        The names, in the order of the graph.

    Raises:
        InvalidSubsetError: A clause cannot be read, or names an op that is not there; all of them
            are named.
    """
    if isinstance(op_selection, str):
        raise errors.InvalidSubsetError(
            f"The selection of ops is a list, got {op_selection!r}. Put it into brackets."
        )
    clauses = [clause.strip() for clause in op_selection]
    if not clauses:
        return list(upstream_by_name)
    downstream: dict[str, list[str]] = {}
    for name, needed in upstream_by_name.items():
        for one in needed:
            downstream.setdefault(one, []).append(name)
    chosen: set[str] = set()
    unreadable: list[str] = []
    unknown: list[str] = []
    for clause in clauses:
        if clause == _EVERYTHING:
            chosen.update(upstream_by_name)
            continue
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            unreadable.append(clause)
            continue
        named = _named(match["name"], upstream_by_name)
        if not named:
            unknown.append(match["name"])
            continue
        chosen.update(named)
        chosen |= graphs.reach(named, upstream_by_name.__getitem__, _steps(match["before"]))
        chosen |= graphs.reach(named, lambda one: downstream.get(one, ()), _steps(match["after"]))
    _complain(unreadable, unknown, upstream_by_name)
    return [name for name in upstream_by_name if name in chosen]


def _named(name: str, known: Iterable[str]) -> list[str]:
    """Return the op of that name, or all ops in the graph of that name."""
    return [one for one in known if one == name or one.startswith(f"{name}.")]


def _steps(signs: str) -> int | None:
    return None if "*" in signs else len(signs)


def _complain(unreadable: list[str], unknown: list[str], known: Iterable[str]) -> None:
    problems: list[str] = []
    if unreadable:
        problems.append(
            f"it cannot be read at {', '.join(map(repr, unreadable))}: write one name a clause, "
            "with pluses or a star before or behind it"
        )
    if unknown:
        names = ", ".join(sorted(known)) or "none"
        problems.append(
            f"it names {', '.join(map(repr, dict.fromkeys(unknown)))}, which is no op here: there "
            f"are {names}"
        )
    if problems:
        raise errors.InvalidSubsetError(
            f"The selection of ops does not fit: {'; and '.join(problems)}."
        )

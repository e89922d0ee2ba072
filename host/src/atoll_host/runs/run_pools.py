"""Which pools a run takes slots of, where runs take them. Pure; called by `requests`."""

from collections.abc import Iterable

from atoll.definitions.v1 import snapshot_pb2
from atoll_host.locations import definitions
from atoll_host.runs import selections

Path = tuple[str, ...]
CheckKey = tuple[Path, str]


def pools_of(
    defined: definitions.Definitions,
    job: snapshot_pb2.JobDefinition,
    assets: Iterable[Path],
    checks: Iterable[CheckKey],
) -> tuple[str, ...]:
    """Return the pools of what a run runs, as far as the host can tell, sorted.

    A selection of ops is resolved by the location only: such a run counts for all of its job.

    Args:
        defined: What the location defines.
        job: The job.
        assets: The assets that it was narrowed to.
        checks: The checks that it was narrowed to.
    """
    chosen, evaluated = list(assets), list(checks)
    if not defined.pools:
        return ()
    found: set[str] = set()
    if chosen or evaluated:
        if not evaluated:
            evaluated = [
                (path, name) for path in chosen for name in defined.checks_of.get(path, ())
            ]
    else:
        chosen = [tuple(key.path) for key in job.asset_keys]
        evaluated = [(tuple(key.asset_key.path), key.name) for key in job.check_keys]
        _, ops = selections.made_of(defined, job)
        found.update(op.pool for op in ops)
    for path in chosen:
        if path in defined.assets:
            found.update(defined.assets[path].pools)
    for key in evaluated:
        if key in defined.checks:
            found.update(defined.checks[key].pools)
    return tuple(sorted(found - {""}))

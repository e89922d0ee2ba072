"""Compares new definitions of a location with what runs. Pure.

Called by the impact servicer, off the event loop: locations may be large.
"""

import itertools

from atoll_host.impact import (
    asset_changes,
    automation_changes,
    findings,
    job_changes,
    partition_changes,
    policy_changes,
    uses,
    world,
)


def compare(known: world.World) -> list[findings.Finding]:
    """Return what the new definitions would bring about, the worst first.

    Args:
        known: Everything that runs, and the new definitions.
    """
    used = uses.Uses(known.others)
    found = itertools.chain(
        asset_changes.find(known, used),
        partition_changes.find(known, used),
        job_changes.find(known, used),
        automation_changes.find(known),
        policy_changes.find(known),
    )
    return sorted(set(found), key=lambda each: each.order)

"""The advisory locks of the database, all in one place, so that their order can be seen.

Every transaction takes the locks it needs in the order in which they stand here; that is what keeps
two of them from waiting for each other. The numbers mean nothing but must never change.
"""

import hashlib

MIGRATION = 0x41746F6C00000001
"""Held while the schema is changed."""
CLAIM = 0x41746F6C00000002
"""Held while queued runs are claimed: limits are counted by one at a time."""
OWNERS = 0x41746F6C00000003
"""Held while owners of assets are settled."""
PARTITIONS = 0x41746F6C
"""The first of two numbers, the second of which stands for a dynamic partitions definition. Held
while its keys are changed, so that the order of positions is the order of commits. Whoever changes
several takes the locks in the order of the names."""
REQUESTS = 0x41746F6D
"""The first of two numbers, the second of which stands for the id of a request. Held while it is
looked for and remembered, so that two at once are one."""
POOLS = 0x41746F6C00000005
"""Held while slots of pools are granted. Nobody who holds it takes one of the others."""
APPEND = 0x41746F6C00000004
"""Held from the assignment of event ids to their commit, and by whoever changes the status of a
run. Rows that running transactions may wait for are locked after it."""


def of_leader(name: str) -> int:
    """Return the lock of the leader called `name`."""
    digest = hashlib.sha256(b"leader:" + name.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)

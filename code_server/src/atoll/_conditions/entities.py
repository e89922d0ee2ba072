"""What conditions are about: assets, asset checks and jobs, by name.

Called by everything in this package. Names only: plain tuples, so that ten thousand of them cost
little and sort the same way everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ASSET = "asset"
CHECK = "check"
JOB = "job"


class Entity(NamedTuple):
    """The name of an asset, of a check of an asset, or of a job.

    Attributes:
        kind: One of `ASSET`, `CHECK` and `JOB`.
        path: The path of the asset's key; of a job, the name of its location alone.
        name: The name of the check or of the job; empty for an asset.
    """

    kind: str
    path: tuple[str, ...]
    name: str = ""

    def __str__(self) -> str:
        if self.kind == JOB:
            return "/".join((*filter(None, self.path), self.name))
        written = "/".join(part.replace("/", "\\/") for part in self.path)
        return f"{written}:{self.name}" if self.kind == CHECK else written


def asset(path: Sequence[str]) -> Entity:
    """Return the name of an asset.

    Args:
        path: The path of its key.
    """
    return Entity(ASSET, tuple(path))


def check(path: Sequence[str], name: str) -> Entity:
    """Return the name of a check.

    Args:
        path: The path of the key of its asset.
        name: Its name there.
    """
    return Entity(CHECK, tuple(path), name)


def job(location_name: str, name: str) -> Entity:
    """Return the name of a job.

    Args:
        location_name: The location that defines it; empty within one location.
        name: Its name there.
    """
    return Entity(JOB, (location_name,), name)

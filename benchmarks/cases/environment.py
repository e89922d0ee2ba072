"""What a location's environment holds: distributions and bytes, from the built wheel."""

import sys
from pathlib import Path

from benchmarks import report, rig
from tests.packaging import environments


async def measure(_place: rig.Rig) -> list[report.Measured]:
    """Look into a new environment with the light distribution."""
    found = environments.environment(Path(sys.executable))
    return [
        report.Measured("environment_distributions", [len(found.versions())]),
        report.Measured("environment_size", [found.size_bytes() / 1e6]),
    ]

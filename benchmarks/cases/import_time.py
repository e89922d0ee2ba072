"""How long `import atoll` takes beyond the bare interpreter, in a location's environment."""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks import report, rig
from tests.packaging import environments


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Start interpreters with and without the import, in turns."""
    found = environments.environment(Path(sys.executable))
    for code in ("pass", "import atoll"):  # writes the bytecode
        _start(found, code)
    samples = [
        _start(found, "import atoll") - _start(found, "pass") for _ in range(place.count(25))
    ]
    return [report.Measured("import_time", samples)]


def _start(found: environments.Environment, code: str) -> float:
    begun = time.perf_counter()
    subprocess.run([found.python, "-c", code], check=True, env=found.variables())
    return (time.perf_counter() - begun) * 1000

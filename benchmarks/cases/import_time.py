"""How long `import atoll` takes beyond the bare interpreter, and what first uses add to that.

In a location's environment. Processor time, since nothing waits here but for the machine.
"""

import sys
from pathlib import Path

from benchmarks import processes, report, rig
from tests.packaging import environments

_IMPORT = "import atoll as dg"
_ASSET = "\n@dg.asset\ndef thing() -> None: ...\n"
_OP = "\n@dg.op\ndef do() -> None: ...\n"
_JOB = "\n@dg.job\ndef work() -> None: ...\n"
FIRST_USES = {
    "first_asset": _IMPORT + _ASSET,
    "first_definitions": _IMPORT + "\ndg.Definitions()",
    "first_op": _IMPORT + _OP,
    "first_job": _IMPORT + _JOB,
    "first_of_all": _IMPORT
    + _ASSET
    + _OP
    + "\n@dg.job\ndef work() -> None:\n    do()\n\ndg.Definitions([thing], jobs=[work])",
}


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Start interpreters without the import, with it, and with a use, in turns."""
    found = environments.environment(Path(sys.executable))
    for code in ("pass", *FIRST_USES.values()):  # writes the bytecode
        _start_ms(found, code)
    samples: dict[str, list[float]] = {name: [] for name in ("import_time", *FIRST_USES)}
    for _ in range(place.count(25)):
        imported = _start_ms(found, _IMPORT)
        samples["import_time"].append(imported - _start_ms(found, "pass"))
        for name, code in FIRST_USES.items():
            samples[name].append(_start_ms(found, code) - imported)
    return [report.Measured(name, taken, "processor time") for name, taken in samples.items()]


def _start_ms(found: environments.Environment, code: str) -> float:
    # The least of two: a busy machine only ever adds.
    command = [found.python, "-c", code]
    return min(
        processes.run(command, environment=found.variables()).processor_s * 1000 for _ in range(2)
    )

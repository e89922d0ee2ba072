"""Measures the budgets: `make bench`, or `make bench ARGS="import_time launch"` for some cases.

Each case is a module of `benchmarks/cases`; all use real processes started as users start them, and
one Postgres with its durable settings. Prints a table and writes `benchmarks/out/results.json`.
Ends with status 1 if a case could not be measured, and with `--strict` also if a budget was missed:
a busy machine misses them without anything being wrong.
"""

import argparse
import asyncio
import importlib
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks import report, rig  # noqa: E402  # the path above makes them importable

OUT = ROOT / "benchmarks" / "out"
# In this order: what says nothing about the rest first, what loads the machine last.
CASES = (
    "environment",
    "import_time",
    "type_checks",
    "spool_appends",
    "declaring",
    "many_assets",
    "code_server_ready",
    "code_server_memory",
    "graph_after_reload",
    "graph_slice",
    "steps",
    "launch",
    "api_calls",
    "cross_location",
    "queue",
    "polling_ticks",
    "idle_sensors",
    "sensors_at_scale",
    "conditions",
    "intake",
    "backfill",
    "list_runs",
    "watch_fanout",
)
CASE_TIMEOUT_S = 600


async def _measure(names: list[str], scale: float) -> tuple[list[report.Measured], list[str]]:
    results: list[report.Measured] = []
    failed: list[str] = []
    async with rig.Rig(OUT / "work", scale) as place:
        for name in names:
            case = importlib.import_module(f"benchmarks.cases.{name}")
            print(f"{name}: {(case.__doc__ or '').splitlines()[0]}", flush=True)
            begun = time.monotonic()
            try:
                async with asyncio.timeout(CASE_TIMEOUT_S):
                    measured = await case.measure(place)
            except Exception:  # noqa: BLE001  # one case must not cost the figures of the others
                traceback.print_exc()
                failed.append(name)
                continue
            results.extend(measured)
            print(f"  {time.monotonic() - begun:.1f} s", flush=True)
    return results, failed


def main() -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure Atoll's budgets.")
    parser.add_argument(
        "cases", nargs="*", help=f"which; all of {', '.join(CASES)} if none is named"
    )
    parser.add_argument("--strict", action="store_true", help="fail if a budget is missed")
    parser.add_argument("--scale", type=float, default=1.0, help="fewer (0.1) or more (2) samples")
    given = parser.parse_args()
    unknown = sorted(set(given.cases) - set(CASES))
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    results, failed = asyncio.run(_measure(given.cases or list(CASES), given.scale))
    report.write_json(OUT / "results.json", {measured.name: measured for measured in results})
    print("\n" + report.table(results))
    missed = [measured.name for measured in results if measured.is_met is False]
    if missed:
        print(f"\nMissed: {', '.join(missed)}")
    if failed:
        print(f"\nCould not be measured: {', '.join(failed)}")
    return 1 if failed or (given.strict and missed) else 0


if __name__ == "__main__":
    sys.exit(main())

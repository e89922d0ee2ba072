"""How what something takes grows with the number of assets.

Used by the cases that start a location of several sizes. Processor time is compared, and the least
of what was seen: both tell less of what else the machine does.
"""

from collections.abc import Mapping, Sequence

from benchmarks import processes, report

# Its cost is what a location takes in any case.
SMALLEST = 10
SIZES = (100, 1000, 10_000, 50_000)
# Below, the caches of the processor hold all there is.
_FROM, _TO = 10_000, 50_000


def measured(name: str, spent: Mapping[int, Sequence[processes.Spent]]) -> list[report.Measured]:
    """Return what each asset of a size takes beyond the smallest location, and how that grows.

    Args:
        name: What the figures begin with.
        spent: What was seen for each size, the smallest one included.
    """
    least = {size: min(one.processor_s for one in seen) for size, seen in spent.items()}
    an_asset = {size: (least[size] - least[SMALLEST]) / (size - SMALLEST) * 1e6 for size in SIZES}
    smallest = f"{least[SMALLEST]:.2f} s for {SMALLEST} assets"
    note = f"processor time, the least of several; {smallest}"
    return [
        *(report.Measured(f"{name}_an_asset_{size}", [us], note) for size, us in an_asset.items()),
        report.Measured(f"{name}_growth", [an_asset[_TO] / an_asset[_FROM]], note),
    ]

"""What was measured, as a table for people and as JSON for programs.

Called by `run`. Medians count; the slowest hundredth is shown where there are enough samples.
"""

import dataclasses
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import figures

SAMPLES_FOR_P99_MIN = 20


@dataclasses.dataclass(frozen=True)
class Measured:
    """The samples of one figure.

    Attributes:
        name: The figure, a key of `figures.FIGURES`.
        samples: The values, in the unit of the figure.
        note: What a reader should know about how it was measured.
    """

    name: str
    samples: Sequence[float]
    note: str = ""

    @property
    def figure(self) -> figures.Figure:
        """The figure that these are the samples of."""
        return figures.FIGURES[self.name]

    @property
    def median(self) -> float:
        """The middle sample."""
        return statistics.median(self.samples)

    @property
    def p99(self) -> float:
        """The sample that a hundredth is worse than; the worst of few."""
        ordered = sorted(self.samples, reverse=self.figure.better == "higher")
        return ordered[math.ceil(len(ordered) * 0.99) - 1]

    @property
    def is_met(self) -> bool | None:
        """Whether the budget is kept; None where there is none."""
        if self.figure.budget is None:
            return None
        sign = 1 if self.figure.better == "lower" else -1
        kept = sign * self.median <= sign * self.figure.budget
        if self.figure.budget_p99 is not None:
            kept = kept and sign * self.p99 <= sign * self.figure.budget_p99
        return kept


def write_json(path: Path, results: Mapping[str, Measured]) -> None:
    """Write the results; figures of an earlier call that were not measured now stay."""
    known = json.loads(path.read_text()) if path.exists() else {}
    for name, measured in results.items():
        known[name] = {
            "median": measured.median,
            "p99": measured.p99,
            "unit": measured.figure.unit,
            "budget": measured.figure.budget,
            "budget_p99": measured.figure.budget_p99,
            "better": measured.figure.better,
            "met": measured.is_met,
            "existing": measured.figure.existing,
            "raw_limit": measured.figure.raw_limit,
            "n": len(measured.samples),
            "note": measured.note,
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2) + "\n")


def table(results: Sequence[Measured]) -> str:
    """Lay the results out for people."""
    titles = ("figure", "median", "p99", "n", "budget", "", "existing best", "raw limit")
    rows = [titles, *(_row(measured) for measured in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    right = (1, 2, 3, 4)
    lines = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"{measured.name}: {measured.note}" for measured in results if measured.note]
    return "\n".join([*lines, "", *notes])


def _row(measured: Measured) -> tuple[str, ...]:
    figure = measured.figure
    verdict = {None: "", True: "met", False: "MISSED"}[measured.is_met]
    budget = "" if figure.budget is None else f"{figure.budget:,.4g}"
    if figure.budget_p99 is not None:
        budget += f" / {figure.budget_p99:,.4g}"
    many = len(measured.samples) >= SAMPLES_FOR_P99_MIN
    return (
        f"{figure.title} [{figure.unit}]",
        _number(measured.median),
        _number(measured.p99) if many else "",
        str(len(measured.samples)),
        budget,
        verdict,
        figure.existing,
        figure.raw_limit,
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"

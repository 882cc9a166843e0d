"""The results of a benchmark."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from scripts.benchmark.case import Case
from scripts.benchmark.worker import Round


@dataclass(frozen=True)
class Spread:
    """The median of several measurements and the quartiles about it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The spread of several values; one value is its own quartiles."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


@dataclass(frozen=True)
class Cell:
    """One case: of each contender the seconds per step, these over those of the hand-written step,
    and the peak memory.

    The ratio is taken within each round, whose steps were made within a second or so: the machine's
    drift divides out.
    """

    case: Case
    seconds: dict[str, Spread]
    ratio: dict[str, Spread]
    peak_bytes: dict[str, int]

    @classmethod
    def of(cls, case: Case, rounds: Sequence[dict[str, Round]]) -> Self:
        """A cell from the rounds of a case, by contender."""
        names = rounds[0]
        return cls(
            case,
            {name: Spread.of([each[name].seconds for each in rounds]) for name in names},
            {
                name: Spread.of([each[name].seconds / each["manual"].seconds for each in rounds])
                for name in names
            },
            {name: rounds[-1][name].peak_bytes for name in names},
        )

    @property
    def gflops(self) -> float:
        """10^9 operations of the matrix products per second of the hand-written step."""
        return self.case.flops / self.seconds["manual"].median / 1e9

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self) | {"gflops": self.gflops}


@dataclass(frozen=True)
class Report:
    """All results. `epoch`: seconds of the lecture's epoch by engine, each alone; `deep`: peak
    bytes of a few steps of `deep_case` by engine; empty where it was not measured.
    """

    machine: dict[str, str]
    cells: tuple[Cell, ...]
    epoch: dict[str, Spread]
    deep_case: Case
    deep: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self) | {"cells": [cell.to_dict() for cell in self.cells]}

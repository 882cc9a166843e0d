"""What the learning rate does from update to update (slide "Hyper parameters", "Learning rate")."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import final

from manual.operation import Operation


@dataclass(frozen=True)
class Schedule(Operation):
    """The learning rate eta of every update of a run. `lr`: the largest of them."""

    lr: float

    @abstractmethod
    def rate(self, n: int) -> float:
        """eta of the update after n others, n = 0, 1, ..."""


@final
@dataclass(frozen=True)
class Constant(Schedule, name="constant"):
    """eta_n = lr, as in the lecture's code."""

    def rate(self, n: int) -> float:
        return self.lr


@final
@dataclass(frozen=True)
class OneCycle(Schedule, name="one-cycle"):
    """eta_n rises by half a cosine from lr / 25 to lr, and falls by another to lr / 250,000.

    `updates`: N, of the whole run. `warm_up`: the share of them in which it rises, from 0 to below
    1; with 0 it only falls. ValueError outside, and where the rise would be of no length, N warm_up
    = 1. Smith and Topin, 2018; twin: OneCycleLR.
    """

    updates: int
    warm_up: float = 0.3

    def __post_init__(self) -> None:
        if self.updates < 1 or not 0 <= self.warm_up < 1 or self.warm_up * self.updates == 1:
            raise ValueError(
                f"warm_up {self.warm_up} must be at least 0, below 1 and of more than one of "
                f"{self.updates} updates"
            )

    def rate(self, n: int) -> float:
        top, last = self.warm_up * self.updates - 1, self.updates - 1
        if n <= top:
            return _between(self.lr / 25, self.lr, n / top)
        return _between(self.lr, self.lr / 25 / 1e4, (n - top) / (last - top))


def _between(start: float, end: float, share: float) -> float:
    """start + (end - start) (1 - cos(pi share)) / 2, rounded as torch does."""
    return end + (start - end) / 2.0 * (1 + math.cos(math.pi * share))

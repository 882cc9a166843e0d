"""Guesses that the right numbers stand in the wrong places."""

from collections.abc import Callable, Iterator
from itertools import permutations

from torch import Tensor

from torch_ref.check.trials import Fault, Trial

Guess = Callable[[Fault, Trial], Tensor | None]


def _transposed(fault: Fault, trial: Trial) -> Tensor | None:
    e = trial.expected[fault.name]
    return e.mT if e.ndim > 1 else None


def _transposed_numbers(fault: Fault, trial: Trial) -> Tensor | None:
    e = trial.expected[fault.name]
    return e.mT.reshape(e.shape) if e.ndim > 1 else None


def _permuted(axes: tuple[int, ...]) -> Guess:
    def guess(fault: Fault, trial: Trial) -> Tensor | None:
        e = trial.expected[fault.name]
        return e.permute(axes) if e.ndim == len(axes) else None

    return guess


def _flipped(axis: int) -> Guess:
    def guess(fault: Fault, trial: Trial) -> Tensor | None:
        e = trial.expected[fault.name]
        return e.flip(axis) if e.ndim > axis and e.shape[axis] > 1 else None

    return guess


def _shifted(axis: int, by: int) -> Guess:
    def guess(fault: Fault, trial: Trial) -> Tensor | None:
        e = trial.expected[fault.name]
        return e.roll(by, axis) if e.ndim > axis and e.shape[axis] > 2 else None

    return guess


def transposed() -> Iterator[tuple[str, str, Guess]]:
    """As a matrix."""
    yield "transposed", "{d} is transposed", _transposed
    yield "transposed", "{d} has the numbers of the transposed gradient, reshaped where .T was needed", _transposed_numbers


def rearranged(fault: Fault) -> Iterator[tuple[str, str, Guess]]:
    """Along an axis, or in the order of the axes."""
    e = fault.expected[0]
    for axis in range(e.ndim):
        yield "order", f"{{d}} is reversed along axis {axis}", _flipped(axis)
    for axis in range(e.ndim):
        for by, words in ((1, "after"), (-1, "before")):
            yield "order", f"{{d}} is shifted along axis {axis}: each entry stands one {words} its place", _shifted(axis, by)
    if 2 < e.ndim <= 4:
        for axes in permutations(range(e.ndim)):
            if axes != tuple(range(e.ndim)):
                yield "transposed", f"{{d}} has its axes in the order {axes}", _permuted(axes)

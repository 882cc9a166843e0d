"""Runs of a subject at points, and a fault: a gradient that is wrong at some of them."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from torch_ref.evidence.sizes import Groups
from torch_ref.evidence.slopes import Differences, Source
from torch_ref.forms.returned import Gradients
from torch_ref.forms.values import Point


@dataclass(frozen=True)
class Trial:
    """One point in float64 with its dy and output, what the gradients are there and what they
    should be.

    `actual` in float64 if the user's functions take it, `plain` in the dtypes of the inputs, both
    read as float64. drawn: how the point was drawn, empty for the one given. kinks: whether it was
    drawn to lie on kinks. sized: whether its sizes differ from those given.
    """

    point: Point
    dy: Tensor
    y: Tensor
    actual: Gradients
    plain: Gradients
    dtypes: dict[str, torch.dtype]
    expected: dict[str, Tensor]
    forward_expected: Tensor | None = None
    drawn: str = ""
    kinks: bool = False
    sized: bool = False

    @property
    def is_wrong(self) -> bool:
        """Whether a gradient is not what it should be, be it by rounding."""
        pairs = [(self.actual[name], e) for name, e in self.expected.items()]
        return any(a is not None and not torch.equal(a, e) for a, e in pairs)


@dataclass(frozen=True)
class Fault:
    """A wrong gradient of the input `name`: `actual` at each of the trials; errors up to
    `tolerance` prove nothing.

    source: gives gradients for guesses, None where none can be had. measured_by: what the gradient
    is measured by, in words. differences: show where there are kinks. others: trials of other
    sizes, whose axes go together in `groups`. operations: torch's names of what forward is made of,
    None where it can't be traced.
    """

    name: str
    trials: list[Trial]
    actual: list[Tensor]
    tolerance: float
    source: Source | None
    measured_by: str
    differences: Differences
    others: list[Trial] = field(default_factory=list)
    groups: Groups = field(default_factory=Groups)
    overwrites: frozenset[str] = frozenset()
    is_complex: bool = False
    operations: frozenset[str] | None = None

    @property
    def expected(self) -> list[Tensor]:
        """What it should be at each of the trials."""
        return [trial.expected[self.name] for trial in self.trials]

    @property
    def d(self) -> str:
        """dw, the gradient of w; where y is an input and dy the upstream gradient, "the gradient of
        y".
        """
        return "the gradient of y" if self.name == "y" else f"d{self.name}"

    def gradient(self, trial: Trial, dy: Tensor) -> Tensor:
        """The right gradient for another dy."""
        assert self.source is not None
        return self.source.vjp(trial.point, dy, self.name)

    @property
    def same_shape(self) -> bool:
        """Whether the gradient has the shape of its input."""
        return all(a.shape == e.shape for a, e in zip(self.actual, self.expected, strict=True))

    def wrong(self) -> list[Tensor]:
        """For each trial, where the gradient is wrong."""
        return [
            is_wrong(a, e, self.tolerance) for a, e in zip(self.actual, self.expected, strict=True)
        ]


def is_wrong(actual: Tensor, expected: Tensor, tolerance: float) -> Tensor:
    """Where two float64 tensors of one shape differ; an infinity and a nan equal themselves."""
    same = (actual == expected) | (actual.isnan() & expected.isnan())
    return ~same & ~((actual - expected).abs() <= tolerance)


def fits(actual: list[Tensor], guessed: list[Tensor], tolerance: float) -> bool:
    """Whether a guess gives the actual numbers at every trial."""
    return all(
        a.shape == g.shape and not is_wrong(a, g, tolerance).any()
        for a, g in zip(actual, guessed, strict=True)
    )


def common_factor(actual: list[Tensor], guessed: list[Tensor], tolerance: float) -> float | None:
    """The number c with actual = c * guessed everywhere, if there is one other than 0."""
    a, g = flat(actual), flat(guessed)
    # there is nothing to multiply
    if not g.isfinite().all() or not a.isfinite().all() or g.abs().max() <= 8 * tolerance:
        return None
    factor = (a @ g / (g @ g)).item()
    return (
        factor
        if factor and not is_wrong(a, factor * g, tolerance * max(1.0, abs(factor))).any()
        else None
    )


def flat(tensors: list[Tensor]) -> Tensor:
    """All entries in one vector."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def largest(tensors: list[Tensor]) -> float:
    """The largest finite absolute value."""
    values = flat(tensors).abs()
    finite = values[values.isfinite()]
    return finite.max().item() if len(finite) else 0.0


def noise(trial: Trial, name: str) -> float:
    """|dy| |y| / |x|: the size of the terms of a gradient, also where they cancel."""
    return (
        largest([trial.dy])
        * largest([trial.y])
        / (largest([trial.point[name].cpu().double()]) or 1.0)
    )


def index(i: int, shape: torch.Size) -> tuple[int, ...]:
    """The place in a tensor of the i-th of its entries."""
    return tuple(map(int, np.unravel_index(i, shape)))


def brackets(at: tuple[int, ...]) -> str:
    """at [1, 2]."""
    return f" at [{', '.join(map(str, at))}]" if at else ""


def first(where: Tensor) -> tuple[int, ...]:
    """The place of the first true entry."""
    return index(int(where.reshape(-1).int().argmax()), where.shape)


def furthest(actual: Tensor, expected: Tensor) -> tuple[int, ...]:
    """The place where two tensors differ most."""
    return index(int((actual - expected).abs().nan_to_num(nan=torch.inf).argmax()), actual.shape)

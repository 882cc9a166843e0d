"""What a gradient should be: from autograd through a reference, or from finite differences of a forward pass.

Both answer with Slopes in float64 on the CPU. A point is a value for each input by name, dy the upstream gradient.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn

from torch_ref.subject import Point, double

STEPS = (1 / 4, 1 / 3, 1 / 2)  # powers of eps: a smaller step cuts off less of the series and rounds more, so three are tried
ENTRIES = 400  # of one input at one point: beyond it, entries are chosen at random
KINK = 1e-3  # slopes on both sides of an entry that differ by more than this share of the largest: no derivative there


@dataclass(frozen=True)
class Slopes:
    """dDiv/dx of one input: `value`, and the bounds that a right gradient keeps to, infinite where nothing is known."""

    value: Tensor
    low: Tensor
    high: Tensor

    def nearest(self, actual: Tensor) -> Tensor:
        """The right gradient that is nearest to `actual`: `value` where only that is right."""
        if actual.shape != self.value.shape:
            return self.value
        one = (self.low == self.high) | self.low.isnan() | actual.isnan()  # a nan is right only where value is one
        nearest = torch.where(one, self.value, actual.clamp(self.low, self.high))
        unknown = (self.low == -torch.inf) & (self.high == torch.inf)
        return torch.where(unknown, actual, nearest)


class Source(ABC):
    """Where expected gradients come from.

    `slack` and `noise` say how exactly: an error of slack * (size of the gradient) + noise * |dy| |y| / |x| proves nothing.
    """

    @property
    @abstractmethod
    def slack(self) -> float: ...

    @property
    @abstractmethod
    def noise(self) -> float: ...

    @abstractmethod
    def output(self, point: Point) -> Tensor:
        """y in float64, on the CPU."""

    @abstractmethod
    def slopes(self, point: Point, dy: Tensor, name: str, generator: torch.Generator) -> Slopes:
        """What backward(dy, *point) should give for the input `name`."""

    def vjp(self, point: Point, dy: Tensor, name: str) -> Tensor:
        """The gradient with respect to `name` for any dy."""
        return self.slopes(point, dy, name, torch.Generator().manual_seed(0)).value


@final
class Autograd(Source):
    """A torch function or a module, differentiated in float64."""

    def __init__(self, reference: Callable[..., Any]) -> None:
        # a module may keep parameters in float32 and statistics of what it saw
        self._reference = copy.deepcopy(reference).double() if isinstance(reference, nn.Module) else reference

    @property
    def slack(self) -> float:
        # eps of float32 / 32 = 2^24 eps of float64. Rounding in float64 stays below it even where terms a million times
        # as large cancel; float32 arithmetic inside a float64 backward does not, so it shows. torch's own softplus, off
        # by 2e-9 above its threshold of 20, stays below it, too.
        return 2.0**-28

    @property
    def noise(self) -> float:
        return 2.0**-42  # 2^10 eps of float64, where the gradient is 0 and its terms are not

    def output(self, point: Point) -> Tensor:
        with torch.no_grad():
            return self._call(point).double().cpu()

    def slopes(self, point: Point, dy: Tensor, name: str, generator: torch.Generator) -> Slopes:  # noqa: ARG002
        point = _torchs_own(point)
        x = point[name] = point[name].clone().requires_grad_()
        y = self._call(point)
        if y.requires_grad:
            (gradient,) = torch.autograd.grad(y, x, dy.to(y.dtype).to(y.device), allow_unused=True, materialize_grads=True)
        else:  # y is made of no input at all
            gradient = torch.zeros_like(x)
        value = gradient.double().cpu()
        return Slopes(value, value, value)

    def _call(self, point: Point) -> Tensor:
        y = self._reference(*_torchs_own(point).values())
        if not isinstance(y, Tensor):
            raise ValueError(f"the reference returned a {type(y).__name__}: it must return one tensor")  # noqa: TRY004
        return y


@final
@dataclass(frozen=True)
class Differences(Source):
    """Finite differences of a forward pass, entry by entry, (f(x + h) - f(x - h)) / 2h with several h.

    The bounds are the smallest and the largest slope found, those to either side included: at a kink any slope between is
    right, and where a step crosses a kink one of the others does not.
    """

    forward: Callable[[Point], Tensor]
    eps: float  # of the dtype that forward works in
    entries: int = ENTRIES
    jacobians: dict[tuple[int, str], tuple[Point, Tensor]] = field(default_factory=dict)  # by point, kept, and input

    @property
    def slack(self) -> float:
        return float(self.eps**0.35)  # 3e-6 in float64, where the steps leave 1e-8 if f is smooth

    @property
    def noise(self) -> float:
        return math.sqrt(self.eps)  # the rounding of f, divided by the smallest step

    def output(self, point: Point) -> Tensor:
        return self.forward(point).double()

    def slopes(self, point: Point, dy: Tensor, name: str, generator: torch.Generator) -> Slopes:
        n = point[name].numel()
        chosen = torch.randperm(n, generator=generator)[: self.entries] if n > self.entries else torch.arange(n)
        found = torch.full((2 + len(STEPS), n), torch.nan, dtype=torch.float64)
        for i in chosen.tolist():
            found[:, i] = self._around(point, dy, name, i)
        finite = found.isfinite()
        low = torch.where(finite, found, torch.inf).amin(0)
        high = torch.where(finite, found, -torch.inf).amax(0)
        unknown = ~finite.any(0)
        value = found[1].nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)  # the middle step
        low, high = low.masked_fill(unknown, -torch.inf), high.masked_fill(unknown, torch.inf)
        return Slopes(*(part.reshape(point[name].shape) for part in (value, low, high)))

    def vjp(self, point: Point, dy: Tensor, name: str) -> Tensor:
        _, jacobian = self.jacobians.get((id(point), name)) or self.jacobians.setdefault(
            (id(point), name), (point, self._jacobian(point, name))
        )
        return (jacobian * dy).reshape(len(jacobian), -1).sum(1).reshape(point[name].shape)

    def _jacobian(self, point: Point, name: str) -> Tensor:
        """dy/dx, (entries of x, *shape of y)."""
        rows = []
        for i in range(point[name].numel()):
            h = self._size(point[name], i) * self.eps ** STEPS[1]
            (right, x_right), (left, x_left) = self._moved(point, name, i, h), self._moved(point, name, i, -h)
            rows.append((right - left) / (x_right - x_left))
        return torch.stack(rows)

    def kink(self, point: Point, dy: Tensor, name: str, i: int) -> tuple[float, float] | None:
        """The slopes to the left and to the right of entry i (counted through the flat tensor) where they differ."""
        left, right = self._around(point, dy, name, i)[-2:].tolist()
        return (left, right) if abs(left - right) > KINK * max(abs(left), abs(right)) else None

    def _around(self, point: Point, dy: Tensor, name: str, i: int) -> Tensor:
        """Central slopes for each step, then those to the left and to the right."""
        size = self._size(point[name], i)
        middle = self._moved(point, name, i, 0.0)
        slopes = []
        for power in STEPS:
            h = size * self.eps**power
            left, right = self._moved(point, name, i, -h), self._moved(point, name, i, h)
            slopes.append(_slope(right, left, dy))
        return torch.stack([*slopes, _slope(middle, left, dy), _slope(right, middle, dy)])

    @staticmethod
    def _size(x: Tensor, i: int) -> float:
        return max(abs(x.reshape(-1)[i].item()), min(1.0, x.abs().max().item())) or 1.0

    def _moved(self, point: Point, name: str, i: int, h: float) -> tuple[Tensor, float]:
        """The output with entry i moved by h, and where that entry then is: rounded, so h is what it moved by indeed."""
        x = point[name].clone(memory_format=torch.contiguous_format)
        flat = x.view(-1)
        flat[i] += h
        return self.forward({**point, name: x}).double(), flat[i].item()


def _slope(right: tuple[Tensor, float], left: tuple[Tensor, float], dy: Tensor) -> Tensor:
    # outputs that did not move drop out before the sum: they would only add their rounding
    return ((right[0] - left[0]) * dy).sum() / (right[1] - left[1])


def _torchs_own(point: Point) -> Point:
    """float64, and labels as torch wants them: int64."""
    return {
        name: value if value.is_floating_point() or value.dtype == torch.bool else value.long()
        for name, value in double(point).items()
    }

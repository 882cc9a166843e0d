"""What a gradient should be: by finite differences of forward, where there is no reference.

A point is a value for each input by name, dy the upstream gradient; all is in float64, and results
are on the CPU.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from torch_ref.forms.values import Point

# powers of eps: a smaller step cuts off less of the series and rounds more, so three are tried
STEPS = (1 / 4, 1 / 3, 1 / 2)
ALONG = (1 / 3, 1 / 4, 0.4)  # the same along a direction, the likeliest first
ENTRIES = 400  # of one input at one point, looked at one by one
# for the entries of one input at one point; later on half of the time that is left
SECONDS = 4.0
KINK = 1e-3  # slopes on both sides that differ by more, relative to the larger, have a kink between
STEEP = 4.0  # a slope that grows so much from the largest to the smallest step is infinite


class Source(ABC):
    """Where right gradients come from.

    `slack` and `noise` say how exactly: an error of slack * (size of the gradient) + noise * |dy|
    |y| / |x| proves nothing.
    """

    slack: float
    noise: float

    @abstractmethod
    def output(self, point: Point) -> Tensor:
        """y in float64."""

    @abstractmethod
    def nearest(self, point: Point, dy: Tensor, name: str, actual: Tensor) -> Tensor:
        """The right gradient of the input `name` that is nearest to the actual one."""

    @abstractmethod
    def vjp(self, point: Point, dy: Tensor, name: str) -> Tensor:
        """The gradient with respect to `name` for any dy."""

    def covers(self, name: str) -> bool:  # noqa: ARG002
        """Whether it is a function of this input."""
        return True


@final
@dataclass
class Differences(Source):
    """Finite differences of forward, (f(x + h) - f(x - h)) / 2h with several h: along a direction,
    else entry by entry.

    At a kink any slope between those on its two sides is right. Several steps are tried, for a
    large one may cross a kink.
    """

    forward: Callable[[Point], Tensor]
    eps: float  # of the precision that forward works in
    positive: frozenset[str] = frozenset()  # inputs of which a step must not change the sign
    # by the point's id and input; the point is kept, for its id to stay its own
    jacobians: dict[tuple[int, str], tuple[Point, Tensor]] = field(default_factory=dict)
    seconds: float = 0.0  # of a call of forward
    left: float = 2 * SECONDS  # of the time for looking at entries
    # inputs with a gradient that was right along a direction, and entries of the others at which
    # there was a slope
    fitted: set[str] = field(default_factory=set)
    sloped: dict[str, set[int]] = field(default_factory=dict)
    # a guess: the gradients that torch finds in forward's own code
    exact: Callable[[Point, Tensor], dict[str, Tensor]] | None = None

    @property
    def slack(self) -> float:  # type: ignore[override]
        return float(self.eps**0.35)  # 3e-6 in float64, where the steps leave 1e-8 if f is smooth

    @property
    def noise(self) -> float:  # type: ignore[override]
        return math.sqrt(self.eps)  # the rounding of f, divided by the smallest step

    def output(self, point: Point) -> Tensor:
        return self.forward(point).double()

    def without_slope(self, name: str, n: int) -> int:
        """Of how many of an input's n entries nothing was found at any point."""
        return 0 if name in self.fitted else n - len(self.sloped.get(name, ()))

    # -- along a direction
    # --------------------------------------------------------------------------------------------

    def _value(self, point: Point, like: Tensor) -> Tensor:
        """The output a step away; nan where forward refuses, for a step may leave its domain."""
        self.left -= self.seconds
        try:
            return self.output(point)
        except Exception:  # noqa: BLE001 - however it refuses
            return torch.full_like(like, torch.nan)

    def along(self, point: Point, dy: Tensor, name: str, v: Tensor, power: float) -> float:
        """The slope of sum(dy y) along a direction v of an input, by a step of eps^power."""
        h = self.eps**power
        right, left = (self._value({**point, name: point[name] + step * v}, dy) for step in (h, -h))
        # outputs that did not move drop out before the sum: they would only add their rounding
        return float(((right - left) * dy).sum() / (2 * h))

    def direction(self, point: Point, name: str, seed: int = 0) -> Tensor:
        """A random direction, scaled at each entry to the size of a step there."""
        x = point[name].cpu()
        random = torch.randn(
            x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        return random.sign() * (0.5 + random.abs()) * self._sizes(point, name)

    def _sizes(self, point: Point, name: str) -> Tensor:
        x = point[name].cpu().double().abs()
        if name in self.positive:
            return x
        return x.clamp_min(min(1.0, x.max().item()) or 1.0)

    def _fits(
        self, point: Point, dy: Tensor, name: str, actual: Tensor, mask: Tensor | None = None
    ) -> bool:
        """Whether actual's slope along a random direction is that of forward."""
        if not actual.isfinite().all():
            return False
        v = self.direction(point, name, seed=actual.numel())
        v = v if mask is None else v * mask
        mine, size = (actual * v).sum().item(), (actual * v).square().sum().sqrt().item()
        rounding = 16 * self.eps * (dy * self.output(point)).square().sum().sqrt().item()
        off = math.inf
        for power in ALONG:
            off = min(off, abs(mine - self.along(point, dy, name, v.to(point[name].device), power)))
            if off <= 0.3 * self.slack * size + rounding / self.eps**power:
                if mask is None:
                    self.fitted.add(name)
                return True
        return False

    def agrees(self, point: Point, dy: Tensor, name: str, gradient: Tensor) -> bool:
        """Whether a gradient is the slope along a random direction, to a tenth: kinks within the
        step and coarse rounding may take that much of it, and a part that is missing takes more.
        """
        v = self.direction(point, name)
        size = (gradient * v).square().sum().sqrt().item()
        slope = self.along(point, dy, name, v.to(point[name].device), 1 / 4)
        return abs((gradient * v).sum().item() - slope) <= size / 10

    # -- entry by entry
    # ----------------------------------------------------------------------------------------------

    def nearest(self, point: Point, dy: Tensor, name: str, actual: Tensor) -> Tensor:
        x = point[name]
        if actual.shape == x.shape and self._fits(point, dy, name, actual):
            return actual
        if self.exact is not None and actual.shape == x.shape:
            found = self.exact(point, dy).get(name)
            fits = found is not None and self._fits(point, dy, name, found)
            if (
                found is not None
                and fits
                and not self._kinks(point, dy, name, (found - actual).abs())
            ):
                return found
        n = x.numel()
        entries = self._affordable(min(ENTRIES, n))
        chosen = torch.randperm(n, generator=torch.Generator().manual_seed(n))
        if actual.shape == x.shape:  # what is not finite comes first
            chosen = chosen[actual.reshape(-1)[chosen].isfinite().sort(stable=True).indices]
        chosen = chosen[:entries]
        bounds = self._bounds(point, dy, name, chosen.tolist())
        if actual.shape != x.shape:
            return bounds[2].reshape(x.shape)
        expected = _clamped(actual, *bounds)
        if n > entries and torch.equal(expected.nan_to_num(), actual.nan_to_num()):
            expected = _clamped(
                actual, *self._bounds(point, dy, name, self._search(point, dy, name, actual))
            )
        return expected

    def _affordable(self, most: int) -> int:
        """How many entries may be looked at, with 9 calls of forward each: two at least."""
        return min(most, max(2, int(self.left / 2 / (9 * self.seconds + 1e-9))))

    def _kinks(self, point: Point, dy: Tensor, name: str, off: Tensor) -> bool:
        """Whether forward has a kink at one of a few entries where two gradients differ."""
        where = (off > self.slack * off.max()).reshape(-1).nonzero().reshape(-1)
        some = where[
            torch.randperm(len(where), generator=torch.Generator().manual_seed(0))[
                : self._affordable(8)
            ]
        ]
        return any(self.kink(point, dy, name, i) is not None for i in some.tolist())

    def _bounds(
        self, point: Point, dy: Tensor, name: str, chosen: list[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The smallest and the largest slope at each entry, infinite where nothing is known, and
        the likeliest.
        """
        n = point[name].numel()
        value = torch.zeros(n, dtype=torch.float64)
        low, high = value - torch.inf, value + torch.inf
        for i in chosen:
            central, left, right = self.around(point, dy, name, i)
            finite = torch.cat([central, left[:1], right[:1]])
            finite = finite[finite.isfinite()]
            steep = any(abs(near) > STEEP * abs(far) for near, far in (left, right))
            sides = torch.cat([left, right]).nan_to_num(nan=0.0).abs().max()
            if not len(finite) or (steep and sides > 10 * central.nan_to_num(nan=0.0).abs().min()):
                continue  # nothing is known: no slope there, or an infinite one
            self.sloped.setdefault(name, set()).add(i)
            # what the largest step cuts off
            spread = central.nan_to_num().max() - central.nan_to_num().min()
            low[i], high[i] = finite.min() - spread, finite.max() + spread
            value[i] = central[1] if central[1].isfinite() else finite[0]
        return low, high, value

    def _search(self, point: Point, dy: Tensor, name: str, actual: Tensor) -> list[int]:
        """Entries that are off, found by halving: a few, whatever the size."""
        n, found = actual.numel(), []
        out = torch.ones(n, dtype=torch.float64)
        for _ in range(3 if self.left > SECONDS else 1):
            where = out.nonzero().reshape(-1)
            while len(where) > 1:
                half, other = where.tensor_split(2)
                mask = torch.zeros(n, dtype=torch.float64)
                mask[half] = 1
                fits = self._fits(point, dy, name, actual, mask.reshape(actual.shape))
                where = other if fits else half
            found.append(int(where[0]))
            out[where] = 0
        return found

    def around(self, point: Point, dy: Tensor, name: str, i: int) -> tuple[Tensor, Tensor, Tensor]:
        """Slopes at an entry: central ones for each step; to the left, then to the right, by the
        smallest and the largest.
        """
        size = self._sizes(point, name).reshape(-1)[i].item() or 1.0
        middle = self._moved(point, name, i, 0.0, dy)
        steps = [size * self.eps**power for power in STEPS]
        ends = [
            (self._moved(point, name, i, -h, dy), self._moved(point, name, i, h, dy)) for h in steps
        ]
        outer = (ends[-1], ends[0])
        return (
            torch.stack([_slope(right, left, dy) for left, right in ends]),
            torch.stack([_slope(middle, left, dy) for left, _ in outer]),
            torch.stack([_slope(right, middle, dy) for _, right in outer]),
        )

    def kink(self, point: Point, dy: Tensor, name: str, i: int) -> tuple[float, float] | None:
        """The slopes to the left and to the right of entry i (counted through the flat tensor)
        where they differ.
        """
        _, lefts, rights = self.around(point, dy, name, i)
        left, right = lefts[0].item(), rights[0].item()
        return (left, right) if abs(left - right) > KINK * max(abs(left), abs(right)) else None

    def _moved(
        self, point: Point, name: str, i: int, h: float, like: Tensor
    ) -> tuple[Tensor, float]:
        """The output with entry i moved by h, and where that entry then is: rounded, so h is what
        it moved by indeed.
        """
        x = point[name].clone(memory_format=torch.contiguous_format)
        flat = x.view(-1)
        flat[i] += h
        return self._value({**point, name: x}, like), flat[i].item()

    def vjp(self, point: Point, dy: Tensor, name: str) -> Tensor:
        _, jacobian = self.jacobians.get((id(point), name)) or self.jacobians.setdefault(
            (id(point), name), (point, self._jacobian(point, name))
        )
        return (jacobian * dy).reshape(len(jacobian), -1).sum(1).reshape(point[name].shape)

    def _jacobian(self, point: Point, name: str) -> Tensor:
        """dy/dx, (entries of x, *shape of y)."""
        rows, sizes, y = [], self._sizes(point, name).reshape(-1), self.output(point)
        for i in range(point[name].numel()):
            h = (sizes[i].item() or 1.0) * self.eps ** STEPS[1]
            (right, x_right), (left, x_left) = (
                self._moved(point, name, i, h, y),
                self._moved(point, name, i, -h, y),
            )
            rows.append((right - left) / (x_right - x_left))
        return torch.stack(rows)

    def moves(self, point: Point, name: str) -> bool:
        """Whether the output depends on this input: some slope along a random direction isn't 0."""
        v = self.direction(point, name, seed=1).to(point[name].device)
        y = self.output(point)
        try:
            moved = self.output({**point, name: point[name] + 1e-3 * v})
        except Exception:  # noqa: BLE001 - forward looks at it
            return True
        return bool((y - moved).nan_to_num().abs().max() > 0)


def _slope(right: tuple[Tensor, float], left: tuple[Tensor, float], dy: Tensor) -> Tensor:
    return ((right[0] - left[0]) * dy).sum() / (right[1] - left[1])


def _clamped(actual: Tensor, low: Tensor, high: Tensor, value: Tensor) -> Tensor:
    """The slope nearest to actual, or actual itself where nothing is known."""
    low, high, value = (part.reshape(actual.shape) for part in (low, high, value))
    one = (low == high) | actual.isnan()  # a nan is right only where value is one
    unknown = (low == -torch.inf) & (high == torch.inf)
    return torch.where(unknown, actual, torch.where(one, value, actual.clamp(low, high)))

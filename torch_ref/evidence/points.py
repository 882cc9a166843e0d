"""Where backward is checked besides the point given: other numbers, zeros, ties, all inside
forward's domain.

Drawn on the CPU in float64, rounded to the input's dtype, so that every precision gets the very
same numbers.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from torch_ref.evidence.structure import as_, of_its_kind, structure
from torch_ref.forms.subject import Subject
from torch_ref.forms.values import Point

Draw = Callable[[Tensor, Generator], Tensor]
ALIKE, WIDE, USUAL = "in the range of those given", "of both signs", "of a usual size"
KINKS, ZEROS, TIES = "with 0, 1 and -1 among them", "with a row of zeros", "with equal entries"
TOLERANT = {ZEROS, TIES}  # drawn there, either side of a kink is as good as the other
NEAR = 1e-8  # of an input, or of what it lacks to 1: where a logarithm or a root is steep
# times as steep there as at the inputs: forward's domain ends, though it may be clipped
STEEP = 1e3


@dataclass(frozen=True)
class Domain:
    """The range (low, high) in which an input is drawn."""

    low: float = -math.inf
    high: float = math.inf

    @property
    def positive(self) -> bool:
        """Whether its lower end is 0 or above: no step may change the sign of an input."""
        return self.low >= 0

    def draw(self, draw: Draw, x: Tensor, generator: Generator) -> Tensor:
        """Uniform where it has both ends, else as `draw` does, made positive where it has to be."""
        if self.low > -math.inf and self.high < math.inf:
            uniform = torch.rand(x.shape, generator=generator, dtype=torch.float64)
            return as_(x, self.low + (self.high - self.low) * uniform)
        drawn = draw(x, generator)
        return torch.where(drawn == 0, 1, drawn.abs()) if self.positive else drawn


class Draws:
    """Draws points for a subject: `data` are the inputs kept as they are, `domains` where the
    others have to lie.
    """

    def __init__(
        self, subject: Subject, data: set[str], domains: dict[str, Domain], seed: int
    ) -> None:
        self._given, self._domains = subject.given, domains
        self._free = [name for name in subject.floats if name not in data]
        self._fragile = {name for name in self._free if structure(subject.given[name]).is_fragile}
        self._generator = Generator().manual_seed(seed)

    def points(self) -> Iterator[tuple[str, list[Callable[[], Point]]]]:
        """(in words, how to draw it: the first that forward accepts is taken)."""
        alike = self._with(of_its_kind)
        yield ALIKE, [alike]
        yield WIDE, [self._with(_wide), alike]
        yield USUAL, [self._with(usual), alike]
        yield KINKS, [self._with(_round_numbers)]
        yield (
            ZEROS,
            [self._with(_zero_row), *(self._with(_zero_row, only=name) for name in self._free)],
        )
        yield TIES, [self._ties]

    def _with(self, draw: Draw, only: str = "") -> Callable[[], Point]:
        return lambda: {
            name: self._one(name, x, draw if only in {"", name} else usual)
            for name, x in self._given.items()
        }

    def _one(self, name: str, x: Tensor, draw: Draw) -> Tensor:
        if name not in self._free:
            return x
        if name in self._fragile:
            return of_its_kind(x, self._generator)
        return self._domains.get(name, Domain()).draw(draw, x, self._generator)

    def _ties(self) -> Point:
        """Few values, so that many are equal, and inputs of one shape that share entries."""
        point: Point = {}
        before: dict[torch.Size, str] = {}
        for name, x in self._given.items():
            drawn = self._one(name, x, usual)
            if name in self._free and name not in self._fragile:
                if name not in self._domains:
                    size = min(_scale(x), 1.0)
                    steps = (2 * drawn.double().cpu() / size).round().clamp(-2, 2)
                    drawn = as_(x, (steps / 2 + 0.125) * size)
                if x.shape in before and x.numel() > 1:
                    drawn = drawn.reshape(-1).clone()
                    drawn[::2] = point[before[x.shape]].reshape(-1)[::2].to(drawn.dtype)
                    drawn = drawn.reshape(x.shape)
                before[x.shape] = name
            point[name] = drawn
        return point


def domains(subject: Subject, point: Point, free: list[str]) -> dict[str, Domain]:
    """Where inputs have to stay: positive, or between 0 and 1, if they were given so and forward is
    steep at that end or refuses what lies beyond.
    """
    found = {}
    for name in free:
        x = point[name]
        if not x.isfinite().all() or (x <= 0).any() or structure(x).kind == "constant":
            continue
        if _ends(subject, point, name, 0):
            unit = bool((x < 1).all()) and _ends(subject, point, name, 1)
            found[name] = Domain(0.0, 1.0) if unit else Domain(0.0)
    return found


def _ends(subject: Subject, point: Point, name: str, end: int) -> bool:
    """Whether forward is much steeper near that end than on the way there, or refuses what lies
    beyond.
    """

    def output(x: Tensor) -> Tensor:
        try:
            return subject.forward({**point, name: x}).double()
        except Exception:  # noqa: BLE001 - a function may refuse as it likes
            return torch.tensor(torch.nan)

    def steep(x: Tensor, by: Tensor) -> float:
        moved = (output(x + by) - output(x)).abs().max()
        return float((moved / by.abs().max()).nan_to_num(nan=math.inf))

    x = point[name]
    edge = end + NEAR * (x - end)
    if steep(edge, NEAR * (x - edge)) > STEEP * steep(x, edge - x):
        return True
    return not bool(output(2 * end - x).isfinite().all())


def _wide(x: Tensor, generator: Generator) -> Tensor:
    """As large as x: N(0, s^2) with s half the largest entry."""
    return _normal(x, _scale(x), generator)


def usual(x: Tensor, generator: Generator) -> Tensor:
    """N(0, 1), or narrower where x is: where most functions are neither flat nor steep, however
    extreme x is.
    """
    return _normal(x, min(_scale(x), 1.0), generator)


def _round_numbers(x: Tensor, generator: Generator) -> Tensor:
    """As usual, with a 0, a 1 and a -1 among them (as many as fit): where functions have their
    kinks.

    One of each, so that no row gets two equal largest entries: which of them a maximum prefers is
    nobody's error.
    """
    drawn = usual(x, generator)
    places = torch.randperm(x.numel(), generator=generator)[: max(1, min(3, x.numel() - 1))]
    flat = drawn.reshape(-1)
    flat[places.to(x.device)] = flat.new_tensor([0.0, 1.0, -1.0])[: len(places)]
    return flat.reshape(x.shape)


def _zero_row(x: Tensor, generator: Generator) -> Tensor:
    drawn = usual(x, generator)
    if x.ndim > 1:
        drawn[x.shape[0] // 2] = 0
    return drawn


def _normal(x: Tensor, scale: float, generator: Generator) -> Tensor:
    drawn = as_(x, scale * torch.randn(x.shape, generator=generator, dtype=torch.float64))
    return torch.where(x.isfinite(), drawn, x)


def _scale(x: Tensor) -> float:
    values = x.detach().cpu().double().abs()
    largest = values[values.isfinite()].max().item() if values.isfinite().any() else 0.0
    return largest / 2 or 1.0

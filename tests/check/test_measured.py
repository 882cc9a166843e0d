"""What finite differences find at an entry and along a direction, with which steps, to three
digits, as it stands in measured.txt.

`python -m tests.check.test_measured` writes that file anew; read what has changed in it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.sheet import Sheet
from torch_ref.evidence.slopes import Differences
from torch_ref.forms.values import Point

EPS, EPS32 = torch.finfo(torch.float64).eps, torch.finfo(torch.float32).eps
INF, NAN = float("inf"), float("nan")


def row(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@dataclass
class Recorder:
    """A forward of x, and how far from a point it was called."""

    forward: Callable[[Tensor], Tensor]
    x: Tensor
    moved: list[float] = field(default_factory=list)

    def __call__(self, point: Point) -> Tensor:
        off = point["x"] - self.x
        self.moved.append(off.reshape(-1)[int(off.abs().argmax())].item())
        return self.forward(point["x"])

    def steps(self) -> str:
        """The steps since it was asked last, and how many."""
        some = " ".join(f"{step:.3g}" for step in self.moved[:9])
        said = f"{len(self.moved)} calls, moved by {some}"
        self.moved.clear()
        return said


@dataclass(frozen=True)
class Case:
    """A forward of x, gradients that someone takes for its own, and settings."""

    forward: Callable[[Tensor], Tensor]
    x: Tensor
    actual: tuple[Tensor, ...]
    dy: Tensor | None = None
    eps: float = EPS
    positive: bool = False


def refuses_below(x: Tensor, least: float) -> Tensor:
    if (x < least).any():
        raise ValueError("too small")
    return x.sqrt()


ONE, X = row(1, 1, 1), row(0.5, -1, 2)
CASES: dict[str, Case] = {
    "sine": Case(torch.sin, X, (X.cos(), 2 * X.cos(), X.cos() + row(0, 0.5, 0)), row(2, -1, 0.5)),
    "sine, a nan": Case(torch.sin, X, (row(NAN, 0.54, -0.4), row(0.878, INF, -0.416))),
    "sine, of another shape": Case(torch.sin, X, (X.cos()[None], X[:2])),
    "sine of large ones": Case(lambda x: (x / 1000).sin(), 1000 * X, (X.cos() / 1000, ONE / 1000)),
    "sine of small ones": Case(lambda x: (1000 * x).sin(), X / 1000, (1000 * X.cos(), ONE)),
    "sine in float32": Case(lambda x: x.sin().float().double(), X, (X.cos(), ONE), eps=EPS32),
    "sum of squares": Case(lambda x: x.square().sum(), X, (2 * X, X), torch.tensor(3.0).double()),
    "product": Case(lambda x: x.prod(), X, (row(-2, 1, -0.5), ONE), torch.tensor(1.0).double()),
    "relu at 0": Case(torch.relu, row(0, -1, 2), (row(0, 0, 1), row(0.5, 0, 1), row(2, 0, 1), ONE)),
    "relu near 0": Case(torch.relu, row(1e-6, -1e-6, 2), (row(1, 0, 1), row(0, 1, 1))),
    "abs at 0": Case(torch.abs, row(0, -1, 2), (row(-1, -1, 1), row(0, -1, 1), row(-1.5, -1, 1))),
    "root at 0": Case(torch.sqrt, row(0, 1, 4), (row(5, 0.5, 0.25), row(5, 1, 0.25))),
    "root, of positive ones": Case(
        torch.sqrt, row(1e-6, 1, 4), (row(500, 0.5, 0.25), ONE), positive=True
    ),
    "reciprocal of a small one": Case(torch.reciprocal, row(1e-5, 1, 4), (-row(1e10, 1, 0.0625),)),
    "cube root at 0": Case(lambda x: x.sign() * x.abs() ** (1 / 3), row(0, 1, 8), (row(3, 1, 1),)),
    "step": Case(lambda x: (x > 0).double(), row(0, -1, 1), (0 * ONE, ONE)),
    "jump": Case(lambda x: x + (x > 0) * 5, row(1e-9, -1, 1), (ONE, 2 * ONE)),
    "constant": Case(lambda x: 0 * x, X, (0 * X, X)),
    "zeros": Case(torch.sin, 0 * X, (ONE, 2 * ONE)),
    "refused below 0": Case(lambda x: refuses_below(x, 0), row(0, 1, 4), (row(5, 0.5, 0.25), ONE)),
    "refused below what is given": Case(lambda x: refuses_below(x, 1), ONE, (ONE / 2, ONE)),
    "nan below 1": Case(lambda x: torch.where(x < 1, NAN, x), ONE, (ONE, 2 * ONE)),
    "two equal in a maximum": Case(
        torch.amax, row(1, 1, 0), (row(1, 0, 0), row(0.5, 0.5, 0), ONE), torch.tensor(1.0).double()
    ),
}


def plain(values: Tensor | list[float]) -> str:
    numbers = values.reshape(-1).tolist() if isinstance(values, Tensor) else values
    return " ".join(f"{round(value, 5) + 0.0:.3g}" for value in numbers)


def slopes(name: str) -> list[str]:
    """The slopes around each entry, then for each gradient the right one nearest to it."""
    case = CASES[name]
    lines, point = [], {"x": case.x}
    dy = torch.ones_like(case.forward(case.x)) if case.dy is None else case.dy
    recorder = Recorder(case.forward, case.x)

    def fresh() -> Differences:
        return Differences(
            recorder, case.eps, positive=frozenset({"x"} if case.positive else set())
        )

    of = fresh()
    lines += [f"moves: {of.moves(point, 'x')}, {recorder.steps()}"]
    for i in range(case.x.numel()):
        central, left, right = of.around(point, dy, "x", i)
        kink = of.kink(point, dy, "x", i)
        sides = "" if kink is None else f", kink {plain(list(kink))}"
        lines += [f"at {i}: {plain(central)}, left {plain(left)}, right {plain(right)}{sides}"]
    lines += [recorder.steps()]
    for actual in case.actual:
        of = fresh()
        near = of.nearest(point, dy, "x", actual)
        lines += [f"{plain(actual)} -> {plain(near)}, {recorder.steps()}"]
        unseen = of.without_slope("x", case.x.numel())
        if actual.shape == case.x.shape:
            agrees = of.agrees(point, dy, "x", actual)
            lines += [f"   without slope {unseen}, agrees {agrees}, {recorder.steps()}"]
    try:
        lines += [f"vjp {plain(fresh().vjp(point, dy, 'x'))}, {recorder.steps()}"]
    except ValueError as error:
        lines += [f"vjp {error}"]
        recorder.steps()
    return lines


SHEET = Sheet(Path(__file__).with_name("measured.txt"), CASES, slopes)


@pytest.mark.parametrize("name", CASES)
def test_what_is_measured_is_that_of_the_sheet(name: str) -> None:
    assert slopes(name) == SHEET.parts()[name]


if __name__ == "__main__":
    SHEET.write()

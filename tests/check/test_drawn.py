"""What is drawn besides the inputs given, to three digits, as it stands in drawn.txt.

`python -m tests.check.test_drawn` writes that file anew; read what has changed in it.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.sheet import Sheet
from torch_ref.check.recognition import recognise
from torch_ref.evidence.points import Domain, Draws, domains
from torch_ref.forms.subject import Subject

DOUBLE = torch.float64


def row(*values: float, dtype: torch.dtype = DOUBLE) -> Tensor:
    return torch.tensor(values, dtype=dtype)


X = row(3, -5, 8, 2, 7, -1).reshape(2, 3)
SMALL = X / 1000
INF = float("inf")
# what is drawn for: inputs x, y, z; those that are data; domains
Given = tuple[tuple[Tensor, ...], set[str], dict[str, Domain]]
GIVEN: dict[str, Given] = {
    "a matrix": ((X,), set(), {}),
    "a small one, in float32": ((SMALL.float(),), set(), {}),
    "a row": ((row(3, -5, 8),), set(), {}),
    "a number": ((row(4)[0],), set(), {}),
    "two numbers": ((row(4, 5),), set(), {}),
    "zeros": ((0 * X,), set(), {}),
    "with what is not finite": ((row(1, INF, -3, float("nan"), 0.5),), set(), {}),
    "two alike": ((X, X + 1), set(), {}),
    "two alike, one of them data": ((X, X + 1), {"y"}, {}),
    "two alike, of which one is bounded": ((X, X + 1), set(), {"y": Domain(-9, -4)}),
    "positive": ((X.abs(),), set(), {"x": Domain(0)}),
    "a share": ((X.abs() / 10,), set(), {"x": Domain(0, 1)}),
    "two of one entry": ((row(3), row(0.5)), set(), {}),
    "shares, and others like them": ((X.softmax(1), X), set(), {}),
    "three": ((X, X[0], X[:, :1]), set(), {}),
    "one-hot": ((torch.eye(3, dtype=DOUBLE)[[0, 2, 2]],), set(), {}),
    "one-hot columns": ((torch.eye(4, dtype=DOUBLE)[:2, :],), set(), {}),
    "binary": ((row(0, 1, 1, 0, 1, 1).reshape(2, 3),), set(), {}),
    "signs": ((row(1, -1, 1, 1),), set(), {}),
    "a constant": ((row(6, 6, 6),), set(), {}),
    "a rotation": ((row(0.6, -0.8, 0.8, 0.6).reshape(2, 2),), set(), {}),
    "definite": ((row(20, 15, 15, 30).reshape(2, 2),), set(), {}),
    "symmetric": ((row(10, 25, 25, 10).reshape(2, 2),), set(), {}),
}


def subject(forward: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Subject:
    named = dict(zip("xyz", inputs, strict=False))
    return Subject(recognise(forward, lambda dy, **_: dy, named))


FORWARD: dict[int, Callable[..., Tensor]] = {
    1: lambda x: x,
    2: lambda x, y: x + y,
    3: lambda x, y, z: x + y + z,
}


def plain(values: Tensor) -> str:
    return " ".join(f"{value + 0.0:.3g}" for value in values.double().reshape(-1).tolist())


def points(name: str) -> list[str]:
    """All points, each in all ways."""
    inputs, data, within = GIVEN[name]
    lines = []
    for words, ways in Draws(subject(FORWARD[len(inputs)], inputs), data, within, 0).points():
        for way in ways:
            point = way()
            lines += [f"{words}: " + "; ".join(f"{n} {plain(v)}" for n, v in point.items())]
    return lines


SHEET = Sheet(Path(__file__).with_name("drawn.txt"), GIVEN, points)


@pytest.mark.parametrize("name", GIVEN)
def test_what_is_drawn_is_that_of_the_sheet(name: str) -> None:
    assert points(name) == SHEET.parts()[name]


def refuses(test: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        if test(x).any():
            raise ValueError("outside")
        return x * 2

    return forward


SHARES = row(0.1, 0.4, 0.7, 0.35)
STEEP: dict[str, tuple[Callable[[Tensor], Tensor], Tensor, Domain | None]] = {
    "log": (torch.log, SHARES, Domain(0)),
    "log of larger ones": (torch.log, 4 * SHARES, Domain(0)),
    "log to a base of 0.1": (lambda x: -x.log() / 2.3, SHARES, Domain(0)),
    "log, clipped": (lambda x: x.clamp(1e-12).log(), SHARES, Domain(0)),
    "log of small ones, clipped": (lambda x: x.clamp(1e-22).log(), 1e-9 * SHARES, Domain(0)),
    "log of both ends": (lambda x: x.log() + (1 - x).log(), SHARES, Domain(0, 1)),
    "log of both ends, clipped": (
        lambda x: x.clamp(1e-9, 1 - 1e-9).log() + (1 - x.clamp(1e-9, 1 - 1e-9)).log(),
        SHARES,
        Domain(0, 1),
    ),
    "log of 1 - x": (lambda x: torch.log(1 - x), SHARES, None),
    "root": (torch.sqrt, SHARES, Domain(0)),
    "reciprocal": (torch.reciprocal, SHARES, Domain(0)),
    "logit": (torch.logit, SHARES, Domain(0, 1)),
    "square": (torch.square, SHARES, None),
    "steep everywhere": (lambda x: 1e6 * x, SHARES, None),
    "flat": (lambda x: 0 * x, SHARES, None),
    "what is refused below 0": (refuses(lambda x: x < 0), SHARES, Domain(0)),
    "what is refused without 0 and 1": (refuses(lambda x: (x < 0) | (x > 1)), SHARES, Domain(0, 1)),
    "what is refused below 0.05": (refuses(lambda x: x < 0.05), SHARES, Domain(0)),
    "nan below 0": (lambda x: torch.where(x < 0, torch.nan, x), SHARES, Domain(0)),
    "one that is 0": (torch.sqrt, row(0, 0.5, 0.25), None),
    "a negative one": (torch.log1p, row(-0.1, 0.5, 0.25), None),
    "all the same": (torch.log, row(0.5, 0.5, 0.5), None),
    "not finite": (torch.log, row(0.5, INF, 0.25), None),
    "one of 1": (torch.logit, row(0.5, 1, 0.25), Domain(0)),
}


@pytest.mark.parametrize("name", STEEP)
def test_where_an_input_has_to_stay(name: str) -> None:
    forward, x, domain = STEEP[name]
    found = domains(subject(forward, (x,)), {"x": x}, ["x"])
    assert found == ({} if domain is None else {"x": domain})


def test_only_what_is_free_has_a_domain() -> None:
    both = {"x": row(-1, 2), "y": SHARES[:2]}
    of_both = subject(lambda x, y: x + y.log(), tuple(both.values()))
    assert domains(of_both, both, ["x", "y"]) == {"y": Domain(0)}
    assert domains(subject(torch.log, (SHARES,)), {"x": SHARES}, []) == {}


if __name__ == "__main__":
    SHEET.write()

"""What was computed instead of the gradient."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.check.told import hidden
from torch_ref.cases import random
from torch_ref.check import check_gradients
from torch_ref.diagnosis.guesses import LAST, Case, _diagonal

X = torch.linspace(-1.5, 2, 6, dtype=torch.float64).reshape(2, 3)
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": functional.softplus,
    "exp": torch.exp,
}


def test_the_derivatives_of_what_comes_last_are_right() -> None:
    assert FUNCTIONS.keys() == LAST.keys()
    for name, (_, derivative) in LAST.items():
        x = X.clone().requires_grad_()
        y = FUNCTIONS[name](x)
        (right,) = torch.autograd.grad(y.sum(), x)
        torch.testing.assert_close(derivative(y.detach()), right)


@pytest.mark.parametrize(("dy", "x"), [((3,), (3,)), ((2, 300), (2, 300)), ((2, 3), (2, 4))])
def test_only_functions_of_rows_have_a_diagonal(dy: tuple[int, ...], x: tuple[int, ...]) -> None:
    nothing: Any = None
    case = Case(nothing, nothing, torch.ones(x), torch.ones(x), torch.ones(dy), torch.ones(dy))
    assert _diagonal(case) is None


@pytest.mark.parametrize(
    ("factor", "says"),
    [(3, ""), (2, " (a 2 too many, or the 1/2 of a square forgotten)")],
)
def test_a_part_that_is_there_several_times(factor: int, says: str) -> None:
    report = check_gradients(
        lambda x: x + x.tanh(),
        lambda dy, x: dy * (1 + factor * (1 - x.tanh() ** 2)),
        X,
        lambda x: x + x.tanh(),
    )
    words = f"the part of the gradient through tanh(x) is {factor} times what it should be{says}"
    assert report.diagnosis == {"x": f"dx: {words}"}


@pytest.mark.parametrize("columns", [2, 256])
def test_a_diagonal_of_few_columns_and_of_many(columns: int) -> None:
    def backward(dy: Tensor, z: Tensor) -> Tensor:
        y = z.softmax(1)
        return dy * y * (1 - y)

    z = drawn(2, columns)
    report = check_gradients(lambda z: z.softmax(1), backward, z, lambda z: z.softmax(1))
    assert [row.verdict for row in report.rows] == ["diagonal"]


@pytest.mark.parametrize("axis", [0, 1])
def test_a_softmax_that_is_applied_once_more(axis: int) -> None:
    def backward(dy: Tensor, z: Tensor) -> Tensor:
        y, right = z.softmax(axis), dy * z.cosh()
        return y * (right - (right * y).sum(axis, keepdim=True))

    report = check_gradients(torch.sinh, backward, drawn(4, 3), torch.sinh)
    assert report.diagnosis["x"].startswith("a softmax's derivative is applied once more")


@pytest.mark.parametrize(("which", "i"), [("first", 0), ("last", -1)])
def test_one_column_of_three_axes(which: str, i: int) -> None:
    def backward(dy: Tensor, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        only = torch.zeros_like(dy)
        only[..., i] = dy[..., i]
        return dy * w.tanh(), (only * x).sum((0, 1)) / w.cosh() ** 2

    def forward(x: Tensor, w: Tensor) -> Tensor:
        return x * w.tanh()

    report = check_gradients(forward, backward, (drawn(4, 2, 3), drawn(3)), forward)
    assert report.diagnosis["w"] == f"dw is that of the {which} column of dy alone"


def drawn(*shape: int) -> Tensor:
    return random(shape, torch.float64, sum(shape))


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_a_derivative_that_is_applied_besides(name: str) -> None:
    f = getattr(torch, name)

    def forward(z: Tensor) -> Tensor:
        return torch.sinh(z)

    def backward(dy: Tensor, z: Tensor) -> Tensor:
        slope: Tensor = f(z) * (1 - f(z)) if name == "sigmoid" else 1 - f(z) ** 2
        return dy * z.cosh() * slope

    z = torch.randn(8, 5, dtype=torch.float64)
    report = check_gradients(forward, backward, z, torch.sinh)
    assert report.rows[0].verdict == "f' twice"
    assert report.diagnosis["z"].startswith(f"a {name}'s derivative at z is applied besides: ")


def layer(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return torch.sin(x @ w + b)


def without_what_comes_after(
    dy: Tensor, x: Tensor, w: Tensor, b: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    dz = dy * torch.cos(x @ w + b)
    return dz @ w.T, x.T @ dz, dy.sum(0)


def test_a_sum_of_dy_alone() -> None:
    report = check_gradients(
        hidden(layer), without_what_comes_after, (drawn(8, 4), drawn(4, 5), drawn(5))
    )
    sentence = "what comes after dy is missing: db is dy summed"
    assert report.diagnosis == {"b": sentence}
    assert report.rows[2].verdict == "f' missing"


@pytest.mark.parametrize("axes", [(1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_axes_in_another_order(axes: tuple[int, ...]) -> None:
    report = check_gradients(
        torch.sinh, lambda dy, x: (dy * x.cosh()).permute(axes), drawn(3, 3, 3), torch.sinh
    )
    assert report.diagnosis == {"x": f"dx has its axes in the order {axes}"}
    assert report.rows[0].verdict == "transposed"


@pytest.mark.parametrize(
    ("axes", "says"), [((1,), "1"), ((2,), "2"), ((1, 2), "1 and 2"), ((0, 2), "0 and 2")]
)
def test_a_sum_over_other_axes(axes: tuple[int, ...], says: str) -> None:
    def forward(x: Tensor, b: Tensor) -> Tensor:
        return torch.sin(x + b)

    def backward(dy: Tensor, x: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        dx = dy * torch.cos(x + b)
        return dx, dx.sum(axes)

    report = check_gradients(forward, backward, (drawn(4, 4, 4), drawn(4, 4)), forward)
    sentence = f"db is summed over axis {says}, where the samples lie along axis 0"
    assert report.diagnosis == {"b": sentence}
    assert report.rows[1].verdict == "wrong axis"


def test_a_mean_over_another_axis() -> None:
    def forward(x: Tensor, b: Tensor) -> Tensor:
        return torch.sin(x + b)

    def backward(dy: Tensor, x: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        dx = dy * torch.cos(x + b)
        return dx, dx.mean(1)

    report = check_gradients(forward, backward, (drawn(4, 4), drawn(4)), forward)
    sentence = "db is the mean over axis 1, where the sum over axis 0 belongs"
    assert report.diagnosis == {"b": sentence}
    assert report.rows[1].verdict == "wrong axis"


def test_a_conjugate_that_is_missing() -> None:
    z = torch.complex(drawn(3, 4), drawn(3, 4).flip(0))
    report = check_gradients(lambda z: z.sinh(), lambda dy, z: dy * z.cosh(), z)
    sentence = "a conjugate is missing: dz = dy f'(z), where it should be dy conj(f'(z))"
    assert report.diagnosis == {"z": sentence}
    assert report.rows[0].verdict == "conjugate"

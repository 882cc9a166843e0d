"""What was computed instead of the gradient."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from torch_ref.check import check_gradients
from torch_ref.diagnosis.guesses import LAST, Case, _diagonal

X = torch.linspace(-1.5, 2, 6, dtype=torch.float64).reshape(2, 3)
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "a sigmoid's y (1 - y)": torch.sigmoid,
    "a tanh's 1 - y^2": torch.tanh,
    "a softplus's 1 - e^-y": functional.softplus,
    "an exp's y": torch.exp,
}


def test_the_derivatives_of_what_comes_last_are_right() -> None:
    assert FUNCTIONS.keys() == LAST.keys()
    for words, derivative in LAST.items():
        x = X.clone().requires_grad_()
        y = FUNCTIONS[words](x)
        (right,) = torch.autograd.grad(y.sum(), x)
        torch.testing.assert_close(derivative(y.detach()), right)


@pytest.mark.parametrize(("dy", "x"), [((3,), (3,)), ((2, 1), (2, 1)), ((2, 3), (2, 4))])
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

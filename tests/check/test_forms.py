"""Each form in which people have their code is taken as it is: the right one accepted, the wrong
one refused.
"""

# ruff: noqa: NPY002 - functions in the forms of others

from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.check.forms import FORMS, Given, normal
from torch_ref.check import check_gradients
from torch_ref.check.recognition import recognise
from torch_ref.forms.traced import torch_version


@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)
def test_the_right_one_is_accepted(make: Callable[[float], Given]) -> None:
    report = check_gradients(**make(1))
    assert report.ok, report


@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)
def test_the_wrong_one_is_refused(make: Callable[[float], Given]) -> None:
    report = check_gradients(**make(1.5))
    assert "factor" in [row.verdict for row in report.rows], report


def test_random_numbers_of_its_own_are_a_verdict_of_their_own() -> None:
    def forward(x: Any) -> Any:
        return x * (np.random.rand(*x.shape) > 0.5)

    report = check_gradients(
        forward, lambda dy, x: dy * (np.random.rand(*x.shape) > 0.5), normal(3, 4)
    )
    assert [row.verdict for row in report.rows] == ["random"]


def test_a_gradient_that_grows_is_a_verdict_of_its_own() -> None:
    total = np.zeros((3, 4))

    def backward(dy: Any, x: Any) -> Any:  # noqa: ARG001
        total[:] += 2 * dy
        return total

    report = check_gradients(lambda x: 2 * x, backward, normal(3, 4))
    assert [row.verdict for row in report.rows] == ["accumulates"]


class Plus(torch.autograd.Function):
    """Whose gradient of b lacks its sum, which torch's engine would take by itself."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, b: Tensor) -> Tensor:  # noqa: ARG004
        return x + b

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:  # noqa: ARG004
        return dy, dy


def test_a_function_is_asked_for_its_own_gradients() -> None:
    report = check_gradients(
        Plus, inputs=(torch.from_numpy(normal(5, 3)), torch.from_numpy(normal(3)))
    )
    assert [row.verdict for row in report.rows] == ["ok", "batch sum"]


def test_the_precision_of_forward_is_named() -> None:
    report = check_gradients(
        lambda x: torch.tanh(x.bfloat16()).to(x.dtype),
        lambda dy, x: (dy * (1 - torch.tanh(x.bfloat16()) ** 2)).to(x.dtype),
        torch.from_numpy(normal(3, 4)).float(),
        torch.tanh,
    )
    assert report.ok
    assert report.notes == [
        "forward computes in bfloat16 whatever it is given: judged by that precision"
    ]


@pytest.mark.parametrize("kind", [dict, OrderedDict, MappingProxyType])
def test_a_dict_is_handed_over_as_what_it_is(
    kind: Callable[[dict[str, Any]], Mapping[str, Any]],
) -> None:
    def forward(x: Any, p: Any) -> Any:
        assert type(p) is kind
        return x @ p["w"]

    inputs = normal(5, 4), kind({"w": normal(4, 3)})
    report = check_gradients(forward, lambda dy, x, p: (dy @ p["w"].T, {"w": x.T @ dy}), inputs)
    assert [(row.name, row.verdict) for row in report.rows] == [("x", "ok"), ("w", "ok")]


class TwoNames:
    """W is no parameter, though dw is left."""

    def __init__(self) -> None:
        self.W, self.w = normal(4, 3), normal(4, 3)

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ (self.W + self.w)

    def backward(self, dy: Any) -> Any:
        self.dw = 2 * self.x.T @ dy
        return dy @ (self.W + self.w).T


def test_a_gradient_is_of_one_parameter() -> None:
    report = check_gradients(TwoNames(), inputs=normal(5, 4))
    assert [(row.name, row.verdict) for row in report.rows] == [("x", "ok"), ("w", "factor")]


def test_plain_functions_with_a_ctx() -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.x = x
        return x**2

    assert check_gradients(forward, lambda ctx, dy: 2 * ctx.x * dy, normal(3, 4)).ok


def test_a_parameter_that_backward_calls_otherwise() -> None:
    """By its place."""
    inputs = normal(5, 4), normal(4, 3)
    report = check_gradients(
        lambda x, w: x @ w, lambda dy, x, matrix: (dy @ matrix.T, x.T @ dy), inputs
    )
    assert report.ok


def test_entries_of_a_dict_have_names_of_their_own() -> None:
    inputs = normal(5, 4), {"x": normal(4, 3), 0: normal(3)}
    report = check_gradients(
        lambda x, p: x @ p["x"] + p[0],
        lambda dy, x, p: (dy @ p["x"].T, {"x": x.T @ dy, 0: dy.sum(0)}),
        inputs,
    )
    assert [(row.name, row.verdict) for row in report.rows] == [
        ("x", "ok"),
        ("p['x']", "ok"),
        ("p[0]", "ok"),
    ]


@pytest.mark.parametrize(
    "container",
    ["grads", "grad", "gradients", "gradient", "dparams", "derivatives", "deltas"],
)
def test_a_layer_that_keeps_its_gradients_in_a_dict(container: str) -> None:
    class Layer:
        def __init__(self) -> None:
            self.w = normal(4, 3)

        def forward(self, x: Any) -> Any:
            self.x = x
            return x @ self.w

        def backward(self, dy: Any) -> Any:
            setattr(self, container, {"w": self.x.T @ dy})
            return dy @ self.w.T

    report = check_gradients(Layer(), inputs=normal(5, 4))
    assert [(row.name, row.verdict) for row in report.rows] == [("x", "ok"), ("w", "ok")]


def test_a_real_gradient_of_a_complex_input() -> None:
    z = normal(3, 4) + 1j * normal(3, 4)
    assert check_gradients(lambda z: 2 * z.real, lambda dy, _: 2 * dy, z).ok


def test_what_has_no_gradient_is_said() -> None:
    of = r"its output must be floats to have a gradient, an array or tensor of them"
    with pytest.raises(ValueError, match=rf"^forward returned int64: {of}") as raised:
        check_gradients(lambda x: (x > 0).astype(int), lambda dy, _: dy, normal(3))
    assert raised.value.__notes__ == ["raised by forward, called with x (3,) float64"]


def test_a_forward_that_torch_cannot_differentiate_wants_a_backward() -> None:
    x = torch.from_numpy(normal(3, 4))
    with pytest.raises(ValueError, match=r"^no backward was given, and forward returns neither"):
        check_gradients(lambda x: torch.from_numpy(np.tanh(x.numpy())), inputs=x)


class Square:
    """A layer whose backward calls the upstream gradient as forward calls its input."""

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return x * x

    def backward(self, x: Tensor) -> Tensor:
        return 2 * self.x * x


def test_what_alone_a_layer_takes_is_the_upstream_gradient() -> None:
    report = check_gradients(Square(), None, normal(8, 5))
    assert [row.verdict for row in report.rows] == ["ok"]


def test_a_layer_is_a_function_of_tensors_too() -> None:
    function = torch_version(recognise(Square(), None, normal(8, 5)))
    assert function
    x = torch.from_numpy(normal(8, 5))
    assert torch.equal(function(x), x * x)


class Pair(NamedTuple):
    """Two parameters by name."""

    w: Any
    b: Any


def test_a_named_tuple_is_handed_over_as_one() -> None:
    def forward(x: Any, parameters: Pair) -> Any:
        assert isinstance(parameters, Pair)
        return x * parameters.w + parameters.b

    def backward(dy: Any, x: Any, parameters: Pair) -> Any:
        return dy * parameters.w, Pair((dy * x).sum(0), dy.sum(0))

    given = np.ones((3, 4)), Pair(np.linspace(1, 2, 4), np.zeros(4))
    report = check_gradients(forward, backward, given)
    assert report.ok
    assert [row.name for row in report.rows] == ["x", "parameters[0]", "parameters[1]"]


def test_two_gradients_of_two_outputs_by_no_name() -> None:
    """Only their number tells what they are."""

    def forward(x: Any) -> Any:
        return np.sin(x), x**2

    def backward(one: Any, other: Any, x: Any) -> Any:
        return one * np.cos(x) + 2 * x * other

    assert check_gradients(forward, backward, np.linspace(-1, 1, 5)).ok

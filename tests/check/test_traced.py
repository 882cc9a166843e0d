"""NumPy's code run on tensors: the same numbers, of which torch finds the slopes."""

# ruff: noqa: ARG005, NPY002 - a backward overlooks what it is given; the users' random numbers

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy import exp as exponential
from numpy.lib.stride_tricks import sliding_window_view
from numpy.linalg import inv

from tests.check.test_layers import OfTorch, Plain
from torch_ref.check.recognition import recognise
from torch_ref.forms.arguments import Arguments
from torch_ref.forms.binding import Plan, named
from torch_ref.forms.forms import Functions
from torch_ref.forms.traced import _NumPy, tnp, torch_version
from torch_ref.forms.values import is_array

X = np.linspace(0.5, 2, 12).reshape(3, 4)
SQUARE = X[:, :3] + np.eye(3)
FACTOR = np.array([1.0, 2.0, 3.0, 4.0])
TABLE: dict[str, Any] = {"sin": np.sin, "all": [np.cos, (np.tanh,)]}


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def power(x: Any, n: int) -> Any:
    return x if n == 1 else x * power(x, n - 1)


def with_default(x: Any, factor: Any = FACTOR, *, base: Any = np.log) -> Any:
    return base(x) * factor


def scaled_by(factor: Any) -> Callable[[Any], Any]:
    def scaled(x: Any) -> Any:
        return x * factor

    return scaled


class Activation:
    """Has all kinds of members."""

    scale = FACTOR
    kinds = staticmethod(np.tanh)

    def __init__(self) -> None:
        self.shift = FACTOR / 2
        self.parts: list[Any] = [FACTOR, {"a": (FACTOR, np.exp)}]

    @staticmethod
    def plain(x: Any) -> Any:
        return np.sin(x)

    @classmethod
    def scaled(cls, x: Any) -> Any:
        return cls.plain(x) * cls.scale

    @property
    def half(self) -> float:
        return 0.5

    def __call__(self, x: Any) -> Any:
        return self.scaled(x) + self.shift + self.parts[1]["a"][1](x) * self.parts[0]


class Larger(Activation):
    """Has a base."""

    def twice(self, x: Any) -> Any:
        return 2 * self.scaled(x)


@dataclass
class Settings:
    """Has fields."""

    rate: float
    weights: Any


ACTIVATION, LARGER, SETTINGS = Activation(), Larger(), Settings(0.5, FACTOR)
FORWARD: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "a ufunc": (np.sin, (X,)),
    "a function of NumPy": (np.cumsum, (X,)),
    "another function": (lambda x: sigmoid(x) * 2, (X,)),
    "a recursion": (lambda x: power(x, 3), (X,)),
    "defaults": (with_default, (X,)),
    "a default by name": (lambda x: with_default(x, base=np.sqrt), (X,)),
    "a closure": (scaled_by(FACTOR), (X,)),
    "a number in a closure": (scaled_by(3), (X,)),
    "a name imported from NumPy": (lambda x: exponential(x), (X,)),  # noqa: PLW0108
    "a table of functions": (lambda x: TABLE["sin"](x) + TABLE["all"][1][0](x), (X,)),
    "a function within": (lambda x: (lambda y: np.exp(y))(x), (X,)),  # noqa: PLC3002, PLW0108
    "an object": (lambda x: ACTIVATION(x), (X,)),  # noqa: PLW0108
    "a method": (LARGER.twice, (X,)),
    "a property": (lambda x: x * ACTIVATION.half, (X,)),
    "a static method": (Activation.plain, (X,)),
    "a class method": (Activation.scaled, (X,)),
    "a member that is NumPy's": (lambda x: Activation.kinds(x), (X,)),  # noqa: PLW0108
    "a dataclass": (lambda x: x * SETTINGS.rate @ SETTINGS.weights, (X,)),
    "wrapped": (functools.wraps(sigmoid)(lambda x: sigmoid(x)), (X,)),  # noqa: PLW0108
    "math": (lambda x: x * math.sqrt(2) * math.pi, (X,)),
    "linear algebra": (lambda a: np.linalg.inv(a) @ a.T + inv(a), (SQUARE,)),
    "a length": (lambda x: np.linalg.norm(x, axis=1), (X,)),
    "einsum": (lambda x, w: np.einsum("ij,jk->ik", x, w, optimize=True), (X, X.T)),
    "windows of all axes": (lambda x: sliding_window_view(x, (2, 3)).sum((2, 3)), (X,)),
    "windows of one axis": (lambda x: sliding_window_view(x, 2, 1).prod(-1), (X,)),
    "windows of two axes": (lambda x: sliding_window_view(x, [2, 2], (1, 0)).sum(-1), (X,)),
    "windows of a row": (lambda x: sliding_window_view(x[0], 2) ** 2, (X,)),
    "by NumPy's own path": (
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=0).sum(2) * x[:-1],
        (X,),
    ),
    "random numbers": (lambda x: x * np.random.rand(3, 4), (X,)),
    "a random number": (lambda x: x * np.random.uniform(), (X,)),
    "what torch's NumPy lacks": (lambda x: x * np.finfo(np.float64).eps * 1e9, (X,)),
    "places": (lambda x: x[[0, 2], [1, 1]] + x[1:, None].sum() + x[..., -1].max(), (X,)),
    "set in place": (lambda x: _with_a_zero(x) * 2, (X,)),
    "several outputs": (lambda x: (x * 2, x.sum(0)), (X,)),
    "a dict": (lambda x: {"a": x**2, "n": 3}, (X,)),
    "a nested input": (lambda p: p["w"] @ p["l"][0] + p["n"], ({"w": X, "l": [X.T], "n": 2},)),
    "a list": (lambda v: np.array(v) * 2, ([1.0, 2.0],)),
}


def _with_a_zero(x: Any) -> Any:
    y = np.zeros_like(x)
    y[1] = x[1]
    return y


def numbers(value: Any) -> list[Any]:
    """All arrays in it, as NumPy's."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple):
        return [array for part in value for array in numbers(part)]
    if isinstance(value, torch.Tensor):
        return [value.detach().numpy()]
    return [np.asarray(value)] if is_array(value) else []


def traced(forward: Callable[..., Any], inputs: tuple[Any, ...]) -> tuple[Any, list[torch.Tensor]]:
    """What its code computes of tensors, and these."""
    form = Functions(forward, forward, Arguments.of(*named(forward, inputs)), Plan())
    function = torch_version(form)
    assert function is not None
    leaves = {name: leaf.value.requires_grad_() for name, leaf in form.arguments.leaves.items()}
    given = form.arguments.build(leaves, lambda leaf, value: value)
    np.random.seed(0)
    return function(*given), list(leaves.values())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", FORWARD)
def test_the_same_numbers(name: str) -> None:
    forward, inputs = FORWARD[name]
    np.random.seed(0)
    wanted = numbers(forward(*inputs))
    result, leaves = traced(forward, inputs)
    found = numbers(result)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    tensors = [
        part for part in _parts(result) if isinstance(part, torch.Tensor) and part.requires_grad
    ]
    assert tensors
    total = torch.stack([part.sum() for part in tensors]).sum()
    assert any(g is not None for g in torch.autograd.grad(total, leaves, allow_unused=True))


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict | tuple):
        every = value.values() if isinstance(value, dict) else value
        return [each for part in every for each in _parts(part)]
    return [value]


def test_what_the_user_has_stays_as_it_is() -> None:
    before = (ACTIVATION.shift, Activation.scale, TABLE["sin"], with_default.__defaults__)
    for name in ("an object", "a table of functions", "defaults"):
        traced(*FORWARD[name])
    after = (ACTIVATION.shift, Activation.scale, TABLE["sin"], with_default.__defaults__)
    assert all(one is other for one, other in zip(before, after, strict=True))


def test_arrays_of_random_numbers_are_of_tensors_and_numbers_are_numbers() -> None:
    drawn = _NumPy().random
    np.random.seed(0)
    wanted = np.random.rand(2), np.random.uniform()
    np.random.seed(0)
    array, number = drawn.rand(2), drawn.uniform()
    assert isinstance(array, tnp.ndarray)
    assert array.tensor.tolist() == wanted[0].tolist()
    assert type(number) is float
    assert number == wanted[1]


def test_torchs_own_code_is_run_as_it_is() -> None:
    x = torch.from_numpy(X)
    for forward in (torch.sin, lambda x: (torch.sin(x), x)):
        result, leaves = traced(forward, (x,))
        y = result[0] if isinstance(result, tuple) else result
        assert torch.equal(y, x.sin())
        assert torch.equal(torch.autograd.grad(y.sum(), leaves)[0], x.cos())


@pytest.mark.parametrize("make", [Plain, OfTorch])
def test_a_layer_is_a_function_of_its_parameters_too(make: type[Plain]) -> None:
    given = X[:, :3]
    form = recognise(make(), None, torch.from_numpy(given) if make is OfTorch else given)
    function = torch_version(form)
    assert function is not None
    leaves = {name: leaf.value.requires_grad_() for name, leaf in form.arguments.leaves.items()}
    y = function(*(leaves[name] for name in ("x", *form.where)))  # type: ignore[attr-defined]
    w, b = leaves["w"], leaves["b"]
    assert torch.equal(y, leaves["x"] * w + b)
    found = torch.autograd.grad(y.sum(), [b, leaves["x"]])
    assert [g.tolist() for g in found] == [[3, 3, 3], [w.tolist()] * 3]

"""What of an object are its parameters, where their gradients are, and what its methods return."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from torch_ref.check.recognition import recognise
from torch_ref.forms.forms import Form, Functions
from torch_ref.forms.layers import Layer, owner_of

X = np.linspace(-1, 2, 6).reshape(2, 3)
ONES = torch.ones(2, 3, dtype=torch.float64)
W, B = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.5, 2.5])


class Plain:
    """y = x w + b, in attributes of its own; others keep them elsewhere."""

    def __init__(self) -> None:
        self.w: Any = W.copy()
        self.b: Any = B.copy()
        self.rate, self.velocity = 0.5, np.zeros(3)

    def forward(self, x: Any) -> Any:
        self.x = x
        return x * self.w + self.b

    def backward(self, dy: Any) -> Any:
        self.dw, self.db = (dy * self.x).sum(0), dy.sum(0)
        return dy * self.w


class Dicts(Plain):
    """In dicts."""

    def __init__(self) -> None:
        self.params, self.grads = {"w": W.copy(), "b": B.copy()}, dict[str, Any]()

    def forward(self, x: Any) -> Any:
        self.x = x
        return x * self.params["w"] + self.params["b"]

    def backward(self, dy: Any) -> Any:
        self.grads = {"w": (dy * self.x).sum(0), "b": dy.sum(0)}
        return dy * self.params["w"]


class Lists(Plain):
    """In lists."""

    def __init__(self) -> None:
        self.params, self.grads = [W.copy(), B.copy()], [np.zeros(3), np.zeros(3)]

    def forward(self, x: Any) -> Any:
        self.x = x
        return x * self.params[0] + self.params[1]

    def backward(self, dy: Any) -> Any:
        self.grads[0], self.grads[1] = (dy * self.x).sum(0), dy.sum(0)
        return dy * self.params[0]


class Small:
    """An array and its gradient."""

    def __init__(self, data: Any) -> None:
        self.data, self.grad = data, np.zeros_like(data)


class Objects(Plain):
    """In small objects."""

    def __init__(self) -> None:
        self.w, self.b = Small(W.copy()), Small(B.copy())

    def forward(self, x: Any) -> Any:
        self.x = x
        return x * self.w.data + self.b.data

    def backward(self, dy: Any) -> Any:
        self.w.grad, self.b.grad = (dy * self.x).sum(0), dy.sum(0)
        return dy * self.w.data


class Network(Plain):
    """In two layers."""

    def __init__(self) -> None:
        self.layers = [Plain(), Plain()]

    def forward(self, x: Any) -> Any:
        return self.layers[1].forward(self.layers[0].forward(x))

    def backward(self, dy: Any) -> Any:
        return self.layers[0].backward(self.layers[1].backward(dy))


class LargeAndSmall(Plain):
    """In attributes that differ by their case."""

    def __init__(self) -> None:
        self.w, self.W = W.copy(), B.copy()

    def forward(self, x: Any) -> Any:
        self.x = x
        return x * self.w + self.W

    def backward(self, dy: Any) -> Any:
        self.dW, self.dw = dy.sum(0), (dy * self.x).sum(0)
        return dy * self.w


class MarkedByG(Plain):
    """In attributes that are there from the start."""

    def __init__(self) -> None:
        super().__init__()
        self.gw, self.gb = np.zeros(3), np.zeros(3)

    def backward(self, dy: Any) -> Any:
        self.gw[:], self.gb[:] = (dy * self.x).sum(0), dy.sum(0)
        return dy * self.w


class Loosely(Plain):
    """By a name that fits but for its case, after others that have no gradient."""

    def __init__(self) -> None:
        self.velocity, self.W = np.zeros(3), W.copy()

    def forward(self, x: Any) -> Any:
        self.x = x
        return x * self.W

    def backward(self, dy: Any) -> Any:
        self.dw = (dy * self.x).sum(0)
        return dy * self.W


class OfItsInput(Plain):
    """Leaves the gradient of its input, too."""

    named = "dx"

    def backward(self, dy: Any) -> Any:
        vars(self)[self.named] = super().backward(dy)


class Named(Plain):
    """Returns them in a dict."""

    def backward(self, dy: Any) -> Any:
        return {"dx": dy * self.w, "dw": (dy * self.x).sum(0), "db": dy.sum(0)}


class OfTorch(Plain):
    """Of tensors, one of which has a grad."""

    def __init__(self) -> None:
        self.w, self.b = torch.from_numpy(W).requires_grad_(), torch.from_numpy(B)

    def forward(self, x: Any) -> Any:
        self.x = x
        return x * self.w.detach() + self.b

    def backward(self, dy: Any) -> Any:
        self.w.grad, self.grad_b = (dy * self.x).sum(0), dy.sum(0)
        return dy * self.w.detach()


class AddsToGrad(OfTorch):
    """Adds to a grad that is there from the start."""

    def __init__(self) -> None:
        super().__init__()
        self.w.grad = torch.zeros_like(self.w)

    def backward(self, dy: Any) -> Any:
        self.w.grad += (dy * self.x).sum(0)
        self.grad_b = dy.sum(0)
        return dy * self.w.detach()

    def zero_grad(self) -> None:
        self.w.grad = torch.zeros_like(self.w)


class WithInput(Plain):
    """Its backward wants x as well."""

    def forward(self, x: Any) -> Any:
        return np.sin(x)

    def backward(self, x: Any, dy: Any) -> Any:  # type: ignore[override]
        return dy * np.cos(x)


class Loss(Plain):
    """Its backward wants no dy."""

    def forward(self, x: Any) -> Any:
        self.x = x
        return (x * self.w).sum()

    def backward(self) -> Any:  # type: ignore[override]
        self.dw = self.x.sum(0)
        return 0 * self.x + self.w


class WithCache(Plain):
    """Hands its input over in a cache."""

    def forward(self, x: Any) -> Any:
        return x * self.w, {"x": x}

    def backward(self, dy: Any, cache: Any) -> Any:  # type: ignore[override]
        self.dw = (dy * cache["x"]).sum(0)
        return dy * self.w


FOUND: list[tuple[Callable[[], Any], Any, dict[str, str]]] = [
    (Plain, X, {"w": "dw", "b": "db"}),
    (Dicts, X, {"w": "grads.w", "b": "grads.b"}),
    (Lists, X, {"params[0]": "grads.0", "params[1]": "grads.1"}),
    (Objects, X, {"w": "w.grad", "b": "b.grad"}),
    (
        Network,
        X,
        {
            "layers[0].w": "layers.0.dw", "layers[0].b": "layers.0.db",
            "layers[1].w": "layers.1.dw", "layers[1].b": "layers.1.db",
        },
    ),
    (LargeAndSmall, X, {"w": "dw", "W": "dW"}),
    (MarkedByG, X, {"w": "gw", "b": "gb"}),
    (Loosely, X, {"W": "dw"}),
    (OfItsInput, X, {"w": "dw", "b": "db"}),
    (OfTorch, torch.from_numpy(X), {"w": "w.grad", "b": "grad_b"}),
    (AddsToGrad, torch.from_numpy(X), {"w": "w.grad", "b": "grad_b"}),
    (Loss, X, {"w": "dw"}),
    (WithCache, X, {"w": "dw"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "x", "where"), FOUND, ids=lambda part: getattr(part, "__name__", "")
)
def test_the_parameters_and_their_gradients(
    make: Callable[[], Any], x: Any, where: dict[str, str]
) -> None:
    form = recognise(make(), None, x)
    assert isinstance(form, Layer)
    assert {name: ".".join(map(str, path)) for name, (_, path) in form.where.items()} == where
    point = {name: leaf.value + 0.25 for name, leaf in form.arguments.leaves.items()}
    dy = torch.ones_like(form.forward(point).y)
    dy.view(-1)[0] = 3
    found = form.backward(point, dy)
    assert set(found) == {"x", *where}
    for name, g in found.items():
        assert g is not None, name
        slope = _slope(form, point, dy, name)
        assert g.reshape(-1)[1].item() == pytest.approx(slope, rel=1e-6), name


def _slope(form: Form, point: dict[str, Tensor], dy: Tensor, name: str) -> float:
    def at(step: float) -> float:
        moved = point[name].clone()
        moved.view(-1)[1] += step
        return float((form.forward({**point, name: moved}).y * dy).sum())

    return (at(1e-4) - at(-1e-4)) / 2e-4


def test_gradients_of_parameters_that_are_returned() -> None:
    form = recognise(Named(), None, X)
    found = form.backward(form.arguments.given, ONES)
    assert found["x"] is not None
    assert found["x"].tolist() == [[1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize("name", ["dx", "dinput", "grad_input", "dX", "grad_x", "x_grad"])
def test_the_gradient_of_the_input_may_be_left_in_an_attribute(name: str) -> None:
    form = recognise(type("Left", (OfItsInput,), {"named": name})(), None, X)
    found = form.backward(form.arguments.given, ONES)
    assert found["x"] is not None
    assert found["x"].tolist() == [[1, 2, 3], [1, 2, 3]]


def test_a_backward_that_wants_the_input_is_one_of_two_functions() -> None:
    form = recognise(WithInput(), None, X)
    assert isinstance(form, Functions)
    owner = Plain()
    as_methods = recognise(owner.forward, owner.backward, X)
    assert isinstance(as_methods, Layer)
    assert as_methods.owner is owner


def test_what_is_no_layer() -> None:
    plain, other = Plain(), Plain()
    assert owner_of(plain, None) == (plain, "forward", "backward")
    assert owner_of(plain, plain) == (plain, "forward", "backward")
    assert owner_of(plain.forward, plain.backward) == (plain, "forward", "backward")
    assert owner_of(plain.forward, other.backward) is None
    assert owner_of(np.sin, np.cos) is None
    assert owner_of(nn.Linear(2, 2), None) is None
    assert owner_of(plain.forward, None) is None
    assert owner_of(len, None) is None
    made = owner_of(Plain, None)
    assert made is not None
    assert isinstance(made[0], Plain)
    assert owner_of(int, None) is None


def test_a_gradient_that_adds_up_is_cleared() -> None:
    class Adds(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.dw = np.zeros(3)

        def backward(self, dy: Any) -> Any:
            self.dw += (dy * self.x).sum(0)
            return dy * self.w

        def zero_grad(self) -> None:
            self.dw = np.zeros(3)

    form = recognise(Adds(), None, X)
    one, two = (form.backward(form.arguments.given, ONES)["w"] for _ in range(2))
    assert one is not None
    assert two is not None
    assert torch.equal(one, two)

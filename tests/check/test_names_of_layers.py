"""The names under which people write a layer's methods and what they keep in it."""

from typing import Any

import numpy as np
import pytest

from torch_ref.check import check_gradients

X = np.linspace(-1, 2, 12).reshape(3, 4)


class Tanh:
    """Keeps its output; its methods get their names below."""

    def run(self, x: Any) -> Any:
        self.kept = np.tanh(x)
        return self.kept

    def back(self, dy: Any) -> Any:
        return dy * (1 - self.kept**2)


class Scale:
    """Adds to the gradient of its w at each call, unless it is cleared; returns nothing."""

    def __init__(self) -> None:
        self.w, self.dw = np.linspace(1, 2, 4), np.zeros(4)

    def forward(self, x: Any) -> None:
        self.x = x
        vars(self)[self.where] = x * self.w

    def backward(self, dy: Any) -> Any:
        self.dw += (dy * self.x).sum(0)
        return dy * self.w

    def clear(self) -> None:
        self.dw = np.zeros(4)

    where = "output"


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        ("forward", "backward"),
        ("forward_pass", "backward_pass"),
        ("forward_prop", "back_prop"),
        ("forward_propagation", "backpropagation"),
        ("fprop", "bprop"),
        ("fwd", "bwd"),
        ("__call__", "backprop"),
        ("forward", "backward_prop"),
        ("forward", "backpropagate"),
    ],
)
def test_its_methods(forward: str, backward: str) -> None:
    right = type("Layer", (Tanh,), {forward: Tanh.run, backward: Tanh.back})()
    assert check_gradients(right, None, X).ok
    wrong = type("Layer", (Tanh,), {forward: Tanh.run, backward: lambda _, dy: dy})()
    assert not check_gradients(wrong, None, X).ok


@pytest.mark.parametrize(
    "result", ["output", "outputs", "out", "Y", "y", "result", "a", "A", "loss"]
)
def test_what_keeps_its_output(result: str) -> None:
    members = {"where": result, "zero_grad": Scale.clear}
    assert check_gradients(type("Layer", (Scale,), members)(), None, X).ok


@pytest.mark.parametrize("clear", ["zero_grad", "zero_grads", "zero_gradients"])
def test_what_clears_its_gradients(clear: str) -> None:
    report = check_gradients(type("Layer", (Scale,), {clear: Scale.clear})(), None, X)
    assert report.ok
    assert [row.name for row in report.rows] == ["x", "w"]
    never = check_gradients(Scale(), None, X)
    assert "grows with each call of backward" in never.diagnosis["w"]

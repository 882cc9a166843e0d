"""What can't be checked, and the line that says so."""

# ruff: noqa: ARG001, ARG005, ISC004 - a backward overlooks what it is given; long lines

from typing import Any

import numpy as np
import pytest
import torch

from tests.check.functions import Function, relu, squared_error
from torch_ref.check import check_gradients

ONES = np.ones(3)
WANTED = "return a tuple of one for each, None where no gradient is wanted"


def one(dy: Any, z: Any) -> Any:
    return dy


class Nothing:
    """Returns nothing and keeps nothing."""

    def forward(self, x: Any) -> Any:
        return 2 * x

    def backward(self, dy: Any) -> None:
        pass


class Silent(Nothing):
    """Keeps no output either."""

    def forward(self, x: Any) -> None:
        pass


class TwoOfThem:
    """Wants what nobody has."""

    forward = Nothing.forward

    def backward(self, dy: Any, thing: Any, other: Any, *, more: Any) -> Any:
        return dy


class Sized(Nothing):
    """Is made for a number of units."""

    def __init__(self, units: int) -> None:
        self.units = units


@pytest.mark.parametrize(
    ("forward", "backward", "inputs", "says"),
    [
        (
            relu,
            lambda dy, z: None,
            ONES,
            "backward returned None: it must return the gradients (does it lack a return?)",
        ),
        (
            relu,
            lambda dy, z: (dy, dy),
            ONES,
            f"backward returned 2 gradients for 1 input (z): {WANTED}",
        ),
        (
            relu,
            lambda dy, z: {"w": dy, "v": dy},
            ONES,
            "backward returned a gradient of w, v; the inputs are z",
        ),
        (
            squared_error,
            lambda dy, y, t: np.ones(2),
            (ONES, ONES),
            "backward returned 1 gradient, of shape (2,), for 2 inputs (y, t), of which none has "
            f"that shape: {WANTED}",
        ),
        (
            relu,
            lambda dy, z: (None,),
            ONES,
            "every gradient that backward returned is None: there is nothing to check",
        ),
        (
            lambda z: z > 0,
            one,
            ONES,
            "forward returned bool: its output must be floats to have a gradient, an array or "
            "tensor of them",
        ),
        (
            lambda z: "text",
            one,
            ONES,
            "forward returned a str: its output must be floats to have a gradient, an array or "
            "tensor of them",
        ),
        (relu, one, np.ones((0, 3)), "input z has shape (0, 3): give at least one entry"),
        (relu, one, "text", "no input is an array of numbers: there is no gradient to check"),
        (
            relu,
            one,
            np.ma.array([1.0], mask=[True]),
            "input z is a masked array: give the array and its mask as two inputs",
        ),
        (
            relu,
            lambda dy, z: dy * (z > 0) + 0j,
            ONES,
            "dz is complex where z is real: return its real part",
        ),
        (relu, 3, ONES, "backward is a int: it must be a function backward(dy, *inputs)"),
        (3, one, ONES, "forward is a int: a function, a layer or a module is wanted"),
        (relu, one, (), "no inputs: give one array or tensor at least"),
        (
            lambda x, w: x * w,
            lambda thing, other, more, x, z, v: None,
            (ONES, ONES),
            "backward takes neither (dy, x, w) nor (dy, cache) nor what else could be told from "
            "the names of its parameters: write backward(dy, x, w)",
        ),
        (
            Nothing(),
            None,
            ONES,
            "backward returned None and left no gradient in an attribute such as self.dx: return "
            "dx",
        ),
        (Silent(), None, ONES, "forward returned None: it must return the output"),
        (TwoOfThem(), None, ONES, "backward of TwoOfThem can't be called: write backward(dy)"),
        (Sized, None, ONES, "Sized needs arguments: give an object of it, such as Sized(3, 2)"),
        (
            relu,
            None,
            ONES,
            "no backward was given, and forward returns neither (loss, gradient) nor a tensor that "
            "torch can differentiate: give backward(dy, *inputs)",
        ),
    ],
)
def test_it_is_refused(forward: Function, backward: Function, inputs: Any, says: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole of it is compared
        check_gradients(forward, backward, inputs)
    assert str(refused.value) == says


def test_names_that_are_no_inputs() -> None:
    with pytest.raises(ValueError, match=r"^data names v, w; the inputs are z$"):
        check_gradients(relu, one, ONES, data=("w", "v"))


def test_every_input_is_data() -> None:
    with pytest.raises(ValueError, match=r"^every input is data: there is no gradient to check$"):
        check_gradients(relu, one, ONES, data="z")


def test_a_reference_of_another_shape() -> None:
    says = r"^forward's output has shape \(3,\), the reference's \(\)$"
    with pytest.raises(ValueError, match=says):
        check_gradients(relu, one, ONES, lambda z: torch.relu(z).sum())


def test_what_is_no_input_is_not_looked_at() -> None:
    report = check_gradients(
        lambda z: 2 * z, lambda dy, z: {"dz": 2 * dy, "w": dy, "v": dy}, np.ones(3)
    )
    assert report.ok
    assert report.notes == ["backward also returned w, v, of no input: not looked at"]

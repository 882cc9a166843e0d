"""Finite differences of forward: which entries they look at, and what a slope is taken for."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from torch_ref.check import check_gradients
from torch_ref.evidence.slopes import ENTRIES, SECONDS, Differences
from torch_ref.forms.values import Point

EPS = torch.finfo(torch.float64).eps
MANY = torch.linspace(-2, 2, ENTRIES + 100, dtype=torch.float64)


def differences(seconds: float = 0.0) -> Differences:
    """Of the sine of x."""
    return Differences(lambda point: point["x"].sin(), EPS, seconds=seconds)


def nearest(of: Differences, actual: Tensor, x: Tensor = MANY) -> Tensor:
    return of.nearest({"x": x}, torch.ones_like(x), "x", actual)


@pytest.mark.parametrize("place", [0, 333])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_is_looked_at_wherever_it_is(place: int, value: float) -> None:
    actual = MANY.cos()
    actual[place] = value
    right = nearest(differences(), actual)
    assert right[place] == pytest.approx(MANY.cos()[place])


def test_one_wrong_entry_of_many_is_found_by_halving() -> None:
    for place in (3, 498):
        actual = MANY.cos()
        actual[place] += 0.1
        assert nearest(differences(), actual)[place] == pytest.approx(MANY.cos()[place])


def test_as_many_entries_are_looked_at_as_there_is_time_for() -> None:
    """Of a forward that takes a hundredth of a second: 9 calls each, in half of the time left."""
    of = differences(seconds=0.01)
    found = nearest(of, 2 * MANY.cos())
    assert int((found != 2 * MANY.cos()).sum()) == int(2 * SECONDS / 2 / (9 * 0.01)) == 44
    assert SECONDS < of.left < 2 * SECONDS
    slow = nearest(differences(seconds=100.0), 2 * MANY.cos())
    assert int((slow != 2 * MANY.cos()).sum()) == 2


def test_the_steps_at_zeros_are_those_at_1() -> None:
    zeros = torch.zeros(3, dtype=torch.float64)
    of = differences()
    assert nearest(of, zeros, zeros) == pytest.approx(torch.ones(3))
    assert of.direction({"x": zeros}, "x").abs().min() >= 0.5


def test_the_sign_of_a_positive_input_stays() -> None:
    x = torch.tensor([1e-9, 2.0], dtype=torch.float64)

    def root(point: Point) -> Tensor:
        assert (point["x"] > 0).all()
        return point["x"].sqrt()

    of = Differences(root, EPS, positive=frozenset({"x"}))
    actual = 0.5 / x.sqrt()
    assert torch.equal(of.nearest({"x": x}, torch.ones_like(x), "x", actual), actual)


def test_the_numbers_drawn_are_its_own() -> None:
    """The same at each call, and torch's own generator stays where it was."""
    before = torch.get_rng_state()
    wrong = MANY.cos()
    wrong[::2] *= 2
    assert torch.equal(nearest(differences(), wrong), nearest(differences(), wrong))
    point = {"x": MANY}
    assert torch.equal(differences().direction(point, "x"), differences().direction(point, "x"))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("refusal", [AssertionError, ValueError])
@pytest.mark.parametrize("free", [0, 1])
def test_where_forward_refuses_every_step_nothing_is_called_right(
    refusal: type[Exception], free: int
) -> None:
    """Any gradient would do at the entries that it wants to be those given."""
    given = torch.linspace(-1, 1, 6, dtype=torch.float64)

    def forward(z: Tensor) -> Tensor:
        if not torch.equal(z.detach()[free:], given[free:]):
            raise refusal("must be those")
        return torch.tensor([float(each) ** 2 for each in z], dtype=z.dtype)

    def backward(dy: Tensor, z: Tensor) -> Tensor:
        return torch.cat([(2 * dy * z)[:free], 0 * dy[free:] + 3])

    entries = f"{6 - free} of 6 entries"
    with pytest.raises(
        ValueError, match=f"^forward has no slope by z at {entries}: give a reference$"
    ):
        check_gradients(forward, backward, (given,))


def test_of_a_large_input_all_entries_count_where_forward_can_be_traced() -> None:
    """Entry by entry there is time for a few hundred: the figures are those of all of them."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(16, 100)) / 10, rng.normal(size=(100, 20))

    def forward(x: Any, w: Any) -> Any:
        return np.tanh(x @ w)

    def backward(dy: Any, x: Any, w: Any) -> Any:
        dz = dy * (1 - np.tanh(x @ w) ** 2)
        dz[3, 7] *= 1.5
        return dz @ w.T, x.T @ dz

    measured = check_gradients(forward, backward, (x, w))
    referred = check_gradients(forward, backward, (x, w), lambda x, w: torch.tanh(x @ w))
    for one, other in zip(measured.rows, referred.rows, strict=True):
        assert one.max_abs == pytest.approx(other.max_abs, rel=1e-6)
        assert one.max_rel == pytest.approx(other.max_rel, rel=1e-6)

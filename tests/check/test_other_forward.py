"""A forward that is another function than the reference, and what is told where nothing has a
name.
"""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.check.told import hidden
from torch_ref.check import check_gradients
from torch_ref.check.judging import _is_slope

X = torch.linspace(0.5, 1.5, 6, dtype=torch.float64).reshape(2, 3)


def told(forward: Any, backward: Any, x: Any = X, reference: Any = torch.sin) -> dict[str, str]:
    return check_gradients(forward, backward, x, reference).diagnosis


def test_one_that_is_a_number_of_times_the_reference() -> None:
    assert told(lambda x: 2 * x.sin(), lambda dy, x: dy * x.cos()) == {
        "forward": "forward is not the reference: its output is 2 times the reference everywhere; "
        "backward is not the gradient of forward either (x)"
    }
    assert told(lambda x: 2 * x.sin(), lambda dy, x: 2 * dy * x.cos())["forward"] == (
        "forward is not the reference: its output is 2 times the reference everywhere; "
        "backward is the gradient of forward"
    )


def test_one_that_is_another_function() -> None:
    def forward(x: Tensor) -> Tensor:
        return x.sin() + (torch.arange(6).reshape(2, 3) == 4) * 3.0

    assert told(forward, lambda dy, x: dy * x.cos())["forward"].startswith(
        "forward is not the reference: its output differs, most at [1, 1]: got "
    )
    # at a point that was drawn, where it is off most
    elsewhere = told(lambda x: x.sin() + (x < -1) * 3, lambda dy, x: dy * x.cos())["forward"]
    got, expected = re.findall(r"(?:got|expected) (-?[0-9.]+)", elsewhere)
    assert float(got) - float(expected) == pytest.approx(3, abs=1e-5)


def test_a_gradient_of_another_shape_is_no_gradient_of_forward() -> None:
    said = told(lambda x: 2 * x.sin(), lambda dy, x: (2 * dy * x.cos()).reshape(-1))["forward"]
    assert said.endswith("; backward is not the gradient of forward either (x)")


def test_the_smallest_case_has_a_dy_of_two_entries_at_least() -> None:
    x = torch.tensor([0.5, 1.5], dtype=torch.float64)
    assert told(torch.sin, lambda dy, x: dy * x.cos() + x, x)["x"].endswith(
        ". The smallest case: with dy = 1 at [0] and 0 elsewhere it is 1.5 at [1], and should be 0"
    )
    assert "smallest" not in told(torch.sin, lambda dy, x: dy * x.cos() + x, x[:1])["x"]


def test_parts_that_are_right_by_themselves() -> None:
    def backward(dy: Tensor, x: Tensor) -> Tensor:
        return dy * x.cos() + dy[0, 0] * dy[1, 1]

    assert told(torch.sin, backward)["x"].endswith(
        ". With dy = 1 at one place and 0 elsewhere it is right: look at how the parts are added"
    )


@pytest.mark.parametrize(("columns", "says"), [(400, "dx has dy squared"), (401, "dx is wrong")])
def test_guesses_are_made_by_slopes_of_few_entries(columns: int, says: str) -> None:
    x = np.linspace(0.5, 1.5, columns)[None]
    said = told(hidden(np.sin), lambda dy, x: dy**2 * np.cos(x), x, None)
    assert said["x"].startswith(says)


@pytest.mark.parametrize(("agree", "slope"), [(0, False), (2, False), (3, True), (5, True)])
def test_a_source_is_believed_where_it_agrees_at_most_points(agree: int, *, slope: bool) -> None:
    answers = iter([True] * agree + [False] * (5 - agree))
    differences: Any = SimpleNamespace(agrees=lambda *_: next(answers))
    smooth, kinked = (
        SimpleNamespace(kinks=kinks, point={}, dy=None, expected={"x": None}) for kinks in (0, 1)
    )
    trials: Any = [smooth, kinked] * 5
    assert _is_slope(trials, "x", differences) == slope


def test_points_where_the_references_gradient_is_not_finite_are_left_out() -> None:
    assert told(torch.abs, lambda dy, x: dy * x.sign(), X, lambda x: (x * x).sqrt()) == {}

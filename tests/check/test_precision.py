"""What is rounding in the precision that was given, and what is a fault."""

# ruff: noqa: ARG001, ARG005 - a backward overlooks what it is given

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.check.functions import Function, right_sigmoid, sigmoid
from torch_ref.check import check_gradients
from torch_ref.evidence.precision import _grain, of_sums
from torch_ref.forms.values import Point

Z = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def in_float32(factor: float, size: float = 1.0) -> Function:
    """The backward of size * sigmoid, right in float64, `factor` times that in float32."""

    def backward(dy: Any, z: Any) -> Any:
        return size * right_sigmoid(dy, z) * (factor if z.dtype == np.float32 else 1)

    return backward


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(("factor", "verdict"), [(1.001, "ok"), (1.03, "lower precision")])
def test_as_much_may_be_lost_at_every_scale(factor: float, size: float, verdict: str) -> None:
    report = check_gradients(lambda z: size * sigmoid(z), in_float32(factor, size), Z)
    assert [row.verdict for row in report.rows] == [verdict]


@pytest.mark.parametrize("reference", [None, torch.sigmoid])
def test_a_gradient_doubled_in_float32_alone_is_wrong(reference: Function | None) -> None:
    report = check_gradients(sigmoid, in_float32(2), Z, reference)
    assert report.diagnosis == {"z": "dz is right in float64, but in float32 off by 1 of its size"}


def test_a_gradient_doubled_where_only_float32_is_taken_is_wrong() -> None:
    w = torch.from_numpy(Z)
    report = check_gradients(lambda x: x @ w, lambda dy, x: 2 * dy @ w.T, torch.ones(5, 3))
    assert [row.verdict for row in report.rows] == ["factor"]


def test_zeros_are_looked_at_with_a_step_of_1() -> None:
    report = check_gradients(np.sin, lambda dy, x: dy * (2 - x.any()) * np.cos(x), np.zeros((2, 3)))
    assert "where x = 0: got" in report.diagnosis["x"]


def verdict(
    forward: Function, backward: Function, x: Any, reference: Function | None = None
) -> str:
    (row,) = check_gradients(forward, backward, x, reference).rows
    return row.verdict


@pytest.mark.parametrize(
    ("dtype", "lost", "expected"),
    [
        ("float32", 0.007, "ok"),
        ("float32", 0.009, "lower precision"),
        ("float16", 0.013, "ok"),
        ("float16", 0.019, "lower precision"),
    ],
)
def test_what_may_be_lost_in_the_dtype_given(dtype: str, lost: float, expected: str) -> None:
    def backward(dy: Any, z: Any) -> Any:
        return right_sigmoid(dy, z) * (1 if z.dtype == np.float64 else 1 + lost)

    assert verdict(sigmoid, backward, Z.astype(dtype)) == expected


@pytest.mark.parametrize(
    ("dtype", "lost", "expected"),
    [
        ("float32", 6e-6, "ok"),
        ("float32", 1e-5, "factor"),
        ("float16", 0.012, "ok"),
        ("float16", 0.03, "factor"),
    ],
)
def test_what_may_be_lost_where_forward_works_in_less(
    dtype: str, lost: float, expected: str
) -> None:
    def forward(z: Any) -> Any:
        return np.sin(z.astype(dtype))

    def backward(dy: Any, z: Any) -> Any:
        return dy * np.cos(z) * (1 + lost)

    assert verdict(forward, backward, Z.astype(np.float64), torch.sin) == expected


@pytest.mark.parametrize(("lost", "expected"), [(1e-4, "ok"), (1.4e-4, "factor")])
def test_what_may_be_lost_where_nothing_else_is_taken(lost: float, expected: str) -> None:
    w = torch.from_numpy(Z)

    def backward(dy: Any, x: Any) -> Any:
        return (1 + lost) * dy @ w.T

    x, reference = torch.linspace(-1, 1, 15).reshape(5, 3), lambda x: x @ w.to(x.dtype)
    assert verdict(lambda x: x @ w, backward, x, reference) == expected


def rounded(dtype: str) -> Function:
    return lambda dy, x: (2 * dy).astype(dtype).astype(np.float64)


def test_how_much_is_lost_on_the_way_is_told() -> None:
    report = check_gradients(lambda x: 2 * x, rounded("float16"), np.ones((3, 4)))
    assert report.diagnosis == {
        "x": "dx is right, but in lower precision: off by 0.0003 of its size, as if float16 were "
        "used on the way"
    }


@pytest.mark.parametrize("given", ["float16", "float32"])
def test_the_precision_given_is_no_lower_one(given: str) -> None:
    x = np.ones((3, 4), given)
    assert verdict(lambda x: 2 * x, rounded(given), x) == "ok"
    assert verdict(lambda x: 2 * x, rounded("float16"), x.astype(np.float32)) == "lower precision"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 2.0])
def test_what_is_far_off_is_no_rounding(wrong: float) -> None:
    def backward(dy: Any, x: Any) -> Any:
        g = (2 * dy).astype(np.float32)
        g[0, 0] = wrong
        return g

    found = verdict(lambda x: 2 * x, backward, np.ones((3, 4)))
    assert found in {"nan or inf", "wrong"}


def test_the_largest_gradients_hide_no_others() -> None:
    """Of large inputs they are a thousand times as large."""

    def backward(dy: Any, x: Any) -> Any:
        return 3 * dy * x**2 * (1 + 1e-6 * (abs(x) < 2))

    assert verdict(lambda x: x**3, backward, np.linspace(-1, 1, 12), lambda x: x**3) == "factor"


@pytest.mark.parametrize(
    ("gap", "grain"),
    [
        (0.75 * 2.0**-40, torch.float64),
        (1.5 * 2.0**-40, torch.float32),
        (0.75 * 2.0**-19, torch.float32),
        (1.5 * 2.0**-19, torch.float16),
        (0.4 * 2.0**-8, torch.float16),  # nearer to 1 than any number of bfloat16 below it
        (0.75 * 2.0**-8, torch.bfloat16),
        (1.5 * 2.0**-8, torch.bfloat16),
        (0.75 * 2.0**-5, torch.bfloat16),
        (1.5 * 2.0**-5, torch.float64),
    ],
)
@pytest.mark.parametrize("place", [0, 63, 64])
def test_a_precision_is_known_by_the_least_change_that_shows(
    gap: float, grain: torch.dtype, place: int
) -> None:
    x = torch.full((100,), 0.5, dtype=torch.float64)
    x[place] = 1 - gap

    def step(point: Point) -> Tensor:
        return (point["x"] >= 1).double()

    assert _grain(step, {"x": x}, "x") == (grain if place < 64 else torch.float64)


def test_a_function_that_refuses_a_change_shows_none() -> None:
    def refuses(point: Point) -> Tensor:
        if (point["x"] != 1).any():
            raise ValueError("not 1")
        return point["x"]

    assert _grain(refuses, {"x": torch.ones(2, dtype=torch.float64)}, "x") == torch.float64
    noisy = {"x": torch.ones(2, dtype=torch.float64)}
    assert _grain(lambda point: point["x"] / 0 * 0, noisy, "x") == torch.float64


def test_sums_lose_as_much_as_their_precision_does() -> None:
    assert of_sums(torch.float32) == 64 * 2.0**-23
    assert of_sums(torch.float16) == 16 * 2.0**-10
    assert of_sums(torch.bfloat16) == 16 * 2.0**-7


@pytest.mark.parametrize(("off", "expected"), [(3.5e-9, "ok"), (4.5e-9, "factor")])
def test_what_may_be_off_in_float64(off: float, expected: str) -> None:
    x = Z.astype(np.float64)
    found = verdict(np.sin, lambda dy, x: dy * np.cos(x) * (1 + off), x, torch.sin)
    assert found == expected


@pytest.mark.parametrize(("off", "expected"), [(1e-13, "ok"), (1e-12, "mask")])
def test_what_may_be_off_where_terms_cancel(off: float, expected: str) -> None:
    """Of a gradient of 0, whose terms are as large as y / x."""

    def forward(x: Any) -> Any:
        return (x + 1) - x

    found = verdict(forward, lambda dy, x: off + 0 * dy, np.ones((3, 4)), forward)
    assert found == expected


def test_sums_that_are_rounded_lose_no_dy_where_entries_are_equal() -> None:
    def backward(dy: Any, z: Any) -> Any:
        return right_sigmoid(dy.astype(np.float32), z.astype(np.float32))

    report = check_gradients(sigmoid, backward, Z, torch.sigmoid)
    assert report.ok
    assert report.notes == []

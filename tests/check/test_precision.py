"""What is rounding in the precision that was given, and what is a fault."""

# ruff: noqa: ARG005 - a backward overlooks what it is given

from typing import Any

import numpy as np
import pytest
import torch

from tests.check.functions import Function, right_sigmoid, sigmoid
from torch_ref.check import check_gradients

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

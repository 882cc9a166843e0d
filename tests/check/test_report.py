"""What a report says, and what cannot be checked."""

# ruff: noqa: ARG005 - a wrong backward overlooks what it is given

import inspect
import re
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.check.functions import (
    NUMPY,
    B,
    C,
    clipped_bce,
    layer,
    layer_backward,
    layer_reference,
    probabilities,
    relu,
    right_sigmoid,
    sigmoid,
    squared_error,
)
from tests.check.planted.activations import spoiled
from tests.check.planted.losses import scaled
from torch_ref.check import assert_gradients, check_gradients
from torch_ref.check.recognition import recognise
from torch_ref.forms.subject import Subject


def test_an_error_that_the_given_input_does_not_show_is_found() -> None:
    report = check_gradients(
        relu, lambda dy, z: dy, np.random.default_rng(0).random((B, C)), torch.relu
    )
    assert "not at the given inputs, but at random ones of both signs" in report.diagnosis["z"]


def test_inputs_are_drawn_where_forward_holds() -> None:
    """Probabilities stay between 0 and 1, where the logarithm ends, though forward clips them;
    domain says so by hand.
    """
    (p, t) = probabilities(np.random.default_rng(0), 1.0)
    backward = NUMPY["binary cross-entropy"].backward
    assert check_gradients(clipped_bce, backward, (p, t)).ok
    assert check_gradients(clipped_bce, backward, (p, t), domain={"p": (0.0, 1.0)}).ok
    assert not check_gradients(clipped_bce, backward, (p, t), domain={"p": (-1.0, 2.0)}).ok


def test_the_assertion_carries_the_report() -> None:
    with pytest.raises(
        AssertionError,
        match=r"(?s)^wrong gradient\ninput  shape .*dz is 2 times too large: divide by 2",
    ):
        assert_gradients(
            sigmoid, lambda dy, z: 2 * right_sigmoid(dy, z), np.ones((B, C)), torch.sigmoid
        )


def test_the_assertion_has_the_arguments_of_the_check() -> None:
    assert (
        inspect.signature(assert_gradients).parameters
        == inspect.signature(check_gradients).parameters
    )


def test_one_mistake_is_said_of_all_that_it_spoils() -> None:
    """And of each alone where another gradient would be wrong, too."""

    def backward(dy: Any, x: Any, w: Any, b: Any, *, of_x: bool = True) -> Any:
        y = layer(x, w, b)
        dz = dy * y * (1 + y)
        dx = dz @ w.T if of_x else layer_backward(dy, x, w, b)[0]
        return dx, x.T @ dz, dz.sum(0)

    inputs = NUMPY["layer"].inputs(np.random.default_rng(0), 1.0)
    words = "in the derivative of sigmoid((x @ w) + b), y (1 + y) stands where y (1 - y) belongs"
    said = check_gradients(layer, backward, inputs, layer_reference).diagnosis
    assert said == dict.fromkeys("xwb", f"db, dw and dx: {words}")
    said = check_gradients(layer, partial(backward, of_x=False), inputs, layer_reference).diagnosis
    assert said == {name: f"d{name}: {words}" for name in "wb"}


def test_missing_parentheses_are_quoted_as_they_are() -> None:
    report = check_gradients(sigmoid, lambda dy, z: dy - sigmoid(z), np.ones((B, C)), torch.sigmoid)
    assert (
        "parentheses are missing: dy - y stands where dy (y (1 - y)) belongs"
        in report.diagnosis["z"]
    )


def test_a_call_that_had_to_wait_is_not_taken_for_a_slow_forward(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 0.001, 1.0, 2.0])
    monkeypatch.setattr(
        "torch_ref.forms.subject.time", SimpleNamespace(perf_counter=lambda: next(clock))
    )
    subject = Subject(recognise(sigmoid, right_sigmoid, np.ones((B, C))))
    for _ in range(2):
        subject.forward(subject.given)
    assert subject.seconds == 0.001


def test_a_factor_is_named_after_a_size_only_where_it_varies_with_it() -> None:
    """2 is B as well, and 3 is C: but a number stays what it is where the sizes are others."""
    inputs = np.ones((2, 3)), np.random.default_rng(0).normal(size=(2, 3))
    two = check_gradients(squared_error, scaled(lambda y: 2), inputs, nn.MSELoss()).diagnosis["y"]
    assert "a 2 too many" in two
    assert "samples" not in two
    batch = check_gradients(squared_error, scaled(len), inputs, nn.MSELoss()).diagnosis["y"]
    assert "2 times too large: divide by 2 (B, the number of samples" in batch


def test_forward_that_is_not_the_reference_is_said() -> None:
    y, t = np.ones((B, C)), np.random.default_rng(0).normal(size=(B, C))
    report = check_gradients(
        lambda y, t: B * squared_error(y, t), scaled(lambda y: 1), (y, t), nn.MSELoss()
    )
    assert "its output is 8 times the reference everywhere" in report.diagnosis["forward"]
    assert "backward is not the gradient of forward either (y)" in report.diagnosis["forward"]
    report = check_gradients(np.tanh, right_sigmoid, np.ones((B, C)), torch.sigmoid)
    assert "its output differs" in report.diagnosis["forward"]


def test_nan_in_float32_alone_is_said() -> None:
    z = np.full((B, C), 100, dtype=np.float32)
    report = check_gradients(smooth_relu, lambda dy, z: dy * np.exp(z) / (1 + np.exp(z)), z)
    assert report.diagnosis["z"] == (
        "dz is nan at [0, 0] in float32; in float64 it is right: something on the way is too large "
        "for float32"
    )


def smooth_relu(z: Any) -> Any:
    return np.logaddexp(0, z)


def test_functions_that_take_float32_alone_are_checked_in_it() -> None:
    w = torch.randn(C, 3, generator=torch.Generator().manual_seed(0))
    x = torch.randn(B, C, generator=torch.Generator().manual_seed(1))
    for reference in (None, lambda x: x @ w.to(x.dtype)):
        report = check_gradients(lambda x: x @ w, lambda dy, x: dy @ w.T, x, reference)
        assert report.ok
        assert "does not take float64" in str(report)
        assert not check_gradients(lambda x: x @ w, lambda dy, x: dy @ w.T * 1.01, x, reference).ok


def test_inputs_are_handed_over_as_copies() -> None:
    def backward(dy: Any, z: Any) -> Any:
        np.multiply(dy, z > 0, out=dy)
        z[:] = 0
        return dy

    z = np.random.default_rng(0).normal(size=(B, C))
    before = z.copy()
    assert_gradients(relu, backward, z, torch.relu)
    assert np.array_equal(z, before)


def test_an_exception_says_which_call_raised_it() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        check_gradients(relu, lambda dy, z: 1 // 0, np.ones((B, C)))
    assert raised.value.__notes__ == ["raised by backward, called with z (8, 5) float64"]


def test_a_nan_is_found_by_finite_differences_too() -> None:
    report = check_gradients(sigmoid, spoiled(np.nan), np.ones((B, C)))
    assert report.rows[0].verdict == "nan or inf"


def test_one_wrong_entry_of_many_is_found_without_a_reference() -> None:
    def backward(dy: Any, z: Any) -> Any:
        dz = right_sigmoid(dy, z)
        dz[31, 7] *= 1.01
        return dz

    x = np.random.default_rng(0).normal(size=(40, 30))
    assert check_gradients(sigmoid, right_sigmoid, x).ok
    assert "at [31, 7]" in check_gradients(sigmoid, backward, x).diagnosis["z"]


def test_the_entry_named_is_that_of_the_figures() -> None:
    """Layer norm, its means over the batch: off by far more at a row of zeros, of which the figures
    are not.
    """

    def forward(x: Any) -> Any:
        return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)

    def backward(dy: Any, x: Any) -> Any:
        y, r = forward(x), 1 / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        return r * (dy - dy.mean(0) - y * (dy * y).mean(0))

    report = check_gradients(forward, backward, np.random.default_rng(0).standard_normal((8, 5)))
    found = re.search(r"got (\S+), expected (\S+)\.", report.diagnosis["x"])
    assert found
    assert abs(float(found[1]) - float(found[2])) == pytest.approx(report.rows[0].max_abs, rel=1e-4)


def test_entries_are_counted_over_all_points() -> None:
    report = check_gradients(
        lambda z: np.clip(z, -1, 1),
        lambda dy, z: dy * (abs(z) < 0.9),
        np.random.default_rng(0).standard_normal((8, 5)),
    )
    assert re.search(r"^dz is zero at \d+ of 280 entries of 7 points, where", report.diagnosis["z"])


def test_an_axis_of_one_entry_is_no_place() -> None:
    z = np.random.default_rng(0).standard_normal((8, 1))
    report = check_gradients(lambda z: z**3, lambda dy, z: dy * np.cos(7 * z), z)
    assert report.rows[0].verdict == "wrong"
    assert "of axis" not in report.diagnosis["z"]

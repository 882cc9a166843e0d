"""Whether the same question gets the same answer: asked again, and of a dy laid out otherwise."""

# ruff: noqa: ARG001, ARG005, NPY002, S311 - a backward overlooks what it is given

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from torch_ref.check import Report, check_gradients
from torch_ref.check.behaviour import OF_FORWARD, STATE
from torch_ref.check.checker import SEEDED
from torch_ref.check.recognition import recognise
from torch_ref.forms.subject import Subject

X = torch.arange(12.0, dtype=torch.float64).reshape(3, 4) / 7


def of(backward: Any) -> Report:
    """Of 2 x; backward is of dy alone."""
    return check_gradients(lambda x: 2 * x, lambda dy, x: backward(dy), X, lambda x: 2 * x)


def test_what_is_kept_from_call_to_call_is_told() -> None:
    calls = iter(range(1000))
    assert of(lambda dy: dy * (next(calls) % 3)).diagnosis == {
        "x": "dx is another when backward is called again: something kept from call to call "
        "enters it. Set it back in forward"
    }
    assert of(lambda dy: dy * torch.rand(())).diagnosis == {
        "x": "dx is another at each call of backward with the same dy and inputs: random numbers "
        "enter it. Use those that forward drew"
    }
    total = torch.zeros_like(X)
    report = of(lambda dy: total.add_(2 * dy).clone())
    assert report.diagnosis == {
        "x": "dx grows with each call of backward: it is added to what was there (+=). Set it to "
        "zero before each call, or assign it (=)"
    }
    assert [(row.name, row.verdict) for row in report.rows] == [("x", "accumulates")]


@pytest.mark.parametrize("kept", [lambda n: n, lambda n: 0.5**n])
def test_what_forward_keeps_from_call_to_call_is_told(kept: Callable[[int], float]) -> None:
    """A counter, and a running mean."""
    calls = iter(range(1000))
    report = check_gradients(lambda x: 2 * x + kept(next(calls)), lambda dy, _: 2 * dy, X)
    assert report.diagnosis == {"x": OF_FORWARD[STATE]}


def test_random_numbers_that_forward_keeps_are_seeded() -> None:
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        mask = (torch.rand(x.shape) > np.random.rand() * random.random()).double()
        return x * mask, mask

    report = check_gradients(forward, lambda dy, cache: dy * cache, X)
    assert report.ok
    assert report.notes == [SEEDED]
    again = check_gradients(forward, lambda dy, cache: dy * torch.rand(dy.shape), X)
    assert again.diagnosis == {
        "x": "forward and backward each draw random numbers of their own: backward needs those "
        "that forward drew. Keep them in forward, or pass them in"
    }


@pytest.mark.parametrize(
    ("words", "is_laid_out"),
    [
        ("is not contiguous in memory", lambda dy: dy.stride() == (1, 3)),
        ("is expanded (one row in memory stands for many)", lambda dy: dy.stride() == (0, 1)),
    ],
)
def test_a_dy_that_is_laid_out_otherwise(words: str, is_laid_out: Any) -> None:
    report = of(lambda dy: 3 * dy if is_laid_out(dy) else 2 * dy)
    assert report.diagnosis == {
        "x": f"dx is wrong for a dy that {words}: its memory is read as if it were contiguous. "
        "Call dy.contiguous() first"
    }

    def refuses(dy: Tensor) -> Tensor:
        if is_laid_out(dy):
            raise ValueError("no")
        return 2 * dy

    said = of(refuses).diagnosis
    if "expanded" in words:  # few kernels take such
        assert said == {}
    else:
        assert said == {
            "backward": f"backward raises ValueError (no) for a dy that {words}: call "
            "dy.contiguous() first"
        }


def test_a_backward_that_calls_autograd_is_told_and_torch_left_as_it_was() -> None:
    before = torch.autograd.grad

    def backward(dy: Tensor) -> Tensor:
        x = X.clone().requires_grad_()
        return torch.autograd.grad(2 * x, x, dy)[0]

    assert of(backward).autograd
    assert torch.autograd.grad is before
    assert not of(lambda dy: 2 * dy).autograd


def test_what_backward_overwrites_is_told() -> None:
    notes = of(lambda dy: dy.mul_(2)).notes
    assert notes == ["backward overwrites dy: hand it a copy of what is needed again"]
    assert of(lambda dy: 2 * dy).notes == []


def test_points_that_forward_refuses_are_told() -> None:
    def forward(x: Any) -> Any:
        if abs(x).max() > 3:
            raise ValueError("too large")
        return 2 * x

    report = check_gradients(forward, lambda dy, x: 2 * dy, np.linspace(1, 3, 6).reshape(2, 3))
    assert report.ok
    assert "could be tried" not in " ".join(report.notes)


@pytest.mark.parametrize(("shape", "strides"), [((5,), (16,)), ((3, 4), (8, 24))])
def test_a_dy_of_numpy_is_laid_out_otherwise_too(
    shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    def backward(dy: Any, x: Any) -> Any:
        return (3 if dy.strides == strides else 2) * dy

    said = check_gradients(lambda x: 2 * x, backward, np.ones(shape) / 3).diagnosis
    assert said["x"].startswith("dx is wrong for a dy that is not contiguous in memory")


def test_why_no_other_inputs_could_be_tried_is_told() -> None:
    w = np.ones(4) / 3

    def backward(dy: Any, x: Any, w_: Any) -> Any:
        return dy * w_, (dy * x).sum(0) if (w_ == w).all() else None

    notes = check_gradients(lambda x, w: x * w, backward, (np.ones((3, 4)), w)).notes
    assert notes[0] == (
        "no inputs in the range of those given could be tried: ValueError: backward gave a "
        "gradient of w at one point and None at another"
    )


def test_a_backward_that_calls_forward_is_seen() -> None:
    def forward(x: Tensor) -> Tensor:
        return x**2

    def calls(backward: Any) -> int:
        subject = Subject(recognise(forward, backward, (X,)))
        return subject.calls_of_forward(subject.given, torch.ones_like(X))

    assert calls(lambda dy, x: 2 * x * dy) == 0
    assert calls(lambda dy, x: (forward(x + 1e-6) - forward(x)) / 1e-6 * dy) == 2

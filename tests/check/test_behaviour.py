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
from torch_ref.check.behaviour import _is_steady, same
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


def test_what_changes_once_is_not_added_up() -> None:
    verdicts = set()
    for calls in range(1, 8):
        factors = iter([1.0] * calls + [2.0] * 1000)
        verdicts |= {row.verdict for row in of(lambda dy, f=factors: dy * next(f)).rows}
    assert "state" in verdicts
    assert "accumulates" not in verdicts


def test_two_gradients_that_are_added_up_are_told_together() -> None:
    of_x, of_w = torch.zeros_like(X), torch.zeros_like(X)
    report = check_gradients(
        lambda x, w: x * w,
        lambda dy, x, w: (of_x.add_(dy * w).clone(), of_w.add_(dy * x).clone()),
        (X, X + 1),
    )
    assert {row.verdict for row in report.rows} == {"accumulates"}
    assert all(each.startswith("dx and dw grows with") for each in report.diagnosis.values())


def test_random_numbers_of_another_generator_are_told() -> None:
    generator = torch.Generator().manual_seed(0)
    report = check_gradients(
        lambda x, t: x * torch.rand(x.shape, generator=generator) + t,
        lambda dy, x, t: (dy, None),
        (X, torch.arange(4)),
    )
    assert report.diagnosis == {
        "x": "forward gives another output at each call with the same inputs: it draws random "
        "numbers. Seed the generator in forward, or pass the mask or the noise in as an input"
    }
    assert [row.verdict for row in report.rows] == ["random", "data"]


def test_a_check_draws_no_random_numbers_of_its_own() -> None:
    def states() -> tuple[str, ...]:
        with np.printoptions(threshold=10**4):
            every = torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()
            return tuple(map(str, every))

    before = states()
    assert of(lambda dy: 2 * dy).ok
    assert states() == before


@pytest.mark.parametrize(
    ("outputs", "steady"),
    [
        ((5.0, 6.0, 6.5), True),
        ((5.0, 6.0, 7.0), True),
        ((5.0, 6.0, 6.96), True),
        ((5.0, 6.0, 6.98), False),
        ((5.0, 6.0, 7.5), False),
        ((5.0, 6.0, 5.0), False),
        ((5.0, 5.1, 5.6), False),
        ((5.0, 6.0, 5.5), True),
    ],
)
def test_steps_of_what_is_kept_are_alike_or_smaller(
    outputs: tuple[float, ...], *, steady: bool
) -> None:
    assert _is_steady([torch.tensor([one, 0.0]) for one in outputs]) == steady


NAN = float("nan")


@pytest.mark.parametrize(
    ("a", "b", "scale", "alike"),
    [
        ([1.0, 2.0], [1.0, 2.0], None, True),
        ([1.0, 2.0], None, None, True),
        (None, [1.0, 2.0], None, True),
        ([1.0, 2.0], [1.0, 2.0, 3.0], None, False),
        ([], [], None, True),
        ([1.0, NAN], [1.0, NAN], None, True),
        ([1.0, 2.0], [1.0, 2.000001], None, True),
        ([1.0, 2.0], [1.0, 2.000003], None, False),
        ([1.0, -2.0], [1.000001, -2.0], None, True),
        ([0.0, 1.0], [0.00001, 1.0], [NAN, 20.0], True),
        ([0.0, 1.0], [0.00003, 1.0], [NAN, 20.0], False),
        ([0.0, 0.0], [0.0, 1e-9], None, False),
    ],
)
def test_equal_up_to_the_order_of_a_sum(
    a: list[float] | None, b: list[float] | None, scale: list[float] | None, *, alike: bool
) -> None:
    assert same(*(None if one is None else torch.tensor(one) for one in (a, b, scale))) == alike


@pytest.mark.parametrize("kept", [lambda n: n, lambda n: 0.5**n])
def test_what_forward_keeps_from_call_to_call_is_told(kept: Callable[[int], float]) -> None:
    """A counter, and a running mean."""
    calls = iter(range(1000))
    report = check_gradients(lambda x: 2 * x + kept(next(calls)), lambda dy, _: 2 * dy, X)
    assert report.diagnosis == {
        "x": "forward gives another output when it is called again with the same inputs: "
        "something kept from call to call (a running mean, a counter) enters it. Set it back "
        "before each call, or pass it in"
    }
    assert [row.verdict for row in report.rows] == ["state"]


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

    report = of(backward)
    assert report.autograd
    assert report.notes[-1] == "backward has torch.autograd do the work"
    assert torch.autograd.grad is before
    assert not of(lambda dy: 2 * dy).autograd


def test_what_backward_overwrites_is_told() -> None:
    notes = of(lambda dy: dy.mul_(2)).notes
    assert notes == ["backward overwrites dy: hand it a copy of what is needed again"]
    assert of(lambda dy: 2 * dy).notes == []

    def backward(dy: Tensor, x: Tensor) -> Tensor:
        right = 2 * dy
        for each in (dy, x):
            each.zero_()
        return right

    both = check_gradients(lambda x: 2 * x, backward, X).notes
    assert both == ["backward overwrites dy and x: hand it a copy of what is needed again"]


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

"""Entries that are equal: a maximum's dy goes to any of them, once."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from torch_ref.cases import random
from torch_ref.check import check_gradients

A, B = random((8, 5), torch.float64, 1), random((8, 5), torch.float64, 2)
TWICE = "where entries are equal, dy counts more than once: take one, or share it"
LOST = "where entries are equal, dy is lost"


@pytest.mark.parametrize(
    ("to_a", "to_b", "notes"),
    [
        (torch.ge, torch.lt, []),
        (torch.gt, torch.le, []),
        (torch.ge, torch.le, [TWICE]),
        (torch.gt, torch.lt, [LOST]),
    ],
)
def test_the_larger_of_two(
    to_a: Callable[..., Tensor], to_b: Callable[..., Tensor], notes: list[str]
) -> None:
    report = check_gradients(
        torch.maximum,
        lambda dy, a, b: (dy * to_a(a, b), dy * to_b(a, b)),
        {"a": A, "b": B},
        torch.maximum,
    )
    assert report.ok
    assert report.notes == notes


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_largest_of_a_row(dtype: torch.dtype) -> None:
    def largest(x: Tensor) -> Tensor:
        return x.amax(1)

    def is_largest(x: Tensor) -> Tensor:
        return (x == x.amax(1, keepdim=True)).to(x.dtype)

    def shared(dy: Tensor, x: Tensor) -> Tensor:
        return dy[:, None] * is_largest(x) / is_largest(x).sum(1, keepdim=True)

    def first(dy: Tensor, x: Tensor) -> Tensor:
        return torch.zeros_like(x).scatter(1, is_largest(x).argmax(1, keepdim=True), dy[:, None])

    def every(dy: Tensor, x: Tensor) -> Tensor:
        return dy[:, None] * is_largest(x)

    x = A.to(dtype)
    for backward, notes in ((shared, []), (first, []), (every, [TWICE])):
        report = check_gradients(largest, backward, x, largest)
        assert report.ok
        assert report.notes == notes


def test_another_kink_is_no_tie() -> None:
    """The sign of 0 may be 1, 0 or -1."""
    report = check_gradients(
        lambda a, b: (a - b).abs(),
        lambda dy, a, b: (dy * torch.where(a >= b, 1, -1), -dy * torch.where(a >= b, 1, -1)),
        {"a": A, "b": B},
        lambda a, b: (a - b).abs(),
    )
    assert report.ok
    assert report.notes == []


def test_a_fault_is_all_that_is_said_where_there_is_one() -> None:
    report = check_gradients(
        torch.maximum,
        lambda dy, a, b: (2 * dy * (a >= b), dy * (a < b)),
        {"a": A, "b": B},
        torch.maximum,
    )
    assert not report.ok
    assert report.notes == []

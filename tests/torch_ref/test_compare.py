"""The measure of differences itself."""

import math

import pytest
import torch

from torch_ref.compare import Difference, compare, largest


def test_equal_bits() -> None:
    a = torch.tensor([1.0, math.nan, -math.inf, 0.0])
    assert compare(a, a.clone()) == Difference(0.0, 0.0, 0.0, bitwise=True)


def test_figures() -> None:
    expected = torch.tensor([[1.0, -4.0], [0.5, 0.0]])
    actual = expected.clone()
    actual[0, 0] += 2**-20
    spacing = 2**-21  # of float32 at 4
    assert compare(actual, expected) == Difference(2**-20, 2**-22, 2**-20 / spacing, bitwise=False)


def test_zero_and_minus_zero_differ_in_a_bit_alone() -> None:
    assert compare(torch.tensor([0.0]), torch.tensor([-0.0])) == Difference(
        0.0, 0.0, 0.0, bitwise=False
    )


def test_nan_against_a_number_is_nan() -> None:
    difference = compare(torch.tensor([math.nan, 1.0]), torch.tensor([1.0, 1.0]))
    assert math.isnan(difference.max_abs)
    assert not difference.bitwise
    assert math.isnan(largest([difference, Difference(1.0, 1.0, 1.0, bitwise=False)]).max_abs), (
        "a nan is the largest"
    )


def test_against_zero_is_infinitely_far() -> None:
    assert compare(torch.tensor([1.0]), torch.tensor([0.0])).max_rel == math.inf


def test_largest_of_none_and_of_two() -> None:
    assert largest([]) == Difference()
    two = [Difference(1.0, 4.0, 0.0, bitwise=False), Difference(2.0, 3.0, 1.0, bitwise=True)]
    assert largest(two) == Difference(2.0, 4.0, 1.0, bitwise=False)


@pytest.mark.parametrize(
    ("actual", "expected", "named"),
    [
        (torch.zeros(3, 1), torch.zeros(3), r"shape is torch.Size\(\[3, 1\]\)"),
        (torch.zeros(3, dtype=torch.float64), torch.zeros(3), "dtype is torch.float64"),
    ],
    ids=["shape", "dtype"],
)
def test_refuses_what_cannot_be_compared(
    actual: torch.Tensor, expected: torch.Tensor, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        compare(actual, expected)

"""What is said of a wrong gradient by how it looks."""

# ruff: noqa: ISC004 - sentences over two lines

import dataclasses
import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from torch_ref.diagnosis import patterns
from torch_ref.evidence.report import Finding
from torch_ref.evidence.slopes import Differences
from torch_ref.evidence.trials import Fault, Trial

INF, NAN = math.inf, math.nan
X = [[-3.0, 1.0, -2.0], [4.0, -5.0, 6.0]]  # the input
E = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]  # its gradient
X4 = torch.linspace(-1.0, 1.0, 20, dtype=torch.float64).reshape(4, 5)
WIDE = torch.arange(1.0, 41.0, dtype=torch.float64)
ONES = torch.ones(4, 5, dtype=torch.float64)


def double(values: object) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


def fault(
    *pairs: tuple[object, object], x: object = X, drawn: tuple[str, ...] = (), **others: object
) -> Fault:
    """Of (actual, expected) at each of some points; forward is the sum of squares."""
    differences = Differences(lambda point: point["x"].square().sum(), 2e-16)
    trials = [
        Trial(
            {"x": double(x)} | {name: torch.tensor(value) for name, value in others.items()},
            double(1),
            double(0),
            {"x": double(actual)},
            {},
            {},
            {"x": double(expected)},
            drawn=said,
        )
        for (actual, expected), said in zip(pairs, drawn or [""] * len(pairs), strict=True)
    ]
    actual = [double(one) for one, _ in pairs]
    return Fault("x", trials, actual, 1e-6, None, "the reference", differences)


def holes() -> Tensor:
    """Right in [0:2, 1:4] but for one place."""
    there = block()
    there[0, 2] = 0
    return there


def wide() -> Tensor:
    return WIDE * (torch.arange(40) < 37)


def certain(given: Fault) -> Iterator[Finding]:
    return patterns.certain(given)


def of_shape(given: Fault) -> Iterator[Finding]:
    yield patterns.of_shape(given)


def block() -> Tensor:
    there = torch.zeros_like(ONES)
    there[:2, 1:4] = 1
    return there


SAYS: dict[str, tuple[Callable[[Fault], Iterator[Finding]], Fault, str]] = {
    "nan": (
        certain,
        fault(([[1, 2, 3], [NAN, 5, NAN]], E)),
        "dx is nan at 2 of 6 entries, first at [1, 0], where x = 4: 4 is right",
    ),
    "infinite": (
        certain,
        fault((E, E), ([[1, 2, INF], [4, 5, 6]], E)),
        "dx is infinite at 1 of 6 entries, first at [0, 2], where x = -2: 3 is right",
    ),
    "infinite, rightly": (certain, fault(([INF, 5], [INF, 4]), x=[0, 1]), ""),
    "nan, of a number": (
        certain,
        fault((NAN, 2.0), x=1.0),
        "dx is nan, where x = 1: 2 is right",
    ),
    "zero": (
        certain,
        fault(([[0] * 3] * 2, E)),
        "dx is zero everywhere, where the reference is not",
    ),
    "no mask": (
        certain,
        fault(([[9, 2, 9], [4, 9, 6]], [[0, 2, 0], [4, 0, 6]])),
        "the mask is missing: dx is right where it isn't 0, but not 0 where it should be (all "
        "where x < 0)",
    ),
    "no mask but at three": (
        certain,
        fault(([0, 0, 0, 7, 7, 5, 6], [0, 0, 0, 0, 0, 5, 6]), x=[0, 1, 2, 3, 0, 1, 2]),
        "the mask is missing: dx is right where it isn't 0, but not 0 where it should be",
    ),
    "a mask": (
        certain,
        fault(([0, 0, 0, 0, 7, 5, 6], [0, 0, 0, 0, 0, 5, 6]), x=[0, 1, 2, 3, 4, 1, 2]),
        "",
    ),
    "clipped": (
        patterns.vague,
        fault(([[1, 2, 3], [4, 4, 4]], E)),
        "dx is clipped: nothing in it is larger than 4",
    ),
    "a block": (
        patterns.vague,
        fault((block(), ONES), (2 * block(), 2 * ONES), x=ONES),
        "dx is right in [0:2, 1:4] of (4, 5) and zero beyond: a loop ends too soon (a return or a "
        "break within it?), or a part is never added",
    ),
    "one place": (
        patterns.vague,
        fault(([[1, 2, 3], [4, 0, 6]], E)),
        "dx is zero at [1, 1] at every point, and right elsewhere: nothing is ever written there",
    ),
    "a wrong mask": (
        patterns.vague,
        fault(([[0, 2, 0], [4, 0, 6]], E)),
        "dx is zero at 3 of 6 entries (all where x < 0), where it should not be: look at the mask",
    ),
    "a wrong mask at zeros": (
        patterns.vague,
        fault(([0, 2, 0, 4, 0], [1, 2, 3, 4, 5]), x=[0, -1, 0, 1, 0]),
        "dx is zero at 3 of 5 entries (all where x = 0), where it should not be: look at the mask",
    ),
    "a wrong mask at two points": (
        patterns.vague,
        fault(([1, 2, 0, 0], [1, 2, 3, 4]), ([1, 0, 3, 0], [1, 2, 3, 4]), x=[5, 6, 7, 8]),
        "dx is zero at 4 of 8 entries of 2 points (all where x > 0), where it should not be: look "
        "at the mask",
    ),
    "a wrong mask by another input": (
        patterns.vague,
        fault(
            ([0, 2, 0, 4, 0], [1, 2, 3, 4, 5]),
            x=[1, -1, -1, -1, 1],
            t=[-1, 2, -1, 2, -1],
            k=[-1, 2, -3],
        ),
        "dx is zero at 3 of 5 entries (all where t < 0), where it should not be: look at the mask",
    ),
    "a block with holes": (
        patterns.vague,
        fault((holes(), ONES), x=X4),
        "dx is zero at 15 of 20 entries, where it should not be: look at the mask",
    ),
    "a block of nearly all": (
        patterns.vague,
        fault((wide(), WIDE), x=WIDE - 38.5),
        "dx is zero at 3 of 40 entries, where it should not be: look at the mask",
    ),
    "a mask turned round": (
        patterns.vague,
        fault(([[0, 2, 0], [0, 5, 0]], [[1, 0, 3], [4, 0, 6]])),
        "dx is zero at 4 of 6 entries, where it should not be; and not zero at 2 of 6 entries, "
        "where it should be: look at the mask",
    ),
    "not summed": (
        of_shape,
        fault((E, [5, 7, 9]), x=[1, 2, 3]),
        "dx has shape (2, 3), and x (3,), which is used for every entry of axis 0: the sum over "
        "axis 0 is missing: .sum(0)",
    ),
    "not summed, dimensions kept": (
        of_shape,
        fault((E, [[6], [15]]), x=[[1], [2]]),
        "dx has shape (2, 3), and x (2, 1), which is used for every entry of axis 1: the sum over "
        "axis 1 is missing: .sum(1, keepdims=True)",
    ),
    "not summed over two axes": (
        of_shape,
        fault((double([E, E]), [10, 14, 18]), x=[1, 2, 3]),
        "dx has shape (2, 2, 3), and x (3,), which is used for every entry of axes 0, 1: the sum "
        "over axes 0, 1 is missing: .sum((0, 1))",
    ),
    "to be reshaped": (
        of_shape,
        fault((double(E).reshape(3, 2), E)),
        "dx has shape (3, 2), but x has (2, 3): the numbers are right, reshape them",
    ),
    "to be reshaped and halved": (
        of_shape,
        fault((2 * double(E).reshape(3, 2), E)),
        "dx has shape (3, 2), but x has (2, 3), and its numbers are 2 times the right ones",
    ),
    "of another shape": (of_shape, fault(([1, 2], E)), "dx has shape (2,), but x has (2, 3)"),
}


@pytest.mark.parametrize("name", SAYS)
def test_what_it_looks_like(name: str) -> None:
    pattern, given, says = SAYS[name]
    assert next((found.sentence for found in pattern(given)), "") == says


def test_which_verdict_it_gets() -> None:
    found = {name: next(pattern(given), None) for name, (pattern, given, _) in SAYS.items()}
    assert {name: one.verdict for name, one in found.items() if one is not None} == {
        "nan": "nan or inf",
        "nan, of a number": "nan or inf",
        "infinite": "nan or inf",
        "zero": "zero",
        "no mask": "mask",
        "no mask but at three": "mask",
        "clipped": "clipped",
        "a block": "part missing",
        "one place": "part missing",
        "a wrong mask": "mask",
        "a wrong mask at zeros": "mask",
        "a wrong mask at two points": "mask",
        "a wrong mask by another input": "mask",
        "a block with holes": "mask",
        "a block of nearly all": "mask",
        "a mask turned round": "mask",
        "not summed": "batch sum",
        "not summed, dimensions kept": "batch sum",
        "not summed over two axes": "batch sum",
        "to be reshaped": "shape",
        "to be reshaped and halved": "shape",
        "of another shape": "shape",
    }


@pytest.mark.parametrize(("places", "says"), [(2, ""), (3, ""), (4, ", ...")])
def test_three_places_are_named(places: int, says: str) -> None:
    right = torch.ones(20, 25, dtype=torch.float64)
    wrong = right.clone()
    wrong[0, :places] = 0
    named = ", ".join(f"[0, {i}]" for i in range(min(3, places)))
    sentences = [each.sentence for each in patterns.vague(fault((wrong, right), x=right))]
    assert any(f"dx is zero at {named}{says} at every point" in each for each in sentences)


def test_the_entry_that_is_off_most_is_named() -> None:
    far = [[1, 2, 3], [4, 5.5, 6.2]]
    near = [[1.001, 2.001, 3], [4, 5, 6]]
    assert patterns.entries(fault((near, E), (far, E), (near, E))) == (
        "dx is wrong at 2 of 6 entries, most at [1, 1], where x = -5: got 5.5, expected 5"
    )
    assert patterns.entries(fault(([[1, 2, 3], [4, 5.2, 6]], E))) == (
        "dx is wrong by 0.03 of its size at 1 of 6 entries, all at 1 of axis 0, most at [1, 1], "
        "where x = -5: got 5.2, expected 5"
    )


def test_what_is_zero_but_at_kinks_is_no_block() -> None:
    given = fault(([0, 0, 0], [1, 2, 3]), ([1, 0, 0], [1, 2, 3]), x=[1, 2, 3])
    at_a_kink = dataclasses.replace(given.trials[1], kinks=True)
    kinked = dataclasses.replace(given, trials=[given.trials[0], at_a_kink])
    assert {found.verdict for found in patterns.vague(kinked)} == {"mask"}


def test_a_number_that_is_off() -> None:
    assert patterns.entries(fault((3.0, 2.0), x=1.0)) == (
        "dx is wrong, where x = 1: got 3, expected 2"
    )


def test_what_the_given_point_does_not_show() -> None:
    wrong = [[1, 2, 3], [4, 5, 7]]
    words = ("", "of both signs", "with a row of zeros")
    assert patterns.only_drawn(fault((E, E), (wrong, E), (wrong, E), drawn=words)) == (
        " (not at the given inputs, but at random ones of both signs)"
    )
    assert patterns.only_drawn(fault((wrong, E), (wrong, E), (E, E), drawn=words)) == ""
    assert patterns.only_drawn(fault(([1, 2], E))) == ""

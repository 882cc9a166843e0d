"""What a factor is called."""

import pytest
import torch
from torch import Tensor

from torch_ref.diagnosis.factors import Symbol, at_each, meaning, names, symbols, times
from torch_ref.evidence.reference import Autograd
from torch_ref.evidence.sizes import Groups
from torch_ref.evidence.slopes import Differences
from torch_ref.evidence.trials import Fault, Trial

B = Symbol("B", "the number of samples", (8, 10))
C = Symbol("C", "the number of columns", (5, 7))
D = Symbol("D", "the number of layers", (3, 4))
SUMMED = "summed where it should be averaged"
Shapes = tuple[tuple[int, ...], tuple[int, ...]]  # of x and of y


def told(factors: list[float], *symbols: Symbol) -> list[str]:
    return [name.text for name in names(factors, list(symbols))]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((8, 10), ["B"]),
        ((1 / 8, 1 / 10), ["1/B"]),
        ((-8, -10), ["-B"]),
        ((40, 70), ["B*C"]),
        ((1 / 40, 1 / 70), ["1/(B*C)"]),
        ((8 / 5, 10 / 7), ["B/C"]),
        ((5 / 8, 7 / 10), ["C/B"]),
        ((16, 20), ["2*B"]),
        ((4, 5), ["B/2"]),
        ((2 / 8, 2 / 10), ["2/B"]),
        ((1 / 16, 1 / 20), ["1/(2*B)"]),
        ((32, 40), ["4*B"]),
        ((2, 2), ["2"]),
        ((0.5, 0.5), ["1/2"]),
        ((4, 4), ["4"]),
        ((0.25, 0.25), ["1/4"]),
        ((-1, -1), ["-1"]),
        ((-2, -2), ["-2"]),
        ((8**0.5, 10**0.5), ["sqrt(B)"]),
        ((8**-0.5, 10**-0.5), ["1/sqrt(B)"]),
        ((8 / 7, 10 / 9), ["B/(B - 1)"]),
        ((7 / 8, 9 / 10), ["(B - 1)/B"]),
        (((7 / 8) ** 0.5, (9 / 10) ** 0.5), ["sqrt((B - 1)/B)"]),
        ((64, 100), ["B^2"]),
        ((1 / 64, 1 / 100), ["1/B^2"]),
        ((120, 280), ["B*C*D"]),
        ((8 * 5 * 3 / 4, 10 * 7 * 4 / 4), ["B*C*D/4"]),
        ((8 / 15, 10 / 28), ["B/(C*D)"]),
        ((-4 / 8, -4 / 10), ["-4/B"]),
        ((840 * 2, 280 * 11), []),
        ((3, 3), []),
        ((8.1, 10), []),
    ],
)
def test_it_is_named_after_what_varies_with_it(
    values: tuple[float, ...], expected: list[str]
) -> None:
    assert told(list(values), B, C, D, Symbol("E", "", (7 * 2, 11))) == expected


def test_it_is_as_exact_as_is_asked_for() -> None:
    near = [8 * (1 + 2e-6), 10.0]
    assert told(near, B) == []
    assert [name.text for name in names(near, [B], exact=1e-5)] == ["B"]


def test_as_plain_as_one_another() -> None:
    large = Symbol("E", "another size", (16, 25))
    assert told([64, 100], B, large) == ["4*E", "B^2"]
    assert told([12, 20], Symbol("N", "", (3, 4)), Symbol("M", "", (6, 10)), C) == ["2*M"]
    assert told([2, 1.5], Symbol("N", "", (2, 3))) == ["N/(N - 1)"]
    assert told([1, 1.5], Symbol("N", "", (1, 3))) == []


def test_words_of_a_product() -> None:
    (name,) = names([40, 70], [B, C])
    assert name.words == "the number of samples times the number of columns"
    (name,) = names([64, 100], [B])
    assert name.words == "the number of samples"
    (name,) = names([2, 2], [B])
    assert name.words == ""


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (8, "8 times too large: divide by 8"),
        (1 / 8, "8 times too small: multiply by 8"),
        (-2, "of the wrong sign and 2 times too large: divide by -2"),
        (-0.3, "of the wrong sign and 3.3333 times too small: multiply by -3.3333"),
        (-1, "-1 times what it should be: the sign is turned round"),
        (-1.00005, "-1 times what it should be: the sign is turned round"),
        (-1.001, "of the wrong sign and 1.001 times too large: divide by -1.001"),
        (123456.7, "1.2346e+05 times too large: divide by 1.2346e+05"),
    ],
)
def test_what_to_do(factor: float, words: str) -> None:
    assert times(factor) == words


def sized(x: tuple[int, ...], y: tuple[int, ...], actual: float | None = 1.0) -> Trial:
    gradients = {"x": None if actual is None else torch.full(x, actual)}
    return Trial({"x": torch.ones(x)}, torch.ones(y), torch.ones(y), gradients, {}, {}, {})


def fault(*trials: Trial, sample: int = 0, free: tuple[int, ...] = (), exact: bool = True) -> Fault:
    """Of y by x, the first trial at the given point; the samples lie along an axis of x."""
    groups = Groups(tuple(frozenset({("x", axis)}) for axis in free), frozenset({("x", sample)}))
    source = object.__new__(Autograd) if exact else None
    differences = Differences(lambda point: point["x"], 0.0)
    given, *others = trials
    return Fault("x", [given], [], 1e-6, source, "", differences, others=others, groups=groups)


SAMPLES, COLUMNS = "the number of samples", "the number of columns"


@pytest.mark.parametrize(
    ("given", "other", "sample", "free", "expected"),
    [
        (((4, 5, 3), (4, 5, 3)), ((6, 7, 8), (6, 7, 8)), 0, (),
            {"B": SAMPLES, "C": COLUMNS, "N1": "the size of axis 1 of the output"}),
        (((4, 5), (4, 5)), ((6, 7), (6, 7)), 0, (), {"B": SAMPLES, "C": COLUMNS}),
        (((4, 5), (5,)), ((6, 7), (7,)), 0, (),
            {"B": SAMPLES, "N0": "the size of axis 0 of the output"}),
        (((4, 5), (4, 5)), ((6, 7), (7,)), 0, (), {"B": SAMPLES}),
        (((4, 5, 3), ()), ((6, 7, 8), ()), 0, (), {"B": SAMPLES, "C": COLUMNS}),
        (((4, 5, 3), ()), ((6, 7, 8), ()), 2, (), {"B": SAMPLES, "C": "the number of rows"}),
        (((4, 5), ()), ((6, 7), ()), 0, (), {"B": SAMPLES, "C": COLUMNS}),
        (((4, 5), ()), ((6, 7), ()), 1, (), {"B": SAMPLES, "C": "the number of rows"}),
        (((4, 5), ()), ((6, 5), ()), 0, (), {"B": SAMPLES}),
        (((4,), ()), ((6,), ()), 0, (), {"B": SAMPLES}),
        (((1, 5), ()), ((3, 5), ()), 0, (), {"B": SAMPLES}),
        (((4, 5, 3), ()), ((4, 7, 8), ()), 0, (1, 2),
            {"C": COLUMNS, "I": "the number of columns of x"}),
        (((2, 3, 4, 5), (2,)), ((3, 5, 7, 5), (3,)), 1, (0, 2),
            {"B": SAMPLES, "N0": "the size of axis 0 of the output",
             "J": "the number of entries of axis 2 of x"}),
        (((2, 3), (9, 9)), ((3, 4), (9, 9)), 1, (0,),
            {"B": SAMPLES, "I": "the number of rows of x"}),
    ],
)  # fmt: skip
def test_sizes_that_a_factor_may_come_from(
    given: Shapes, other: Shapes, sample: int, free: tuple[int, ...], expected: dict[str, str]
) -> None:
    found = symbols(fault(sized(*given), sized(*other), sample=sample, free=free))
    assert {symbol.letter: symbol.words for symbol in found} == expected


@pytest.mark.parametrize(
    ("others", "factors"),
    [
        ([((3,), (3,), 5.0)], [2.0, 5.0]),
        ([((3,), (3,), 5.0), ((4,), (4,), 7.0)], [2.0, 5.0, 7.0]),
        ([((3,), (3,), None)], []),
        ([((9,), (9,), 5.0)], []),
        ([((8,), (8,), 5.0)], []),
        ([((3,), (3,), 0.0)], []),
    ],
)
def test_a_factor_at_other_sizes(
    others: list[tuple[tuple[int, ...], tuple[int, ...], float | None]], factors: list[float]
) -> None:
    def right(trial: Trial) -> Tensor | None:
        x = trial.point["x"]
        return None if len(x) == 9 else torch.ones(2) if len(x) == 8 else torch.ones_like(x)

    assert at_each(fault(sized((2,), (2,)), *(sized(*o) for o in others)), 2.0, right) == factors


@pytest.mark.parametrize(
    ("factors", "exact", "words", "named"),
    [
        ([4.0, 6.0], True, f"B, {SAMPLES}: {SUMMED}", True),
        ([4.0, 6.0 + 1e-4], True, "", False),
        ([4.0, 6.0 + 1e-4], False, f"B, {SAMPLES}: {SUMMED}", True),
        ([4.0, 6.0 + 1e-3], False, "", False),
        ([4.0, 6.1], False, "", False),
        ([2.0, 2.0], True, "a 2 too many, or the 1/2 of a square forgotten", False),
        ([2.0, 3.0], True, f"B/2, {SAMPLES}", True),
        ([2.0, 2.5], True, "a 2 too many, or the 1/2 of a square forgotten", False),
        ([-1.0, -1.0], True, "the sign is turned round", True),
        ([20.0, 42.0], True, f"B*C, {SAMPLES} times {COLUMNS}: {SUMMED}", True),
        ([5.0, 7.0, 9.0], True, f"C, {COLUMNS}: {SUMMED}", True),
        ([], True, "", False),
    ],
)
def test_what_a_factor_means(factors: list[float], *, exact: bool, words: str, named: bool) -> None:
    trials = [sized((4, 5), ()), sized((6, 7), ()), sized((8, 9), ())][: max(2, len(factors))]
    found = meaning(factors[0] if factors else 4.0, fault(*trials, exact=exact), factors)
    assert (found.words, found.named) == (words, named)

"""What a factor is called."""

import pytest

from torch_ref.diagnosis.factors import Symbol, names, times

B = Symbol("B", "the number of samples", (8, 10))
C = Symbol("C", "the number of columns", (5, 7))
D = Symbol("D", "the number of layers", (3, 4))


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
        ((3, 3), []),
        ((8.1, 10), []),
    ],
)
def test_it_is_named_after_what_varies_with_it(
    values: tuple[float, ...], expected: list[str]
) -> None:
    assert told(list(values), B, C, D) == expected


def test_it_is_as_exact_as_is_asked_for() -> None:
    near = [8 * (1 + 2e-6), 10.0]
    assert told(near, B) == []
    assert [name.text for name in names(near, [B], exact=1e-5)] == ["B"]


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

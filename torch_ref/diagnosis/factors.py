"""What a factor comes from: a size of the inputs is named only if the factor varies with it."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, product

from torch import Tensor

from torch_ref.evidence.reference import Autograd
from torch_ref.evidence.trials import Fault, Trial, common_factor

EXACT, MEASURED = 1e-6, 1e-4  # of a factor: from a reference, from finite differences
MEANINGS = {
    "-1": "the sign is turned round",
    "2": "a 2 too many, or the 1/2 of a square forgotten",
    "1/2": "a 2 is missing, such as that of a square's derivative",
}
SUMMED, AVERAGED = (
    "summed where it should be averaged",
    "averaged where it should be summed, or averaged twice",
)
PROBABLY = {"B": SUMMED, "C": SUMMED, "B*C": SUMMED,
            "1/B": AVERAGED, "1/C": AVERAGED, "1/(B*C)": AVERAGED}  # fmt: skip
TWOS: list[dict[str, int]] = [{}, {"2": 1}, {"2": -1}, {"4": 1}, {"4": -1}]  # their powers
OTHERS: dict[str, Callable[[float], float]] = {  # of a size n
    "sqrt({n})": math.sqrt,
    "1/sqrt({n})": lambda n: 1 / math.sqrt(n),
    "{n}/({n} - 1)": lambda n: n / (n - 1),
    "({n} - 1)/{n}": lambda n: (n - 1) / n,
    "sqrt(({n} - 1)/{n})": lambda n: math.sqrt((n - 1) / n),
    "{n}^2": lambda n: n * n,
    "1/{n}^2": lambda n: 1 / (n * n),
}


@dataclass(frozen=True)
class Symbol:
    """A size: its letter, what it is the number of, and how large it is at the given point and at
    each of other sizes.
    """

    letter: str
    words: str
    sizes: tuple[int, ...]


def symbols(fault: Fault) -> list[Symbol]:  # noqa: C901
    """The sizes that varied: B of the samples, C of the columns of the output, others by their
    axis.
    """
    trials = [fault.trials[0], *fault.others]
    point, y = trials[0].point, trials[0].y
    found: dict[tuple[int, ...], Symbol] = {}

    def add(letter: str, words: str, size: Callable[[Trial], int]) -> None:
        sizes = tuple(map(size, trials))
        if sizes not in found and len(set(sizes)) > 1:
            found[sizes] = Symbol(letter, words, sizes)

    def of_input(name: str, axis: int) -> Callable[[Trial], int]:
        return lambda trial: trial.point[name].shape[axis]

    def of_output(axis: int) -> Callable[[Trial], int]:
        return lambda trial: trial.y.shape[axis]

    for name, axis in sorted(fault.groups.sample):
        add("B", "the number of samples", of_input(name, axis))
    if all(trial.y.ndim == y.ndim for trial in trials):
        first, *_ = point
        if y.ndim > 1:
            add("C", "the number of columns", of_output(-1))
        elif y.ndim == 0 and point[first].ndim > 1:
            if (first, point[first].ndim - 1) in fault.groups.sample:
                add("C", "the number of rows", of_input(first, 0))
            else:
                add("C", "the number of columns", of_input(first, -1))
        for axis in range(y.ndim):
            add(f"N{axis}", f"the size of axis {axis} of the output", of_output(axis))
    for letter, group in zip("IJKLMNPQRS", fault.groups.free, strict=False):
        name, axis = min(group)
        rows = {0: "rows", 1: "columns"}.get(axis, f"entries of axis {axis}")
        add(letter, f"the number of {rows} of {name}", of_input(name, axis))
    return list(found.values())


@dataclass(frozen=True)
class Name:
    """A number as a product of sizes, 2 and -1, or the root of a size; `text` as it is written,
    `words` what it is.
    """

    text: str
    words: str
    plainness: int


def names(factors: list[float], known: list[Symbol], exact: float = EXACT) -> list[Name]:
    """What a number may be that has these values at the given point and at those of other sizes:
    the plainest.
    """
    found = [
        name for name, values in _candidates(known, len(factors)) if _equal(values, factors, exact)
    ]
    return [name for name in found if name.plainness == min(each.plainness for each in found)]


def _equal(values: list[float], factors: list[float], exact: float) -> bool:
    return all(abs(v / f - 1) < exact for v, f in zip(values, factors, strict=True))


def _candidates(known: list[Symbol], points: int) -> Iterator[tuple[Name, list[float]]]:
    for number in range(4):
        signs = product((1, -1), repeat=number)
        for chosen, powers, sign, two in product(combinations(known, number), signs, (1, -1), TWOS):
            parts = two | {symbol.letter: p for symbol, p in zip(chosen, powers, strict=True)}
            words = " times ".join(symbol.words for symbol in chosen)
            plainness = number + sum(int(text) // 2 for text in two) + (sign == -1)
            values = [
                sign
                * math.prod(float(text) ** p for text, p in two.items())
                * math.prod(float(s.sizes[i]) ** parts[s.letter] for s in chosen)
                for i in range(points)
            ]
            yield Name(_text(sign, parts), words, plainness), values
    for symbol in known:
        if min(symbol.sizes) > 1:
            for text, value in OTHERS.items():
                yield (
                    Name(text.format(n=symbol.letter), symbol.words, 3),
                    list(map(value, symbol.sizes)),
                )


def _text(sign: int, powers: dict[str, int]) -> str:
    over = "*".join(letter for letter, power in powers.items() if power == 1) or "1"
    under = "*".join(letter for letter, power in powers.items() if power == -1)
    text = f"{over}/({under})" if "*" in under else f"{over}/{under}" if under else over
    return f"-{text}" if sign == -1 else text


def at_each(fault: Fault, factor: float, right: Callable[[Trial], Tensor | None]) -> list[float]:
    """The factor at the given point and at each of other sizes; empty where there is none at one of
    those.

    right: what the factor multiplies.
    """
    found = [factor]
    for trial in fault.others:
        actual, other = trial.actual[fault.name], right(trial)
        if actual is None or other is None or actual.shape != other.shape:
            return []
        c = common_factor([actual], [other], fault.tolerance)
        if c is None:
            return []
        found.append(c)
    return found


def times(factor: float) -> str:
    """The end of "dz is ...": how many times too large or small, and what to do."""
    if abs(factor + 1) < MEASURED:
        return "-1 times what it should be: the sign is turned round"
    size, sign, minus = abs(factor), "of the wrong sign and " * (factor < 0), "-" * (factor < 0)
    if size > 1:
        return f"{sign}{size:.5g} times too large: divide by {minus}{size:.5g}"
    return f"{sign}{1 / size:.5g} times too small: multiply by {minus}{1 / size:.5g}"


@dataclass(frozen=True)
class Meaning:
    """What a number probably comes from, in words. named: whether it is a size or the sign, which
    says all.
    """

    words: str
    named: bool


def meaning(factor: float, fault: Fault, factors: list[float]) -> Meaning:
    """The meaning of a factor with these values at the given point and at those of other sizes; its
    words are empty where it has none.
    """
    known = symbols(fault) if factors else []
    exact = EXACT if isinstance(fault.source, Autograd) else MEASURED
    found = names(factors or [factor], known, exact) or names([factor], [], exact)
    meanings = []
    for name in found:
        if name.text in MEANINGS:
            meanings.append(MEANINGS[name.text])
        elif name.words:  # else it says no more than the number
            probably = PROBABLY.get(name.text)
            meanings.append(f"{name.text}, {name.words}" + (f": {probably}" if probably else ""))
    return Meaning(", or ".join(meanings), any(name.words or name.text == "-1" for name in found))

"""The name of a factor: a size is named only where it varies and the factor with it."""

import math
from dataclasses import dataclass
from itertools import combinations, product

from torch_ref.check.slopes import Differences
from torch_ref.check.trials import Fault, Trial, common_factor

EXACT, MEASURED = 1e-6, 1e-4  # of a factor: from a reference, from finite differences


@dataclass(frozen=True)
class Symbol:
    """A size: its letter, what it is the number of, and how large it is at the given point and at each of other sizes."""

    letter: str
    words: str
    sizes: tuple[int, ...]


def symbols(fault: Fault) -> list[Symbol]:  # noqa: C901
    """B for the samples, C for the columns of the output, others by the axis they are of; those that varied."""
    trials = [fault.trials[0], *fault.others]
    found: dict[tuple[int, ...], Symbol] = {}
    first = next(iter(fault.trials[0].point))
    y = fault.trials[0].y

    def add(letter: str, words: str, sizes: tuple[int, ...]) -> None:
        if sizes not in found and sizes[0] > 1 and len(set(sizes)) > 1:
            found[sizes] = Symbol(letter, words, sizes)

    for name, axis in sorted(fault.sample):
        if axis < fault.trials[0].point[name].ndim:
            add("B", "the number of samples", tuple(t.point[name].shape[axis] for t in trials))
    if all(trial.y.ndim == y.ndim for trial in trials):
        if y.ndim > 1:
            add("C", "the number of columns", tuple(t.y.shape[-1] for t in trials))
        elif y.ndim == 0 and fault.trials[0].point[first].ndim > 1:
            axis = 0 if any((first, fault.trials[0].point[first].ndim - 1) == part for part in fault.sample) else -1
            add("C", "the number of columns" if axis else "the number of rows",
                tuple(t.point[first].shape[axis] for t in trials))  # fmt: skip
        letters = iter("HWDEF")
        for axis in range(y.ndim):
            sizes = tuple(t.y.shape[axis] for t in trials)
            if sizes not in found:
                add(next(letters, f"N{axis}"), f"the size of axis {axis} of the output", sizes)
    for k, group in enumerate(fault.groups):
        name, axis = min(group)
        sizes = tuple(t.point[name].shape[axis] for t in trials)
        if sizes not in found:
            rows = {0: "rows", 1: "columns"}.get(axis, f"entries of axis {axis}")
            add("IJKLMNPQRS"[k % 10], f"the number of {rows} of {name}", sizes)
    return list(found.values())


@dataclass(frozen=True)
class Name:
    """A number as sign * 2^two * (product of sizes) or the root of one; `text` as it is written, `words` what it is."""

    text: str
    words: str
    plainness: int


def names(factors: list[float], known: list[Symbol], exact: float = EXACT) -> list[Name]:
    """What a number may be that has these values at the given point and at those of other sizes: the plainest."""
    found: list[Name] = []
    for number in range(min(3, len(known)) + 1):
        for chosen in combinations(known, number):
            for powers in product((1, -1), repeat=number):
                found += _with(factors, list(zip(chosen, powers, strict=True)), exact)
    for symbol in known:
        found += _special(factors, symbol, exact)
    best = min((name.plainness for name in found), default=0)
    return [name for name in found if name.plainness == best]


def _with(factors: list[float], powers: list[tuple[Symbol, int]], exact: float) -> list[Name]:
    found = []
    for sign, two in product((1, -1), (0, 1, -1, 2, -2)):
        plainness = (sign < 0) + abs(two) + len(powers)
        values = [sign * 2.0**two * math.prod(float(s.sizes[i]) ** p for s, p in powers) for i in range(len(factors))]
        if plainness and all(abs(v / f - 1) < exact for v, f in zip(values, factors, strict=True)):
            found.append(Name(_text(sign, two, powers), " times ".join(s.words for s, _ in powers), plainness))
    return found


def _special(factors: list[float], symbol: Symbol, exact: float) -> list[Name]:
    found = []
    n = symbol.letter
    forms = (
        (f"sqrt({n})", math.sqrt),
        (f"1/sqrt({n})", lambda s: 1 / math.sqrt(s)),
        (f"{n}/({n} - 1)", lambda s: s / (s - 1)),
        (f"({n} - 1)/{n}", lambda s: (s - 1) / s),
        (f"sqrt(({n} - 1)/{n})", lambda s: math.sqrt((s - 1) / s)),
        (f"{n}^2", lambda s: s * s),
        (f"1/{n}^2", lambda s: 1 / (s * s)),
    )
    for text, value in forms:
        if all(s > 1 and abs(value(s) / f - 1) < exact for s, f in zip(symbol.sizes, factors, strict=True)):
            found.append(Name(text, symbol.words, 3))
    return found


def _text(sign: int, two: int, powers: list[tuple[Symbol, int]]) -> str:
    over = [str(2**-two)] * (two < 0) + [s.letter for s, p in powers if p < 0]
    under = [str(2**two)] * (two > 0) + [s.letter for s, p in powers if p > 0]
    text = "*".join(under) or "1"
    if over:
        text += f"/({'*'.join(over)})" if len(over) > 1 else f"/{over[0]}"
    return "-" * (sign < 0) + text


def at_each(fault: Fault, factor: float) -> list[float] | None:
    """The factor at the given point and at each of other sizes; None where there is none at one of those."""
    found = [factor]
    for trial in fault.others:
        other = _factor_at(fault, trial)
        if other is None:
            return None
        found.append(other)
    return found


def _factor_at(fault: Fault, trial: Trial) -> float | None:
    actual, expected = trial.actual[fault.name], trial.expected[fault.name]
    if actual is None or actual.shape != expected.shape:
        return None
    return common_factor([actual], [expected], fault.tolerance)


MEANINGS = {"-1": "the sign is turned round", "2": "a 2 too many, or the 1/2 of a square forgotten"}
MEANINGS["1/2"] = "a 2 is missing, such as that of a square's derivative"


def times(factor: float, fault: Fault, factors: list[float] | None) -> str:
    """For "dz is ...": how many times too large or small, what to do, and what the number is."""
    size = abs(factor)
    if abs(factor + 1) < MEASURED:
        return "-1 times what it should be: the sign is turned round"
    sign = "of the wrong sign and " if factor < 0 else ""
    minus = "-" if factor < 0 else ""
    said = (
        f"{sign}{size:.5g} times too large: divide by {minus}{size:.5g}"
        if size > 1
        else f"{sign}{1 / size:.5g} times too small: multiply by {minus}{1 / size:.5g}"
    )
    what = meaning(factor, fault, factors)
    return f"{said} ({what})" if what else said


def meaning(factor: float, fault: Fault, factors: list[float] | None) -> str:
    """What the number is and probably comes from, empty where nothing is known of it."""
    known = symbols(fault) if factors and len(factors) > 1 else []
    exact = MEASURED if isinstance(fault.source, Differences) or fault.source is None else EXACT
    found = names(factors or [factor], known, exact)[:2]
    if not found and factors and len(set(map(_rounded, factors))) > 1:
        found = names([factor], [], exact)[:1]
    said = []
    for name in found:
        words = MEANINGS.get(name.text)
        if words is None:
            if not name.words:
                continue  # it says no more than the number
            words = f"{name.text}, {name.words}"
            once = name.text.strip("-")
            if once in {"B", "C", "B*C", "C*B"} and factor > 0:
                words += ": summed where it should be averaged"
            elif once in {"1/B", "1/C", "1/(B*C)", "1/(C*B)"} and factor > 0:
                words += ": averaged where it should be summed, or averaged twice"
        said.append(words)
    return ", or ".join(said)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")

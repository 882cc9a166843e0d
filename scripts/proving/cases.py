"""Code that asks for a sign, run once for every answer: the cases of a proof.

A sign that depends on one symbol divides the numbers that it stands for at the roots. Symbols of
one tensor go through their cases side by side: each of them meets every case. A sign that depends
on several symbols is assumed, either way.

A ReLU asks whether z > 0. Of z_1, z_2, z_3 one run has z_1 < 0, z_2 > 0, z_3 = 0, the next z_1 > 0,
z_2 = 0, z_3 < 0, and the last z_1 = 0, z_2 < 0, z_3 > 0.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import sympy as sp

from scripts.proving.algebra import value

T = TypeVar("T")


class Open(Exception):  # noqa: N818 - it is a verdict
    """Not decided, and why."""


@dataclass(frozen=True)
class Piece:
    """Where a symbol is: in an open interval, at a point, or (`side` -1, 1) as near to it as can
    be.
    """

    where: sp.Set
    side: int = 0

    @property
    def point(self) -> Any:
        """The number that the symbol is; None in an interval."""
        return self.where.args[0] if isinstance(self.where, sp.FiniteSet) else None

    def __str__(self) -> str:
        if self.point is not None:
            return f"= {_short(self.point)}"
        low, high = (_short(end) for end in (self.where.start, self.where.end))
        infinite = (self.where.start == -sp.oo, self.where.end == sp.oo)
        return {(True, True): "real", (True, False): f"< {high}", (False, True): f"> {low}"}.get(
            infinite, f"from {low} to {high}"
        )


def _short(number: Any) -> str:
    return (
        str(number)
        if len(str(number)) < 9
        else f"{float(number):.3g}"
        if float(number) < 0.9
        else f"1 - {float(1 - number):.3g}"
    )


REALS, POSITIVE, UNIT = (
    Piece(sp.Interval.open(low, high)) for low, high in ((-sp.oo, sp.oo), (0, sp.oo), (0, 1))
)


@dataclass(frozen=True)
class Cases:
    """What is assumed in one run. `pieces`: of the symbols that stand for an input; `signs`: of
    whole formulas.

    `numbers`: what every symbol is, where one example's signs are asked for.
    """

    pieces: Mapping[Any, Piece] = field(default_factory=dict)
    signs: Mapping[Any, int] = field(default_factory=dict)
    numbers: Mapping[Any, Any] = field(default_factory=dict)

    def split(self, symbol: Any, parts: list[Piece]) -> Iterator["Cases"]:
        """Those in which each symbol that is where this one is takes one part, another one each
        time.
        """
        alike = [
            each
            for each, piece in self.pieces.items()
            if piece == self.pieces[symbol] and _tensor(each) == _tensor(symbol)
        ]
        for shift in range(len(parts)):
            taken = {each: parts[(i + shift) % len(parts)] for i, each in enumerate(alike)}
            yield replace(self, pieces={**self.pieces, **taken})

    def at(self) -> dict[Any, Any]:
        """By symbol, the point that it is at."""
        return {
            symbol: piece.point for symbol, piece in self.pieces.items() if piece.point is not None
        }

    def beside(self, symbol: Any, side: int) -> "Cases":
        """The same cases with one symbol as near to its point as can be."""
        return replace(
            self, pieces={**self.pieces, symbol: replace(self.pieces[symbol], side=side)}
        )

    def draw(self, symbols: set[Any], generator: random.Random) -> dict[Any, Any] | None:
        """Numbers for the symbols that fit all that is assumed; None where none are found."""
        assumed = {symbol for e in self.signs for symbol in e.free_symbols}
        for _ in range(1000):
            point = {}
            for symbol in sorted(symbols | assumed, key=str):
                piece = self.pieces.get(symbol, POSITIVE if symbol.is_positive else REALS)
                point[symbol] = _inside(piece.where, sp.Rational(generator.randint(1, 999), 1000))
                if symbol.is_integer:
                    point[symbol] = sp.Integer(generator.randint(1, 9))
            if all(sp.sign(e.xreplace(point).evalf()) == sign for e, sign in self.signs.items()):
                return point
        return None


def _tensor(symbol: Any) -> str:
    return str(symbol).rpartition("_")[0]


def _inside(where: sp.Set, part: Any) -> Any:
    """The number that lies `part` of the way from the one end to the other."""
    if isinstance(where, sp.FiniteSet):
        return where.args[0]
    low, high = where.start, where.end
    if low == -sp.oo:
        return 4 * (2 * part - 1) if high == sp.oo else high - 4 * part
    return low + 4 * part if high == sp.oo else low + part * (high - low)


class Split(Exception):  # noqa: N818 - no error
    """A sign was asked for that the cases leave open: the cases that take its place."""

    def __init__(self, cases: list[Cases]) -> None:
        super().__init__()
        self.cases = cases


_current = Cases()


@contextmanager
def assumed(cases: Cases) -> Iterator[None]:
    """Inside, signs are as they are in these cases."""
    global _current  # noqa: PLW0603 - torch's functions leave no room for it among their arguments
    before, _current = _current, cases
    try:
        yield
    finally:
        _current = before


def explore(run: Callable[[], T], cases: Cases) -> Iterator[tuple[Cases, T]]:
    """Every case, with the result of the run in it."""
    left = [cases]
    while left:
        cases = left.pop()
        try:
            with assumed(cases):
                yield cases, run()
        except Split as split:
            left += reversed(split.cases)


def sign(e: Any) -> int:
    """The sign of a formula in the current case: -1, 0 or 1."""
    for known, answer in ((e.is_zero, 0), (e.is_positive, 1), (e.is_negative, -1)):
        if known:
            return answer
    symbols = e.free_symbols
    if not symbols or _current.numbers:
        return int(sp.sign(value(e, _current.numbers)))
    if len(symbols) == 1 and (symbol := next(iter(symbols))) in _current.pieces:
        return _sign_of_one(e, symbol)
    for factor in (1, -1):
        if factor * e in _current.signs:
            return factor * _current.signs[factor * e]
    raise Split([replace(_current, signs={**_current.signs, e: answer}) for answer in (1, -1)])


_shifts: dict[tuple[Any, ...], Any] = {}  # a row -> what stands for its largest


def largest(row: np.ndarray) -> Any:
    """Any number: what depends on which it is has to be proven otherwise. In an example 0, so that
    none is to be seen.
    """
    shift = _shifts.setdefault(tuple(row), sp.Symbol(f"shift_{len(_shifts) + 1}", real=True))
    return sp.Integer(0) if _current.numbers else shift


def _sign_of_one(e: Any, symbol: Any) -> int:
    piece = _current.pieces[symbol]
    if piece.point is not None:
        order = 0
        while e.is_zero is not True and piece.point in _roots(e, symbol):
            if not piece.side:
                return 0
            e, order = sp.diff(e, symbol), order + 1
        return int(sp.sign(e.xreplace({symbol: piece.point}).evalf(60)) * piece.side**order)
    inner = sorted(
        (root for root in _roots(e, symbol) if _within(root, piece.where)),
        key=lambda root: root.evalf(60),
    )
    if not inner:
        return int(sp.sign(e.xreplace({symbol: _inside(piece.where, sp.Rational(1, 2))}).evalf(60)))
    ends = [piece.where.start, *inner, piece.where.end]
    parts = [Piece(sp.Interval.open(low, high)) for low, high in pairwise(ends)]
    raise Split(
        list(_current.split(symbol, [*parts, *(Piece(sp.FiniteSet(root)) for root in inner)]))
    )


@lru_cache
def _roots(e: Any, symbol: Any) -> tuple[Any, ...]:
    roots = sp.solveset(e, symbol, sp.Reals)
    if not isinstance(roots, (sp.FiniteSet, type(sp.S.EmptySet))):
        raise Open(f"the sign of {e}")
    return tuple(roots)


def _within(root: Any, where: sp.Interval) -> bool:
    low, number, high = (each.evalf(60) for each in (where.start, root, where.end))
    return bool(low < number < high)


def symbols(name: str, *shape: int, **facts: bool) -> np.ndarray:
    """Symbols name_11, name_12, ... in this shape, for any real numbers."""
    entries = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        entries[index] = sp.Symbol(
            f"{name}_" + "".join(str(i + 1) for i in index), real=True, **facts
        )
    return entries

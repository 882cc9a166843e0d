"""A claim about an operation, and its verdict: proven, refuted with numbers at which it fails, or
open.

An operation is run on symbols in every case; its output is differentiated by SymPy, and held to
what backward gave.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import sympy as sp

from scripts.proving.algebra import differs_at, value, vanishes
from scripts.proving.cases import REALS, Cases, Open, Piece, assumed, explore
from scripts.proving.symbols import on_symbols

Array = np.ndarray[Any, Any]
Pairs = list[tuple[str, Any, Any]]  # what it is, as it was found, as it is to be
Notes = Iterator[tuple[str, Piece]]


@dataclass(frozen=True)
class Run:
    """An operation at work: its output, dDiv/d(output), by hand dDiv/d(input) by name; and what
    else is to be equal.

    stated: what dDiv/d(input) is said to be where it is not the derivative.
    """

    output: Any
    upstream: Any
    gradients: Mapping[str, Array]
    equal: Pairs = field(default_factory=list)
    stated: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What was claimed of what, what came of it, in which cases, and how long it took."""

    what: str
    claim: str
    verdict: Literal["proven", "refuted", "open"]
    cases: str
    remark: str
    seconds: float


class _Refuted(Exception):  # noqa: N818 - it is a verdict
    """Numbers at which it fails."""


def claim(
    what: str,
    claimed: str,
    run: Callable[..., Run],
    inputs: Mapping[str, Array],
    *of: Any,
    domain: Piece = REALS,
) -> Verdict:
    """That `run(*of)`, for all `inputs` within the domain, gives the derivative of its output, and
    what is to be equal is.
    """
    start = time.perf_counter()
    seen: set[Piece] = set()
    notes: dict[str, list[Piece]] = {}
    verdict: Literal["proven", "refuted", "open"] = "proven"
    remark = ""
    entries = [symbol for each in inputs.values() for symbol in each.ravel()]
    try:
        with on_symbols():
            at_work = partial(run, *of)
            for cases, found in explore(at_work, Cases(dict.fromkeys(entries, domain))):
                split = [symbol for symbol in entries if cases.pieces[symbol] != domain]
                seen |= {cases.pieces[symbol] for symbol in split}
                for note, piece in _check(cases, found, at_work, inputs, split):
                    if piece not in notes.setdefault(note, []):
                        notes[note].append(piece)
    except _Refuted as refuted:
        verdict, remark = "refuted", str(refuted)
    except Open as reason:
        verdict, remark = "open", str(reason)
    except Exception as error:  # noqa: BLE001 - of code that may be anyone's
        verdict, remark = "refuted", f"it fails: {type(error).__name__}: {error}"
    letter = next((str(symbol).partition("_")[0] for symbol in entries), "")
    remark = remark or "; ".join(
        f"{_pieces(letter, pieces)}: {note}" for note, pieces in notes.items()
    )
    return Verdict(
        what, claimed, verdict, _pieces(letter, seen), remark, time.perf_counter() - start
    )


def _pieces(letter: str, pieces: Iterable[Piece]) -> str:
    """The pieces of an input, from left to right."""
    return ", ".join(
        f"{letter} {piece}"
        for piece in sorted(pieces, key=lambda piece: (piece.where.inf, piece.where.sup))
    )


def unchanged(names: tuple[str, ...], given: list[Any], before: tuple[Array, ...]) -> Pairs:
    """For `equal`: what was given is afterwards as it was before."""
    return [
        (f"{name} afterwards", each.entries, array)
        for name, each, array in zip(names, given, before, strict=True)
    ]


def merged(verdicts: list[Verdict]) -> Verdict:
    """One verdict for all: the first that is not proven, if there is one."""
    verdict = next((each for each in verdicts if each.verdict != "proven"), verdicts[0])
    return replace(verdict, seconds=sum(each.seconds for each in verdicts))


def _check(
    cases: Cases, found: Run, run: Callable[[], Run], inputs: Mapping[str, Array], split: list[Any]
) -> Notes:
    """Whatever is claimed, in these cases; remarks on what is so by definition."""
    with assumed(cases):
        for name, by_hand, expected in found.equal:
            for a, b in zip(np.ravel(by_hand), np.ravel(expected), strict=True):
                _same(name, a, b, cases)
    output = np.ravel(found.output)
    for shift in {
        each
        for y in output
        for each in sp.sympify(y).free_symbols
        if str(each).startswith("shift_")
    }:
        for y in output:
            if not vanishes(sp.diff(y, shift)):
                raise Open("it depends on which number is the largest")
    for name, symbols in inputs.items():
        if name not in found.gradients:
            continue
        by_hand = np.ravel(found.gradients[name])
        stated = np.ravel(found.stated[name]) if name in found.stated else [None] * len(by_hand)
        for symbol, dx, defined in zip(symbols.ravel(), by_hand, stated, strict=True):
            if symbol in split and set(split) & sp.sympify(dx).free_symbols - {symbol}:
                raise Open("entries with cases depend on one another")
            yield from _derivative(cases, found, run, symbol, dx, defined)


def _derivative(
    cases: Cases, found: Run, run: Callable[[], Run], symbol: Any, dx: Any, defined: Any
) -> Notes:
    """dx is the derivative for this symbol; at a kink what it is said to be, or between the
    derivatives on both sides.
    """
    piece, what = cases.pieces[symbol], f"dDiv/d{symbol}"
    if piece.point is None:
        expected = _slope(found, symbol)
        if defined is not None and not vanishes((dx - expected).xreplace(cases.at())):
            _same(what, dx, defined, cases)
            yield "by definition, not the derivative", piece
            return
        _same(what, dx, expected, cases)
        return
    sides = []
    for side in (-1, 1):
        with assumed(beside := cases.beside(symbol, side)):
            there = run()
        for y, limit in zip(np.ravel(found.output), np.ravel(there.output), strict=True):
            _same("the output, which jumps", y, limit, beside)
        sides.append(_slope(there, symbol).xreplace(cases.at()))
    if vanishes(sides[0] - sides[1]):
        _same(what, dx, sides[0], cases)
        return
    if defined is not None:
        _same(what, dx, defined, cases)
    else:
        low, by_hand, high = (
            _coefficient(each, found.upstream, cases).evalf() for each in (sides[0], dx, sides[1])
        )
        if not (by_hand - low) * (high - by_hand) >= 0:
            at = _listed({symbol: piece.point})
            raise _Refuted(
                f"{what} at {at}: {_number(by_hand)} by hand, {_number(low)} and {_number(high)} "
                "on both sides"
            )
    coefficient = _coefficient(dx, found.upstream, cases)
    yield (
        f"no derivative; by definition{'' if coefficient.free_symbols else f' {coefficient}'}",
        piece,
    )


def _slope(found: Run, symbol: Any) -> Any:
    """dDiv/d(symbol), by SymPy."""
    outputs, upstream = np.ravel(found.output), np.ravel(found.upstream)
    return sp.Add(*(sp.diff(y, symbol) * dy for y, dy in zip(outputs, upstream, strict=True)))


def _same(what: str, by_hand: Any, expected: Any, cases: Cases) -> None:
    a, b = (sp.sympify(each).xreplace(cases.at()) for each in (by_hand, expected))
    if vanishes(a - b):
        return
    free = a.free_symbols | b.free_symbols
    point = differs_at(a, b, lambda generator: cases.draw(free, generator))
    if point is None:
        raise Open(
            f"{what}: is {a} equal to {b}?"
            if len(str(a - b)) < 200
            else f"{what}: whether two long formulas are equal"
        )
    at = {**cases.at(), **point}
    raise _Refuted(
        f"{what} at {_listed(at)}: {_number(value(a, point))} by hand, {_number(value(b, point))} "
        "right"
    )


def _coefficient(dx: Any, upstream: Any, cases: Cases) -> Any:
    ones = {dy: sp.Integer(1) for dy in np.ravel(upstream) if isinstance(dy, sp.Symbol)}
    return sp.sympify(dx).xreplace({**cases.at(), **ones})


def _number(number: Any) -> str:
    return f"{float(number):.6g}" if number.is_real else str(number)


def _listed(point: Mapping[Any, Any] | None) -> str:
    return (
        ", ".join(
            f"{symbol} = {float(number):.6g}"
            for symbol, number in sorted((point or {}).items(), key=str)
        )
        or "any point"
    )

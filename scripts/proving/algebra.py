"""Whether two formulas are the same function: by a normal form, or not by numbers put in.

A normal form is a quotient of polynomials in symbols, exponentials, logarithms and square roots,
each of which stands for itself: two functions with one normal form are equal wherever both are
defined.
"""

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.polys.domains import QQ
from sympy.polys.rings import ring

DIGITS = 60  # of numbers put in


class sigma(sp.Function):  # type: ignore[misc] # noqa: N801 - as SymPy names exp and tanh
    """1 / (1 + e^-z), whose derivative sigma (1 - sigma) is a claim that is proven first of all."""

    @classmethod
    def eval(cls, z: Any) -> Any:
        return sp.Rational(1, 2) if z == 0 else None

    def fdiff(self, argindex: int = 1) -> Any:  # noqa: ARG002 - SymPy's signature
        return self * (1 - self)

    def _eval_rewrite_as_exp(self, z: Any, **_: Any) -> Any:
        return 1 / (1 + sp.exp(-z))

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"\sigma{power}({printer.doprint(self.args[0])})"


def exact(number: Any) -> Any:
    """The number or formula in SymPy; a Python float is the simplest fraction that rounds to it."""
    if isinstance(number, sp.Basic):
        return number.xreplace({each: exact(float(each)) for each in number.atoms(sp.Float)})
    if isinstance(number, float) and math.isfinite(number):
        simple = Fraction(number).limit_denominator(10**6)
        fraction = simple if float(simple) == number else Fraction(number)
        return sp.Rational(fraction.numerator, fraction.denominator)
    return sp.sympify(int(number) if isinstance(number, bool) else number)


# a polynomial, and what it is divided by: polynomial -> how often
Quotient = tuple[Any, dict[Any, int]]


class _Field:
    """Quotients of polynomials in symbols, some of which stand for an exp, log or square root."""

    def __init__(self, *, whole: bool) -> None:
        self.whole = whole  # sigma, tanh and exp stand for themselves, whatever is in them
        self.names: dict[Any, Any] = {}
        self.roots: dict[Any, Any] = {}  # symbol -> its square

    def name(self, of: Any) -> Any:
        return self.names.setdefault(of, sp.Dummy())

    def exp(self, argument: Any) -> Any:
        """A product of one exponential for each summand of its argument."""
        result = sp.Integer(1)
        for term in sp.Add.make_args(sp.expand(argument)):
            factor, rest = term.as_coeff_Mul()
            result *= self.name(sp.exp(rest / factor.q)) ** factor.p
        return result

    def root(self, base: Any) -> Any:
        above, below = sp.fraction(sp.together(base))
        # where the root is real, that of a quotient is the quotient of the roots
        if below.free_symbols:
            return self.root(above) / self.root(below)
        square = sp.expand(base)
        name = self.name(sp.sqrt(square))
        self.roots[name] = self.of(square)
        return name

    def of(self, e: Any) -> Any:
        """The formula in these symbols."""
        if self.whole and isinstance(e, sigma | sp.tanh | sp.exp):
            opposite = isinstance(e, sigma) and e.args[0].could_extract_minus_sign()
            return 1 - self.name(sigma(-e.args[0])) if opposite else self.name(e)
        if isinstance(e, sigma | sp.tanh):
            return self.of(e.rewrite(sp.exp))
        if isinstance(e, sp.exp):
            return self.exp(e.args[0])
        if isinstance(e, sp.Pow) and e.exp.is_Rational and e.exp.q == 2:
            return self.root(e.base) ** e.exp.p
        if e.is_Add or e.is_Mul or (e.is_Pow and e.exp.is_Integer):
            return e.func(*(self.of(each) for each in e.args))
        return e if e.is_Symbol or e.is_Rational else self.name(e)

    def vanishes(self, e: Any) -> bool:
        formula = self.of(e)
        squares = dict(reversed(self.roots.items()))
        symbols = formula.free_symbols.union(*(square.free_symbols for square in squares.values()))
        if not symbols:
            return bool(formula == 0)
        _, *generators = ring(list(symbols), QQ)
        self.generators = dict(zip(symbols, generators, strict=True))
        numerator, _ = self.quotient(formula)
        for root, square in squares.items():
            r, n = self.generators[root], list(symbols).index(root)
            parts = [
                (
                    r ** (powers[n] % 2)
                    * r.ring.term_new((*powers[:n], 0, *powers[n + 1 :]), factor),
                    powers[n] // 2,
                )
                for powers, factor in numerator.terms()
            ]
            r_squared = self.quotient(square)
            numerator, _ = _sum(
                [_product([(term, {}), *[r_squared] * often]) for term, often in parts]
                or [(numerator, {})]
            )
        return not numerator

    def quotient(self, e: Any) -> Quotient:
        """The quotient, multiplied out."""
        if e.is_Symbol:
            return self.generators[e], {}
        if e.is_Rational:
            one = next(iter(self.generators.values())).ring.one
            return one * QQ(e.p, e.q), {}
        if e.is_Add or e.is_Mul:
            return (_sum if e.is_Add else _product)([self.quotient(each) for each in e.args])
        above, below = self.quotient(e.base)
        if e.exp < 0:
            (above, _), below = (
                _product(
                    [(each, {}) for each, often in below.items() for _ in range(often)]
                    or [(above.ring.one, {})]
                ),
                {above: 1},
            )
        return above ** abs(int(e.exp)), {
            each: often * abs(int(e.exp)) for each, often in below.items()
        }


def _product(factors: list[Quotient]) -> Quotient:
    above, below = factors[0][0].ring.one, Counter[Any]()
    for numerator, denominators in factors:
        above *= numerator
        below.update(denominators)
    return above, dict(below)


def _sum(terms: list[Quotient]) -> Quotient:
    """The sum over the least common denominator."""
    common: dict[Any, int] = {}
    for _, below in terms:
        common |= {each: max(often, common.get(each, 0)) for each, often in below.items()}
    total = terms[0][0].ring.zero
    for above, below in terms:
        missing = above.ring.one
        for each, often in common.items():
            missing *= each ** (often - below.get(each, 0))
        total += above * missing
    return total, common


def vanishes(e: Any) -> bool:
    """Whether a formula is 0 by its normal form; False proves nothing."""
    return (
        e == 0
        or _Field(whole=True).vanishes(e)
        or _Field(whole=False).vanishes(e)
        or _constant_0(e)
    )


def _constant_0(e: Any) -> bool:
    """Whether a formula has no slope and is 0 at a point, as sums of logarithms may."""
    e = e.rewrite(sp.exp).replace(sp.log, lambda of: sp.log(sp.together(of)))
    logs, symbols = e.atoms(sp.log), e.free_symbols
    if (
        not logs
        or not all(each.args[0].is_positive for each in logs)
        or any(each.exp.is_integer is False for each in e.atoms(sp.Pow))
    ):
        return False
    at_a_point = e.xreplace(
        {symbol: sp.Integer(1 if symbol.is_positive else 0) for symbol in symbols}
    )
    return bool(sp.simplify(at_a_point) == 0) and all(
        _Field(whole=False).vanishes(sp.diff(e, symbol)) for symbol in symbols
    )


def value(e: Any, point: Mapping[Any, Any]) -> Any:
    """The value of a formula with numbers put in."""
    return sp.sympify(e).rewrite(sp.exp).xreplace(dict(point)).evalf(DIGITS)


def differs_at(
    a: Any, b: Any, draw: Callable[[random.Random], Mapping[Any, Any] | None]
) -> dict[Any, Any] | None:
    """A point at which they are different numbers, of a few drawn; None where none is found."""
    generator = random.Random(0)  # noqa: S311 - the same points each time
    for _ in range(3):
        point = draw(generator)
        if point is None:
            return None
        left, right = value(a, point), value(b, point)
        if not left.is_comparable or not right.is_comparable:  # nan, infinite or no number
            if left != right and (left.is_Number or right.is_Number):
                return dict(point)
            continue
        if abs(left - right) > sp.Float(10) ** (10 - DIGITS) * (abs(left) + abs(right)):
            return dict(point)
    return None

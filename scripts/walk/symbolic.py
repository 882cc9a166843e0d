"""Each step of a walkthrough as one formula in x, w, b, t, eta: manual/ run on symbols."""

import dataclasses
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any
from unittest import mock

import numpy as np
import sympy as sp
import torch
from sympy.printing.latex import LatexPrinter

from manual.activations import Softmax
from scripts.common.program import as_typed
from scripts.proving.algebra import exact, sigma, value
from scripts.proving.cases import Cases, Open, assumed
from scripts.proving.symbols import Symbolic, on_symbols
from scripts.walk.example import Example, by_hand
from scripts.walk.notation import symbol
from scripts.walk.record import Document, Section, Step

MOST = 30  # parameters: the formulas of more fill pages
SIGMA = r"\sigma(z) = \frac{1}{1 + e^{-z}}"


class _OnSymbols(Example):
    """An example whose numbers are symbols; its class stays a number."""

    @cached_property
    def target(self) -> Any:
        number = self.loss.targets(torch.tensor([self.label]), self.spec.sizes[-1], torch.float64)
        return (
            number
            if number.ndim == 1
            else Symbolic(_named("t", 0, tuple(number[0].shape)).reshape(1, -1))
        )

    def network(self) -> Any:
        """Its output after the update is any number, for Div's formula then has every weight's
        change in it.
        """
        network: Any = super().network()
        network.predict = lambda _: Symbolic(np.full((1, self.spec.sizes[-1]), sp.Rational(1, 2)))
        return network


def _named(letter: str, k: int, shape: tuple[int, ...]) -> Any:
    """x_{1}, w_{11}^{(1)}, ... as the walkthrough writes them."""
    names = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        numbers = [i + 1 for i in index]
        names[index] = sp.Symbol(
            symbol(letter, k, *numbers) if k else f"{letter}_{{{numbers[0]}}}", real=True
        )
    return names


def formulas(example: Example) -> tuple[dict[str, Any], dict[Any, Any]]:
    """z1 (O,), dw1 (I, O), ... as `by_hand` names the values, and the number that each symbol is.

    Where relu and softplus ask for a sign, it is that of the numbers. A softmax has all of its
    layer in each output: what comes after it is in these outputs, or it would fill a book.
    """
    eta = sp.Symbol(r"\eta", positive=True)
    x, t = (
        _named(letter, 0, tuple(value.shape))
        for letter, value in (("x", example.x), ("t", example.one_hot))
    )
    values = {
        name: _named(name[0], int(name[1:]), tuple(value.shape))
        for name, value in example.values.items()
    }
    numbers: dict[Any, Any] = {eta: exact(example.lr)}
    for names, of in [
        (x, example.x),
        (t, example.one_hot),
        *((values[name], example.values[name]) for name in values),
    ]:
        numbers.update(zip(names.ravel(), map(exact, of.flatten().tolist()), strict=True))
    if not example.biases:
        values |= {name: 0 * value for name, value in values.items() if name.startswith("b")}
    given: dict[str, Any] = {
        "values": {name: Symbolic(value) for name, value in values.items()},
        "x": Symbolic(x),
        "lr": eta,
    }
    fields = {each.name: getattr(example, each.name) for each in dataclasses.fields(example)}
    layers = (k for k, name in enumerate(example.spec.activations, start=1) if name == Softmax.name)
    whole: dict[str, Any] = {}  # of each softmax, whose outputs have names in the formulas after it

    def softmax(self: Softmax, z: Any, forward: Any = Softmax.forward) -> Symbolic:
        k, y = next(layers), forward(self, z).entries
        whole[f"y{k}"], names = y[0], _named("y", k, y.shape[1:])
        numbers.update(zip(names, (value(e, numbers) for e in y[0]), strict=True))
        return Symbolic(names.reshape(1, -1))

    try:
        with (
            on_symbols(),
            assumed(Cases(numbers=numbers)),
            mock.patch.object(Softmax, "forward", softmax),
        ):
            found: dict[str, Any] = by_hand(_OnSymbols(**fields | given))
    except Open as reason:
        raise ValueError(f"derive: {reason}") from reason
    return {key: each.entries for key, each in found.items()} | whole, numbers


def derive(document: Document, example: Example) -> Document:
    """The document with the formula of each step of this example's network. ValueError for too
    large a network.
    """
    parameters = sum(value.numel() for value in example.values.values())
    if parameters > MOST:
        raise ValueError(
            f"sizes {as_typed(example.spec.sizes)}: --derive is for up to {MOST} parameters, such "
            f"as 3 4 2, not {parameters}"
        )
    found, _ = formulas(example)
    sections = [
        dataclasses.replace(each, steps=tuple(_derived(each, found))) for each in document.sections
    ]
    if any("sigma" in step.derived for section in sections for step in section.steps):
        sections[0] = dataclasses.replace(sections[0], rules=(*sections[0].rules, SIGMA))
    return dataclasses.replace(document, sections=tuple(sections))


def _derived(section: Section, found: dict[str, Any]) -> Iterator[Step]:
    for step in section.steps:
        match = re.fullmatch(r"(\w+?)(?:\[([\d,]+)\])?", step.name)
        if match is None or match[1] not in found or match[1] == "new_div":
            yield step
            continue
        index = tuple(int(i) - 1 for i in match[2].split(",")) if match[2] else ()
        yield dataclasses.replace(step, derived=latex(found[match[1]][index]))


class _Printer(LatexPrinter):  # type: ignore[misc]
    """With the parentheses of the walkthrough's formulas."""

    def _function(self, name: str, e: Any, power: str | None) -> str:
        return f"{name}{f'^{{{power}}}' if power else ''}({self._print(e.args[0])})"

    def _print_sigma(self, e: Any, exp: str | None = None) -> str:
        return self._function(r"\sigma", e, exp)

    def _print_tanh(self, e: Any, exp: str | None = None) -> str:
        return self._function(r"\tanh", e, exp)

    def _print_log(self, e: Any, exp: str | None = None) -> str:
        return self._function(r"\log", e, exp)


def latex(e: Any) -> str:
    """The formula, with log(1 + e^a) where it stands for -log sigma(-a)."""
    e = sp.sympify(e).replace(
        lambda part: isinstance(part, sp.log) and isinstance(part.args[0], sigma),
        lambda part: -sp.log(1 + sp.exp(-part.args[0].args[0])),
    )
    written: str = _Printer({"mul_symbol": "~"}).doprint(e)
    written = written.replace(r"\left", "").replace(r"\right", "")
    return re.sub(r"(^|\(|\{)- ", r"\1-", re.sub(r" +", " ", written)).replace(" )", ")")

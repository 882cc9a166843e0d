"""The formulas: with the numbers put in they give the result, as text and as LaTeX."""

import ast
import math
import operator
import re
from collections.abc import Callable

import pytest

from scripts.walk import derivation, notation
from scripts.walk.notation import number, plain
from scripts.walk.record import Document
from scripts.walk.render import as_markdown, as_text
from tests.walk.exercises import each_exercise, solved


@pytest.mark.parametrize(("activation", "loss"), each_exercise())
def test_numbers_put_in_give_the_result(activation: str, loss: str) -> None:
    document = solved(activation, loss, 1)
    for step in document.steps():
        if step.numbers:
            # they are shown with six digits, in sums of up to five products of numbers up to 10
            assert _value(step.numbers) == pytest.approx(step.by_hand, rel=0, abs=1e-4), step.name


def test_numbers_put_in_give_the_lectures_results(lecture: Document) -> None:
    shown = [step for step in lecture.steps() if step.numbers and r"\sigma" not in step.numbers]
    assert len(shown) > 40
    for step in shown:
        assert _value(step.numbers) == pytest.approx(step.by_hand, rel=0, abs=2e-6), step.name


@pytest.mark.parametrize(("activation", "loss"), each_exercise())
def test_text_is_plain_and_fits_and_markdown_is_balanced(activation: str, loss: str) -> None:
    for exercise in (solved(activation, loss), solved(activation, loss).without_solution()):
        _check_text(as_text(exercise))
        _check_markdown(as_markdown(exercise))


def test_the_lectures_text_is_plain_and_fits_and_its_markdown_is_balanced(
    lecture: Document,
) -> None:
    _check_text(as_text(lecture))
    _check_markdown(as_markdown(lecture))


def _check_text(text: str) -> None:
    assert not re.search(r"[\\{}$]", text)
    assert max(map(len, text.splitlines())) <= 80


def _check_markdown(markdown: str) -> None:
    formulas: list[str] = []
    for paragraph in re.split(r"\n+", markdown):
        pieces = paragraph.replace("$$", "$").split("$")
        assert len(pieces) % 2 == 1, paragraph
        formulas += pieces[1::2]
        assert "\\" not in "".join(pieces[::2]), paragraph
    assert formulas
    for formula in formulas:
        assert formula.count("{") == formula.count("}"), formula
        assert formula.count(r"\begin{") == formula.count(r"\end{"), formula
        # a double superscript or subscript
        assert not re.search(r"\^\{[^{}]*\}\^|\}_\{[^{}]*\}_", formula), formula


def test_an_operation_without_a_formula_is_shown_by_its_name_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_formulas = [(step.name, step.by_hand) for step in solved("tanh", "mse").steps()]
    monkeypatch.setattr(derivation, "LOSSES", {})
    monkeypatch.setattr(notation, "ACTIVATIONS", {})
    document = solved("tanh", "mse")
    assert [(step.name, step.by_hand) for step in document.steps()] == with_formulas
    text = as_text(document)
    _check_text(text)
    _check_markdown(as_markdown(document))
    assert "y₁⁽¹⁾ = f(z₁⁽¹⁾)" in text
    assert "∂Div/∂y₁⁽²⁾ = loss'(y₁⁽²⁾, t₁)" in text


def test_rules_in_a_heading_are_those_of_its_steps() -> None:
    """Of a softmax its Jacobian; before the first layer there is no dDiv/dy."""
    rules = {section.title: section.rules for section in solved("softmax", "half-squared").sections}
    assert rules["Backward, k = 2 (softmax)"][0] == derivation.JACOBIAN
    assert set(derivation.BACK) < set(rules["Backward, k = 2 (softmax)"])
    assert not set(derivation.BACK) & set(rules["Backward, k = 1 (softmax)"])
    rules = {section.title: section.rules for section in solved("tanh", "half-squared").sections}
    assert rules["Backward, k = 2 (tanh)"][0] == derivation.CHAIN


def test_remarks_stand_below_their_formulas_in_markdown(lecture: Document) -> None:
    """Where "here" and "the next line" are meant; and no column is empty."""
    blocks = as_markdown(lecture).split("\n\n")
    (at,) = [i for i, block in enumerate(blocks) if "the next line is how it is computed" in block]
    assert r"\text{softplus}(1000) &= \log(1 + e^{1000})" in blocks[at - 1].replace(r"\\ ", "")
    assert r"\max(1000, 0)" in blocks[at + 1]
    assert (
        "slides"
        not in as_markdown(solved("tanh", "mse"))
        .split("## Forward")[1]
        .split("*Slide")[1]
        .split("|\n|---")[0]
    )


def test_notation() -> None:
    assert number(-0.0) == "0"
    assert number(1.25e-7) == r"1.25 \cdot 10^{-7}"
    assert plain(r"\frac{\partial Div}{\partial w_{12}^{(3)}}") == "∂Div/∂w₁₂⁽³⁾"
    assert plain(r"\frac{1}{1 + e^{-0.5}}") == "1/(1 + e^(-0.5))"
    assert plain(number(1.25e-7)) == "1.25·10⁻⁷"


_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "tanh": math.tanh,
    "log": math.log,
    "max": max,
    "sigma": lambda z: 1 / (1 + math.exp(-z)),
}


def _value(latex: str) -> float:
    """A LaTeX formula of numbers alone, computed."""
    latex = re.sub(r"\\l(?:og|n) ([\d.]+)", r"log(\1)", latex.replace(r" \cdot ", "*")).replace(
        "~", "*"
    )
    while (
        replaced := re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}|\^\{([^{}]*)\}", _group, latex)
    ) != latex:
        latex = replaced
    source = latex.replace("\\", "").replace("[", "(").replace("]", ")")
    return _compute(ast.parse(source, mode="eval").body)


def _group(match: re.Match[str]) -> str:
    above, below, power = match.groups()
    return f"**({power})" if power is not None else f"(({above})/({below}))"


def _compute(node: ast.AST) -> float:
    match node:
        case ast.Constant(value=float() | int() as value):
            return value
        case ast.Name(id="e"):
            return math.e
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_compute(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_compute(left), _compute(right))
        case ast.Compare(left=left, comparators=[right]):
            return float(_compute(left) > _compute(right))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FUNCTIONS[name](*map(_compute, arguments))
    raise AssertionError(ast.dump(node))

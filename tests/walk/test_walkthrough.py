"""python -m scripts.walkthrough: the lecture's numbers, the slides' slips, exercises, and the three
formats.
"""

import ast
import csv
import json
import math
import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from manual.activations import Activation
from manual.losses import Loss
from manual.network import NetworkSpec
from scripts import walkthrough
from scripts.walk import derivation, document, notation
from scripts.walk.derivation import Walk
from scripts.walk.exercise import fresh
from scripts.walk.lecture import SLIPS, worked_example
from scripts.walk.notation import number, plain, plain_words
from scripts.walk.record import Document
from scripts.walk.render import as_json, as_markdown, as_text
from tests.conftest import Call

# Exact values of the lecture's worked example, from its numbers and nothing else.
EXACT = {
    "z1[1]": 0.17,
    "z1[2]": -0.09,
    "y1[1]": 0.168381,
    "y1[2]": -0.089758,
    "z2[1]": 0.1246156,
    "y2[1]": 0.5311136,
    "dy2[1]": -0.4688864,
    "dz2[1]": -0.1167677,
    "dy1[1]": -0.1050909,
    "dy1[2]": -0.0350303,
    "dz1[1]": -0.1021114,
    "dz1[2]": -0.0347481,
    "dw2[1,1]": -0.0196615,
    "dw2[2,1]": 0.0104808,
    "dw1[1,1]": -0.1123225,
    "dw1[1,2]": -0.0382229,
    "dw1[2,1]": -0.0408445,
    "dw1[2,2]": -0.0138992,
    "div": 0.1099272,
    "softmax(1.2, 0.3)[1]": math.exp(1.2) / (math.exp(1.2) + math.exp(0.3)),
    "softmax(1.2, 0.3)[2]": math.exp(0.3) / (math.exp(1.2) + math.exp(0.3)),
    "softmax(-0.62, 8.12, 2.53)[1]": 0.000159,
    "softmax(-0.62, 8.12, 2.53)[2]": 0.99612,
    "softmax(-0.62, 8.12, 2.53)[3]": 0.003721,
    "cross-entropy(0.4, 0.4, 0.2)": -math.log(0.4),
    "cross-entropy(0.1, 0.2, 0.7)": -math.log(0.7),
}
# Where each slip has to be named: at a step, or under the title of a section; 12 and 14 concern
# nothing that is shown.
PLACES = {
    1: "z1[2]",
    2: "z2[1]",
    3: "dy1[1]",
    4: "dz1[2]",
    5: "dy2[1]",
    6: "Cross-entropy",
    7: "Softmax of (1.2, 0.3) and (-0.62, 8.12, 2.53)",
    8: "Small changes and the chain rule",
    9: "Activations",
    10: "Softmax and cross-entropy, apart and together",
    11: "div",
    12: "errata",
    13: "Forward, layer 1 (tanh)",
    14: "errata",
}
FAILING_FORMS = {
    "sigmoid form 2(710)": "nan",
    "sigmoid form 2(1000)": "nan",
    "softplus as printed(1000)": "inf",
}


@pytest.fixture(scope="module")
def lecture() -> Document:
    return document.document(walkthrough.Options())


@pytest.fixture(scope="module")
def lecture_json(lecture: Document) -> Any:
    return json.loads(as_json(lecture), parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def lecture_steps(lecture_json: Any) -> dict[str, Any]:
    return _by_name(lecture_json)


def _by_name(document: Any) -> dict[str, Any]:
    steps = [step for section in document["sections"] for step in section["steps"]]
    names = {step["name"]: step for step in steps}
    assert len(names) == len(steps)
    return names


def _exercise(activation: str, loss: str, seed: int = 0) -> Document:
    options = walkthrough.Options(sizes=(3, 4, 2), activations=(activation,), loss=loss, seed=seed)
    return document.document(options)


def _exercises() -> list[Any]:
    """Every activation in the hidden layer and at the end, under every loss that takes such
    outputs.
    """
    return [
        pytest.param(activation, loss, id=f"{activation}-{loss}")
        for loss in Loss.named()
        for activation in Activation.named()
        if activation in {"sigmoid", "softmax"}
        or loss not in {"binary-cross-entropy", "cross-entropy-of-probabilities"}
    ]


@pytest.mark.parametrize("name", EXACT)
def test_every_exact_value_is_in_the_json(name: str, lecture_steps: dict[str, Any]) -> None:
    assert lecture_steps[name]["by_hand"] == pytest.approx(EXACT[name], rel=0, abs=1e-6)


def test_by_hand_is_autograd_in_the_lectures_walkthrough(lecture_steps: dict[str, Any]) -> None:
    failed = {
        name: step["by_hand"]
        for name, step in lecture_steps.items()
        if isinstance(step["by_hand"], str)
    }
    assert failed == FAILING_FORMS
    for name, step in lecture_steps.items():
        assert isinstance(step["by_autograd"], float), name
        if name not in failed:
            assert abs(step["by_hand"] - step["by_autograd"]) <= 1e-15, name


@pytest.mark.parametrize(("activation", "loss"), _exercises())
def test_by_hand_is_autograd_in_exercises(activation: str, loss: str) -> None:
    for seed in range(5):
        for step in _exercise(activation, loss, seed).steps():
            assert step.by_hand is not None
            assert step.by_autograd is not None
            # measured: 4.4e-16 of max(1, |value|), where exp or a softmax's sum rounds differently
            # than inside torch's kernels
            assert abs(step.by_hand - step.by_autograd) <= 1e-15 * max(1, abs(step.by_autograd)), (
                step.name
            )


def test_the_loop_here_is_the_networks_own() -> None:
    example = fresh((3, 4, 2), ("tanh", "softplus"), "half-squared", 3, 0.5)
    network, walk = example.network(), Walk(example)
    tape = network.forward(example.x.unsqueeze(0))
    _, dy = example.loss(tape.output, example.target)
    network.backward(dy, tape)
    for name, gradient in network.parameters.gradients.items():
        assert torch.equal(walk.hand[f"d{name}"], gradient)


def test_an_update_makes_the_lectures_loss_smaller(lecture_steps: dict[str, Any]) -> None:
    before, after = lecture_steps["old_div"]["by_hand"], lecture_steps["new_div"]["by_hand"]
    assert before == lecture_steps["div"]["by_hand"]
    assert after < before
    # of the update as shown: biases that are not there don't learn
    assert after == pytest.approx(0.1019128, abs=1e-7)
    expected = 0.3 - 0.5 * lecture_steps["dw1[1,1]"]["by_hand"]
    assert lecture_steps["new_w1[1,1]"]["by_hand"] == pytest.approx(expected, rel=0, abs=1e-16)


def test_printed_values_agree_or_are_named_as_slips(lecture_steps: dict[str, Any]) -> None:
    wrong = set()
    for name, step in lecture_steps.items():
        # the worked example cuts off after four digits or more; the other examples round to two
        tolerance = 1e-4 if re.match(r"d?[wyz]\d\[", name) else 0.005
        for printed in step["printed"]:
            if abs(float(printed) - step["by_hand"]) > tolerance:
                wrong.add(printed)
                assert re.search(rf"Slip \d+ .*{printed}", step["remark"]), name
    assert wrong == {"-0.019", "-0.124615"}
    assert sum(bool(step["printed"]) for step in lecture_steps.values()) == 18 + 2 + 2


@pytest.mark.parametrize("n", range(1, 15))
def test_each_slip_is_named_where_its_value_is_shown(
    n: int, lecture_json: Any, lecture_steps: dict[str, Any]
) -> None:
    place = PLACES[n]
    sections = {section["title"]: section["remarks"] for section in lecture_json["sections"]}
    steps = {name: [step["remark"]] for name, step in lecture_steps.items()}
    remarks = ({"errata": lecture_json["errata"]} | sections | steps)[place]
    assert any(remark.startswith(f"Slip {n} of the slides, ") for remark in remarks)


def test_each_slip_is_in_each_format(lecture: Document) -> None:
    text, markdown, in_json = as_text(lecture), as_markdown(lecture), as_json(lecture)
    for slip in SLIPS.values():
        assert plain_words(slip).replace("\u00a0", " ") in re.sub(r"\s+", " ", text)
        assert slip in markdown
        assert json.dumps(slip, ensure_ascii=False) in in_json


def test_the_lectures_walkthrough_has_no_biases_and_an_exercise_has(
    lecture_steps: dict[str, Any],
) -> None:
    assert not [name for name in lecture_steps if re.match(r"(d|new_)?b\d", name)]
    assert {"db1[4]", "db2[2]", "new_b2[1]"} <= {
        step.name for step in _exercise("tanh", "mse").steps()
    }


@pytest.mark.parametrize(("activation", "loss"), _exercises())
def test_numbers_put_in_give_the_result(activation: str, loss: str) -> None:
    document = _exercise(activation, loss, 1)
    for step in document.steps():
        if step.numbers:
            # they are shown with six digits, in sums of up to five products of numbers up to 10
            assert _value(step.numbers) == pytest.approx(step.by_hand, rel=0, abs=1e-4), step.name


def test_numbers_put_in_give_the_lectures_results(lecture: Document) -> None:
    shown = [step for step in lecture.steps() if step.numbers and r"\sigma" not in step.numbers]
    assert len(shown) > 40
    for step in shown:
        assert _value(step.numbers) == pytest.approx(step.by_hand, rel=0, abs=2e-6), step.name


@pytest.mark.parametrize(("activation", "loss"), _exercises())
def test_text_is_plain_and_fits_and_markdown_is_balanced(activation: str, loss: str) -> None:
    for exercise in (_exercise(activation, loss), _exercise(activation, loss).without_solution()):
        _check_text(as_text(exercise))
        _check_markdown(as_markdown(exercise))


def test_the_lectures_text_is_plain_and_fits_and_its_markdown_is_balanced(
    lecture: Document,
) -> None:
    _check_text(as_text(lecture))
    _check_markdown(as_markdown(lecture))


def _check_text(text: str) -> None:
    assert not re.search(r"[\\{}$]", text)
    assert max(map(len, text.splitlines())) <= 110


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
    with_formulas = [(step.name, step.by_hand) for step in _exercise("tanh", "mse").steps()]
    monkeypatch.setattr(derivation, "LOSSES", {})
    monkeypatch.setattr(notation, "ACTIVATIONS", {})
    document = _exercise("tanh", "mse")
    assert [(step.name, step.by_hand) for step in document.steps()] == with_formulas
    text = as_text(document)
    _check_text(text)
    _check_markdown(as_markdown(document))
    assert "y₁⁽¹⁾ = f(z₁⁽¹⁾)" in text
    assert "∂Div/∂y₁⁽²⁾ = loss'(y₁⁽²⁾, t₁)" in text


@pytest.mark.parametrize("form", ["text", "markdown", "json", "html"])
def test_an_exercise_leaves_its_solution_out(form: str, call: Call) -> None:
    arguments = (
        "--sizes",
        "3",
        "4",
        "2",
        "--activations",
        "tanh",
        "sigmoid",
        "--loss",
        "mse",
        "--seed",
        "7",
    )
    solved = call(walkthrough, *arguments, "--format", "json").out
    status, sheet, _ = call(walkthrough, *arguments, "--exercise", "--format", form)
    assert status == 0
    answers = {
        value
        for step in _by_name(json.loads(solved)).values()
        for value in (step["by_hand"], step["by_autograd"])
    }
    hidden = {number(value) for value in answers if len(number(value)) > 5}
    assert len(hidden) > 40
    assert not [answer for answer in hidden if answer in sheet]
    assert re.search(
        r"z₁⁽¹⁾ = _+|z_\{1\}\^\{\(1\)\} = \\ldots|\"by_hand\": null|"
        r"<div><math><msubsup><mi>z</mi>",
        sheet,
    )
    if form == "json":
        solution: dict[str, Any] = {
            "by_hand": None,
            "by_autograd": None,
            "formula": "",
            "numbers": "",
            "printed": [],
            "remark": "",
        }
        for step in _by_name(json.loads(sheet)).values():
            assert {key: step[key] for key in solution} == solution


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_a_class_gets_sheets_solutions_and_a_key(form: str, call: Call, tmp_path: Path) -> None:
    """Those of each seed, and in the key every number in full."""
    out, options = (
        tmp_path / "new" / "class",
        ("--sizes", "2", "2", "1", "--activations", "tanh", "sigmoid", "--format", form),
    )
    assert call(walkthrough, *options, "--seeds", "8..10", "--out", str(out)) == (0, "", "")
    ending = {"markdown": "md", "html": "html"}[form]
    kinds = [
        f"{kind}-{seed}.{ending}" for kind in ("sheet", "solution") for seed in ("08", "09", "10")
    ]
    assert sorted(path.name for path in out.iterdir()) == sorted(["key.csv", *kinds])
    one = tmp_path / "one"
    for kind, exercise in (("sheet", ["--exercise"]), ("solution", [])):
        call(walkthrough, *options, "--seed", "9", *exercise, "--out", str(one))
        assert (out / f"{kind}-09.{ending}").read_text() == one.read_text()
    rows = list(csv.reader((out / "key.csv").read_text().splitlines()))
    assert rows[0] == ["seed", "name", "value"]
    for seed in ("8", "9", "10"):
        steps = _by_name(json.loads(call(walkthrough, *options[:-1], "json", "--seed", seed).out))
        key = {name: float(value) for each, name, value in rows[1:] if each == seed}
        assert key == {name: step["by_hand"] for name, step in steps.items()}


def test_it_can_stop_at_the_gradients(call: Call) -> None:
    for options in ((), ("--sizes", "2", "2", "1"), ("--sizes", "2", "2", "1", "--exercise")):
        whole, stopped = (
            json.loads(call(walkthrough, *options, "--format", "json", *more).out)
            for more in ((), ("--no-update",))
        )
        assert stopped["sections"] == [
            section for section in whole["sections"] if section["title"] != "Update"
        ]
        assert len(stopped["sections"]) < len(whole["sections"])


def test_rules_in_a_heading_are_those_of_its_steps() -> None:
    """Of a softmax its Jacobian; before the first layer there is no dDiv/dy."""
    rules = {
        section.title: section.rules for section in _exercise("softmax", "half-squared").sections
    }
    assert rules["Backward, k = 2 (softmax)"][0] == derivation.JACOBIAN
    assert set(derivation.BACK) < set(rules["Backward, k = 2 (softmax)"])
    assert not set(derivation.BACK) & set(rules["Backward, k = 1 (softmax)"])
    rules = {section.title: section.rules for section in _exercise("tanh", "half-squared").sections}
    assert rules["Backward, k = 2 (tanh)"][0] == derivation.CHAIN


def test_remarks_stand_below_their_formulas_in_markdown(lecture: Document) -> None:
    """Where "here" and "the next line" are meant; and no column is empty."""
    blocks = as_markdown(lecture).split("\n\n")
    (at,) = [i for i, block in enumerate(blocks) if "the next line is how it is computed" in block]
    assert r"\text{softplus}(1000) &= \log(1 + e^{1000})" in blocks[at - 1].replace(r"\\ ", "")
    assert r"\max(1000, 0)" in blocks[at + 1]
    assert (
        "slides"
        not in as_markdown(_exercise("tanh", "mse"))
        .split("## Forward")[1]
        .split("*Slide")[1]
        .split("|\n|---")[0]
    )


def test_an_exercise_is_the_same_for_the_same_seed(call: Call) -> None:
    def exercise(*options: str) -> str:
        return call(walkthrough, "--sizes", "2", "3", "2", *options).out

    assert exercise("--seed", "1") == exercise("--seed", "1") != exercise("--seed", "2")
    solved, sheet = (
        json.loads(exercise("--format", "json", *options)) for options in ((), ("--exercise",))
    )
    assert sheet["given"] == solved["given"]


def test_an_exercise_has_numbers_of_one_decimal_and_none_is_0() -> None:
    for seed in range(20):
        example = fresh((3, 4, 2), ("tanh",), "cross-entropy", seed, 0.5)
        for values in (example.x, *example.values.values()):
            for value in values.flatten().tolist():
                assert value == round(value, 1)
                assert 0.1 <= abs(value) <= 0.9
    assert {fresh((3, 2), ("tanh",), "mse", seed, 0.5).label for seed in range(20)} == {0, 1}


def test_the_json_is_enough_to_compute_it_again(call: Call) -> None:
    given = json.loads(call(walkthrough, "--sizes", "2", "3", "2", "--format", "json").out)["given"]
    assert given["sizes"] == [2, 3, 2]
    assert given["activations"] == ["sigmoid", "sigmoid"]
    example = fresh((2, 3, 2), ("sigmoid",), "half-squared", 0, 0.5)
    assert {name: given[name] for name in example.values} == {
        name: value.tolist() for name, value in example.values.items()
    }
    assert given["x"] == example.x.tolist()


def test_the_worked_example_is_an_example_like_any_other() -> None:
    example = worked_example(0.5)
    assert example.spec == NetworkSpec((2, 2, 1), ("tanh", "sigmoid"))
    names = [step.name for section in Walk(example).sections() for step in section.steps]
    exercise = fresh((2, 2, 1), ("tanh", "sigmoid"), "half-squared", 0, 0.5)
    others = [step.name for section in Walk(exercise).sections() for step in section.steps]
    assert names == [name for name in others if not re.match(r"(d|new_)?b\d", name)]


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

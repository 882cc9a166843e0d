"""scripts.walkthrough --derive: each step as one formula, which at the numbers given is the step's
number.
"""

import json
import math
import re

import pytest
import sympy as sp
import torch

from manual.activations import Activation
from scripts import walkthrough
from scripts.walk.example import by_hand
from scripts.walk.exercise import fresh
from scripts.walk.lecture import worked_example
from scripts.walk.symbolic import formulas, latex
from tests.cases import ACTIVATIONS, LOSSES
from tests.conftest import Call

SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
PAIRS = [(name, "half-squared") for name in ACTIVATIONS] + [
    ("sigmoid", name) for name in LOSSES if name != "half-squared"
]


@pytest.mark.parametrize(("activation", "loss"), PAIRS)
@pytest.mark.parametrize("sizes", [(2, 2, 2), (2, 2)], ids=str)
def test_each_formula_is_its_number(sizes: tuple[int, ...], activation: str, loss: str) -> None:
    example = fresh(sizes, (activation,), loss, 1, 0.5)
    found, numbers = formulas(example)
    for key, value in by_hand(example).items():
        if key != "new_div":  # of which no formula is shown
            entries = found[key].ravel().tolist()
            modules = [{"sigma": lambda z: 1 / (1 + math.exp(-z))}, "math"]
            derived = sp.lambdify(list(numbers), entries, modules, cse=True)(
                *map(float, numbers.values())
            )
            assert torch.allclose(
                torch.tensor(derived, dtype=value.dtype), value.flatten(), rtol=1e-9, atol=1e-12
            ), key


def test_the_slides_own_derivative_in_w_x_t() -> None:
    found, _ = formulas(worked_example(0.5))
    w, v, x, t = sp.symbols(r"w_{11}^{(1)} w_{11}^{(2)} x_{1} t_{1}", real=True)
    y = next(e for e in found["y2"])
    z = w * x + sp.Symbol("w_{21}^{(1)}", real=True) * sp.Symbol("x_{2}", real=True)
    assert found["dw1"][0, 0] - (y - t) * y * (1 - y) * v * (1 - sp.tanh(z) ** 2) * x == 0
    assert sp.diff(y, w) - y * (1 - y) * v * (1 - sp.tanh(z) ** 2) * x == 0


def test_text_and_latex(call: Call) -> None:
    y = f"{SIGMA}(b₁⁽¹⁾ + w₁₁⁽¹⁾ x₁)"
    text = " ".join(call(walkthrough, "--derive", "--sizes", "1", "1").out.split())
    assert f"= x₁ (1 - {y}) (-t₁ + {y}) {y}" in text
    assert f"{SIGMA}(z) = 1/(1 + e^(-z))" in text
    assert SIGMA not in call(walkthrough, "--sizes", "1", "1").out
    ended = call(
        walkthrough,
        "--derive",
        "--sizes",
        "1",
        "1",
        "--activations",
        "softplus",
        "--format",
        "json",
    )
    steps = {
        step["name"]: step
        for section in json.loads(ended.out)["sections"]
        for step in section["steps"]
    }
    assert r"\sigma(b_{1}^{(1)} + w_{11}^{(1)}~x_{1})" in steps["dw1[1,1]"]["derived"]
    assert r"\log(e^{" in steps["y1[1]"]["derived"]
    assert all(step["derived"].count("{") == step["derived"].count("}") for step in steps.values())
    assert (
        "&= x_{1}~"
        in call(walkthrough, "--derive", "--sizes", "1", "1", "--format", "markdown").out
    )


def test_long_formulas_are_broken_between_words(call: Call) -> None:
    out = call(walkthrough, "--derive").out
    assert not re.search(r"^ *[₀-₉⁽]", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) == 80


def test_an_exercise_gives_no_derivation_away(call: Call) -> None:
    sheet = call(walkthrough, "--sizes", "2", "2", "--exercise", "--derive").out
    assert f"{SIGMA}(b" not in sheet


def test_a_network_whose_formulas_fill_pages_is_refused(call: Call) -> None:
    ended = call(walkthrough, "--derive", "--sizes", "3", "5", "2")
    assert ended.status == 2
    assert (
        ended.err
        == "error: --sizes 3 5 2: --derive is for up to 30 parameters, such as 3 4 2, not 32\n"
    )


def test_a_function_without_a_rule_is_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Activation.named()["tanh"], "forward", lambda _, z: torch.atan(z))
    ended = call(walkthrough, "--derive", "--sizes", "1", "1", "--activations", "tanh")
    assert (ended.status, ended.err) == (2, "error: --derive: no rule for torch.atan\n")


def test_latex_of_powers() -> None:
    x = sp.Symbol("x_{1}", real=True)
    assert latex(sp.tanh(x) ** 2 - x**2 / 3) == r"-\frac{x_{1}^{2}}{3} + \tanh^{2}(x_{1})"

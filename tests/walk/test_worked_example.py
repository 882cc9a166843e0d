"""python -m scripts.walkthrough: the lecture's numbers and the slides' slips."""

import json
import math
import re
from typing import Any

import pytest

from manual.network import NetworkSpec
from scripts.walk.derivation import Walk
from scripts.walk.exercise import fresh
from scripts.walk.lecture import SLIPS, worked_example
from scripts.walk.notation import plain_words
from scripts.walk.record import Document
from scripts.walk.render import as_json, as_markdown, as_text
from tests.walk.exercises import solved, steps_of

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
def lecture_json(lecture: Document) -> Any:
    return json.loads(as_json(lecture), parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def lecture_steps(lecture_json: Any) -> dict[str, Any]:
    return steps_of(lecture_json)


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
        step.name for step in solved("tanh", "mse").steps()
    }


def test_the_worked_example_is_an_example_like_any_other() -> None:
    example = worked_example(0.5)
    assert example.spec == NetworkSpec((2, 2, 1), ("tanh", "sigmoid"))
    names = [step.name for section in Walk(example).sections() for step in section.steps]
    exercise = fresh((2, 2, 1), ("tanh", "sigmoid"), "half-squared", 0, 0.5)
    others = [step.name for section in Walk(exercise).sections() for step in section.steps]
    assert names == [name for name in others if not re.match(r"(d|new_)?b\d", name)]


def test_a_difference_is_of_finite_numbers(lecture: Document) -> None:
    """The slides' own formulas overflow, an exercise's do not."""
    *_, last = as_text(lecture).splitlines()
    assert re.fullmatch(r"Largest difference .* autograd, where both are finite: 1.1e-16", last)
    *_, last = as_text(solved("tanh", "mse")).splitlines()
    assert "where" not in last

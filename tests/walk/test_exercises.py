"""Exercises: their solution is autograd's, and a sheet leaves it out."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from scripts import walkthrough
from scripts.walk.derivation import Walk
from scripts.walk.exercise import fresh
from scripts.walk.notation import number
from tests.conftest import Call
from tests.walk.exercises import each_exercise, solved, steps_of


@pytest.mark.parametrize(("activation", "loss"), each_exercise())
def test_by_hand_is_autograd_in_exercises(activation: str, loss: str) -> None:
    for seed in range(5):
        for step in solved(activation, loss, seed).steps():
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
    printed = call(walkthrough, *arguments, "--format", "json").out
    status, sheet, _ = call(walkthrough, *arguments, "--exercise", "--format", form)
    assert status == 0
    answers = {
        value
        for step in steps_of(json.loads(printed)).values()
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
        for step in steps_of(json.loads(sheet)).values():
            assert {key: step[key] for key in solution} == solution


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_a_class_gets_sheets_solutions_and_a_key(form: str, call: Call, tmp_path: Path) -> None:
    """Those of each seed, and in the key every number in full."""
    out, options = (
        tmp_path / "new" / "class",
        ("--sizes", "2", "2", "1", "--activations", "tanh", "sigmoid", "--format", form),
    )
    said = f"3 sheets, as many solutions and key.csv written to {out}\n"
    assert call(walkthrough, *options, "--seeds", "8..10", "--out", str(out)) == (0, said, "")
    ending = {"markdown": "md", "html": "html"}[form]
    kinds = [
        f"{kind}-{seed}.{ending}" for kind in ("sheet", "solution") for seed in ("08", "09", "10")
    ]
    assert sorted(path.name for path in out.iterdir()) == sorted(["key.csv", *kinds])
    one = tmp_path / "one"
    for kind, exercise in (("sheet", ["--exercise"]), ("solution", [])):
        said = call(walkthrough, *options, "--seed", "9", *exercise, "--out", str(one)).out
        how = {"markdown": "", "html": ": open it in a browser"}[form]
        assert said == f"written to {one}{how}\n"
        assert (out / f"{kind}-09.{ending}").read_text() == one.read_text()
    rows = list(csv.reader((out / "key.csv").read_text().splitlines()))
    assert rows[0] == ["seed", "name", "value"]
    for seed in ("8", "9", "10"):
        steps = steps_of(json.loads(call(walkthrough, *options[:-1], "json", "--seed", seed).out))
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


def test_an_exercise_is_the_same_for_the_same_seed(call: Call) -> None:
    def shown(*options: str) -> str:
        return call(walkthrough, "--sizes", "2", "3", "2", *options).out

    assert shown("--seed", "1") == shown("--seed", "1") != shown("--seed", "2")
    solved, sheet = (
        json.loads(shown("--format", "json", *options)) for options in ((), ("--exercise",))
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

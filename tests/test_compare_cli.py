"""python -m scripts.compare: the table for a person, and its status."""

import json
import sys

import pytest
import torch
from torch import Tensor

from manual.activations import Sigmoid
from manual.operation import scalar
from scripts import compare
from tests.cases import ACTIVATIONS, LAYERS, LOSSES, OPTIMIZERS


def call(*options: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["compare", *options])
    try:
        return compare.main()
    except SystemExit as stop:  # tyro's own
        return stop.code if isinstance(stop.code, int) else 1


def test_every_operation_has_rows_within_their_budgets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--json", "--device", "cpu", monkeypatch=monkeypatch) == 0
    rows = json.loads(capsys.readouterr().out)
    expected = {f"activation {name}" for name in ACTIVATIONS} | {f"loss {name}" for name in LOSSES}
    expected |= {f"layer {name}" for name in LAYERS} | {f"optimizer {name}" for name in OPTIMIZERS}
    assert {row["what"] for row in rows} == expected
    assert {row["dtype"] for row in rows} == {"float32", "float64"}
    assert all(row["within"] for row in rows)
    exact = {row["what"] for row in rows if row["difference"]["bitwise"]}
    assert {"activation sigmoid", "layer linear", "loss half-squared", "optimizer adam"} <= exact


@pytest.mark.parametrize("style", ["", "--markdown"])
def test_a_network_as_the_notebook_lists_it(
    style: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = f"--network 784 30 10 --dtype float32 --device cpu {style}"
    assert call(*options.split(), monkeypatch=monkeypatch) == 0
    lines = [line.replace("|", " ").split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["shape", "dtype", "exact", "approximate", "maxdiff", "max", "rel", "ulp"]
    assert ["w1", "30x784", "float32", "True", "True", "0", "0", "0", "equal", "bits"] in lines
    assert " ".join(lines[-1]) == "5 of 5 rows have equal bits, 0 are within their budget, 0 are not"


def test_a_wrong_gradient_is_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def other_order(self: Sigmoid, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:  # noqa: ARG001 - the method's own signature
        return dy * (y * (scalar(1, y) - y))

    monkeypatch.setattr(Sigmoid, "backward", other_order)
    assert call("--network", "784", "30", "10", "--device", "cpu", monkeypatch=monkeypatch) == 1
    out = capsys.readouterr().out
    assert "bits differ" in out
    assert "not within its budget: w1" in out


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--network 784", "--network [784]"),
        ("--network 784 0 10", "784, 0, 10"),
        ("--network 4 3 --activations tanh sigmoid", "one for each of 1 layers"),
        ("--network 4 3 --activations tanh --loss binary-cross-entropy", "end with sigmoid or softmax"),
        ("--network 4 3 --batch-size 0", "--batch-size 0"),
        ("--dtype float16", "float16"),
        ("--markdown --json", "choose one"),
        pytest.param(
            "--device cuda", "no CUDA device", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
        ),
    ],
)
def test_bad_input(options: str, named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*options.split(), monkeypatch=monkeypatch) == 2
    error = capsys.readouterr().err
    assert named in error
    assert "Traceback" not in error

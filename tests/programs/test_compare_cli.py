"""python -m scripts.compare: the table for a person, and its status."""

import json

import pytest
from torch import Tensor

from manual.activations import Sigmoid
from scripts import compare
from tests.cases import ACTIVATIONS, LAYERS, LOSSES, OPTIMIZERS
from tests.conftest import Call


def test_every_operation_has_rows_within_their_budgets(call: Call) -> None:
    ended = call(compare, "--json", "--device", "cpu")
    assert ended.status == 0
    rows = json.loads(ended.out)
    expected = {f"activation {name}" for name in ACTIVATIONS} | {f"loss {name}" for name in LOSSES}
    expected |= {f"layer {name}" for name in LAYERS} | {f"optimizer {name}" for name in OPTIMIZERS}
    assert {row["what"] for row in rows} == expected
    assert {row["dtype"] for row in rows} == {"float32", "float64"}
    assert all(row["within"] for row in rows)
    exact = {row["what"] for row in rows if row["difference"]["bitwise"]}
    assert {"activation sigmoid", "layer linear", "loss half-squared", "optimizer adam"} <= exact


@pytest.mark.parametrize("style", ["", "--markdown"])
def test_a_network_as_the_notebook_lists_it(style: str, call: Call) -> None:
    options = f"--network 784 30 10 --dtype float32 --device cpu {style}"
    ended = call(compare, *options.split())
    assert ended.status == 0
    lines = [line.replace("|", " ").split() for line in ended.out.splitlines()]
    assert lines[0] == ["shape", "dtype", "exact", "approximate", "maxdiff", "max", "rel", "ulp"]
    assert ["w1", "784x30", "float32", "True", "True", "0", "0", "0", "equal", "bits"] in lines
    assert (
        " ".join(lines[-1]) == "5 of 5 rows have equal bits, 0 are within their budget, 0 are not"
    )


def test_other_bits_are_status_1(monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    def other_order(_: Sigmoid, dy: Tensor, _z: Tensor, y: Tensor) -> Tensor:
        return dy * (y * (1 - y))

    monkeypatch.setattr(Sigmoid, "backward", other_order)
    ended = call(compare, "--network", "784", "30", "10", "--device", "cpu")
    assert ended.status == 1
    out = ended.out
    assert "bits differ" in out
    assert "over its budget by rounding alone: w1" in out


def test_a_mistake_in_the_code_is_not_taken_for_want_of_memory(
    monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.setattr(Sigmoid, "backward", lambda _, dy, z, y: dy @ (y + z))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        call(compare, "--network", "784", "30", "10", "--device", "cpu")

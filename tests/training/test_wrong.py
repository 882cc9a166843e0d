"""A wrong gradient is said in words, by scripts.compare and by scripts.train, and what only rounds
otherwise is not wrong.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from manual.activations import Sigmoid
from manual.layers import Linear
from manual.losses import HalfSquaredError
from manual.network import Network, NetworkSpec
from scripts import compare, train
from scripts.display import report
from scripts.learners.by_hand import ManualLearner
from scripts.learners.comparison import FAULT_OF_THE_TRAINER
from tests.conftest import ROOT, Call
from tests.faults import FAULTS
from tests.runs import events
from torch_ref import blame
from torch_ref.results import random_batch

right_backward = Linear.backward


def doubled(self: Linear, dz: Tensor, saved: tuple[Tensor, ...]) -> None:
    right_backward(self, dz, saved)
    self.dw.mul_(2)


def transposed(self: Linear, dz: Tensor, saved: tuple[Tensor, ...]) -> None:
    right_backward(self, dz, saved)
    self.dw.copy_((dz.T @ saved[0]).reshape(self.dw.shape))


def without_db(self: Linear, dz: Tensor, saved: tuple[Tensor, ...]) -> None:
    torch.mm(saved[0].T, dz, out=self.dw)


def without_b(self: Linear, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    return torch.mm(x, self.w), (x,)


NETWORK = ["--network", "784", "30", "10", "--dtype", "float32", "--device", "cpu"]
BACKWARD = "look at Linear.backward in manual/layers.py: "
EVERY = "dw1, db1, dw2, db2 and dx are not autograd's"
PLANTED: dict[str, tuple[Any, str, Callable[..., Any], list[str]]] = {
    "dw doubled": (Linear, "backward", doubled, [
        "dw1 and dw2 are 2 times autograd's; db1, db2 and dx are right",
        (f"{BACKWARD}dw is 2 times too large: divide by 2 (a 2 too many, or the 1/2 of a square "
        "forgotten)"),
    ]),
    "f' left out": (Sigmoid, "backward", lambda _self, dy, _z, _y: dy.clone(), [
        EVERY, ("look at Sigmoid.backward in manual/activations.py: "
        "dz: the derivative of sigmoid(z) is missing"),
    ]),
    "dw transposed": (Linear, "backward", transposed, [
        "dw1 and dw2 are not autograd's; db1, db2 and dx are right",
        f"{BACKWARD}dw has the numbers of the transposed gradient, reshaped where .T was needed",
    ]),
    "db forgotten": (Linear, "backward", without_db, [
        "db1 and db2 are not autograd's; dw1, dw2 and dx are right",
        f"{BACKWARD}db is zero everywhere, where the reference is not",
    ]),
    "b forgotten": (Linear, "forward", without_b, [
        EVERY, ("look at Linear.forward in manual/layers.py: "
        "z is what it would be without b: it is left out"),
    ]),
}  # fmt: skip


@pytest.fixture(params=PLANTED)
def said(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has to be said of the mistake that is planted."""
    owner, attribute, wrong, lines = PLANTED[request.param]
    monkeypatch.setattr(owner, attribute, wrong)
    return lines


def test_compare_names_it(said: list[str], call: Call) -> None:
    ended = call(compare, *NETWORK)
    assert ended.status == 1
    first, *others = said
    assert ended.out.splitlines()[-len(said) :] == [f"WRONG: {first}", *others]


def short(out: Path) -> list[str]:
    options = "--epochs 2 --train-size 300 --compare-every 20 --board scalars"
    return [*options.split(), "--data-dir", str(ROOT / "data"), "--out", str(out)]


def test_train_names_it(said: list[str], call: Call, tmp_path: Path) -> None:
    """At once, at the end in the place of the speed, on the board, in summary.json; and trains to
    the end.
    """
    ended = call(train, *short(tmp_path / "run"))
    assert ended.status == 1
    lines = ended.out.splitlines()
    text = [
        "WRONG: the gradient by hand is not autograd's, as seen at update 20:",
        *(f"  {line}" for line in said),
    ]
    at = [i for i, line in enumerate(lines) if line == text[0]]
    assert len(at) == 2
    assert [lines[i : i + len(text)] for i in at] == [text, text]
    first, second = (
        lines.index(next(line for line in lines if line.startswith(f"Epoch  {n}:"))) for n in (1, 2)
    )
    assert at[0] < first < second < at[1]
    assert "times as fast" not in ended.out
    assert "inf" not in ended.out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["wrong"] == {"update": 20, "lines": said}
    assert summary["speedup"] is None
    (shown,) = events(tmp_path / "run", "comparison").Tensors("0-WRONG/text_summary")
    assert shown.step == 20
    assert said[0] in shown.tensor_proto.string_val[0].decode()


def test_a_resumed_run_stays_wrong(
    monkeypatch: pytest.MonkeyPatch, call: Call, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Linear, "backward", doubled)
        assert call(train, *short(out), "--board", "off").status == 1
    ended = call(train, "--resume", str(out), "--epochs", "3")
    assert ended.status == 1
    assert ended.out.count("WRONG: ") == 1


def test_a_wrong_gradient_that_diverges(
    monkeypatch: pytest.MonkeyPatch, call: Call, tmp_path: Path
) -> None:
    """A smaller learning rate wouldn't help."""
    monkeypatch.setattr(
        Linear, "backward", lambda self, dz, saved: right_backward(self, -1e3 * dz, saved)
    )
    ended = call(
        train,
        *short(tmp_path / "run"),
        "--activations",
        "identity",
        "--loss",
        "mse",
        "--compare-every",
        "1",
    )
    assert ended.status == 1
    assert "the gradient by hand was wrong from update 1 on" in ended.err
    assert "--lr may help" not in ended.err


def test_rounding_is_not_wrong(monkeypatch: pytest.MonkeyPatch, call: Call, tmp_path: Path) -> None:
    """It is over the budget of equal bits, and said to be no more than that."""
    monkeypatch.setattr(Sigmoid, "backward", lambda _self, dy, _z, y: dy * (y * (1 - y)))
    ended = call(compare, *NETWORK)
    assert ended.status == 1
    assert "over its budget by rounding alone: w1 784x30 float32" in ended.out.splitlines()
    assert "WRONG" not in ended.out
    monkeypatch.setattr(report, "LONG", 0)
    ended = call(train, *short(tmp_path / "run"))
    assert ended.status == 0
    assert "times as fast" in ended.out


def test_an_operation_is_named_by_itself(monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    """Where the largest case is square nothing has to be reshaped."""
    monkeypatch.setattr(Linear, "backward", transposed)
    ended = call(compare, "--device", "cpu")
    assert ended.status == 1
    assert f"WRONG: {BACKWARD}dw is transposed" in ended.out.splitlines()


def test_what_was_not_compared_is_not_called_equal(call: Call, tmp_path: Path) -> None:
    ended = call(train, *short(tmp_path / "run"), "--epochs", "1", "--compare-every", "100")
    assert ended.status == 0
    assert "gradients not compared" in ended.out
    assert (
        "gradients: not compared, for --compare-every is more than the updates made"
        in ended.out.splitlines()
    )
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["gradients"] is None


def test_a_mistake_of_the_network_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each operation is right."""
    fault = next(
        fault
        for fault in FAULTS
        if fault.what == "network: the last layer's gradient is not filled"
    )
    network, loss = Network(NetworkSpec((6, 5, 4), ("tanh", "sigmoid"))), HalfSquaredError()
    batch = random_batch(network, loss, 7)
    assert blame.of_network(network, loss, *batch) == []
    monkeypatch.setattr(fault.owner, fault.attribute, fault.make(None))
    assert blame.of_network(network, loss, *batch) == [
        "dw2 and db2 are not autograd's; dw1, db1 and dx are right",
        "each operation by itself is right: look at how Network in manual/network.py joins them",
    ]


def test_a_mistake_of_the_trainer(
    monkeypatch: pytest.MonkeyPatch, call: Call, tmp_path: Path
) -> None:
    """What network and loss give in plain code is right."""
    update = ManualLearner.update

    def tampered(self: ManualLearner) -> None:
        self.network.parameters.grad.mul_(2)
        update(self)

    monkeypatch.setattr(ManualLearner, "update", tampered)
    ended = call(train, *short(tmp_path / "run"), "--board", "off")
    assert ended.status == 1
    assert f"  {FAULT_OF_THE_TRAINER}" in ended.out.splitlines()

"""Numbers that go wrong are named, the first of them."""

from pathlib import Path
from typing import cast

import pytest
import torch

from manual.losses import HalfSquaredError
from manual.optimizers import Optimizer
from scripts.common.processes import ALONE
from scripts.learners.base import Learner
from scripts.learners.blocks import Block
from scripts.learners.by_hand import ManualLearner
from scripts.learners.in_torch import TorchLearner
from scripts.learners.parts import prepare
from scripts.run.checkpoint import Checkpoints
from scripts.run.config import Config
from scripts.run.progress import Progress
from scripts.run.resolve import resolve
from scripts.training import data
from scripts.training.divergence import Diverged, FiniteCheck
from tests.cases import batches
from tests.conftest import Call
from tests.run.interruptions import SHORT
from tests.runs import newest


def learner(engine: str) -> Learner:
    return {"manual": ManualLearner, "torch": TorchLearner}[engine](*prepare(resolve(Config())))


@pytest.mark.parametrize("engine", ["manual", "torch"])
def test_a_trace_is_a_step(engine: str, mnist: data.Data) -> None:
    one, other = learner(engine), learner(engine)
    targets = HalfSquaredError().targets(mnist.train.labels, 10, torch.float32)
    for x, t in batches(torch.arange(50), 10, mnist.train.images, targets):
        one.train(Block(x, t, 10))
        names = [name for name, _ in other.trace(x, t)]
    assert len(set(names)) == len(names) > 10
    a, b = one.state(), other.state()
    assert (
        torch.equal(a["theta"], b["theta"])
        if engine == "manual"
        else all(torch.equal(a["model"][name], b["model"][name]) for name in a["model"])
    )


@pytest.mark.parametrize("update", [7, 21, 25])
def test_the_first_tensor_to_go_wrong_is_named(
    update: int, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An update that leaves a nan in the bias of layer 2, also when it is the last of an epoch or
    before a checkpoint.
    """
    step = Optimizer.named()["sgd"].step

    def poisoned(self: Optimizer, theta: torch.Tensor, grad: torch.Tensor) -> None:
        step(self, theta, grad)
        if self.steps == update:
            theta[-16] = torch.nan  # where b2 begins, 10 of 16

    monkeypatch.setattr(Optimizer.named()["sgd"], "step", poisoned)
    out = tmp_path / "out"
    code, _, error = call(*SHORT.split(), "--out", str(out))
    assert code == 1
    assert f"in update {update}, b2 of layer 2 after the update: 1 of 10 entries nan" in error
    assert error.count("\n") == 1
    assert "a smaller --lr may help" in error
    assert int(newest(out).stem) < update


def test_a_run_whose_checkpoints_are_gone_is_not_replayed(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Checkpoints, "latest", lambda _: None)
    ended = call(*SHORT.split(), "--weight-decay", "1e38", "--out", str(tmp_path / "out"))
    assert ended.status == 1
    assert "; it cannot be replayed, for its checkpoints are gone; " in ended.err


class Losses:
    """What FiniteCheck asks of a learner: finite losses, of which the sum is not."""

    name, processes = "manual", ALONE

    def finite_loss(self) -> torch.Tensor:
        return self.last_losses().sum().isfinite()

    def last_losses(self) -> torch.Tensor:
        return torch.tensor([1.0, 2.0**127, 2.0**127])


def test_losses_too_large_to_be_added_are_told_by_the_last() -> None:
    check = FiniteCheck([cast("Learner", Losses())], updates_per_epoch=10)
    with pytest.raises(Diverged, match=r"the loss of manual is 1.7\d+e\+38 at epoch 2, update 13$"):
        check.after_updates(Progress(updates=13), cast("Block", None))

"""Training by several processes: whose samples are whose, what the averages equal, torchrun."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # there where gloo is

from manual.network import Network, NetworkSpec
from manual.optimizers import SGD
from scripts import train
from scripts.common import torchrun
from scripts.common.processes import ALONE
from scripts.common.program import UserError
from scripts.run.checkpoint import Checkpoints
from scripts.run.config import Config, DataConfig, NetworkConfig, RunConfig, TrainingConfig
from scripts.run.resolve import choose_threads, cores, resolve
from scripts.training import data
from tests.cases import LOSSES, assert_within, batches
from tests.conftest import ROOT, Call, Ended
from tests.processes import start
from tests.runs import scalars
from tests.training.ranks import AGENT, SIZES, environment, member
from torch_ref.budgets import forward_terms, gradient_terms, loss_terms
from torch_ref.cases import random, random_targets, spec_of


def test_without_torchrun_a_process_is_alone() -> None:
    assert torchrun.processes() is ALONE


@pytest.mark.parametrize("size", SIZES)
def test_shards_are_each_batch_once(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """101 batches of 12, and one of fewer at the end: none twice, none left out, all in their
    order.
    """
    indices = torch.randperm(1224 - 12 + size, generator=torch.Generator().manual_seed(1))
    shards = [
        member(monkeypatch, rank, size).shard(indices, 12).split(12 // size) for rank in range(size)
    ]
    assert len(indices.split(12)[-1]) == size
    for batch, *shares in zip(indices.split(12), *shards, strict=True):
        assert torch.equal(torch.cat(shares), batch)
        assert {len(share) for share in shares} == {len(batch) // size}
    assert ALONE.shard(indices, 12) is indices


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("loss_name", LOSSES)
def test_mean_of_the_shards_gradients_is_that_of_the_batch(
    loss_name: str, dtype: torch.dtype, size: int
) -> None:
    """Summed in another order: 0.5 eps of the terms, at most 0.13 seen."""
    loss = LOSSES[loss_name]()
    network = Network(spec_of((20, 16, 4), "tanh", "sigmoid"), dtype=dtype)
    x, t = random((24, 20), dtype, seed=1), random_targets(loss, (24, 4), dtype, seed=2)

    def gradients(x: Tensor, t: Tensor) -> dict[str, Tensor]:
        tape = network.forward(x)
        network.backward(loss(tape.output, t)[1], tape)
        return {name: gradient.clone() for name, gradient in network.parameters.gradients.items()}

    shards = [gradients(*shard) for shard in zip(x.chunk(size), t.chunk(size), strict=True)]
    tape = network.forward(x)
    terms = gradient_terms(
        network, tape, loss_terms(loss, tape.output, forward_terms(network, tape)[-1])
    )
    for name, expected in gradients(x, t).items():
        mean = torch.stack([shard[name] * (1 / size) for shard in shards]).sum(dim=0)
        assert_within(mean, expected, 0.5, terms[name], name)


@pytest.mark.parametrize(
    ("config", "size", "message"),
    [
        (Config(), 3, "--batch-size 10: 3 processes cannot share it evenly; use 9 or 12"),
        (
            Config(training=TrainingConfig(batch_size=1)),
            2,
            "--batch-size 1: 2 processes cannot share it evenly; use 2",
        ),
        (
            Config(training=TrainingConfig(batch_size=12)),
            3,
            "--train-size 50000: 3 processes cannot share it evenly; use 49998",
        ),
        (
            Config(data=DataConfig(train_size=1003)),
            2,
            "--train-size 1003: 2 processes cannot share it evenly; use 1002 or 1004",
        ),
        (
            Config(network=NetworkConfig(batch_norm=True)),
            2,
            (
                "--batch-norm: each process would normalize its share of a batch, not the batch; "
                "train in one process"
            ),
        ),
        (
            Config(run=RunConfig(resume=Path("run"), processes=4)),
            2,
            "--resume run: it is a run of 4 processes, not 2; start as many",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused(
    config: Config, size: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError) as refused:
        resolve(config, member(monkeypatch, 0, size))
    assert str(refused.value) == message


def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    all_cores = cores()
    assert choose_threads((784, 30, 10), 10_000, processes=2) == max(1, all_cores // 2)
    assert choose_threads((784, 30, 10), 10_000, processes=2 * all_cores) == 1
    config = resolve(Config(training=TrainingConfig(batch_size=10_000)), member(monkeypatch, 1, 2))
    assert (config.run.threads, config.run.processes) == (max(1, all_cores // 2), 2)


@pytest.fixture
def launch(agent: TCPStore, tmp_path: Path, call: Call) -> Callable[..., Ended]:
    """Makes a run of `size` processes as torchrun would, all but the first of which say nothing;
    how the first ended.
    """

    def launched(size: int, *options: str) -> Ended:
        heard = [tmp_path / f"rank{rank}" for rank in range(1, size)]
        others = [
            start(
                train, *options, said=said, environment=AGENT | environment(rank, size, agent.port)
            )
            for rank, said in enumerate(heard, start=1)
        ]
        with pytest.MonkeyPatch.context() as patch:
            member(patch, 0, size, agent.port)
            ended = call(train, *options)
        for other in others:
            other.join(60)
            assert other.exitcode == ended.status
        said = "".join(file.read_text() for said in heard for file in said.iterdir())
        # torch 2.10 has each process print how many it is connected to
        assert [line for line in said.splitlines() if not line.startswith("[Gloo] ")] == []
        return ended

    return launched


DATA = ("--data-dir", str(ROOT / "data"))
OPTIONS = (
    "--train-size",
    "3000",
    "--batch-size",
    "12",
    "--epochs",
    "2",
    "--board",
    "scalars",
    "--device",
    "cpu",
    *DATA,
)


def test_two_interrupted_processes_end_with_the_bits_of_one(
    tmp_path: Path, mnist: data.Data, launch: Callable[..., Ended], call: Call
) -> None:
    """SIGTERM to torchrun in the second epoch, and on to the end: one run, since each takes seconds
    to start.
    """
    out = tmp_path / "run"
    torchrun = "-m torch.distributed.run --standalone --nproc-per-node 2 -m scripts.train"
    with subprocess.Popen(
        [sys.executable, *torchrun.split(), *OPTIONS, "--out", str(out)],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as started:  # fmt: skip
        assert started.stdout
        assert any(line.startswith("Epoch  1") for line in started.stdout)
        started.terminate()
        rest, error = started.communicate(timeout=60)
    assert rest == ""
    (said,) = re.findall(
        r"^interrupted: all is kept after update (\d+); go on with  (.*)$",
        error,
        flags=re.MULTILINE,
    )
    assert 250 <= int(said[0]) < 500, "both stopped after the same update"
    assert said[1] == f"torchrun --standalone --nproc-per-node 2 -m scripts.train --resume {out}"

    assert launch(2, "--resume", str(out)).status == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["parameters"] == {"max_abs": 0, "bitwise": True}, (
        "by hand and DistributedDataParallel"
    )
    assert summary["gradients"] == {
        "compared_steps": 5,
        "max_abs": 0,
        "max_rel": 0,
        "max_ulp": 0,
        "bitwise_steps": 5,
    }
    saved = Checkpoints(out).latest()
    assert saved
    assert saved.progress.updates == 500
    assert torch.equal(saved.state["learners"]["manual"]["theta"], trained_on_halves(mnist))

    assert call(train, *OPTIONS, "--out", str(tmp_path / "alone")).status == 0
    for engine in ("manual", "torch"):
        of_two, of_one = scalars(out, engine), scalars(tmp_path / "alone", engine)
        assert (
            {"2-loss/train", "1-accuracy/train", "2-loss/validation", "1-accuracy/validation"}
            < of_two.keys()
            == of_one.keys()
        )
        for tag, points in of_one.items():
            if "seconds" not in tag:
                # parameters 3e-6 apart
                assert np.array(of_two[tag]) == pytest.approx(np.array(points), rel=1e-4), tag


@pytest.mark.parametrize("engine", ["manual", "torch"])
def test_a_loss_of_two_processes_that_is_not_finite_is_traced_by_one(
    engine: str, tmp_path: Path, launch: Callable[..., Ended]
) -> None:
    options = f"--engines {engine} --weight-decay 1e38 --train-size 600 --epochs 1 --board off"
    ended = launch(2, *options.split(), "--out", str(tmp_path / "run"), *DATA)
    assert ended.status == 1
    assert ended.err.startswith(f"stopped: the loss of {engine} is ")
    assert "; replayed from update 0, the first to go wrong is, in update " in ended.err


def trained_on_halves(mnist: data.Data) -> Tensor:
    """theta (P,) after the run of OPTIONS in one process that averages the gradients of both halves
    of a batch itself.
    """
    network, loss, sgd = (
        Network(NetworkSpec((784, 30, 10), ("sigmoid", "sigmoid"))),
        LOSSES["half-squared"](),
        SGD(3.0),
    )
    targets = loss.targets(mnist.train.labels, 10, torch.float32)
    for epoch in (1, 2):
        for batch in batches(
            data.order(0, epoch, 3000, torch.device("cpu")), 12, mnist.train.images, targets
        ):
            halves = []
            for x, t in zip(*(part.chunk(2) for part in batch), strict=True):
                tape = network.forward(x)
                halves.append(network.backward(loss(tape.output, t)[1], tape) * 0.5)
            sgd.step(network.parameters.theta, halves[0] + halves[1])
    return network.parameters.theta


def test_three_processes_sum_in_an_order_of_their_own(
    tmp_path: Path, launch: Callable[..., Ended]
) -> None:
    """Three summands round by their order, which follows the place in the buffer, and
    DistributedDataParallel fills its own.
    """
    options = "--train-size 600 --batch-size 12 --epochs 1 --compare-every 10 --board scalars --out"
    ended = launch(3, *options.split(), str(tmp_path / "run"), *DATA)
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["gradients"]["max_ulp"] <= 4  # 1 seen
    assert summary["parameters"]["max_abs"] <= 1e-5  # 6e-7 seen
    assert ended.out.count("Epoch") == ended.out.count("test accuracy") == 1
    assert json.loads((tmp_path / "run/config.json").read_text())["run"]["processes"] == 3

"""Training on real MNIST: the same bits after hundreds of updates, and what a run leaves."""

import json
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from manual.losses import Loss
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD
from scripts import train
from scripts.display import report
from scripts.learners.blocks import Block, Blocks
from scripts.learners.by_hand import ManualLearner
from scripts.learners.comparison import Comparison
from scripts.learners.in_torch import TorchLearner
from scripts.run.config import CLASSES
from scripts.training import data
from tests.cases import batches
from tests.conftest import ROOT, Call
from tests.docs import section
from tests.processes import start
from tests.runs import scalars


def mnist_blocks(
    mnist: data.Data, loss: Loss, dtype: torch.dtype, sizes: list[int]
) -> Iterator[Block]:
    """The first batches of 10 of epoch 1, so many in each block, which lies where the one before it
    lay; the last is of 3.
    """
    indices = data.order(0, 1, len(mnist.train), torch.device("cpu"))[: sum(sizes) * 10 - 7]
    blocks = Blocks(
        mnist.train.images.to(dtype), loss.targets(mnist.train.labels, CLASSES, dtype), 10
    )
    for rows in indices.split([*(size * 10 for size in sizes[:-1]), sizes[-1] * 10 - 7]):
        yield blocks.fetch(rows)


@pytest.mark.parametrize(
    ("threads", "dtype"),
    [(1, torch.float32), (1, torch.float64), (2, torch.float32)],
    indirect=["threads"],
    ids=str,
)
@pytest.mark.parametrize(
    ("activation", "initializer", "lr", "loss_name"),
    [
        ("sigmoid", "normal", 3.0, "half-squared"),
        ("sigmoid", "normal", 3.0, "mse"),
        ("tanh", "default", 0.5, "half-squared"),
        ("relu", "default", 0.1, "half-squared"),
    ],
)
def test_same_bits_after_hundreds_of_updates(
    mnist: data.Data,
    activation: str,
    initializer: str,
    lr: float,
    loss_name: str,
    dtype: torch.dtype,
) -> None:
    loss = Loss.named()[loss_name]()
    network = Network(
        NetworkSpec((784, 30, 10), (activation, activation), initializer), dtype=dtype
    )
    manual, reference = ManualLearner(network, loss, SGD(lr)), TorchLearner(network, loss, SGD(lr))
    initial = network.parameters.theta.clone()
    comparison = Comparison(manual, reference)
    losses = []
    for number, block in enumerate(mnist_blocks(mnist, loss, dtype, [60, 39, 1] * 3), start=1):
        if number % 3 == 0:
            comparison.before_update()
        for learner in (manual, reference):
            learner.train(block)
        if number % 3 == 0:
            assert comparison.after_update(block.x, block.t, number).bitwise
        total, correct, _ = manual.take()
        same_total, same_correct, _ = reference.take()
        assert torch.equal(total, same_total)
        assert torch.equal(correct, same_correct)
        losses.append(float(total) / len(block.x))
    assert comparison.drift().bitwise
    assert losses[-3] < losses[0], "it learns"
    assert not torch.equal(network.parameters.theta, initial)


@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float32, 1e-7), (torch.float64, 1e-15)], ids=str
)
def test_cross_entropy_stays_within_its_budget(
    mnist: data.Data, dtype: torch.dtype, bound: float
) -> None:
    loss = Loss.named()["cross-entropy"]()
    network = Network(NetworkSpec((784, 30, 10), ("sigmoid", "identity")), dtype=dtype)
    manual, reference = (
        ManualLearner(network, loss, SGD(0.5)),
        TorchLearner(network, loss, SGD(0.5)),
    )
    comparison = Comparison(manual, reference)
    for block in mnist_blocks(mnist, loss, dtype, [1] * 200):
        comparison.before_update()
        manual.train(block)
        assert comparison.after_update(block.x, block.t, 1).max_abs <= bound


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """As a person makes it, in a process of its own, with what it printed."""
    folder = tmp_path_factory.mktemp("run")
    out, said = folder / "new" / "run", folder / "said"
    options = (
        f"--epochs 2 --train-size 1003 --compare-every 30 --data-dir {ROOT / 'data'} --out {out}"
    )
    process = start(train, *options.split(), said=said)
    process.join()
    printed, errors = (Path(said, name).read_text() for name in ("out", "err"))
    assert process.exitcode == 0, errors
    assert "\r" not in errors, "no progress bar where there is no terminal"
    return out, json.loads((out / "summary.json").read_text()) | {"stdout": printed}


@pytest.fixture
def run(call: Call, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Runs in this process, in tmp_path / "run"; their summary."""

    def made(options: str) -> dict[str, Any]:
        out = tmp_path / "run"
        ended = call(
            train,
            *options.split(),
            "--board",
            "scalars",
            "--data-dir",
            str(ROOT / "data"),
            "--out",
            str(out),
        )
        assert ended.status == 0, ended.err
        summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
        return summary

    return made


def test_summary(short_run: tuple[Path, dict[str, Any]]) -> None:
    _, summary = short_run
    assert set(summary["engines"]) == {"manual", "torch"}
    manual, reference = summary["engines"]["manual"], summary["engines"]["torch"]
    assert manual["test_accuracy"] == reference["test_accuracy"] > 0.3
    assert manual["validation_accuracy"] == reference["validation_accuracy"] > 0.3
    assert summary["gradients"] == {
        "compared_steps": 6,
        "max_abs": 0,
        "max_rel": 0,
        "max_ulp": 0,
        "bitwise_steps": 6,
    }
    assert summary["parameters"] == {"max_abs": 0, "bitwise": True}
    seconds = [reference["train_seconds"], manual["train_seconds"]]
    assert summary["speedup"] == (seconds[0] / seconds[1] if min(seconds) >= report.LONG else None)


def test_what_was_learned_is_left_as_torch_would_leave_it(
    short_run: tuple[Path, dict[str, Any]], mnist: data.Data
) -> None:
    """Both files fit the plain model, and it answers as the summary says."""
    out, summary = short_run
    states = [torch.load(out / name, weights_only=True) for name in ("manual.pt", "torch.pt")]
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key])
    model = nn.Sequential(nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10), nn.Sigmoid())
    for engine, state in zip(("manual", "torch"), states, strict=True):
        model.load_state_dict(state)
        correct = (model(mnist.test.images).argmax(dim=1) == mnist.test.labels).sum()
        assert int(correct) / 10_000 == summary["engines"][engine]["test_accuracy"]


@pytest.mark.parametrize("name", ["manual.pt", "torch.pt"])
def test_running_statistics_are_left_too(
    name: str, run: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    run("--epochs 1 --train-size 600 --batch-norm --lr 0.5")
    state = torch.load(tmp_path / "run" / name, weights_only=True)
    linear = nn.Linear(784, 30, bias=False)
    model = nn.Sequential(
        linear, nn.Identity(), nn.BatchNorm1d(30), nn.Sigmoid(), nn.Linear(30, 10), nn.Sigmoid()
    )
    model.load_state_dict(state)
    assert not torch.equal(state["2.running_mean"], torch.zeros(30))


def test_lines_for_a_person(short_run: tuple[Path, dict[str, Any]]) -> None:
    out, summary = short_run
    lines = summary["stdout"].splitlines()
    correct = round(summary["engines"]["manual"]["validation_accuracy"] * 10_000)
    assert lines[:5] == [
        *report.layers(NetworkSpec((784, 30, 10), ("sigmoid", "sigmoid"))).splitlines(),
        "",
    ]
    assert lines[5].startswith("Epoch  1: manual ")
    assert f"Epoch  2: manual {correct} / 10000" in lines[6]
    assert "gradient difference 0 (0 ulp), drift 0" in lines[6]
    assert "final parameters: identical to the last bit" in lines
    assert f"tensorboard --logdir {out}" in lines[-1]


@pytest.mark.parametrize(
    ("speedup", "said"),
    [
        (5.04, "by hand (recorded) is 5.0 times as fast as torch.nn (eager)"),
        (None, "speed: not compared, for training took less than 0.5 s"),
    ],
)
def test_speed_is_of_a_run_that_was_long_enough(
    speedup: float | None, said: str, short_run: tuple[Path, dict[str, Any]]
) -> None:
    """The first updates, where memory is taken, weigh too much in a short one."""
    out, summary = short_run
    lines = report.table(summary | {"speedup": speedup}, out).splitlines()
    assert lines[3] == said


def test_means_of_an_epoch_are_those_of_its_batches_as_trained(
    short_run: tuple[Path, dict[str, Any]], mnist: data.Data
) -> None:
    out, _ = short_run
    loss = Loss.named()["half-squared"]()
    network = Network(NetworkSpec((784, 30, 10), ("sigmoid", "sigmoid")))
    sgd, targets = SGD(3.0), loss.targets(mnist.train.labels, 10, torch.float32)
    total, correct = 0.0, 0
    for x, t in batches(
        data.order(0, 1, 1003, torch.device("cpu")), 10, mnist.train.images, targets
    ):
        tape = network.forward(x)
        y = tape.output
        div, dy = loss(y, t)
        sgd.step(network.parameters.theta, network.backward(dy, tape))
        total += div.item() * len(x)
        correct += int((y.argmax(dim=1) == t.argmax(dim=1)).sum())
    manual = scalars(out, "manual")
    assert manual["2-loss/train"][0][1] == pytest.approx(total / 1003, rel=1e-6)
    assert manual["1-accuracy/train"][0][1] == pytest.approx(correct / 1003, abs=1e-7)


def test_config_records_what_was_chosen(short_run: tuple[Path, dict[str, Any]]) -> None:
    out, _ = short_run
    config = json.loads((out / "config.json").read_text())
    assert config["run"] == {
        "engines": ["manual", "torch"], "compare_every": 30,
        "device": "cpu",
        "dtype": "float32", "threads": 1, "processes": 1, "board": "full", "checkpoint_every": None,
        "out": str(out),
    }  # fmt: skip
    assert config["network"]["activations"] == ["sigmoid", "sigmoid"]
    assert config["training"]["batch_size"] == 10


@pytest.mark.parametrize("engine", ["manual", "torch"])
def test_one_engine_alone(
    engine: str,
    tmp_path: Path,
    short_run: tuple[Path, dict[str, Any]],
    run: Callable[[str], dict[str, Any]],
) -> None:
    summary = run(f"--epochs 2 --train-size 1003 --engines {engine}")
    assert (
        summary["gradients"]
        is summary["parameters"]
        is summary["speedup"]
        is summary["wrong"]
        is None
    )
    _, both = short_run
    assert summary["engines"][engine]["test_accuracy"] == both["engines"][engine]["test_accuracy"]
    assert not (tmp_path / "run" / "comparison").exists()


def test_cross_entropy_run(tmp_path: Path, run: Callable[[str], dict[str, Any]]) -> None:
    summary = run("--epochs 1 --train-size 2000 --loss cross-entropy --lr 0.5 --dtype float64")
    assert summary["gradients"]["max_abs"] <= 1e-15
    manual, reference = summary["engines"]["manual"], summary["engines"]["torch"]
    assert abs(manual["test_accuracy"] - reference["test_accuracy"]) <= 0.002
    assert json.loads((tmp_path / "run" / "config.json").read_text())["network"]["activations"] == [
        "sigmoid",
        "identity",
    ]


def test_the_way_into_the_code(
    run: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four steps from main to the update, as docs/engineers.md draws them; each is taken on the
    first screen of its file.
    """
    way: list[traceback.FrameSummary] = []

    def steps(self: ManualLearner, block: Block) -> torch.Tensor:
        way[:] = traceback.extract_stack()
        return super(ManualLearner, self).steps(block)

    monkeypatch.setattr(ManualLearner, "steps", steps)
    run("--epochs 1 --train-size 10")
    rooms = tuple(str(ROOT / "scripts" / room) for room in ("train.py", "training/", "learners/"))
    taken = [
        (frame.filename.removeprefix(f"{ROOT}/"), frame.name, frame.lineno or 0)
        for frame in way
        if frame.filename.startswith(rooms) and frame.name != "<lambda>"
    ]
    names = [name for _, name, _ in taken]
    assert names[names.index("main") :] == ["main", "train", "run", "update", "train"]
    drawn = section("engineers", "The way into the code")
    for file, name, line in taken[-5:]:
        assert re.search(rf"^{file} +(\w+\.)?{name}\(\)", drawn, re.MULTILINE)
        assert name == "main" or line <= 60, f"{file}:{line}"


def test_divergence_stops_with_epoch_and_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.chdir(tmp_path)
    options = (
        "--activations identity --loss mse --lr 5 --epochs 2 --train-size 2000 --compare-every 3 "
        "--out run"
    )
    ended = call(train, *options.split(), "--data-dir", str(ROOT / "data"))
    assert ended.status == 1
    error = ended.err
    assert "the loss of manual is" in error
    assert "at epoch 1, update " in error
    points = scalars(tmp_path / "run", "comparison")["3-gradient/difference-largest"]
    update = int(error.split("update ")[1].split(";")[0])
    assert points, "what was logged is kept"
    assert update - 3 <= points[-1][0] <= update + 16
    assert not (tmp_path / "run" / "summary.json").exists()

"""Options of optimizers, batch normalization and the stopping rule: both engines follow them."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from manual.activations import Activation
from manual.initializers import Initializer
from manual.losses import Loss
from manual.operation import Operation
from manual.optimizers import Optimizer
from scripts.common.program import Stopped, UserError, status
from scripts.common.signals import Terminated
from scripts.run.config import Config, DataConfig, NetworkConfig, RunConfig, TrainingConfig
from scripts.run.names import names
from scripts.training.session import train
from tests.conftest import ROOT


def config(out: Path | None = None, train_size: int = 600, **options: Any) -> Config:
    """A short run on the data of the repository."""
    of_network = {
        name: options.pop(name) for name in ("batch_norm", "activations") if name in options
    }
    return Config(
        data=DataConfig(train_size=train_size, data_dir=ROOT / "data"),
        network=NetworkConfig(**of_network),
        training=replace(TrainingConfig(epochs=2), **options),
        run=RunConfig(out=out, compare_every=20, threads=1, board="off"),
    )


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.5, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
        {"lr": 1e-3, "optimizer": "rmsprop", "momentum": 0.9, "weight_decay": 1e-3, "decay": "all"},
        {"lr": 1e-3, "optimizer": "adam", "weight_decay": 1e-3, "loss": "binary-cross-entropy"},
    ],
)
def test_both_engines_follow_to_the_last_bit(options: dict[str, Any], tmp_path: Path) -> None:
    train(config(tmp_path / "run", **options))
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["parameters"]["bitwise"]
    assert summary["gradients"]["bitwise_steps"] == summary["gradients"]["compared_steps"] == 6


def test_both_engines_normalize_the_batch_alike(tmp_path: Path) -> None:
    train(config(tmp_path / "run", train_size=2000, batch_norm=True))
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    # gradients of up to 0.2 in float32, summed in another order
    assert summary["gradients"]["max_abs"] < 1e-7
    assert summary["parameters"]["max_abs"] < 1e-4
    manual, torch = summary["engines"]["manual"], summary["engines"]["torch"]
    assert manual["test_accuracy"] == pytest.approx(torch["test_accuracy"], abs=2e-3)
    # it learns, so evaluation sees the statistics that training left
    assert manual["test_accuracy"] > 0.5


@pytest.mark.parametrize(("stop_below", "epochs"), [(None, 4), (0.0, 4), (0.2, 2)])
def test_stops_when_the_loss_stands_still_and_says_so(
    stop_below: float | None, epochs: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(config(tmp_path / "run", epochs=4, stop_below=stop_below))
    printed = capsys.readouterr()
    assert (printed.out + printed.err).count("Epoch ") == epochs
    assert ("stopped after epoch 2: the training loss of manual went from" in printed.out) == (
        epochs == 2
    )


@pytest.mark.parametrize("family", [Activation, Initializer, Loss, Optimizer])
def test_names_are_those_of_the_classes(family: type[Operation]) -> None:
    assert names(family.__name__) == tuple(family.named())


@pytest.mark.parametrize(
    ("ending", "code", "line"),
    [
        (None, 0, ""),
        (UserError("--lr 0: must be above 0"), 2, "error: --lr 0: must be above 0\n"),
        (MemoryError(), 2, "error: this takes more memory than there is\n"),
        (
            OSError(28, "No space left on device", "a.csv"),
            2,
            "error: a.csv: No space left on device\n",
        ),
        (Stopped("the loss is nan"), 1, "stopped: the loss is nan; the logs are kept\n"),
        (KeyboardInterrupt(), 130, "interrupted: the logs are kept\n"),
        (Terminated(signal.SIGHUP), 129, "interrupted: the logs are kept\n"),
    ],
)
def test_how_a_program_ends(
    ending: BaseException | None, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        if ending:
            raise ending

    assert status(work, "the logs are kept") == code
    assert capsys.readouterr().err == line

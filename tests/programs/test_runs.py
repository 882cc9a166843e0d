"""Names of runs, the list of them, and going on with one that is named or the latest."""

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manual.losses import Loss
from scripts import runs, train
from scripts.run import folder, naming, past
from scripts.run.config import Config, DataConfig, NetworkConfig, RunConfig, TrainingConfig
from scripts.run.resolve import resolve
from tests.conftest import ROOT, Call


@pytest.mark.parametrize(
    ("groups", "name"),
    [
        ({}, "lecture"),
        ({"network": NetworkConfig(activations=("relu",)),
            "training": TrainingConfig(loss="cross-entropy")},
         "relu-cross-entropy"),
        ({"network": NetworkConfig(sizes=(784, 100, 10), batch_norm=True)},
            "784x100x10-batch-norm"),
        ({"network": NetworkConfig(activations=("tanh", "identity"))}, "tanh-identity"),
        ({"training": TrainingConfig(lr=0.5, momentum=0.9, epochs=5)}, "lr0.5-momentum0.9"),
        ({"data": DataConfig(dataset="fashion-mnist"), "run": RunConfig(engines=("manual",))},
            "by-hand-fashion-mnist"),
        ({"network": NetworkConfig(sizes=(784, *[30] * 99, 10))}, "784x30x30x30x30x30x30x30"),
        ({"network": NetworkConfig(activations=("sigmoid",) * 3, sizes=(784, 30, 20, 10))},
            "784x30x20x10"),
    ],
)  # fmt: skip
def test_a_name_says_what_differs(groups: dict[str, Any], name: str) -> None:
    config = resolve(Config(**groups))
    assert naming.name(config) == name
    assert re.fullmatch(r"\d{4}-\d{4}-" + re.escape(name), folder.fresh(naming.name(config)).name)


def test_losses_of_logits() -> None:
    assert {name for name, loss in Loss.named().items() if loss.of_logits} == naming.OF_LOGITS


def test_every_option_that_decides_is_known_by_name() -> None:
    """But for where and how it was computed."""
    decisive = {option.removeprefix("--").replace("-", "_") for option in Config().decisive()}
    assert decisive - set(naming.OPTIONS) == {"compare_every", "device", "threads", "processes"}
    assert set(naming.OPTIONS) - decisive == {"epochs"}


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call) -> Callable[..., Any]:
    """Runs in tmp_path / "runs", where the programs run: a finished one and, later, one that
    diverged.
    """
    monkeypatch.chdir(tmp_path)
    common = [
        "--train-size",
        "200",
        "--board",
        "off",
        "--threads",
        "1",
        "--data-dir",
        str(ROOT / "data"),
    ]
    assert (
        call(train, *common, "--epochs", "1", "--compare-every", "10", "--out", "runs/one").status
        == 0
    )
    apart(tmp_path / "runs" / "one")
    wild = ["--activations", "identity", "--lr", "1e9", "--engines", "manual"]
    assert call(train, *common, *wild, "--out", "runs/wild").status == 1
    return call


def apart(run: Path) -> None:
    """Make it a minute older."""
    for path in (run / folder.CONFIG, run / "checkpoints"):
        os.utime(path, (time.time() - 60,) * 2)


def interrupt(run: Path, epochs: int) -> None:
    """Make a finished run one that has more epochs to go."""
    (run / folder.SUMMARY).unlink()
    path = run / folder.CONFIG
    path.write_text(path.read_text().replace('"epochs": 1', f'"epochs": {epochs}'))


def test_the_table(listed: Call) -> None:
    ended = listed(runs)
    assert ended.status == 0
    head, one, wild = (re.split(r"  +", line) for line in ended.out.splitlines())
    assert head == ["run", "by hand", "torch", "final parameters", "state", "options"]
    accuracy = json.loads(Path("runs/one/summary.json").read_text())["engines"]["manual"][
        "test_accuracy"
    ]
    assert one == [
        "one",
        *[f"{accuracy:.2%}"] * 2,
        "identical to the last bit",
        "finished",
        "--train-size 200 --epochs 1",
    ]
    assert wild[:2] == ["wild", "-"]
    assert "diverged" in wild


def test_two_in_full(listed: Call) -> None:
    lines = [line.split() for line in listed(runs, "one", "wild").out.splitlines()]
    assert lines[0] == ["one", "wild"]
    assert ["*", "lr", "3", "1e+09"] in lines
    assert ["batch-size", "10", "10"] in lines
    assert "gradients 2 of 2 equal to the last bit not compared" in map(" ".join, lines)
    assert listed(runs, "latest").out.split()[0] == "wild"
    os.utime("runs/one/checkpoints", (time.time() + 60,) * 2)
    assert listed(runs, "latest").out.split()[0] == "one", "the last to keep a checkpoint"


def test_for_programs(listed: Call) -> None:
    one, wild = json.loads(listed(runs, "--json").out)
    assert (one["name"], one["state"], wild["state"]) == ("one", "finished", "diverged")
    assert one["summary"] == json.loads(Path("runs/one/summary.json").read_text())
    assert one["differs"] == {"train_size": "200", "epochs": "1"}
    assert wild["summary"] is None


def test_going_on(listed: Call) -> None:
    """By name and with the latest; who names none is shown those that can."""
    ended = listed(train, "--resume", "nowhere")
    assert (ended.status, ended.err) == (
        2,
        "error: --resume nowhere: no run is there; none was interrupted\n",
    )
    interrupt(Path("runs/one"), 2)
    assert "interrupted in epoch 2 of 2" in listed(runs).out
    ended = listed(train, "--resume", "nowhere")
    can = "runs/one (interrupted in epoch 2 of 2)"
    assert (ended.status, ended.err) == (
        2,
        f"error: --resume nowhere: no run is there; these can go on: {can}\n",
    )
    others = f"{can}, runs/wild (diverged)"
    assert listed(runs, "two").err == f"error: RUN two: no run is there; the latest are: {others}\n"
    apart(Path("runs/wild"))
    os.utime("runs/one/config.json")
    assert listed(train, "--resume", "latest").status == 0
    assert past.read(Path("runs/one")).state == "finished"
    ended = listed(train, "--resume", "one")
    assert (ended.status, ended.out) == (
        0,
        "nothing is left to do in runs/one: all of its 2 epochs are done; --epochs may be more\n",
    )


def test_one_that_is_being_trained(listed: Call) -> None:
    with folder.claim(Path("runs/one")):
        assert "running" in listed(runs).out
    assert "running" not in listed(runs).out


def test_damaged_and_none(listed: Call, tmp_path: Path) -> None:
    Path("runs/one/config.json").write_text("{")
    ended = listed(runs)
    assert ended.status == 0
    assert ended.err.startswith("left out: ")
    assert "runs/one/config.json is damaged" in ended.err
    assert "one" not in ended.out.split()
    ended = listed(runs, "--where", str(tmp_path / "empty"))
    assert (ended.status, ended.out) == (
        0,
        f"no runs in {tmp_path / 'empty'}: start one with  python -m scripts.train\n",
    )


def test_a_summary_that_is_a_fifo_is_not_waited_for(listed: Callable[..., Any]) -> None:
    summary = Path("runs/one", folder.SUMMARY)
    summary.unlink()
    os.mkfifo(summary)
    ended = listed(runs)
    assert (ended.status, "wild" in ended.out) == (0, True)
    assert f"left out: runs/one: {summary} can't be read" in ended.err

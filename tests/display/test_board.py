"""The board as it is read back."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from scripts.display.board import PICTURES, landmarks
from scripts.display.events import RUNS, EventFiles
from scripts.display.tags import FIGURES, by_parameter
from scripts.run.config import Config, DataConfig, NetworkConfig, RunConfig, TrainingConfig
from scripts.training import session
from tests.conftest import ROOT
from tests.display.short import ENGINES, PARAMETERS, PICTURES_SHOWN, run
from tests.runs import events, scalars
from torch_ref.compare import Difference

SCALARS = {
    "2-loss/train", "2-loss/validation", "1-accuracy/train", "1-accuracy/validation",
    "time/learning-rate",
    "time/epoch-seconds",
    *(f"{what}/{name}" for what in ("6-norm-of-parameter",
        "7-norm-of-gradient") for name in PARAMETERS),
    *(f"{what}/layer{k}" for what in ("8-saturated", "9-dead") for k in (1, 2)),
}  # fmt: skip
RESULTS = {"result/test-accuracy", "result/validation-accuracy", "result/train-seconds"}


def test_scalars(short_run: tuple[Path, dict[str, Any]]) -> None:
    """The step of every one is the number of updates."""
    out, summary = short_run
    manual, reference, comparison = (scalars(out, name) for name in (*ENGINES, "comparison"))
    assert set(manual) == set(reference) == SCALARS | RESULTS
    for tag, points in manual.items():
        assert [step for step, _ in points] == ([202] if tag in RESULTS else [101, 202]), tag
        if "seconds" not in tag:
            assert points == reference[tag]
    of_manual = summary["engines"]["manual"]
    assert manual["1-accuracy/validation"][-1][1] == pytest.approx(
        of_manual["validation_accuracy"], abs=1e-7
    )
    assert sum(value for _, value in manual["time/epoch-seconds"]) == pytest.approx(
        of_manual["train_seconds"], rel=1e-5
    )
    assert manual["time/learning-rate"] == [(101, 3), (202, 3)]
    for name in RESULTS:
        assert manual[name][0][1] == pytest.approx(
            of_manual[name.removeprefix("result/").replace("-", "_")], rel=1e-6
        )

    apart = {
        f"{what}/difference-{figure}"
        for what in ("3-gradient", "5-parameters")
        for figure in FIGURES.values()
    }
    assert set(comparison) == apart | {"3-gradient/size", "5-parameters/size"}, (
        "and nothing by name of what is equal"
    )
    assert comparison["3-gradient/difference-ulp"] == [
        (step, 0) for step in (30, 60, 90, 120, 150, 180)
    ]
    assert comparison["5-parameters/difference-largest"] == [(101, 0), (202, 0)]
    assert all(size > 0 for _, size in comparison["3-gradient/size"])


def test_all_of_an_engine_is_in_one_file(short_run: tuple[Path, dict[str, Any]]) -> None:
    """Of several the names say which is read first, and in these stands what the clock showed."""
    for name in (*ENGINES, "comparison"):
        assert len([*(short_run[0] / RUNS.get(name, name)).iterdir()]) == 1


def test_what_differs_is_shown_by_name() -> None:
    equal, apart = Difference(), Difference(max_abs=2e-8, max_rel=1e-7, max_ulp=1, bitwise=False)
    values = by_parameter({"w1": equal, "w2": apart}, {"w1": equal})
    assert values == {
        f"4-gradient-by-name/w2-difference-{word}": getattr(apart, figure)
        for figure, word in FIGURES.items()
    }


def test_histograms_pictures_and_texts(short_run: tuple[Path, dict[str, Any]]) -> None:
    out, summary = short_run
    for name in ENGINES:
        read = events(out, name)
        assert set(read.Tags()["histograms"]) == {
            f"{what}/{name}" for what in ("weights", "gradients") for name in PARAMETERS
        }
        histograms = read.Histograms("weights/w1")
        assert [point.step for point in histograms] == [101, 202]
        assert histograms[0].histogram_value.num == 784 * 30
    read = events(out, "manual")
    assert read.Tags()["images"] == PICTURES_SHOWN
    assert [[point.step for point in read.Images(tag)] for tag in PICTURES_SHOWN] == [
        [0, 101, 202],
        [101, 202],
        [202],
        [202],
    ]
    assert not events(out, "torch").Tags()["images"], "of what is the same once"
    read = events(out, "comparison")
    texts = {
        tag: read.Tensors(f"{tag}/text_summary")[0].tensor_proto.string_val[0].decode()
        for tag in ("1-verdict", "2-command", "3-config")
    }
    assert texts["2-command"].strip() == "python -m scripts.train --epochs 2"
    assert json.loads(texts["3-config"])["training"]["lr"] == 3
    first, *others = texts["1-verdict"].splitlines()
    assert first == "**identical to the last bit after 202 updates**"
    accuracy = f"{summary['engines']['manual']['test_accuracy']:.2%}"
    assert any(
        line.replace("|", " ").split() == ["test", "accuracy", accuracy, accuracy]
        for line in others
    )


@pytest.mark.parametrize("level", ["scalars", "off"])
def test_less_of_it(level: str, tmp_path: Path, short_run: tuple[Path, dict[str, Any]]) -> None:
    summary = run(tmp_path, board=level)
    _, full = short_run
    for engine in ENGINES:
        assert (
            summary["engines"][engine]["test_accuracy"] == full["engines"][engine]["test_accuracy"]
        )
    if level == "off":
        left = {path.name for path in tmp_path.iterdir()}
        assert left | {".lock"} == {  # which filelock 3.24 removes
            ".lock",
            "checkpoints",
            "config.json",
            "manual.pt",
            "summary.json",
            "torch.pt",
        }
    else:
        read = events(tmp_path, "manual")
        assert set(read.Tags()["scalars"]) == SCALARS | RESULTS
        assert not read.Tags()["histograms"]
        assert not read.Tags()["images"]


def test_one_engine_alone_with_batch_normalization(tmp_path: Path) -> None:
    """Layer 1 has no activation, and its picture and histograms no bias; the learner stays in
    training.
    """
    config = Config(
        data=DataConfig(data_dir=ROOT / "data", train_size=500),
        network=NetworkConfig(batch_norm=True),
        training=TrainingConfig(epochs=1, loss="cross-entropy"),
        run=RunConfig(engines=("torch",), out=tmp_path),
    )
    session.train(config)
    read = events(tmp_path, "torch")
    assert {"9-dead/layer2", "6-norm-of-parameter/gamma2", "7-norm-of-gradient/w3"} <= set(
        read.Tags()["scalars"]
    )
    assert not {"9-dead/layer1", "9-dead/layer3", "6-norm-of-parameter/b1"} & set(
        read.Tags()["scalars"]
    )
    assert {"2-command/text_summary", "custom_scalars__config__"} <= set(read.Tags()["tensors"])


def test_writers_that_fail_say_nothing_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their error reaches the caller; one that fails long after another, whose error is on its way,
    is waited for.
    """
    said: list[object] = []
    monkeypatch.setattr(threading, "excepthook", said.append)
    late = threading.Event()

    def write(self: RecordWriter, _: bytes) -> None:
        if "/torch/" in str(self._writer.filename):
            late.wait()
        raise OSError("no room")

    threads = set(threading.enumerate())
    board = EventFiles(tmp_path, Config())
    threads = set(threading.enumerate()) - threads
    monkeypatch.setattr(RecordWriter, "write", write)
    for engine in ENGINES:
        board.scalars(engine, {"2-loss/train": 1.0}, 1)
    timer = threading.Timer(0.3, late.set)
    timer.start()
    with pytest.raises(OSError, match="no room"):
        board.close()
    timer.join()
    for thread in threads:
        thread.join(10)
    assert said == []
    assert threading.excepthook == said.append


@pytest.mark.parametrize("epochs", [1, 2, 9, 10, 30, 1000])
def test_landmarks(epochs: int) -> None:
    """With the picture before training no more than TensorBoard keeps."""
    assert {1, epochs} <= landmarks(epochs)
    assert len(landmarks(epochs)) + 1 <= PICTURES

"""The learning curve: figures, files, the verdict's rule, going on with what is there, and what is
refused.
"""

import csv
import io
import json
import resource
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from manual.losses import HalfSquaredError
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD
from scripts import learning_curve
from scripts.common import files
from scripts.common.program import UserError
from scripts.experiments import curve as of_curve
from scripts.experiments import trials
from scripts.experiments.curve import Point, draw, jobs_of, notes, verdict
from scripts.run.config import Config, NetworkConfig
from scripts.training import data
from tests.cases import batches
from tests.conftest import ROOT, Call

SMALL = (
    "--train-sizes",
    "1000",
    "200",
    "--epochs",
    "1",
    "--batch-size",
    "100",
    "--data-dir",
    str(ROOT / "data"),
)


@pytest.fixture(scope="module")
def curve(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished curve, and what was printed. A thread trains it: a pool's processes take long to
    start.
    """
    out = tmp_path_factory.mktemp("curve") / "new"
    options = [*SMALL, "--seeds", "2", "--out", str(out)]
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as printed,
        redirect_stderr(io.StringIO()) as errors,
    ):
        patch.setattr(trials, "ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))
        patch.setattr(sys, "argv", [learning_curve.__name__, *options])
        assert learning_curve.main() == 0
    assert not errors.getvalue()
    return out, printed.getvalue()


def accuracies(mnist: data.Data, size: int, seed: int, epochs: int) -> tuple[float, float]:
    """Training and validation accuracy in percent of a run, by the plainest loop."""
    network = Network(NetworkSpec((784, 30, 10), ("sigmoid", "sigmoid")), seed)
    loss, sgd = HalfSquaredError(), SGD(3.0)
    targets = loss.targets(mnist.train.labels, 10, torch.float32)
    for epoch in range(1, epochs + 1):
        for x, t in batches(
            data.order(seed, epoch, size, torch.device("cpu")), 100, mnist.train.images, targets
        ):
            tape = network.forward(x)
            _, dy = loss(tape.output, t)
            sgd.step(network.parameters.theta, network.backward(dy, tape))

    def percent(images: torch.Tensor, labels: torch.Tensor) -> float:
        return 100 * (network.predict(images).argmax(dim=1) == labels).double().mean().item()

    return (
        percent(mnist.train.images[:size], mnist.train.labels[:size]),
        percent(mnist.validation.images, mnist.validation.labels),
    )


def test_figures_are_those_of_the_runs(curve: tuple[Path, str], mnist: data.Data) -> None:
    out, printed = curve
    for size, epochs in ((200, 250), (1000, 50)):
        runs = [accuracies(mnist, size, seed, epochs) for seed in (0, 1)]
        for seed, (training, validation) in enumerate(runs):
            trial = json.loads((out / "trials" / f"size-{size}-seed{seed}.json").read_text())[
                "trial"
            ]
            assert trial["training_accuracy"] == pytest.approx(training, abs=1e-9)
            assert trial["accuracy"] == {"validation": [pytest.approx(validation, abs=1e-9)]}
            assert trial["epochs"] == [epochs]
        (training, validation), (other_training, other_validation) = runs
        (line,) = (
            words
            for words in map(str.split, printed.splitlines())
            if words and words[0] == str(size)
        )
        half = 2**-0.5  # sd of two values, of their difference
        assert line[:8] == [
            str(size), str(epochs),
            f"{(training + other_training) / 2:.2f}", "±",
            f"{abs(training - other_training) * half:.2f}",
            f"{(validation + other_validation) / 2:.2f}", "±",
            f"{abs(validation - other_validation) * half:.2f}",
        ]  # fmt: skip


def test_csv_is_the_table(curve: tuple[Path, str]) -> None:
    out, printed = curve
    with (out / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["train_size"] for row in rows] == ["200", "1000"]
    for row in rows:
        assert (
            f"{row['train_size']:>7}{row['epochs']:>8}"
            f"{row['training'] + ' ± ' + row['training_sd']:>16}"
            f"{row['validation'] + ' ± ' + row['validation_sd']:>16}{row['gap']:>8}  "
            f"{row['verdict']}"
        ) in printed.splitlines()


def test_the_rule_is_stated(curve: tuple[Path, str]) -> None:
    _, printed = curve
    assert notes(95, seeds=2) in printed


def test_no_deviation_is_claimed_of_one_seed() -> None:
    assert "±" in notes(95, seeds=2)
    assert "±" not in notes(95, seeds=1)


def test_picture_and_event(curve: tuple[Path, str]) -> None:
    out, _ = curve
    picture = (out / "curve.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    (event,) = EventAccumulator(str(out)).Reload().Images("learning curve")
    assert event.encoded_image_string.startswith(b"\x89PNG")


def test_picture_shows_the_points() -> None:
    points = [
        Point(size, 1, 99, 0.5, validation, None, 99 - validation, "neither")
        for size, validation in ((100, 70.0), (1000, 90.0))
    ]
    (axes,) = draw(points, Config()).axes
    assert axes.get_xscale() == "log"
    bars: list[Any] = axes.containers
    drawn = [bar.lines[0].get_xydata().tolist() for bar in bars]
    assert drawn == [[[100, 99], [1000, 99]], [[100, 70], [1000, 90]]]


@pytest.mark.parametrize(
    ("training", "validation", "goal", "expected"),
    [
        (100.0, 95.0, 95.0, "neither"),
        (100.0, 94.9, 95.0, "high variance"),
        (94.0, 94.9, 95.0, "high bias"),
        (90.0, 80.0, 95.0, "high bias"),
        (90.1, 80.0, 95.0, "high variance"),
        (90.0, 80.0, 80.0, "neither"),
    ],
)
def test_verdict(training: float, validation: float, goal: float, expected: str) -> None:
    assert verdict(training, validation, goal) == expected


def test_every_size_sees_equally_many_images() -> None:
    options = learning_curve.Options()
    epochs = {
        size: jobs_of(options, size)[0].config.training.epochs for size in options.train_sizes
    }
    assert epochs == {size: 1_500_000 // size for size in options.train_sizes}


def test_seeds_count_from_the_given_one() -> None:
    options = learning_curve.Options(seeds=2, network=NetworkConfig(seed=7))
    assert [job.config.network.seed for job in jobs_of(options, 100)] == [7, 8]


def test_goes_on_with_what_is_there(
    curve: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    """Nothing is trained again: there is no pool to do it."""
    out, printed = curve
    monkeypatch.setattr(trials, "ProcessPoolExecutor", None)
    ended = call(learning_curve, *SMALL, "--seeds", "2", "--out", str(out))
    assert ended.status == 0
    again = ended.out.splitlines()
    assert again[0] == f"4 of 4 runs are in {out} already"
    assert again[1:] == printed.splitlines()[4:]


def test_results_of_other_options_are_refused(curve: tuple[Path, str], call: Call) -> None:
    out, _ = curve
    ended = call(learning_curve, *SMALL, "--lr", "1", "--out", str(out))
    assert ended.status == 2
    assert (
        f"--out {out}: {out / 'trials' / 'size-1000-seed0.json'} is of other options" in ended.err
    )


def test_full_disk_at_the_end(
    curve: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    """What was found is printed all the same."""
    out, (soft, hard) = (
        shutil.copytree(curve[0], tmp_path / "out"),
        resource.getrlimit(resource.RLIMIT_FSIZE),
    )
    monkeypatch.setattr(
        of_curve, "write_csv", lambda *_: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    )
    try:
        ended = call(learning_curve, *SMALL, "--seeds", "2", "--out", str(out))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ended.status == 2
    assert (
        ended.err
        == f"error: {out} cannot be written (File too large): all that was found stands above\n"
    )
    assert ended.out.splitlines()[1:] == curve[1].splitlines()[4:-1]


def test_a_thread_that_finds_no_room_speaks_once(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    def write() -> None:
        with files.results(Path("out")):
            writer = threading.Thread(target=fail)
            writer.start()
            writer.join()

    with pytest.raises(UserError, match=r"out cannot be written \(No space left on device\)"):
        write()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "contents", ["", "{", "[]", "{}", '{"options": 1, "trial": {"epochs": 1}}']
)
def test_damaged_results_are_refused(contents: str, tmp_path: Path, call: Call) -> None:
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / "size-1000-seed0.json").write_text(contents)
    ended = call(learning_curve, *SMALL, "--out", str(tmp_path))
    assert ended.status == 2
    assert "size-1000-seed0.json is damaged" in ended.err

"""The published figures: the presets are what their sources say, and the table says what the runs
came to.
"""

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from manual.losses import HalfSquaredError
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD
from scripts import reproduce
from scripts.experiments import published, trials
from scripts.experiments.trials import Job, Trial
from scripts.presets import PRESETS, Preset
from scripts.run.config import Config, DataConfig, NetworkConfig, TrainingConfig
from scripts.training import data
from tests.cases import batches
from tests.conftest import ROOT, Call

N = 50_000
SIZES = {
    100: 69.09,
    200: 76.37,
    500: 85.29,
    1000: 88.85,
    2000: 91.27,
    5000: 93.24,
    10000: 94.89,
    20000: 95.85,
    50000: 95.97,
}

# As the sources have it: claimed, split, when; images, hidden units, initial values, loss, lr,
# batch, epochs, lambda.
SOURCES = {
    "lecture": (95.42, "test", "best", N, 30, "normal", "half-squared", 3.0, 10, 30, 0),
    "cross-entropy": (
        95.33,
        "test",
        "best",
        N,
        30,
        "normal",
        "binary-cross-entropy",
        0.5,
        10,
        30,
        0,
    ),
    "cross-entropy-l2": (
        96.49,
        "test",
        "best",
        N,
        30,
        "normal",
        "binary-cross-entropy",
        0.5,
        10,
        30,
        5,
    ),
    "1000-images": (
        82.27,
        "test",
        "best",
        1000,
        30,
        "normal",
        "binary-cross-entropy",
        0.5,
        10,
        400,
        0,
    ),
    "1000-images-l2": (
        87.10,
        "test",
        "best",
        1000,
        30,
        "normal",
        "binary-cross-entropy",
        0.5,
        10,
        400,
        0.1,
    ),
    **{
        f"size-{n}": (
            claim,
            "validation",
            "last",
            n,
            30,
            "normal",
            "binary-cross-entropy",
            0.5,
            10,
            1_500_000 // n,
            n * 1e-4,
        )
        for n, claim in SIZES.items()
    },
    "hidden-100": (96.59, "test", "best", N, 100, "normal", "half-squared", 3.0, 10, 30, 0),
    "hidden-100-l2": (
        97.92,
        "validation",
        "best",
        N,
        100,
        "normal",
        "binary-cross-entropy",
        0.5,
        10,
        30,
        5,
    ),
    "hidden-100-l2-slow": (
        98.04,
        "validation",
        "best",
        N,
        100,
        "normal",
        "binary-cross-entropy",
        0.1,
        10,
        60,
        5,
    ),
    "softmax": (
        97.80,
        "test",
        "selected",
        N,
        100,
        "scaled-normal",
        "cross-entropy",
        0.1,
        10,
        60,
        0,
    ),
    "slow": (21.42, "test", "last", N, 100, "normal", "half-squared", 0.001, 10, 30, 0),
    "too-fast": (10.0, "test", "last", N, 30, "normal", "half-squared", 100.0, 10, 30, 0),
    "rasbt": (94.51, "test", "last", N, 50, "xavier-normal", "squared", 0.1, 100, 50, 0),
    "hidden-100-l2-scaled": (
        97.92,
        "validation",
        "best",
        N,
        100,
        "scaled-normal",
        "binary-cross-entropy",
        0.5,
        10,
        30,
        5,
    ),
    "hidden-100-l2-slow-scaled": (
        98.04,
        "validation",
        "best",
        N,
        100,
        "scaled-normal",
        "binary-cross-entropy",
        0.1,
        10,
        60,
        5,
    ),
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_what_their_sources_say(name: str) -> None:
    preset = PRESETS[name]
    claimed, split, when, n, hidden, initializer, loss, lr, batch_size, epochs, weight_penalty = (
        SOURCES[name]
    )
    assert (preset.claimed, preset.split, preset.when) == (claimed, split, when)
    default = Config()
    assert preset.config == Config(
        data=dataclasses.replace(default.data, train_size=n),
        network=dataclasses.replace(default.network, sizes=(784, hidden, 10),
            initializer=initializer),
        training=dataclasses.replace(
            default.training,
            loss=loss, lr=lr, batch_size=batch_size, epochs=epochs, weight_decay=weight_penalty / n,
            decay="weights",
        ),
    )  # fmt: skip
    last = "identity" if loss == "cross-entropy" else "sigmoid"
    assert trials.alone(preset.config).network.activations == ("sigmoid", last)


def test_every_figure_is_there() -> None:
    assert set(SOURCES) == set(PRESETS)


def trial(validation: list[float], test: list[float], training: float = 99.0) -> Trial:
    epochs = tuple(range(1, len(test) + 1))
    return Trial(
        epochs, {"validation": tuple(validation), "test": tuple(test)}, training, 12.0, 11.0
    )


def preset(split: str, when: str) -> Preset:
    return Preset(95.0, split, when, "a book", Config())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("split", "when", "figure", "epoch"),
    [
        ("test", "best", 95.5, 2),
        ("test", "last", 95.2, 4),
        ("test", "selected", 95.3, 3),
        ("validation", "best", 97.0, 3),
        ("validation", "last", 96.5, 4),
    ],
)
def test_the_figure_is_taken_where_the_source_took_it(
    split: str, when: str, figure: float, epoch: int
) -> None:
    row = published.summarize(
        "lecture", preset(split, when), [trial([96, 96.5, 97, 96.5], [94, 95.5, 95.3, 95.2])]
    )
    assert (row.median, row.mean, row.sd, row.best_epoch) == (figure, figure, None, epoch)
    assert row.selected_by_validation == 95.3
    assert row.training == 99
    assert row.seconds == 12


def test_of_equal_epochs_the_first_counts() -> None:
    row = published.summarize(
        "lecture", preset("test", "best"), [trial([96, 96, 96], [94, 95, 95])]
    )
    assert row.best_epoch == 2
    assert row.selected_by_validation == 94


def test_median_spread_and_stuck_seeds() -> None:
    runs = [trial([90], [accuracy]) for accuracy in (95.0, 86.0, 95.4, 91.9, 95.2, 92.1, 95.1)]
    row = published.summarize("lecture", preset("test", "best"), runs)
    assert row.median == 95
    assert row.mean == pytest.approx(650.7 / 7)
    assert row.sd == pytest.approx(3.4161, abs=1e-4)
    assert row.stuck_seeds == [1, 3]
    assert row.by_seed == [95, 86, 95.4, 91.9, 95.2, 92.1, 95.1]


def test_table_and_its_legend() -> None:
    rows = [
        published.summarize(
            "lecture", preset("test", "best"), [trial([90], [94.0]), trial([91], [96.0])]
        )
    ]
    head, rule, line = published.table(rows).splitlines()
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "lecture", "test, best epoch", "95.00", "95.00", "95.00 ± 1.41", "+0.00", "1", "0 of 2",
        "95.00", "99.00", "12",
    ]  # fmt: skip
    assert len(head) == len(rule) == len(line)
    assert "stuck: seeds more than 3 points below the median" in published.NOTES


def test_settings_name_what_is_not_the_lectures() -> None:
    assert (
        published.settings(PRESETS["lecture"].config)
        == "[784, 30, 10] half-squared, lr 3, 30 epochs"
    )
    assert published.settings(PRESETS["size-100"].config) == (
        "[784, 30, 10] binary-cross-entropy, lr 0.5, 15,000 epochs, 100 images, weight decay 0.0001"
    )
    assert published.settings(PRESETS["rasbt"].config) == (
        "[784, 50, 10] squared, lr 0.1, 50 epochs, batch 100, xavier-normal"
    )


TINY = Preset(
    50.0, "test", "best", "nowhere",
    Config(
        data=DataConfig(data_dir=ROOT / "data", train_size=300),
        network=NetworkConfig(), training=TrainingConfig(epochs=3, batch_size=25),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("scores", "epochs"), [(3, (1, 2, 3)), (500, (1, 2, 3)), (2, (2, 3)), (1, (3,))]
)
def test_scores_of_a_run_are_those_of_the_plainest_loop(
    scores: int, epochs: tuple[int, ...], mnist: data.Data
) -> None:
    network = Network(NetworkSpec((784, 30, 10), ("sigmoid", "sigmoid")))
    loss, sgd = HalfSquaredError(), SGD(3.0)
    targets = loss.targets(mnist.train.labels, 10, torch.float32)
    correct = {}
    for epoch in (1, 2, 3):
        for x, t in batches(
            data.order(0, epoch, 300, torch.device("cpu")), 25, mnist.train.images, targets
        ):
            tape = network.forward(x)
            _, dy = loss(tape.output, t)
            sgd.step(network.parameters.theta, network.backward(dy, tape))
        for split in ("validation", "test"):
            images = getattr(mnist, split)
            correct[split, epoch] = (
                int((network.predict(images.images).argmax(dim=1) == images.labels).sum()) / 100
            )
    run = trials.run(Job("tiny", trials.alone(TINY.config), ("validation", "test"), scores))
    assert run.epochs == epochs
    assert run.accuracy == {
        split: tuple(correct[split, epoch] for epoch in epochs) for split in ("validation", "test")
    }


def test_a_reproduction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    """Two presets, made small, in this process; then one seed more, of which alone is trained."""
    monkeypatch.setattr(trials, "ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))
    for name in ("lecture", "slow"):
        monkeypatch.setitem(PRESETS, name, TINY)
    out = tmp_path / "new" / "out"
    options = ("--only", "slow", "lecture", "--data-dir", str(ROOT / "data"), "--out", str(out))
    ended = call(reproduce, *options, "--seeds", "2")
    assert ended.status == 0
    printed = ended.out
    made = json.loads((out / "table.json").read_text())
    assert made["command"] == f"python -m scripts.reproduce {' '.join(options)} --seeds 2"
    assert [row["preset"] for row in made["rows"]] == ["lecture", "slow"]
    assert made["rows"][0]["by_seed"] == made["rows"][1]["by_seed"], "the same runs"
    for seed, figure in enumerate(made["rows"][0]["by_seed"]):
        tiny = dataclasses.replace(
            TINY.config, network=dataclasses.replace(TINY.config.network, seed=seed)
        )
        run = trials.run(Job("tiny", trials.alone(tiny), ("test",), 3))
        assert figure == max(run.accuracy["test"])
    markdown = (out / "table.md").read_text()
    table = [line for line in printed.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert "\n".join(table) in markdown
    assert published.NOTES in printed
    assert published.NOTES in markdown
    assert published.settings(TINY.config) in markdown
    kept = {path: path.read_text() for path in out.glob("trials/*.json")}
    assert len(kept) == 4
    ended = call(reproduce, *options, "--seeds", "3")
    assert ended.status == 0
    assert ended.out.startswith(f"4 of 6 runs are in {out} already\n")
    assert len(list(out.glob("trials/*.json"))) == 6
    assert all(path.read_text() == contents for path, contents in kept.items())
    assert len(json.loads((out / "table.json").read_text())["rows"][0]["by_seed"]) == 3


def test_quick_names_a_subset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: Call) -> None:
    asked: list[Job] = []

    def listen(jobs: list[Job], *_: object) -> dict[Job, Trial]:
        asked.extend(jobs)
        return {job: trial([95], [95]) for job in jobs}

    monkeypatch.setattr(trials, "run_all", listen)
    ended = call(reproduce, "--quick", "--out", str(tmp_path))
    assert ended.status == 0
    assert list(dict.fromkeys(job.name for job in asked)) == [
        name for name, preset in PRESETS.items() if preset.quick
    ]
    assert "lecture" in {job.name for job in asked}
    assert {job.config.network.seed for job in asked} == {0, 1, 2, 3, 4}
    updates = sum(
        job.config.training.epochs * job.config.data.train_size // job.config.training.batch_size
        for job in asked
    )
    assert updates <= 5 * 60 * 2 / 150e-6, "5 minutes on 2 cores at 150 us"

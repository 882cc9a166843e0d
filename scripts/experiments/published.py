"""The published figures run again: runs, rows and table."""

import dataclasses
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from manual.initializers import Normal
from scripts.common import files
from scripts.common.command_line import typed
from scripts.common.program import UserError, require_whole_number
from scripts.common.tables import markdown
from scripts.display.report import plus_minus, spread
from scripts.experiments import trials
from scripts.experiments.trials import Job, Trial
from scripts.presets import PRESETS, Preset
from scripts.reproduce import Options
from scripts.run.config import Config

# of a run: with 15,000 epochs of 100 images, looking after each would take longer than training
SCORES = 500
STUCK = 3.0  # points


@dataclass(frozen=True)
class Row:
    """The results of one preset: accuracies in percent, sd None with one seed."""

    preset: str
    settings: str
    source: str
    claimed: float
    figure: str
    median: float
    mean: float
    sd: float | None
    best_epoch: float
    stuck_seeds: list[int]
    selected_by_validation: float
    training: float
    seconds: float
    by_seed: list[float]


def reproduce(options: Options, out: Path) -> None:
    """Run what is not in `out` yet, in the order of the presets, then print and write the table."""
    require_whole_number("--seeds", options.seeds, 1, trials.MOST_SEEDS)
    if options.only and options.quick:
        raise UserError("--quick: names its own presets; leave out --only, or --quick")
    chosen = options.only or tuple(
        name for name, preset in PRESETS.items() if preset.quick or not options.quick
    )
    jobs = {
        name: jobs_of(name, options.seeds, options.data_dir) for name in PRESETS if name in chosen
    }
    done = trials.run_all([job for group in jobs.values() for job in group], out, describe)
    rows = [
        summarize(name, PRESETS[name], [done[job] for job in group]) for name, group in jobs.items()
    ]
    print(table(rows))
    print(NOTES)
    with files.results(out):
        write(rows, out)
    print(f"written to {out / 'table.md'} and {out / 'table.json'}")


def jobs_of(name: str, seeds: int, data_dir: Path) -> list[Job]:
    """A run for each seed."""
    config = PRESETS[name].config
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, data_dir=data_dir))
    return [
        Job(
            name,
            trials.alone(
                dataclasses.replace(config, network=dataclasses.replace(config.network, seed=seed))
            ),
            splits=("validation", "test"),
            scores=SCORES,
        )
        for seed in range(seeds)
    ]


def moment(preset: Preset, trial: Trial) -> int:
    """The index of the score that the published figure is of: the first of several best ones."""
    if preset.when == "last":
        return len(trial.epochs) - 1
    watched = trial.accuracy["validation" if preset.when == "selected" else preset.split]
    return watched.index(max(watched))


def summarize(name: str, preset: Preset, runs: Sequence[Trial]) -> Row:
    """The row of a preset from its runs, seed 0 first."""
    moments = [moment(preset, trial) for trial in runs]
    figures = [trial.accuracy[preset.split][at] for trial, at in zip(runs, moments, strict=True)]
    selected = dataclasses.replace(preset, split="test", when="selected")
    median = statistics.median(figures)
    mean, sd = spread(figures)
    return Row(
        preset=name,
        settings=settings(preset.config),
        source=preset.source,
        claimed=preset.claimed,
        figure=f"{preset.split}, {WHEN[preset.when]}",
        median=median,
        mean=mean,
        sd=sd,
        best_epoch=statistics.median(
            trial.epochs[at] for trial, at in zip(runs, moments, strict=True)
        ),
        stuck_seeds=[seed for seed, figure in enumerate(figures) if figure < median - STUCK],
        selected_by_validation=statistics.median(
            trial.accuracy["test"][moment(selected, trial)] for trial in runs
        ),
        training=statistics.median(trial.training_accuracy for trial in runs),
        seconds=statistics.median(trial.seconds for trial in runs),
        by_seed=figures,
    )


WHEN = {"best": "best epoch", "last": "last epoch", "selected": "by validation"}


def describe(trial: Trial) -> str:
    """A run in one line."""
    return (
        f"best on test {max(trial.accuracy['test']):.2f} %, at the end "
        f"{trial.accuracy['test'][-1]:.2f} %"
    )


def settings(config: Config) -> str:
    """A config in a few words: what differs from the lecture's."""
    network, training = config.network, config.training
    words = [
        f"{list(network.sizes)} {training.loss}",
        f"lr {training.lr:g}",
        f"{training.epochs:,} epochs",
    ]
    if training.batch_size != Config().training.batch_size:
        words.append(f"batch {training.batch_size}")
    if config.data.train_size != Config().data.train_size:
        words.append(f"{config.data.train_size:,} images")
    if training.weight_decay:
        words.append(f"weight decay {training.weight_decay:g}")
    if network.initializer != Normal.name:
        words.append(network.initializer)
    return ", ".join(words)


NOTES = f"""\
claimed, median, mean: accuracy in percent, the figure that the source gives, taken after each epoch
({SCORES} times, evenly, where there are more). epoch: its median.
stuck: seeds more than {STUCK:g} points below the median.
by validation: on the test images, after the epoch that is best on the validation images.
training: on the training images at the end.
seconds: of one run. Medians over the seeds, except the mean."""


def table(rows: Sequence[Row]) -> str:
    """The table in Markdown, aligned."""
    mean = "mean" if all(row.sd is None for row in rows) else "mean ± sd"
    head = (
        "preset", "figure", "claimed", "median", mean, "difference", "epoch", "stuck",
        "by validation", "training",
        "seconds",
    )  # fmt: skip
    lines = [
        (
            row.preset,
            row.figure,
            f"{row.claimed:.2f}",
            f"{row.median:.2f}",
            plus_minus(row.mean, row.sd),
            f"{row.median - row.claimed:+.2f}",
            f"{row.best_epoch:g}",
            f"{len(row.stuck_seeds)} of {len(row.by_seed)}",
            f"{row.selected_by_validation:.2f}",
            f"{row.training:.2f}",
            f"{row.seconds:.0f}",
        )
        for row in rows
    ]
    return markdown([head, *lines], right=range(2, len(head)))


def write(rows: Sequence[Row], out: Path) -> None:
    """table.md and table.json, with what they were made by."""
    made: dict[str, Any] = {
        "command": typed("scripts.reproduce", *sys.argv[1:]),
        "date": f"{datetime.now():%Y-%m-%d}",  # noqa: DTZ005 - the user's clock
        "torch": torch.__version__,
        "cores": os.cpu_count(),
    }
    files.write_json(out / "table.json", made | {"rows": [dataclasses.asdict(row) for row in rows]})
    what = markdown(
        [
            ("preset", "settings", "source"),
            *((row.preset, row.settings, row.source) for row in rows),
        ]
    )
    line = f"`{made['command']}`, {made['date']}, torch {made['torch']}, {made['cores']} cores."
    (out / "table.md").write_text(
        f"{line}\n\n{table(rows)}\n\n{NOTES}\n\n{what}\n", encoding="utf-8"
    )

"""The learning curve: its runs, its points with their verdicts, its table and plot."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from scripts.common import files
from scripts.common.command_line import option, pasted
from scripts.common.program import UserError, as_typed, printable, require_whole_number
from scripts.display.report import layers, plus_minus, spread
from scripts.experiments import trials
from scripts.experiments.trials import Job, Trial
from scripts.learning_curve import Options
from scripts.run.config import TRAINING_IMAGES, Config, DataConfig
from scripts.run.resolve import resolve


@dataclass(frozen=True)
class Point:
    """One size: accuracies in percent over the seeds, sd None with one seed; gap is training minus
    validation.
    """

    train_size: int
    epochs: int
    training: float
    training_sd: float | None
    validation: float
    validation_sd: float | None
    gap: float
    verdict: str


def learning_curve(options: Options, out: Path) -> None:
    """Run what is not in `out` yet, the largest size first, then print and write the curve."""
    jobs = {size: jobs_of(options, size) for size in check(options)}
    done = trials.run_all(
        [job for group in reversed(jobs.values()) for job in group], out, describe
    )
    points = [
        summarize(size, group[0].config.training.epochs, [done[job] for job in group], options.goal)
        for size, group in jobs.items()
    ]
    config = jobs[points[-1].train_size][0].config
    print(layers(config.spec), end="\n\n")
    print(table(points))
    print(notes(options.goal, options.seeds))
    with files.results(out):
        write_csv(points, out / "curve.csv")
        figure = draw(points, config)
        figure.savefig(out / "curve.png", dpi=150)
        with SummaryWriter(str(out), purge_step=0) as writer:
            writer.add_figure("learning curve", figure, close=False)
    where = f"{printable(str(out))}: curve.csv and curve.png"
    print(f"written to {where}; also in  tensorboard {pasted(*option('--logdir', out))}  (images)")


def check(options: Options) -> list[int]:
    """The sizes in order. UserError names an option whose value will not do."""
    sizes = options.train_sizes
    if (
        not sizes
        or len(set(sizes)) < len(sizes)
        or not all(1 <= size <= TRAINING_IMAGES for size in sizes)
    ):
        raise UserError(
            f"--train-sizes {as_typed(sizes)}: must be whole numbers from 1 to {TRAINING_IMAGES}, "
            "each once, and one at least"
        )
    require_whole_number("--seeds", options.seeds, 1, trials.MOST_SEEDS)
    if not 0 < options.goal < 100:
        raise UserError(
            f"--goal {options.goal}: must be a percentage between 0 and 100, such as 95"
        )
    if options.training.stop_below is not None:
        raise UserError(
            f"--stop-below {options.training.stop_below}: every size sees equally many images "
            "here; leave it out"
        )
    resolve(Config(network=options.network, training=options.training))
    return sorted(sizes)


def jobs_of(options: Options, size: int) -> list[Job]:
    """A run for each seed, of as many images in all as at every other size."""
    epochs = max(1, round(options.training.epochs * TRAINING_IMAGES / size))
    return [
        Job(
            f"size-{size}",
            trials.alone(
                Config(
                    data=DataConfig(options.dataset, options.data_dir, size),
                    network=dataclasses.replace(options.network, seed=options.network.seed + seed),
                    training=dataclasses.replace(options.training, epochs=epochs),
                )
            ),
            splits=("validation",),
            scores=1,
        )
        for seed in range(options.seeds)
    ]


def summarize(size: int, epochs: int, runs: Sequence[Trial], goal: float) -> Point:
    """The point of a size from its runs."""
    training, training_sd = spread([trial.training_accuracy for trial in runs])
    validation, validation_sd = spread([trial.accuracy["validation"][-1] for trial in runs])
    return Point(
        size,
        epochs,
        training,
        training_sd,
        validation,
        validation_sd,
        training - validation,
        verdict(training, validation, goal),
    )


def verdict(training: float, validation: float, goal: float) -> str:
    """By the rule that `notes` states. 100 - validation = (100 - training) + (training -
    validation) = bias + variance.
    """
    if validation >= goal:
        return "neither"
    return "high bias" if 100 - training >= training - validation else "high variance"


def notes(goal: float, seeds: int) -> str:
    """What the figures are and the rule, as it stands below the table."""
    figure = "mean ± sd over the seeds" if seeds > 1 else "of one seed"
    return (
        f"Accuracy in percent at the end, {figure}; every size saw equally many images.\n"
        f"neither: a validation accuracy of {goal:g} or more. Else high bias: the error on the "
        "training images, 100 -\n"
        "training, is the larger part of the validation error; high variance: the gap, training - "
        "validation, is."
    )


def describe(trial: Trial) -> str:
    """A run in one line."""
    return (
        f"training {trial.training_accuracy:.2f} %, validation "
        f"{trial.accuracy['validation'][-1]:.2f} %"
    )


def table(points: Sequence[Point]) -> str:
    """The curve for a person."""
    lines = [f"{'images':>7}{'epochs':>8}{'training':>16}{'validation':>16}{'gap':>8}  verdict"]
    for point in points:
        training, validation = (
            plus_minus(point.training, point.training_sd),
            plus_minus(point.validation, point.validation_sd),
        )
        lines.append(
            f"{point.train_size:>7}{point.epochs:>8}{training:>16}{validation:>16}"
            f"{point.gap:>8.2f}  {point.verdict}"
        )
    return "\n".join(lines)


def write_csv(points: Sequence[Point], path: Path) -> None:
    """A line for each point, numbers as the table rounds them."""
    rows: list[list[object]] = [[field.name for field in dataclasses.fields(Point)]]
    for point in points:
        values = dataclasses.astuple(point)
        rows.append([f"{value:.2f}" if isinstance(value, float) else value for value in values])
    files.write(path, files.as_csv(rows).encode())


def draw(points: Sequence[Point], config: Config) -> Figure:
    """Both accuracies over the number of images, with a bar of one sd each way."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    sizes = [point.train_size for point in points]
    for name, means, sds in (
        (
            "training",
            [point.training for point in points],
            [point.training_sd or 0 for point in points],
        ),
        (
            "validation",
            [point.validation for point in points],
            [point.validation_sd or 0 for point in points],
        ),
    ):
        axes.errorbar(sizes, means, yerr=sds, label=name, marker="o", capsize=3)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=45)
    axes.minorticks_off()
    axes.set_xlabel("training images")
    axes.set_ylabel("accuracy in percent")
    axes.set_title(
        f"{list(config.network.sizes)} on {config.data.dataset}, {config.training.loss}, lr "
        f"{config.training.lr:g}"
    )
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    return figure

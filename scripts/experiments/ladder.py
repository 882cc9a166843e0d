"""The ladder climbed: runs, rows, table and plot."""

import dataclasses
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import mpmath
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from torch.utils.tensorboard import SummaryWriter

from scripts.benchmark import machine
from scripts.common import files
from scripts.common.command_line import option, pasted, typed
from scripts.common.program import Stopped, UserError, printable, require_whole_number
from scripts.common.tables import markdown
from scripts.experiments import trials
from scripts.experiments.rungs import RUNGS, Rung, by_itself, on_the_ladder, with_options
from scripts.experiments.trials import Job, Trial
from scripts.ladder import Options
from scripts.run.config import ENGINES, Config
from scripts.run.naming import differing

SPLITS = ("validation", "test")
BESIDE = 3  # seeds that are run beside torch.nn too
ALONE = 3  # seeds, at most, of an idea by itself
QUICK = 2  # seeds
NOTES = f"""\
Accuracy in percent at the end: mean over the seeds ± sd, and in brackets the 95 % interval of the
mean on the test images (Student's t). seconds: of training (batches fetched, forward, backward,
update) on one core, the median of up to {BESIDE} runs, each beside torch.nn on the same batches;
times: how often torch.nn takes as long. torch.nn: its mean on the test images less that by hand, of
the same seeds. gradients: how many of those compared were equal to the last bit; all others are
within what rounding can take them. gain: against the rung below. alone: the idea put to the
lecture's run by itself, against that run."""


@dataclass(frozen=True)
class Row:
    """The results of one rung; None for what was not run."""

    rung: str
    slide: str
    settings: str
    validation: float
    test: float
    sd: float | None
    interval: tuple[float, float] | None
    seconds: float
    torch_seconds: float | None
    times: float | None
    torch_difference: float | None
    compared: int
    equal: int
    wrong: str | None
    alone: tuple[float, float] | None  # points and seconds against the lecture's run
    by_seed: list[float]


def climb(options: Options, out: Path) -> None:
    """Run what is not in `out` yet, then print and write the table."""
    require_whole_number("--seeds", options.seeds, 1, trials.MOST_SEEDS)
    if options.quick and (options.only or options.seeds != Options.seeds):
        raise UserError("--quick: has its own seeds and rungs; leave out --only and --seeds, or it")
    seeds = QUICK if options.quick else options.seeds
    rungs = [rung for rung in RUNGS if not options.only or rung.name in options.only]
    timed = rungs[-1:] if options.quick else rungs
    apart = [] if options.quick else [rung for rung in rungs if rung.alone]

    by_hand = {rung: _jobs(rung.name, on_the_ladder(rung), seeds, options) for rung in rungs}
    alone = {
        rung: _jobs(f"{rung.name}-alone", by_itself(rung), min(seeds, ALONE), options)
        for rung in ([RUNGS[0], *apart] if apart else [])
    }
    beside = {
        rung: _jobs(
            f"{rung.name}-beside", on_the_ladder(rung), min(seeds, BESIDE), options, ENGINES
        )
        for rung in timed
    }
    done = trials.run_all(_all(by_hand) + _all(alone), out, describe)
    done |= trials.run_all(_all(beside), out, describe, at_once=1)

    def runs(jobs: dict[Rung, list[Job]], rung: Rung) -> list[Trial]:
        return [done[job] for job in jobs.get(rung, [])]

    base = runs(alone, RUNGS[0])
    rows = [
        summarize(
            rung,
            runs(by_hand, rung),
            runs(beside, rung),
            runs(alone, rung) if rung.alone else [],
            base,
        )
        for rung in rungs
    ]
    print(table(rows))
    print(NOTES)
    with files.results(out):
        write(rows, out)
    where = f"{printable(str(out))}: table.md, table.json and ladder.png"
    print(f"written to {where}; also in  tensorboard {pasted(*option('--logdir', out))}")
    if wrong := [row for row in rows if row.wrong]:
        raise Stopped(f"{wrong[0].rung}: {wrong[0].wrong}")


def _all(jobs: dict[Rung, list[Job]]) -> list[Job]:
    return [job for group in jobs.values() for job in group]


def _jobs(
    name: str, config: Config, seeds: int, options: Options, engines: tuple[str, ...] = ENGINES[:1]
) -> list[Job]:
    """A run for each seed."""
    return [
        Job(
            name.replace(" ", "-"),
            trials.alone(
                with_options(config, {"seed": seed, "data_dir": options.data_dir}), engines
            ),
            splits=SPLITS,
            scores=1,
        )
        for seed in range(seeds)
    ]


def summarize(
    rung: Rung,
    runs: Sequence[Trial],
    beside: Sequence[Trial],
    alone: Sequence[Trial],
    lectures: Sequence[Trial],
) -> Row:
    """The row of a rung from its runs by hand, those beside torch.nn, and those of its idea alone,
    compared with `lectures`, the lecture's runs.
    """
    test = [trial.accuracy["test"][-1] for trial in runs]
    others = [trial.beside for trial in beside if trial.beside]
    spread = interval(test)
    return Row(
        rung.name,
        rung.slide,
        ", ".join(" ".join(each) for each in differing(on_the_ladder(rung)).items()) or "-",
        statistics.fmean(trial.accuracy["validation"][-1] for trial in runs),
        statistics.fmean(test),
        statistics.stdev(test) if spread else None,
        spread,
        statistics.median(trial.training_seconds for trial in beside or runs),
        statistics.median(other.seconds for other in others) if others else None,
        statistics.median(
            other.seconds / trial.training_seconds
            for trial, other in zip(beside, others, strict=True)
        )
        if others
        else None,
        statistics.fmean(
            other.accuracy["test"] - trial.accuracy["test"][-1]
            for trial, other in zip(beside, others, strict=True)
        )
        if others
        else None,
        sum(other.compared for other in others),
        sum(other.equal for other in others),
        next((other.wrong for other in others if other.wrong), None),
        (_mean_test(alone) - _mean_test(lectures), _seconds(alone) - _seconds(lectures))
        if alone and rung.alone
        else None,
        test,
    )


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the mean, by Student's t; None for one value."""
    n = len(values)
    if n < 2:
        return None
    # t beyond which 5 % lie on both sides: I_(df / (df + t^2))(df / 2, 1 / 2) = 0.05
    t = float(
        mpmath.findroot(
            lambda t: (
                mpmath.betainc((n - 1) / 2, 0.5, 0, (n - 1) / (n - 1 + t * t), regularized=True)
                - 0.05
            ),
            (1.9, 13.0),
            solver="anderson",
        )
    )
    half, mean = t * statistics.stdev(values) / math.sqrt(n), statistics.fmean(values)
    return mean - half, mean + half


def _mean_test(runs: Sequence[Trial]) -> float:
    return statistics.fmean(trial.accuracy["test"][-1] for trial in runs)


def _seconds(runs: Sequence[Trial]) -> float:
    return statistics.median(trial.training_seconds for trial in runs)


def describe(trial: Trial) -> str:
    """A run in one line."""
    beside = f", torch.nn {trial.beside.seconds:.2f} s" if trial.beside else ""
    return f"test {trial.accuracy['test'][-1]:.2f} % in {trial.training_seconds:.2f} s{beside}"


def table(rows: Sequence[Row]) -> str:
    """The table in Markdown, aligned."""
    head = (
        "rung", "validation", "test", "seconds", "gain", "torch.nn", "seconds", "times",
        "gradients", "alone",
    )  # fmt: skip
    below: list[Row | None] = [None, *rows[:-1]]
    lines = [
        (
            row.rung,
            f"{row.validation:.2f}",
            _test(row),
            f"{row.seconds:.2f}",
            _gain(row.test - lower.test, row.seconds - lower.seconds) if lower else "-",
            "-" if row.torch_difference is None else f"{row.torch_difference:+.2f}",
            "-" if row.torch_seconds is None else f"{row.torch_seconds:.2f}",
            "-" if row.times is None else f"{row.times:.2f}",
            f"{row.equal} of {row.compared}" if row.compared else "-",
            _gain(*row.alone) if row.alone else "-",
        )
        for row, lower in zip(rows, below, strict=True)
    ]
    return markdown([head, *lines], right=(1, 3, 5, 6, 7))


def _test(row: Row) -> str:
    if row.interval is None:
        return f"{row.test:.2f}"
    return f"{row.test:.2f} ± {row.sd:.2f} [{row.interval[0]:.2f}, {row.interval[1]:.2f}]"


def _gain(points: float, seconds: float) -> str:
    return f"{points:+.2f}, {seconds:+.1f} s"


def write(rows: Sequence[Row], out: Path) -> None:
    """table.md, table.json, ladder.png and the same on the board, with what they were made by."""
    made = {"command": typed("scripts.ladder", *sys.argv[1:])}
    made |= machine.describe()
    files.write_json(out / "table.json", made | {"rows": [dataclasses.asdict(row) for row in rows]})
    what = markdown(
        [
            ("rung", "slide", "settings", "seeds"),
            *((row.rung, row.slide, row.settings, f"{len(row.by_seed)}") for row in rows),
        ]
    )
    line = f"`{made['command']}`: {made['cpu']}, torch {made['torch']}, {made['date']}."
    text = f"{line}\n\n{table(rows)}\n\n{NOTES}\n\n{what}\n"
    files.write_out(out / "table.md", text)
    figure = draw(rows)
    figure.savefig(out / "ladder.png", dpi=150)
    with SummaryWriter(str(out), purge_step=0) as writer:
        writer.add_figure("ladder", figure, close=False)
        writer.add_text("ladder", text)


def draw(rows: Sequence[Row]) -> Figure:
    """Accuracy over seconds of training, a point a rung, by hand and in torch.nn."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for one, other in pairwise(rows):
        axes.plot([one.seconds, other.seconds], [one.test, other.test], color="C0", alpha=0.4)
    errors = [(row.interval[1] - row.test) if row.interval else 0 for row in rows]
    axes.errorbar(
        [row.seconds for row in rows],
        [row.test for row in rows],
        yerr=errors,
        fmt="o",
        color="C0",
        capsize=3,
        label="by hand",
    )
    if beside := [row for row in rows if row.torch_seconds is not None]:
        axes.plot(
            [row.torch_seconds or 0 for row in beside],
            [row.test + (row.torch_difference or 0) for row in beside],
            "s",
            color="C1",
            fillstyle="none",
            label="torch.nn",
        )
    for row in rows:
        axes.annotate(
            row.rung, (row.seconds, row.test), (6, -9), textcoords="offset points", size=8
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("seconds of training on one core")
    axes.set_ylabel("accuracy on the test images in percent")
    axes.set_title("What each idea of the lecture is worth")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    return figure

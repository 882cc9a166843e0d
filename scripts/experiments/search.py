"""The settings of a rung, chosen on the validation images."""

import itertools
import statistics
from pathlib import Path

from scripts.common import files
from scripts.common.tables import markdown
from scripts.experiments import trials
from scripts.experiments.rungs import RUNGS, Rung, by_itself, on_the_ladder, with_options
from scripts.experiments.trials import Job, Trial
from scripts.ladder import Options
from scripts.run.config import Config

# the budget: every combination of a rung's grid with each of these, which no report uses
SEEDS = range(1000, 1003)


def search(options: Options, out: Path) -> None:
    """Run what is not in `out` yet, then print and write a row for each combination of choices."""
    rungs = [
        rung for rung in RUNGS if rung.grid and (not options.only or rung.name in options.only)
    ]
    jobs = {
        (rung.name, where, choice): _jobs(f"{rung.name} {where} {choice}", config, options.data_dir)
        for where, place in (("ladder", on_the_ladder), ("alone", by_itself))
        for rung in rungs
        for start in (place(rung),)
        for choice, config in _choices(rung, start, where).items()
    }
    done = trials.run_all([job for group in jobs.values() for job in group], out, describe)
    found = {
        key: statistics.fmean(done[job].accuracy["validation"][-1] for job in group)
        for key, group in jobs.items()
    }
    lines = [("rung", "where", "choice", "validation", "")]
    for (name, where, choice), accuracy in found.items():
        best = max(value for key, value in found.items() if key[:2] == (name, where))
        lines.append((name, where, choice, f"{accuracy:.2f}", "best" if accuracy == best else ""))
    text = markdown(lines, right=[3])
    print(text)
    with files.results(out):
        files.write_out(out / "search.md", f"{text}\n")
    print(f"written to {out / 'search.md'}")


def _choices(rung: Rung, start: Config, where: str) -> dict[str, Config]:
    """The configs of a grid, by words for them; alone, the rates are multiples of its own."""
    grid = rung.grid
    if where == "alone":
        factor = start.training.lr / rung.change["lr"]
        grid = {"lr": tuple(lr * factor for lr in grid["lr"])}
    return {
        ", ".join(f"{name} {value:g}" for name, value in zip(grid, values, strict=True)): (
            with_options(start, dict(zip(grid, values, strict=True)))
        )
        for values in itertools.product(*grid.values())
    }


def _jobs(name: str, config: Config, data_dir: Path) -> list[Job]:
    """A run for each seed."""
    return [
        Job(
            name.replace(" ", "-").replace(",", ""),
            trials.alone(with_options(config, {"seed": seed, "data_dir": data_dir})),
            splits=("validation",),
            scores=1,
        )
        for seed in SEEDS
    ]


def describe(trial: Trial) -> str:
    """A run in one line."""
    return f"validation {trial.accuracy['validation'][-1]:.2f} %"

"""The settings of a rung, chosen on the validation images."""

import itertools
import statistics
from pathlib import Path

from scripts.common import files
from scripts.common.tables import markdown
from scripts.experiments import trials
from scripts.experiments.rungs import RUNGS, Rung, on_the_ladder, with_options
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
        (rung.name, choice): _jobs(f"{rung.name} {choice}", config, options.data_dir)
        for rung in rungs
        for choice, config in _choices(rung).items()
    }
    done = trials.run_all([job for group in jobs.values() for job in group], out, describe)
    found = {
        key: statistics.fmean(done[job].accuracy["validation"][-1] for job in group)
        for key, group in jobs.items()
    }
    lines = [("rung", "choice", "validation", "")]
    for (name, choice), accuracy in found.items():
        best = max(value for (rung, _), value in found.items() if rung == name)
        lines.append((name, choice, f"{accuracy:.2f}", "best" if accuracy == best else ""))
    text = markdown(lines, right=[2])
    print(text)
    with files.results(out):
        files.write_out(out / "search.md", f"{text}\n")
    print(f"written to {out / 'search.md'}")


def _choices(rung: Rung) -> dict[str, Config]:
    """The configs of a rung's grid, by words for them."""
    return {
        ", ".join(f"{name} {value:g}" for name, value in zip(rung.grid, values, strict=True)): (
            with_options(on_the_ladder(rung), dict(zip(rung.grid, values, strict=True)))
        )
        for values in itertools.product(*rung.grid.values())
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

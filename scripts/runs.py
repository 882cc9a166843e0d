"""python -m scripts.runs: the runs of a folder, how they differ and what they came to."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from scripts.common import command_line
from scripts.common.command_line import shown_as
from scripts.common.program import printable, status
from scripts.common.tables import columns
from scripts.run import folder, naming, past
from scripts.run.past import Run, drift

EXAMPLES = {
    "all runs, the last one at the end": "",
    "the last one in full (two names are compared)": "latest",
    "every figure, for programs": "--json",
}


@dataclass(frozen=True)
class Options:
    """List the runs of a folder, or show the named ones in full.

    Each with its accuracy on the test images, whether by hand and torch.nn ended the same, its
    state, and the options that are not those of the lecture's run.
    """

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, shown_as("RUN ...")] = ()
    """Which, by name or path, or latest; all by default."""
    where: Annotated[Path, shown_as("PATH")] = folder.RUNS
    """The folder that holds the runs."""
    json: bool = False
    """All options and figures, for programs."""


def main() -> int:
    """Status 0, or 2 for what the user can mend."""
    options = command_line.parse(Options, "scripts.runs", EXAMPLES)
    return status(lambda: show(options))


def show(options: Options) -> None:
    """Print what is asked for."""
    if options.runs:
        runs = [past.read(past.find(Path(name), "RUN", options.where)) for name in options.runs]
    else:
        runs = past.every(options.where)
    if options.json:
        print(json.dumps([as_dict(run) for run in runs], indent=2))
    elif not runs:
        where = printable(str(options.where))
        print(f"no runs in {where}: start one with  {command_line.typed('scripts.train')}")
    else:
        print(in_full(runs) if options.runs else table(runs))


def as_dict(run: Run) -> dict[str, Any]:
    """Everything that is known of a run."""
    return {
        "name": run.path.name,
        "path": str(run.path),
        "state": run.state,
        "differs": naming.differing(run.config),
        "config": run.config.to_dict(),
        "summary": run.summary,
    }


def table(runs: list[Run]) -> str:
    """A line for each run."""
    head = ["run", "by hand", "torch", "final parameters", "state", "options"]
    lines = [
        [
            printable(run.path.name),
            accuracy(run, "manual"),
            accuracy(run, "torch"),
            same(run),
            run.state,
            typed(run),
        ]
        for run in runs
    ]
    return columns([head, *lines], right={1, 2})


def in_full(runs: list[Run]) -> str:
    """A column for each run: its options, a * where they differ, and its results."""
    options = [naming.options(run.config) for run in runs]
    lines = [["", "", *(printable(run.path.name) for run in runs)]]
    for name in naming.OPTIONS:
        values = [each[name] for each in options]
        lines.append(["*" if len(set(values)) > 1 else "", name.replace("_", "-"), *values])
    lines.append([""] * len(lines[0]))
    lines.append(["", "state", *(run.state for run in runs)])
    for title, engine in (("by hand", "manual"), ("torch", "torch")):
        lines.append(["", f"test accuracy {title}", *(accuracy(run, engine) for run in runs)])
        lines.append(
            ["", f"seconds {title}", *(figure(run, engine, "train_seconds", ".1f") for run in runs)]
        )
    lines.append(["", "final parameters", *(same(run) for run in runs)])
    lines.append(["", "gradients", *(gradients(run) for run in runs)])
    return columns(lines)


def typed(run: Run) -> str:
    """The options that are not the lecture's."""
    differing = naming.differing(run.config).items()
    options = (
        f"--{name.replace('_', '-')}" + ("" if value == "True" else f" {value}")
        for name, value in differing
    )
    return " ".join(options) or "the lecture's"


def accuracy(run: Run, engine: str) -> str:
    """On the test images."""
    return figure(run, engine, "test_accuracy", ".2%")


def figure(run: Run, engine: str, name: str, form: str) -> str:
    """Of one engine's results; a dash where there is none."""
    engines = run.summary["engines"] if run.summary else {}
    return format(engines[engine][name], form) if engine in engines else "-"


def same(run: Run) -> str:
    """Whether by hand and torch.nn ended the same."""
    if not run.summary or not run.summary["parameters"]:
        return "-"
    return "WRONG" if run.summary.get("wrong") else drift(run.summary["parameters"])


def gradients(run: Run) -> str:
    """How many comparisons found equal bits, or what was wrong first."""
    if not run.summary or not run.summary["gradients"]:
        return "not compared"
    if wrong := run.summary.get("wrong"):
        return f"WRONG: {wrong['lines'][0]}"
    found = run.summary["gradients"]
    return f"{found['bitwise_steps']} of {found['compared_steps']} equal to the last bit"


if __name__ == "__main__":
    sys.exit(main())

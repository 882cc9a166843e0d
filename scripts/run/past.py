"""The runs in a folder: the options, state and results of each."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common import files
from scripts.common.program import UserError
from scripts.common.tables import figure
from scripts.run import folder
from scripts.run.config import Config

LATEST = "latest"
LISTED = 5  # runs that a line has room for


@dataclass(frozen=True)
class Run:
    """A run in the folder `path`; `summary` as summary.json has it, once it is finished."""

    path: Path
    config: Config
    summary: dict[str, Any] | None

    @property
    def state(self) -> str:
        """running, diverged, finished or interrupted, as a person reads it."""
        if folder.is_claimed(self.path):
            return "running"
        if (self.path / folder.DIVERGED).exists():
            return "diverged"
        return "finished" if self.summary else f"interrupted {self._progress}"

    @property
    def _progress(self) -> str:
        """How far its checkpoints go."""
        kept = (
            int(path.stem)
            for path in self.path.glob("checkpoints/*.checkpoint")
            if path.stem.isdecimal()
        )
        epoch = max(kept, default=0) // self.config.updates_per_epoch + 1
        return f"in epoch {epoch} of {self.config.training.epochs}"

    @property
    def can_go_on(self) -> bool:
        """Whether it can, without more --epochs."""
        return self.state.startswith("interrupted")


def drift(parameters: Mapping[str, Any]) -> str:
    """How far apart the parameters of both networks ended, by summary.json, in words."""
    return (
        "identical to the last bit"
        if parameters["bitwise"]
        else f"up to {figure(parameters['max_abs'])} apart"
    )


def read(path: Path, option: str = "") -> Run:
    """The run in a folder, the value of `option`. UserError where there is none, or it is
    damaged.
    """
    config = folder.config_of(path, option)
    try:
        summary = json.loads(files.read(path / folder.SUMMARY))
    except FileNotFoundError:
        summary = None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{option} {path}: {path / folder.SUMMARY} can't be read ({error})".lstrip()
        ) from error
    return Run(path, config, summary)


def every(where: Path) -> list[Run]:
    """The runs in a folder, the one that was written to last at the end. Damaged ones are named on
    stderr.
    """
    return list(_every(sorted(where.glob(f"*/{folder.CONFIG}"), key=_written)))


def _every(configs: list[Path]) -> Iterator[Run]:
    for path in configs:
        try:
            yield read(path.parent)
        except UserError as error:
            print(f"left out: {error}", file=sys.stderr)


def _written(config: Path) -> float:
    """When the run began, was resumed, or kept its last checkpoint."""
    times = (
        path.stat().st_mtime for path in (config, config.parent / "checkpoints") if path.exists()
    )
    return max(times, default=0.0)


def find(given: Path, option: str, where: Path = folder.RUNS, *, resumable: bool = False) -> Path:
    """The folder of a run, given by path, by its name in `where`, or as "latest". UserError where
    there is none, with the latest of all runs, or of those that can go on.
    """
    for path in (given, where / given):
        if os.access(path / folder.CONFIG, os.F_OK):  # False, and no error, for a name too long
            return path
    runs = every(where)
    if str(given) == LATEST and runs:
        return runs[-1].path
    others = [run for run in reversed(runs) if run.can_go_on or not resumable]
    listed = ", ".join(f"{run.path} ({run.state})" for run in others[:LISTED])
    there = (
        f"{'these can go on' if resumable else 'the latest are'}: {listed}"
        if others
        else "none was interrupted"
        if runs
        else f"{where} has none"
    )
    raise UserError(f"{option} {given}: no run is there; {there}")

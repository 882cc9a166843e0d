"""What runs of scripts.train leave, and how two of them differ."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from scripts.display.events import RUNS
from scripts.run import checkpoint

TIMES = {
    "seconds",
    "taken",
    "train_seconds",
    "speedup",
    "time/epoch-seconds",
    "result/train-seconds",
}


def events(out: Path, name: str) -> EventAccumulator:
    """All that the events of one engine, or of the comparison, in the run `out` hold."""
    name = RUNS.get(name, name)
    return EventAccumulator(
        str(out / name), size_guidance={"scalars": 0, "images": 0, "histograms": 0, "tensors": 0}
    ).Reload()


def scalars(out: Path, name: str) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (step, value) of each of its points."""
    read = events(out, name)
    return {
        tag: [(point.step, point.value) for point in read.Scalars(tag)]
        for tag in read.Tags()["scalars"]
    }


def reached(out: Path) -> int:
    """The number of updates in the newest checkpoint, -1 without one."""
    return max((int(path.stem) for path in out.glob("checkpoints/*.checkpoint")), default=-1)


def newest(out: Path) -> Path:
    """The last checkpoint of a run."""
    return max((out / "checkpoints").glob("*.checkpoint"))


def unequal(out: Path, expected: Path) -> list[str]:
    """How the run in `out` differs from another in parameters and all other state, in summary and
    events; but for times.
    """
    ours, theirs = (
        {
            "state": checkpoint.read(newest(run)).state,
            "progress": vars(checkpoint.read(newest(run)).progress),
            "summary": json.loads((run / "summary.json").read_text()),
            "events": {
                folder.name: curves(run, folder.name)
                for folder in run.iterdir()
                if any(folder.glob("events*"))
            },
        }
        for run in (out, expected)
    )
    return list(differences("", ours, theirs))


def differences(name: str, a: Any, b: Any) -> Iterator[str]:
    """Names of what is not equal in two nested structures."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b} - TIMES, key=str):
            yield from differences(f"{name} {key}", a.get(key), b.get(key))
    elif not (torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a == b):
        yield f"{name.strip()} differs"


def curves(out: Path, name: str) -> dict[str, list[tuple[int, float]]]:
    """Every point that TensorBoard shows, by tag. Of results the last: a run that goes on to more
    epochs has several.
    """
    return {
        tag: points[-1:] if tag.startswith("result/") else points
        for tag, points in scalars(out, name).items()
    }

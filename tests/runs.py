"""Runs of scripts.train as a person makes them, and what they leave."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import ROOT


def run(*options: str, out: Path) -> dict[str, Any]:
    """`scripts.train` in a process of its own; its summary."""
    command = [sys.executable, "-m", "scripts.train", "--out", str(out), *options]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "\r" not in finished.stderr, "no progress bar where there is no terminal"
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary | {"stdout": finished.stdout}


def events(out: Path, name: str) -> EventAccumulator:
    """All that the events of one run in `out` hold."""
    return EventAccumulator(str(out / name), size_guidance={"scalars": 0, "images": 0, "histograms": 0, "tensors": 0}).Reload()


def scalars(out: Path, name: str) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (step, value) of each of its points."""
    read = events(out, name)
    return {tag: [(point.step, point.value) for point in read.Scalars(tag)] for tag in read.Tags()["scalars"]}

"""Measuring: contenders in processes of their own, which take turns."""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from scripts.benchmark.case import Case
from scripts.benchmark.process import failure, running, worker
from scripts.benchmark.result import Cell, Spread
from scripts.run.config import ENGINES

ROUNDS = 9
LEAST = 0.05  # seconds of steps in a round: far above the clock's and the scheduler's grain


def measure(case: Case, rounds: int = ROUNDS, least: float = LEAST) -> Cell:
    """Every contender's step, round after round in turn, so that the machine's drift meets all
    alike.
    """
    with ExitStack() as stack:
        workers = {name: stack.enter_context(worker(name, case)) for name in case.contenders}
        results = [
            {name: each.round(least) for name, each in workers.items()} for _ in range(1 + rounds)
        ]
    return Cell.of(case, results[1:])  # the first round warmed up


def peak_bytes(case: Case, steps: int = 2) -> dict[str, int]:
    """The most memory that the process of each engine held during its first few steps."""
    peaks = {}
    for engine in ENGINES:
        with worker(engine, case) as alone:
            peaks[engine] = [alone.round(0).peak_bytes for _ in range(steps)][-1]
    return peaks


def seconds_per_epoch(
    data_dir: Path, runs: int, epochs: int, progress: Callable[[], object]
) -> dict[str, Spread]:
    """The lecture's epoch in scripts.train, each engine alone and by turns: batches, validation,
    scalars, checkpoints included.

    Histograms and pictures are not: a short run has them after every epoch, the lecture's after
    some.
    """
    seconds: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for _ in range(runs):
        for engine in ENGINES:
            seconds[engine] += _epochs(engine, data_dir, epochs)
            progress()
    return {engine: Spread.of(values) for engine, values in seconds.items()}


def _epochs(engine: str, data_dir: Path, epochs: int) -> list[float]:
    """Seconds from each line "Epoch j: ..." to the next."""
    options = (
        "--engines",
        engine,
        "--epochs",
        str(epochs),
        "--board",
        "scalars",
        "--data-dir",
        str(data_dir),
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        running("scripts.train", *options, "--out", folder) as process,
    ):
        assert process.stdout
        ends = [time.perf_counter() for line in process.stdout if line.startswith("Epoch")]
        if process.wait() or len(ends) < epochs:
            raise failure(process, f"python -m scripts.train --engines {engine}")
    return [end - start for start, end in pairwise(ends)]

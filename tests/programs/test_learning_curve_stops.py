"""A learning curve that doesn't come to its end: stopped and taken up again, a process killed, a
run that diverges.
"""

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from scripts import learning_curve
from scripts.experiments import trials
from scripts.experiments.trials import Job, Trial
from tests.conftest import Call
from tests.processes import start
from tests.programs.test_learning_curve import SMALL


def alive(group: int) -> bool:
    """Whether a process of the group runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("stop", ["terminal", "terminate", "kill"])
def test_stopped_and_taken_up_again(
    stop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    """Ctrl-C reaches every process, SIGTERM and kill -9 the first alone: none survives, and what
    was done is used. A file of the user's is no module of Python in any of them.
    """
    (tmp_path / "random.py").write_text("raise RuntimeError\n")
    options = (*SMALL, "--train-sizes", "1000", "--out", str(tmp_path / "out"))
    started = start(
        learning_curve, *options, "--seeds", "1000", said=tmp_path / "said", folder=tmp_path
    )
    group = started.pid
    assert group
    try:
        deadline = time.monotonic() + 300
        while not (tmp_path / "out" / "trials" / "size-1000-seed0.json").exists():
            assert started.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        if stop == "terminal":
            os.killpg(group, signal.SIGINT)
        elif stop == "terminate":
            started.terminate()
        else:
            started.kill()
        while alive(group):
            assert time.monotonic() < deadline, "processes are left"
            time.sleep(0.1)
    finally:
        if alive(group):
            os.killpg(group, signal.SIGKILL)
    started.join()
    if stop != "kill":
        error = (tmp_path / "said/err").read_text()
        assert (started.exitcode, error) == (
            {"terminal": 130, "terminate": 143}[stop],
            f"interrupted: what is done is kept; go on with --out {tmp_path / 'out'}\n",
        )
    monkeypatch.setattr(trials, "ProcessPoolExecutor", None)
    ended = call(learning_curve, *options, "--seeds", "1")
    assert ended.status == 0
    assert ended.out.startswith("1 of 1 runs are in")


def test_a_process_that_is_killed_ends_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    """One of two that train, after the first run."""
    keep, kept, out = trials._write, list[str](), tmp_path / "out"
    pool = list[BaseProcess]()

    def keep_and_kill(job: Job, trial: Trial, out: Path) -> None:
        keep(job, trial, out)
        if not kept:
            pool.extend(multiprocessing.active_children())
            pool[0].kill()
        kept.append(job.title)

    monkeypatch.setattr(trials, "_write", keep_and_kill)
    monkeypatch.setattr(trials, "cores", lambda: 2)
    ended = call(
        learning_curve, *SMALL, "--train-sizes", "1000", "--seeds", "1000", "--out", str(out)
    )
    assert ended.status == 2
    assert (
        ended.err == f"error: a process was ended from outside, perhaps for want of memory; "
        f"go on with --out {out}\n"
    )
    assert sorted(path.stem for path in (out / "trials").iterdir()) == sorted(kept)
    assert len(pool) >= 2
    for process in pool:
        assert wait([process.sentinel], 300), "processes are left"


def test_divergence_names_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.setattr(trials, "cores", lambda: 1)
    options = "--activations identity --loss mse --lr 5 --train-sizes 1000 --seeds 1 --out"
    ended = call(learning_curve, *SMALL, *options.split(), str(tmp_path / "out"))
    assert ended.status == 1
    error = ended.err
    assert error.startswith("stopped: size-")
    assert "the loss of manual is" in error
    # one that is left could fail at the interpreter's end
    assert "_ExecutorManagerThread" not in {type(each).__name__ for each in threading.enumerate()}

"""Modules of this project run in processes of their own, which end with the one that started
them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from scripts.benchmark.case import Case
from scripts.benchmark.worker import Round
from scripts.common.program import Stopped

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Failed(Stopped):
    """A process ended before its work was done: one line that says which, and what it said last."""


@contextmanager
def running(
    module: str, *arguments: str, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """`python -m module` with pipes to its standard streams; killed at the end of the block,
    however that comes.
    """
    command = [sys.executable, "-u", "-m", module, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - a module of ours
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
        env=os.environ | (env or {}),
        start_new_session=True,
    ) as process:  # Ctrl-C is for the one that started it
        try:
            yield process
        finally:
            process.kill()


def failure(process: subprocess.Popen[str], who: str) -> Failed:
    """The exception for a process `who` that ended too early, with its last line."""
    _, errors = process.communicate()
    reason = (errors.strip().splitlines() or ["without a word"])[-1]
    return Failed(f"{who} ended with status {process.returncode}: {reason}")


class Worker:
    """A contender's process; see worker.py."""

    def __init__(self, process: subprocess.Popen[str], contender: str, case: Case) -> None:
        self._process, self._who = process, f"{contender} on {case.to_json()}"

    def round(self, least: float) -> Round:
        """Have it make steps for `least` seconds; meanwhile this process sleeps. Failed if the
        worker has ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(f"{least}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise failure(self._process, self._who)
        return Round(**json.loads(answer))


@contextmanager
def worker(contender: str, case: Case) -> Iterator[Worker]:
    """A worker that makes `contender`'s step of `case`, on as many threads as the case says."""
    env = dict.fromkeys(_THREADS, str(case.threads))
    with running("scripts.benchmark.worker", contender, case.to_json(), env=env) as process:
        yield Worker(process, contender, case)

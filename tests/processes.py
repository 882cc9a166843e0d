"""Processes forked from one that has imported the programs: to start anew, and import torch, takes
each of them seconds.
"""

import importlib
import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType

# One that is killed leaves a semaphore behind, of which their tracker would speak.
os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["scripts.training.session", "scripts.experiments.curve", "torchvision.datasets", "pytest"]
)


def start(
    program: ModuleType,
    *options: str,
    said: Path = Path(os.devnull),
    environment: Mapping[str, str] | None = None,
) -> ForkServerProcess:
    """A program as on one core, in a session of its own. What it says is in said/out and said/err,
    two files of a folder that is made, or in one file that is there.
    """
    if not said.exists():
        said.mkdir()
    process = FORKS.Process(target=_run, args=(program.__name__, options, said, environment or {}))
    process.start()
    return process


def _run(
    program: str, options: tuple[str, ...], said: Path, environment: Mapping[str, str]
) -> None:
    os.setsid()
    for stream, name in ((1, "out"), (2, "err")):
        path = said / name if said.is_dir() else said
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    os.environ.update(environment)
    setattr(os, "cpu_count", lambda: 1)  # noqa: B010 - mypy refuses the plain assignment
    sys.argv = [program, *options]
    sys.exit(importlib.import_module(program).main())

"""Processes forked from one that has imported the programs: to start anew, and import torch, takes
each of them seconds. They see no GPU.
"""

import importlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType

NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}  # read when CUDA is first asked for
FORKS = multiprocessing.get_context("forkserver")
PRELOADED = [
    "scripts.training.session",
    "scripts.experiments.curve",
    "scripts.checking.verdict",
    "torchvision.datasets",
    "pytest",
]


def forked(target: Callable[..., object], *args: object) -> ForkServerProcess:
    """A process to be forked. Their server begins with the first; a program that has one of its own
    in this process may have asked for other modules before.
    """
    FORKS.set_forkserver_preload(PRELOADED)
    return FORKS.Process(target=target, args=args)


def session(code: str, folder: Path) -> str:
    """What Python prints that is typed in that folder, in a process of its own. AssertionError with
    what it says where it fails.
    """
    with tempfile.TemporaryDirectory() as said:
        process = forked(_type, code, folder, Path(said))
        process.start()
        process.join()
        assert process.exitcode == 0, Path(said, "err").read_text()
        return Path(said, "out").read_text()


def _type(code: str, folder: Path, said: Path) -> None:
    _speak_into(said)
    os.environ |= NO_GPU
    os.chdir(folder)
    exec(code, {"__name__": "__main__"})  # noqa: S102 - our own text


def start(
    program: ModuleType,
    *options: str,
    said: Path,
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
) -> ForkServerProcess:
    """A program as on one core, in a session of its own, and in that folder or this one; what it
    says is in said/out and said/err.
    """
    said.mkdir()
    process = forked(_run, program.__name__, options, said, environment or {}, folder or Path.cwd())
    process.start()
    return process


def _run(
    program: str, options: tuple[str, ...], said: Path, environment: dict[str, str], folder: Path
) -> None:
    os.setsid()
    _speak_into(said)
    os.chdir(folder)
    os.environ |= NO_GPU | environment
    # mypy refuses the plain assignment
    setattr(os, "sched_getaffinity", lambda _: {0})  # noqa: B010
    sys.argv = [program, *options]
    sys.exit(importlib.import_module(program).main())


def _speak_into(said: Path) -> None:
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT), stream)

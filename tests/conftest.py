"""What all tests share: how they are handed out, and programs called in this process or another."""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, TypeAlias

# Test processes share the cores: a thread that waits should sleep, not spin. Read once, when torch
# is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest

from scripts.common.signals import STOPPING
from tests.processes import start

ROOT = Path(__file__).parent.parent
# Files that take long, in processes that run side by side: none should be left for the end.
LONG = (
    "test_mistakes", "test_learning_curve_stops", "test_distributed", "test_readme_commands",
    "test_planted", "test_resume", "test_proof", "test_help", "test_train", "test_wrong",
    "test_page", "test_layout", "test_forged", "test_unpacking", "test_served",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """torch takes seconds to load: not in the process that only hands the tests out."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.surroundings")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: the tests wait, at times, for programs and a browser."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long ones first."""
    if hasattr(config, "workerinput"):
        order = {name: place for place, name in enumerate(LONG)}
        items.sort(key=lambda item: order.get(item.path.stem, len(LONG)))


@pytest.fixture(scope="session", autouse=True)
def signals_are_heard() -> None:
    """Those that nohup, or a shell for what is in its background, has us ignore."""
    for number in STOPPING:
        if signal.getsignal(number) is signal.SIG_IGN:
            heard = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if heard else signal.SIG_DFL)


class Ended(NamedTuple):
    """How a program ended, and what it wrote."""

    status: int
    out: str
    err: str


Call: TypeAlias = Callable[..., Ended]

MINE = """
import numpy as np
import torch

def softplus(z):
    return np.logaddexp(0, z)

def right(dy, z):
    return dy / (1 + np.exp(-z))

def wrong(dy, z):
    return 2 * dy / (1 + np.exp(-z))

def leaves(dy, z):
    raise SystemExit(0)

def fails(dy, z):
    return dy / undefined

def loss(y, t):
    return torch.nn.functional.cross_entropy(y, t)

def loss_backward(dy, y, t):
    return dy * (torch.softmax(y, 1) - torch.eye(y.shape[1], dtype=y.dtype)[t]) / len(t)

def log(p):
    return np.log(p)

def log_backward(dy, p):
    return dy / p

def product(x, w):
    return x @ w

def product_backward(dy, x, w):
    return dy @ w.T, x.T @ dy
"""


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a program in this process: `call(train, "--lr", "0.5")`."""

    def run(program: ModuleType, *options: str) -> Ended:
        monkeypatch.setattr(sys, "argv", [program.__name__, *options])
        capsys.readouterr()
        try:
            status = program.main()
        except SystemExit as stop:  # tyro's own
            status = stop.code
        return Ended(status, *capsys.readouterr())

    return run


@pytest.fixture
def call_afresh(tmp_path: Path) -> Call:
    """Runs a program in a process in which nothing has run. scripts.check forks, and once autograd
    has begun threads, for a GPU or one that other tests feign, no fork can use it.
    """
    numbers = count()

    def run(program: ModuleType, *options: str) -> Ended:
        said = tmp_path / f"said{next(numbers)}"
        process = start(program, *options, said=said)
        process.join()
        assert process.exitcode is not None
        return Ended(process.exitcode, (said / "out").read_text(), (said / "err").read_text())

    return run


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the programs run; there is a user's mine.py in it."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # of mine.py
    return tmp_path

"""What all tests share: one thread unless a test asks for more, and the real MNIST, read once."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, TypeAlias

# Test processes share the cores: a thread that waits should sleep, not spin. Read once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch

from scripts.harness import data

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """The number of CPU threads: 1, or what `@pytest.mark.parametrize("threads", ..., indirect=True)` says."""
    before = torch.get_num_threads()
    torch.set_num_threads(getattr(request, "param", 1))
    yield torch.get_num_threads()
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def mnist() -> data.Data:
    """MNIST in float32 on the CPU."""
    return data.load("mnist", ROOT / "data", data.TRAINING_IMAGES, torch.device("cpu"), torch.float32)


class Ended(NamedTuple):
    """How a program ended, and what it wrote."""

    status: int
    out: str
    err: str


Call: TypeAlias = Callable[..., Ended]


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

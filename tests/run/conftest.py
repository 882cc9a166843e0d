"""Runs of a tenth of a second, to be interrupted, damaged and resumed."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from scripts import train
from scripts.run import folder
from scripts.training import data
from tests.conftest import Call
from tests.run.interruptions import OPTIONS, SHORT


@pytest.fixture(autouse=True)
def small(mnist: data.Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few images to load and to evaluate, so that runs take a tenth of a second."""

    def first(split: data.Split, n: int) -> data.Split:
        return data.Split(split.images[:n], split.labels[:n])

    def load(_: str, __: Path, size: int, *___: object) -> data.Data:
        return data.Data(
            first(mnist.train, size), first(mnist.validation, 200), first(mnist.test, 200)
        )

    monkeypatch.setattr(data, "load", load)


@pytest.fixture
def call(call: Call) -> Call:
    """`scripts.train` in this process."""
    return partial(call, train)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for runs that many tests need."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def uninterrupted(call: Call, runs: Path) -> Callable[[str], Path]:
    """A run of SHORT and these of OPTIONS that nothing has befallen: made once, to be read or
    copied.
    """

    def made(options: str) -> Path:
        out = runs / str(OPTIONS.index(options))
        if not (out / folder.SUMMARY).exists():
            assert call(*SHORT.split(), *options.split(), "--out", str(out))[0] == 0
        return out

    return made


@pytest.fixture
def whole(uninterrupted: Callable[[str], Path], tmp_path: Path) -> Path:
    """An uninterrupted run of SHORT, the test's own."""
    return shutil.copytree(uninterrupted(""), tmp_path / "whole")

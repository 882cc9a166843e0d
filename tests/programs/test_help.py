"""The help of every program: it fits, is there at once, and its examples work."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

from scripts import (
    bench,
    check,
    compare,
    ladder,
    learning_curve,
    page,
    predict,
    prove,
    reproduce,
    runs,
    train,
    walkthrough,
)
from scripts.run import folder
from scripts.run.config import Config
from scripts.run.resolve import resolve
from tests.conftest import ROOT, Call

LINES = {
    train: 106,
    learning_curve: 88,
    reproduce: 40,
    ladder: 45,
    compare: 50,
    check: 56,
    walkthrough: 49,
    bench: 30,
    predict: 40,
    page: 30,
    prove: 30,
    runs: 30,
}  # at most


MINE = """
import numpy as np

def forward(*inputs):
    x, w, b = inputs if len(inputs) == 3 else (*inputs, np.eye(5), np.zeros(5))
    return 1 / (1 + np.exp(-x @ w - b))

def backward(dy, *inputs):
    x, w, b = inputs if len(inputs) == 3 else (*inputs, np.eye(5), np.zeros(5))
    y = forward(x, w, b)
    dz = dy * y * (1 - y)
    return (dz @ w.T, x.T @ dz, dz.sum(0))[: len(inputs)]
"""


def name(program: object) -> str:
    return (
        program.__name__.removeprefix("scripts.")
        if isinstance(program, ModuleType)
        else str(program)
    )


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("program", LINES, ids=name)
def test_help_fits_and_ends_with_examples(
    program: ModuleType, columns: int, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    """Examples that a terminal has no room for can be pasted as they are broken."""
    monkeypatch.setenv("COLUMNS", str(columns))
    ended = call(program, "--help")
    assert ended.status == 0
    assert ended.err == ""
    assert max(map(len, ended.out.splitlines())) <= columns, ended.out
    lines = re.sub(r" \\\n +", " ", ended.out).splitlines()
    assert len(lines) <= LINES[program] * 100 / columns
    assert [
        noise for noise in ("None", "{", "default: )", "[INT", "[NAME") if noise in ended.out
    ] == []
    examples = [
        f"  python -m {program.__name__} {line}".rstrip() for line in program.EXAMPLES.values()
    ]
    assert 2 <= len(examples) <= 4
    assert lines[-2 * len(examples) - 1 :: 2] == ["examples:", *examples]


@pytest.mark.parametrize(
    ("program", "line"),
    [(program, line) for program in LINES for line in program.EXAMPLES.values()],
    ids=name,
)
def test_examples_of_the_help_work(
    program: ModuleType, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    """To the end, or until the data are read, every operation compared or a step measured."""

    def begin(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    for work in (
        "training.data.load",
        "comparing.table.operation_rows",
        "benchmark.run.run",
        "reading.prediction.answers",
        "proving.everything.everything",
        "proving.everything.of_users",
    ):
        monkeypatch.setattr(f"scripts.{work}", begin)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # of mine.py
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    if "--resume" in line or program is runs:
        Path("runs/by-hand").mkdir(parents=True)
        folder.begin(resolve(Config()), Path("runs/by-hand"))
    if program is page:
        monkeypatch.setattr("scripts.training.learned.load", begin)
        Path("runs/lecture").mkdir(parents=True)
        folder.begin(resolve(Config()), Path("runs/lecture"))
    ended = call(program, *shlex.split(line.replace("1..60", "1..2")))
    whole = program in {check, runs, walkthrough} or "--network" in line
    assert (ended.status, ended.err.startswith("interrupted")) == (
        (0, False) if whole else (130, True)
    ), ended


LIGHT = """
import sys
from scripts import train
sys.argv = ["scripts.train", "--help"]
try:
    train.main()
except SystemExit:
    print(sorted({"torch", "numpy", "tensorboard", "matplotlib", "torchvision"} & set(sys.modules)))
"""


@pytest.mark.parametrize("program", LINES, ids=name)
def test_a_help_waits_for_nothing_large(program: ModuleType) -> None:
    code = LIGHT.replace("train", name(program))
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("program", LINES, ids=name)
def test_60_columns_break_no_number_of_a_help(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    found = []
    for columns in ("200", "60"):
        monkeypatch.setenv("COLUMNS", columns)
        shown = re.sub(r"[│\s]+", " ", call(program, "--help").out)
        found.append(re.findall(r"[\d.,]*\d", shown))
    assert found[0] == found[1]

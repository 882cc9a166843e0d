"""Each command that is printed, pasted into a shell, is the one that is meant: whatever a folder is
called.
"""

import importlib
import io
import signal
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest

from scripts import ladder, learning_curve, predict, reproduce, runs, train
from scripts.common.command_line import option, typed
from scripts.common.program import Folded
from scripts.experiments import trials
from scripts.run.checkpoint import Checkpoints
from tests.conftest import ROOT, Call

ODD = [
    "-rf",
    "--out",
    "a b  c",
    "new\nline",
    "it's",
    "$(touch PWNED)",
    '`touch PWNED`;&"',
    "\x1b[31mred\x9b",
    "läuft-🙂",
    "back\\slash\n",
    "*",
    "~",
    "#1",
]
DATA = ("--data-dir", str(ROOT / "data"))
SHORT = "--epochs 1 --train-size 200 --board scalars --compare-every 10 --threads 1 --device cpu"
SHELL = """
say() { printf '%s\\0' "$@"; }
backprop() { say "$@"; }
python() { say "$@"; }
tensorboard() { say "$@"; }
torchrun() { say "$@"; }
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the programs run, and the shell."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pasted(line: str) -> list[str]:
    """The words that a program would get."""
    assert line.isprintable()
    script = f"{SHELL}\n{line}\n"
    said = subprocess.run(["/bin/bash", "-c", script], capture_output=True, check=True)
    assert said.stderr == b""
    assert not Path("PWNED").exists()
    return said.stdout.decode().split("\0")[:-1]


def values(words: list[str], name: str) -> list[str]:
    """Of the option of this name, however it is written."""
    return [
        word.removeprefix(f"{name}=") if word.startswith(f"{name}=") else after
        for word, after in zip(words, [*words[1:], ""], strict=True)
        if word == name or word.startswith(f"{name}=")
    ]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("launcher", ["python", "torchrun --standalone --nproc-per-node 2"])
def test_a_command(name: str, launcher: str) -> None:
    line = typed("scripts.train", *option("--resume", name), launcher=launcher)
    words = pasted(line)
    resume = [f"--resume={name}"] if name.startswith("-") else ["--resume", name]
    assert words == [*launcher.split()[1:], "-m", "scripts.train", *resume]


@pytest.mark.parametrize(
    "name", ["-rf", "a b  c", "new\nline", "$(touch PWNED)", "\x1b[31mred\x9b"]
)
def test_the_way_on_and_the_way_to_the_board(
    name: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run that is stopped at its first checkpoint."""
    save = Checkpoints.save

    def stop(*arguments: Any) -> None:
        save(*arguments)
        patch.undo()
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", stop)
        stopped = call(train, *SHORT.split(), *DATA, f"--out={name}")
    assert stopped.status == 143
    words = pasted(stopped.err.removesuffix("\n").partition("go on with  ")[2])
    assert words[:2] == ["-m", "scripts.train"]
    unfinished = call(predict, f"./{name}", "picture.png").err
    again = pasted(unfinished.removesuffix("\n").partition("go on with  ")[2])
    assert values(again, "--resume") == [str(Path(f"./{name}"))]

    ended = call(train, *words[2:])
    assert (ended.status, ended.err) == (0, "")
    view, _, every = ended.out.splitlines()[-1].partition("view them with  ")[2].partition("  (")
    for line, folder in ((view, name), (f"tensorboard {every.partition(': ')[2][:-1]}", ".")):
        flags = parsed_by_tensorboard(pasted(line))
        assert flags.logdir == folder
    listed = call(runs, "--where", ".").out
    assert all(line.isprintable() for line in listed.splitlines())
    assert len(listed.splitlines()) == 2


def parsed_by_tensorboard(words: list[str]) -> Any:
    with warnings.catch_warnings(action="ignore"):  # of what it imports
        core = importlib.import_module("tensorboard.plugins.core.core_plugin")
        board = importlib.import_module("tensorboard.program").TensorBoard
    program = board(plugins=[core.CorePluginLoader()])
    program.configure(["tensorboard", *words])
    return program.flags


@pytest.mark.parametrize("name", ["-rf", "a b", "new\nline"])
@pytest.mark.parametrize(
    "program", [ladder, learning_curve, reproduce], ids=lambda each: each.__name__
)
def test_the_way_on_with_trials(
    program: Any, name: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C, and what goes on has the same folder."""
    folders = []

    def interrupted(_: object, out: Path, *__: object) -> None:
        folders.append(out)
        raise KeyboardInterrupt

    monkeypatch.setattr(trials, "run_all", interrupted)
    said = call(program, *DATA, f"--out={name}").err
    assert said.startswith("interrupted: what is done is kept; go on with --out")
    words = pasted(f"python {said.removesuffix(chr(10)).partition('go on with ')[2]}")
    assert call(program, *DATA, *words).err == said
    assert folders == [Path(name)] * 2


def test_the_way_to_a_first_run(call: Call) -> None:
    said = call(runs).out.removesuffix("\n")
    assert pasted(said.partition("start one with  ")[2]) == ["-m", "scripts.train"]


def test_no_command_is_broken_at_the_edge_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal = io.StringIO()
    view = "tensorboard --logdir runs/1124-0414-lecture"
    Folded(terminal).write(f"logs in runs/1124-0414-lecture: view them with  {view}  (all runs)\n")
    assert [line.strip() for line in terminal.getvalue().splitlines()] == [
        "logs in runs/1124-0414-lecture: view",
        "them with",
        view,
        "(all runs)",
    ]

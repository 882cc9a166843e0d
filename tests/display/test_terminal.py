"""What a terminal shows: colours and a bar there alone, lines as they come, the table of layers."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from manual.network import Network, NetworkSpec
from scripts import (
    bench,
    check,
    compare,
    ladder,
    learning_curve,
    predict,
    reproduce,
    train,
    walkthrough,
)
from scripts.display.progress_bar import ProgressBar
from scripts.display.report import layers
from scripts.run.config import Config, DataConfig, TrainingConfig
from tests.cases import count
from tests.conftest import ROOT, Call
from tests.programs.test_help import name

PROGRAM = """
from dataclasses import dataclass
from scripts.common.command_line import parse

@dataclass
class Options:
    "What it does."

    size: int = 1

parse(Options, "program", {"an example": "--size 2"})
"""


@pytest.mark.parametrize("options", ["--help", "--size none"])
@pytest.mark.parametrize(
    ("terminals", "no_color", "coloured"),
    [
        ("out err", None, True),
        ("out err", "", True),
        ("out err", "1", False),
        ("err", None, False),
        ("out", None, False),
    ],
)
def test_colours_on_a_terminal_alone(
    options: str, terminals: str, no_color: str | None, *, coloured: bool
) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {
        "TERM": "xterm"
    }
    if no_color is not None:
        environment["NO_COLOR"] = no_color
    ours, theirs = pty.openpty()
    out, err = (theirs if stream in terminals else subprocess.PIPE for stream in ("out", "err"))
    command = [sys.executable, "-c", PROGRAM, *options.split()]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=err) as process:
        os.close(theirs)
        piped = b"".join(part or b"" for part in process.communicate())
    written = piped + drained(ours)
    assert process.returncode == (0 if options == "--help" else 2)
    assert (b"--size" in written, b"\x1b" in written) == (True, coloured and options == "--help")


def drained(terminal: int) -> bytes:
    """All that was written to the other side, which is closed."""
    written = b""
    try:
        while part := os.read(terminal, 65536):
            written += part
    except OSError:  # Linux's word for the end
        pass
    os.close(terminal)
    return written


AT_AN_IMPORT = """
import os, runpy, signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

module, program, sys.argv = sys.argv[1], sys.argv[2], ["-m"]
sys.meta_path.insert(0, Interrupt())
runpy.run_module(program, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("program", "module"),
    [
        (train, "tyro"),
        (train, "torch"),
        (compare, "numpy"),
        (check, "scripts.run.config"),
        (walkthrough, "torch._C"),
        (learning_curve, "torch._C"),
        (reproduce, "tyro"),
        (ladder, "matplotlib"),
        (bench, "matplotlib"),
        (predict, "tyro"),
    ],
    ids=name,
)
def test_ctrl_c_while_it_is_loading(program: ModuleType, module: str) -> None:
    """When a module is about to be imported; `python -m tests.interrupts` does it at any moment of
    every program.
    """
    command = [sys.executable, "-c", AT_AN_IMPORT, module, program.__name__]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n")


def test_loading_is_said_at_a_terminal_until_it_is_over() -> None:
    ours, theirs = pty.openpty()
    code = "from scripts.common.program import loading\nwith loading():\n    pass\nprint('ready')"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=theirs, stderr=theirs):
        os.close(theirs)
        written = drained(ours).decode()
    assert written == "loading …\r         \rready\r\n"


SPEAKS = """
import os
import sys
from scripts.common.program import status

def work():
    print("50 \\N{PLUS-MINUS SIGN} 1")
    os.write(1, b"no later\\n")
    while True:
        print("more")

sys.exit(status(work, *sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("kept", "code", "line"),
    [
        ([], 0, b""),
        (["all is kept"], 1, b"stopped: nobody reads what it says any more; all is kept\n"),
    ],
)
def test_lines_go_out_as_they_come_until_nobody_reads(
    kept: list[str], code: int, line: bytes
) -> None:
    """Whoever has something to go on from says so."""
    with subprocess.Popen(
        [sys.executable, "-c", SPEAKS, *kept], cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUNBUFFERED": ""},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stderr
        assert [process.stdout.readline() for _ in range(2)] == [b"50 \\xb1 1\n", b"no later\n"]
        process.stdout.close()
        assert process.stderr.read() == line
    assert process.returncode == code


FOLDS = """
from scripts.common.program import status

status(lambda: print(*range(1000, 1040), end="\\n\\n") or print(*["half-squared"] * 9, "short"))
"""


def test_a_terminal_breaks_lines_between_words() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "60"}
    with subprocess.Popen(
        [sys.executable, "-c", FOLDS], cwd=ROOT, env=environment, stdout=theirs, stderr=theirs
    ):
        os.close(theirs)
        written = drained(ours).decode()
    assert written.split() == [*map(str, range(1000, 1040)), *["half-squared"] * 9, "short"]
    assert max(map(len, written.split("\r\n"))) <= 60
    assert "\r\n\r\nhalf" in written
    assert written.endswith(" short\r\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bar_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    options = (
        f"--engines manual --epochs 2 --train-size 600 --board off --data-dir {ROOT / 'data'} "
        f"--out {tmp_path / 'run'}"
    )
    ended = call(train, *options.split())
    assert ended.status == 0
    bars = terminal.getvalue().split("\r")
    assert "\x1b" not in terminal.getvalue()
    assert any(
        bar.startswith("epoch 2 of 2: ") and "120/120 [" in bar and " updates/s]" in bar
        for bar in bars
    ), bars
    assert bars[-1] == "", "it is gone at the end"
    assert "updates/s" not in ended.out
    assert ended.out.endswith(f"\nwhat was learned is in {tmp_path / 'run'}\n"), (
        "no board, so no word of it"
    )


def test_the_bar_of_a_resumed_run_begins_where_that_was(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    config = Config(data=DataConfig(train_size=600), training=TrainingConfig(epochs=2))
    ProgressBar(config, None, 60).close()
    assert re.search(r" 60(\.0)?/120 \[", terminal.getvalue())


def test_table_of_layers() -> None:
    spec = NetworkSpec((784, 30, 10), ("sigmoid", "sigmoid"))
    assert layers(spec).splitlines() == [
        "   layer   activation  output   parameters",
        "1  linear  sigmoid     (B, 30)  w1 (784, 30), b1 (30,)  23,550",
        "2  linear  sigmoid     (B, 10)  w2 (30, 10), b2 (10,)      310",
        "   total                                                23,860",
    ]


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("sizes", [(3, 1), (784, 30, 10), (7, 100, 5, 1000, 2)])
def test_table_of_layers_has_every_parameter(sizes: tuple[int, ...], *, batch_norm: bool) -> None:
    spec = NetworkSpec(sizes, ("relu",) * (len(sizes) - 1), batch_norm=batch_norm)
    parameters = Network(spec).parameters
    _, *rows, total = layers(spec).splitlines()
    assert len(rows) == len(spec.layers)
    assert total.split() == ["total", f"{count(parameters):,}"]
    assert sum(int(row.split()[-1].replace(",", "")) for row in rows) == count(parameters)
    for shown, value in parameters.values.items():
        assert sum(f" {shown} {tuple(value.shape)}" in row for row in rows) == 1

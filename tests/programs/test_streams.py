"""Programs without the streams or the folder that they expect, under signals of every kind, and
with a mistake in their own code.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from scripts import walkthrough
from scripts.common.program import status
from scripts.common.signals import STOPPING, Signals
from tests.conftest import ROOT, Call

LIST = [sys.executable, "-m", "scripts"]
# Python's own way, in which a stream holds what it could not write, and fails again at the end
BUFFERED = os.environ | {"PYTHONUNBUFFERED": ""}


def close(*numbers: int) -> Callable[[], None]:
    def closed() -> None:
        for number in numbers:
            os.close(number)

    return closed


@pytest.mark.parametrize("numbers", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_closed_streams(numbers: tuple[int, ...]) -> None:
    ended = subprocess.run(
        LIST, cwd=ROOT, capture_output=True, preexec_fn=close(*numbers), check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert bool(ended.stdout) == (1 not in numbers)


@pytest.fixture
def full() -> Iterator[IO[str]]:
    with Path("/dev/full").open("w") as file:
        yield file


UNENDED = """
import sys
from scripts.common.program import status

sys.exit(status(lambda: print("no newline", end="")))
"""


@pytest.mark.parametrize(
    "command",
    [LIST, [*LIST, "train", "--help"], [sys.executable, "-c", UNENDED]],
    ids=["list", "help", "no newline"],
)
def test_a_full_stdout(command: list[str], full: IO[str]) -> None:
    ended = subprocess.run(
        command, cwd=ROOT, env=BUFFERED, stdout=full, stderr=subprocess.PIPE, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (2, "error: No space left on device\n")


@pytest.mark.parametrize("words", [["trian"], ["runs", "--sort"]], ids="-".join)
def test_a_full_stderr(words: list[str], full: IO[str]) -> None:
    ended = subprocess.run([*LIST, *words], cwd=ROOT, env=BUFFERED, stderr=full, check=False)
    assert ended.returncode == 2


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    ended = subprocess.run(
        LIST,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=tmp_path.rmdir,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: the folder that this shell is in is gone: cd to another\n"


def test_a_locale_without_umlauts() -> None:
    """What a terminal can't show is escaped."""
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = subprocess.run(
        [*LIST, "läuft"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: l\\udcc3\\udca4uft: there is no such program")


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_ends_a_program_with_a_line(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    """More of them in its last moments change nothing."""
    tidied = []

    def work() -> None:
        try:
            signal.raise_signal(number)
        finally:
            for each in STOPPING:
                signal.raise_signal(each)
            tidied.append(number)

    before = [signal.getsignal(each) for each in STOPPING]
    assert status(work, "all is kept") == 128 + number
    assert capsys.readouterr().err == "interrupted: all is kept\n"
    assert tidied == [number]
    assert [signal.getsignal(each) for each in STOPPING] == before


class Dying:
    """In whose end a signal comes, which Python then drops."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_that_python_drops_comes_once_more(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        Dying()
        time.sleep(60)

    assert status(work, "all is kept") == 128 + signal.SIGTERM
    assert capsys.readouterr().err == "interrupted: all is kept\n"


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_that_is_ignored_at_the_start_stays_so(number: signal.Signals) -> None:
    """As nohup and a shell's & do it."""

    def work() -> None:
        signal.raise_signal(number)
        with Signals() as signals:
            signal.raise_signal(number)
            assert signals.received is None

    before = signal.signal(number, signal.SIG_IGN)
    try:
        assert status(work) == 0
    finally:
        signal.signal(number, before)


MISTAKE = """
import runpy, sys
import scripts.walkthrough
sys.argv[0] = "-m"
for name in list(sys.modules):
    if name.split(".")[0] == "scripts":
        del sys.modules[name]
import scripts, scripts.common.program
scripts.common.program.loading = None
from scripts import walkthrough
walkthrough.main()
"""


def test_a_mistake_in_the_code_is_a_line_and_a_file(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", MISTAKE],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    (path,) = tmp_path.glob("backprop-*.txt")
    assert ended.returncode == 1
    assert ended.stderr == (
        "error: TypeError: 'NoneType' object is not callable; that is a mistake of this program: "
        f"its traceback is in {path}\n"
    )
    assert "Traceback (most recent call last)" in path.read_text()


LATE = """
import signal, sys
sys.argv[0] = "-m"
import scripts

class Late:
    def __del__(self, interrupt=lambda: signal.raise_signal(signal.SIGINT)):
        interrupt()

late = Late()
"""


def test_an_interrupt_at_the_end_of_python_changes_nothing() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LATE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_out_may_be_a_pipe_or_a_link(tmp_path: Path, call: Call) -> None:
    """What reads a pipe gets the page, and the file that a link leads to is written; one that leads
    to itself is replaced.
    """
    options = ("--format", "markdown", "--out")
    printed = call(walkthrough, *options[:2]).out.rstrip("\n")
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    link.symlink_to(target)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_text, encoding="utf-8")
        assert call(walkthrough, *options, str(pipe)).status == 0
        assert read.result(60).rstrip("\n") == printed
    assert pipe.is_fifo()
    assert call(walkthrough, *options, str(link)).status == 0
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8").rstrip("\n") == printed
    link.unlink()
    link.symlink_to(link)
    assert call(walkthrough, *options, str(link)).status == 0

"""How every program ends: a status, and at most one line on stderr."""

import io
import os
import re
import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TextIO

from scripts.common.signals import Terminated, interruptible

COMMAND = re.compile(r"(?<=  )(?:backprop|python|tensorboard|torchrun) .*?(?=  \(|$)")


class UserError(Exception):
    """Something that the user can mend: one line that names the value and what would do."""


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Before the work begins: a UserError prints its line and becomes SystemExit with status 2."""
    try:
        yield
    except UserError as error:
        complain(f"error: {error}")
        raise SystemExit(2) from None


def require_whole_number(option: str, value: int, low: int, high: int | None = None) -> None:
    """UserError unless the option's value is within these bounds."""
    if value < low or (high is not None and value > high):
        allowed = f"at least {low}" if high is None else f"from {low} to {high}"
        raise UserError(f"{option} {value}: must be a whole number {allowed}")


def printable(text: str) -> str:
    """Text of a user or of a file in one line, with escapes for what would control a terminal."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def as_typed(values: Iterable[object]) -> str:
    """The values of an option as they are typed."""
    return " ".join(map(str, values)) or "(nothing)"


@contextmanager
def refuse_out_of_memory(what: str) -> Iterator[None]:
    """Inside, torch's errors for more than memory, or 64 bits, can hold become a UserError."""
    try:
        yield
    except (MemoryError, RuntimeError, TypeError, ValueError) as error:
        if not re.search("memory|overflow", str(error), re.IGNORECASE):
            raise  # a mistake in the code, of which only a traceback tells
        raise UserError(f"{what}: too large for this machine's memory") from error


class Stopped(Exception):  # noqa: N818 - it is what happened
    """The work could not be brought to its end: one line that says why."""


class Interrupted(Exception):  # noqa: N818 - it is what happened
    """A stop by a signal, after which all is in order: one line that says what is kept and how to
    go on.
    """

    def __init__(self, by: signal.Signals, message: str) -> None:
        super().__init__(message)
        self.by = by


class Folded(io.TextIOBase):
    """A terminal whose long lines are broken between words, and never inside a command, whose first
    half would run when pasted.
    """

    def __init__(self, terminal: TextIO) -> None:
        self._terminal, self._rest = terminal, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._terminal.write(self._fold(line) + "\n")
        return len(text)

    def _fold(self, line: str) -> str:
        width = shutil.get_terminal_size().columns
        if len(line) <= width:
            return line
        whole = COMMAND.sub(lambda found: found[0].replace(" ", "\0"), line)
        return textwrap.fill(
            whole, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        ).replace("\0", " ")

    def flush(self) -> None:
        self._terminal.write(self._rest)
        self._rest = ""
        self._terminal.flush()

    def isatty(self) -> bool:
        return True


@contextmanager
def loading() -> Iterator[None]:
    """Around imports that take seconds: says so at a terminal."""
    shown = sys.stderr.isatty() and "torch" not in sys.modules
    if shown:
        print("loading …", end="", file=sys.stderr, flush=True)
    yield
    if shown:
        print("\r         \r", end="", file=sys.stderr, flush=True)


def discard(stream: TextIO) -> None:
    """Drop what is left for a stream whose reader, such as head, has gone, or whose disk is full:
    Python would complain of it at its end, and change the status.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def complain(line: str) -> None:
    """The line on stderr, where it takes one: the status says so, too."""
    try:
        print(printable(line), file=sys.stderr)
    except OSError:
        discard(sys.stderr)


def status(work: Callable[[], int | None], kept: str = "") -> int:
    """Do the work and return its own status, or 0; 1 where it stopped, 2 for what the user can
    mend, 128 + its number after a signal.

    `kept` says what is not lost by a stop. Each line goes out as it is printed, with escapes for
    what stdout can't encode.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    with interruptible():
        code, line = _outcome(work, kept)
        if line:
            complain(line)
    return code


def _outcome(work: Callable[[], int | None], kept: str) -> tuple[int, str]:
    """The status, and the line on stderr."""
    output = redirect_stdout(Folded(sys.stdout)) if sys.stdout.isatty() else nullcontext()
    code, line = 0, ""
    try:
        with output:
            code = work() or 0
            sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
        code, line = (
            (1, f"stopped: nobody reads what it says any more; {kept}") if kept else (0, "")
        )
    except UserError as error:
        code, line = 2, f"error: {error}"
    except MemoryError:
        code, line = 2, "error: this takes more memory than there is"
    except OSError as error:
        try:
            sys.stdout.flush()
        except OSError:
            discard(sys.stdout)
        code, line = (
            2,
            f"error: {f'{error.filename}: ' if error.filename else ''}{error.strerror or error}",
        )
    except Stopped as error:
        code, line = 1, "; ".join(filter(None, (f"stopped: {error}", kept)))
    except Interrupted as error:
        code, line = 128 + error.by, f"interrupted: {error}"
    except KeyboardInterrupt as interrupt:
        by = interrupt.by if isinstance(interrupt, Terminated) else signal.SIGINT
        code, line = 128 + by, ": ".join(filter(None, ("interrupted", kept)))
    return code, line

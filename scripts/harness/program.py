"""How every program ends: a status, and at most one line on stderr."""

import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self


class UserError(Exception):
    """Something that the user can mend: one line that names the value and what would do."""


def whole(option: str, value: int, low: int, high: int | None = None) -> None:
    """UserError unless the option's value is within these bounds."""
    if value < low or (high is not None and value > high):
        allowed = f"at least {low}" if high is None else f"from {low} to {high}"
        raise UserError(f"{option} {value}: must be a whole number {allowed}")


def words(values: Iterable[object]) -> str:
    """The values of an option as they are typed."""
    return " ".join(map(str, values)) or "(nothing)"


@contextmanager
def room_for(what: str) -> Iterator[None]:
    """UserError where torch says that this is more than memory, or 64 bits, can hold."""
    try:
        yield
    except (MemoryError, RuntimeError, TypeError, ValueError) as error:
        if not re.search("memory|overflow", str(error), re.IGNORECASE):
            raise  # a mistake in the code, of which only a traceback tells
        raise UserError(f"{what}: too large for this machine's memory") from error


class Stopped(Exception):  # noqa: N818 - it is what happened
    """The work could not be brought to its end: one line that says why."""


class Interrupted(Exception):  # noqa: N818 - it is what happened
    """Ctrl-C or SIGTERM, after which all was put in order: one line that says what is kept and how to go on."""

    def __init__(self, by: signal.Signals, message: str) -> None:
        super().__init__(message)
        self.by = by


class Signals:
    """Within it Ctrl-C and SIGTERM end nothing at once: `received` is the one that came. The second one does."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def status(work: Callable[[], int | None], kept: str = "") -> int:
    """Do the work: its own status or 0; 1 where it stopped, 2 for what the user can mend, 130 after Ctrl-C, 143 after SIGTERM.

    `kept` says what is not lost by a stop. Each line goes out as it is printed, with escapes for what stdout can't encode.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        return work() or 0
    except BrokenPipeError:  # the reader of stdout, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Stopped as error:
        print("; ".join(filter(None, (f"stopped: {error}", kept))), file=sys.stderr)
        return 1
    except Interrupted as error:
        print(f"interrupted: {error}", file=sys.stderr)
        return 128 + error.by
    except KeyboardInterrupt:
        print(": ".join(filter(None, ("interrupted", kept))), file=sys.stderr)
        return 130

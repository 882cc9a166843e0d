"""The signals that ask a program to stop: noted until the work can rest, or an exception."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

# Ctrl-C, kill, a terminal that is closed, a limit of time
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU)
A_MOMENT = 0.05  # seconds


class Signals:
    """Within it the signals of STOPPING end nothing at once: `received` is the one that came. The
    second one does.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._receive) for number in _handlers()}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


class Terminated(KeyboardInterrupt):
    """One of STOPPING, `by`: the work is put in order as after Ctrl-C."""

    def __init__(self, by: signal.Signals) -> None:
        super().__init__()
        self.by = by


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, the signals of STOPPING are exceptions, so that files are whole and processes ended
    when this one ends.

    One is: while it is heeded the others come to nothing. Where Python drops it, as in a __del__ or
    right after a fork, it comes once more.
    """
    before, hook = _handlers(), sys.unraisablehook

    def stop(number: int, _: FrameType | None) -> NoReturn:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Terminated(signal.Signals(number))

    def listen() -> None:
        for number in before:
            signal.signal(number, stop)

    def dropped(told: "sys.UnraisableHookArgs") -> None:
        if isinstance(told.exc_value, Terminated):
            listen()
            Timer(A_MOMENT, os.kill, (os.getpid(), told.exc_value.by)).start()
        else:
            hook(told)

    sys.unraisablehook = dropped
    listen()
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _handlers() -> dict[signal.Signals, Any]:
    """Handlers, of those of STOPPING that this process was not started to ignore, as nohup and a
    shell's & do.
    """
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    return {
        number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN
    }

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
RESEND_DELAY = 0.05  # seconds


class Signals:
    """Inside, the first signal of STOPPING is only noted, in `received`. A second one acts as
    before.
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
    """Inside, the first signal of STOPPING raises Terminated, so that files are whole and processes
    ended when this one ends; later ones are ignored. Where Python drops the exception, as in a
    __del__ or right after a fork, the signal is sent once more.
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
            Timer(RESEND_DELAY, os.kill, (os.getpid(), told.exc_value.by)).start()
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
    """The handlers of the signals of STOPPING, without those that this process was started to
    ignore, as by nohup or a shell's &.
    """
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    return {
        number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN
    }

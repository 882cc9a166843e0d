"""A user's code in a process of its own, which is asked for numbers alone: it may send anything,
hang or end.
"""

import ctypes
import math
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar, final

import numpy as np
import torch
from torch import Tensor

from scripts.checking.loading import in_a_line
from scripts.checking.messages import (
    Answer,
    Channel,
    Described,
    Examined,
    Numbers,
    Question,
    packed,
    tensors,
)
from scripts.common.program import UserError
from scripts.common.signals import STOPPING
from torch_ref.forms.forms import Form
from torch_ref.forms.outputs import Output, Part
from torch_ref.forms.returned import Gradients
from torch_ref.forms.subject import Subject
from torch_ref.forms.values import Point

M = TypeVar("M")
FOREVER = math.inf
PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


class Lost(BaseException):
    """The process does not answer any more. This is no exception of the user's code."""


class Apart:
    """Runs `examine`, which returns a report's message and the subject that it is of, in a process
    of its own.

    That process ends with this context, and whatever else it has started in its session; after
    `limit` seconds; and where it wants more than half of the machine's memory. Lost where it has
    ended or sends what is no answer.
    """

    def __init__(
        self, examine: Callable[[], tuple[Examined, Subject | None]], limit: float
    ) -> None:
        self._examine, self._limit = examine, limit

    def __enter__(self) -> Self:
        ours, theirs = socket.socketpair()
        until = time.monotonic() + self._limit
        sys.stdout.flush()
        sys.stderr.flush()
        threads = torch.get_num_threads()
        # OpenMP's threads are not there after a fork: here none may have been begun
        torch.set_num_threads(1)
        self._process = os.fork()
        if not self._process:
            ours.close()
            torch.set_num_threads(threads)
            _serve(self._examine, Channel(theirs, FOREVER), self._limit)
        theirs.close()
        self._line, self._channel = ours, Channel(ours, until)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._line.close()
        self._end()

    def receive(self, kind: type[M]) -> M:
        """The next message. Lost where there is none."""
        try:
            return self._channel.receive(kind)
        except TimeoutError:
            raise Lost(f"ended after {self._limit:g} s") from None
        except (EOFError, OSError):
            raise Lost(self._end()) from None
        except ValueError as error:
            raise Lost(f"its process sends what is no answer ({error})") from None

    def ask(self, question: Question) -> Answer:
        """The answer to a question. Lost where there is none."""
        try:
            self._channel.send(question)
        except TimeoutError:
            raise Lost(f"ended after {self._limit:g} s") from None
        except OSError:
            raise Lost(self._end()) from None
        return self.receive(Answer)

    def _end(self) -> str:
        """End the process, if it has not ended by itself; words for how it ended."""
        if not self._process:
            return "its process has ended"
        ended = code = 0
        try:
            ended, code = os.waitpid(self._process, os.WNOHANG)
            if not ended:  # it has closed the line, or is at work
                os.kill(self._process, signal.SIGKILL)
                os.waitpid(self._process, 0)
            os.killpg(self._process, signal.SIGKILL)  # and what it has started
        except (ProcessLookupError, PermissionError, ChildProcessError):
            pass  # the last in the judge, who is no parent of it
        self._process = 0
        if not ended or not os.WIFSIGNALED(code):
            return "its process left before it had answered"
        return f"its process was ended by {signal.Signals(os.WTERMSIG(code)).name}"


def _serve(
    examine: Callable[[], tuple[Examined, Subject | None]], channel: Channel, limit: float
) -> NoReturn:
    """In the process of the submission: examine it, then answer until nobody asks any more."""
    me, leave = os.getpid(), os._exit  # of which a submission may make something else
    try:
        _confine(limit)
        try:
            examined, subject = examine()
        except UserError as error:
            examined, subject = Examined(error=str(error)), None
        except BaseException as error:  # noqa: BLE001 - whatever a user's code raises
            examined, subject = Examined(error=in_a_line(error)), None
        if os.getpid() == me:  # it may have forked
            channel.send(examined)
            while subject is not None:
                with np.errstate(all="ignore"):  # an overflow shows in the numbers
                    answer = _answer(subject, channel.receive(Question))
                channel.send(answer)
    finally:
        # no thread is waited for, and nothing called that was left to be called at the end
        leave(0)


def _confine(limit: float) -> None:
    os.setsid()
    if sys.platform == "linux":  # to end with the judge, however that does
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)  # the verdict is another's to speak
    sys.stdout = sys.stderr
    half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    seconds = math.ceil(limit * (os.cpu_count() or 1)) + 1  # where nobody is left to end it
    for what, most in (
        (resource.RLIMIT_DATA, half),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        _, highest = resource.getrlimit(what)
        resource.setrlimit(
            what, (most if highest == resource.RLIM_INFINITY else min(most, highest), highest)
        )


def _answer(subject: Subject, question: Question) -> Answer:
    try:
        point = tensors(question.point)
        if question.dy is None:
            output = subject.output(point)
            return Answer(Numbers.of(output.y), single=output.single)
        found = subject.backward(point, question.dy.tensor(), question.layout)
        gradients = {name: None if g is None else Numbers.of(g) for name, g in found.items()}
        return Answer(gradients=gradients, overwrites=sorted(subject.form.overwrites))
    except BaseException as error:  # noqa: BLE001 - whatever a user's code raises
        return Answer(exception=(type(error).__name__, str(error)))


@final
class Remote(Form):
    """A form whose forward and backward are computed by a submission's process."""

    def __init__(self, submission: Apart, form: Described) -> None:
        super().__init__(form.arguments())
        self._submission, self.autograd, self.calls_with = (
            submission,
            form.autograd,
            form.calls_with,
        )

    def forward(self, point: Point) -> Output:
        answer = self._ask(Question(packed(point)))
        if answer.y is None:
            raise Lost("its process sends what is no answer")
        y = answer.y.tensor()
        part = Part(0, y.shape, y.dtype, y.device, "torch", is_complex=False)
        return Output(y, part if answer.single else [part])

    def backward(self, point: Point, dy: Tensor, layout: Any = "contiguous") -> Gradients:
        answer = self._ask(Question(packed(point), Numbers.of(dy), layout))
        self.overwrites |= set(answer.overwrites)
        return {name: None if g is None else g.tensor() for name, g in answer.gradients.items()}

    def _ask(self, question: Question) -> Answer:
        answer = self._submission.ask(question)
        if answer.exception:
            kind, message = answer.exception
            raise (
                AssertionError(message)
                if kind == "AssertionError"
                else RuntimeError(f"{kind}: {message}")
            )
        return answer

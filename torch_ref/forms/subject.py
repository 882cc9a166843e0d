"""A form as the rest of the checker uses it: forward and backward at a point, watched.

A point is a value for each array by name. y and the gradients are on the CPU.
"""

import math
import random
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torch_ref.forms.forms import Form
from torch_ref.forms.outputs import Output
from torch_ref.forms.returned import Gradients
from torch_ref.forms.values import Point, double

SEED = 0
# of torch.autograd; the last is what both call, also where they were imported by name
ENGINE = ("grad", "backward", "_engine_run_backward")


class Subject:
    """What is checked. `seeded`: the global generators of random numbers are set anew before each
    call of the user's code.

    `calls_autograd`: a backward written by hand had torch differentiate something. `seconds`: the
    shortest call of forward, for others may have waited for the machine. `raised`: the latest
    exception of forward and of backward.
    """

    def __init__(self, form: Form) -> None:
        self.form = form
        self.leaves = form.arguments.leaves
        self.floats = form.arguments.floats
        self.given: Point = form.arguments.given
        self.seeded = self.calls_autograd = False
        form.before_backward = lambda: reseed() if self.seeded else None
        self.seconds = math.inf
        self.raised: dict[str, Exception] = {}

    def output(self, point: Point) -> Output:
        """The output with how it was returned."""
        started = time.perf_counter()
        found: Output = self._call("forward", point, lambda: self.form.forward(point))
        self.seconds = min(self.seconds, time.perf_counter() - started)
        return found

    def forward(self, point: Point) -> Tensor:
        """y, on the CPU, in the dtype that the user's code gave it."""
        return self.output(point).y

    def backward(self, point: Point, dy: Tensor, layout: str = "contiguous") -> Gradients:
        """The gradient of each input that may have one, None where there is none."""
        with self._watched():
            found: Gradients = self._call(
                "backward", point, lambda: self.form.backward(point, dy, layout)
            )
        return found

    def in_own_dtypes(self, point: Point) -> Point:
        """The point in the dtypes that were given."""
        return {name: value.to(self.given[name].dtype) for name, value in point.items()}

    def runs_in_float64(self) -> bool:
        """Whether the user's functions take float64, having shown that they take what was given."""
        self.backward(self.given, torch.ones_like(self.forward(self.given)))
        point = double(self.given)
        if all(point[name].dtype == value.dtype for name, value in self.given.items()):
            return True
        try:
            self.backward(point, torch.ones_like(self.forward(point)))
        except Exception:  # noqa: BLE001 - whatever a user's code raises: it does not take float64
            return False
        return True

    def calls_of_forward(self, point: Point, dy: Tensor) -> int:
        """How often the code of forward runs within backward itself, not just before it."""
        codes = self.form.code
        seen = 0

        def watch(frame: types.FrameType, event: str, _: Any) -> None:
            nonlocal seen
            seen += event == "call" and frame.f_code in codes

        before = sys.getprofile()
        sys.setprofile(watch)
        try:
            self.form.backward(point, dy)
        finally:
            sys.setprofile(before)
        return max(0, seen - 1)  # it runs once before

    def _call(self, what: str, point: Point, work: Callable[[], Any]) -> Any:
        if self.seeded:
            reseed()
        try:
            return work()
        except Exception as error:
            self.raised[what] = error
            note = f"raised by {what}, called with {self.form.arguments.describe(point)}"
            if note not in getattr(error, "__notes__", []):
                error.add_note(note)
            raise

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Inside, a call of torch.autograd by the user's own backward is noticed."""
        kept = {
            name: getattr(torch.autograd, name) for name in ENGINE if hasattr(torch.autograd, name)
        }
        if self.form.autograd or self.calls_autograd:
            kept = {}

        def noticing(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                self.calls_autograd = True
                return function(*arguments, **named)

            return call

        for name, function in kept.items():
            setattr(torch.autograd, name, noticing(function))
        try:
            yield
        finally:
            for name, function in kept.items():
                setattr(torch.autograd, name, function)


def reseed() -> None:
    """Seed the global generators of Python, NumPy and torch."""
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002 - the user's code draws from it
    torch.manual_seed(SEED)

"""The forms in which people have a forward and a backward, each called in one way: here two
functions.

One function alone is in alone.py, an object with state in layers.py; recognition.py tells which of
them was given.
"""

import inspect
import types
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from torch_ref.forms.arguments import Arguments
from torch_ref.forms.binding import Plan, takes_context
from torch_ref.forms.outputs import Output
from torch_ref.forms.returned import Gradients, gradients
from torch_ref.forms.values import Point, is_numeric


class Form(ABC):
    """A forward and a backward of `arguments`. Both calls may raise whatever the user's code
    raises.
    """

    arguments: Arguments
    autograd = False  # whether backward is autograd's, which leaves out no input on purpose
    calls_with: int  # the number of leading arguments that a reference takes

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.calls_with = len(arguments.names)
        self.notes: list[str] = []
        self.overwrites: set[str] = set()
        self.before_backward: Callable[[], None] = lambda: None

    @abstractmethod
    def forward(self, point: Point) -> Output:
        """The output."""

    @abstractmethod
    def backward(self, point: Point, dy: Tensor, layout: str = "contiguous") -> Gradients:
        """The gradients for a dy of the output's shape, as real views, on the CPU, in the dtype
        they were returned in.
        """

    def read(self, result: Any, arguments: Arguments | None = None) -> Gradients:
        """The gradients in what a backward returned."""
        found, notes = gradients(result, arguments or self.arguments)
        self.notes = list(dict.fromkeys([*self.notes, *notes]))
        return found

    @property
    def code(self) -> list[types.CodeType]:
        """The code of forward, to notice that backward calls it."""
        return []


def times(found: Gradients, dy: Tensor) -> Gradients:
    """The gradient of the loss itself, for a dy that is not 1."""
    return {
        name: None if g is None else g * dy.reshape(()).to(g.dtype) for name, g in found.items()
    }


class _Context:
    """Stands for the ctx of a torch.autograd.Function whose static methods are called directly."""

    def __init__(self, number: int) -> None:
        self.saved_tensors: tuple[Any, ...] = ()
        self.needs_input_grad = (True,) * number

    def save_for_backward(self, *tensors: Any) -> None:
        self.saved_tensors = tensors

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("mark_", "set_", "save_")):
            return lambda *_: None
        raise AttributeError(name)


def called(
    forward: Callable[..., Any], arguments: list[Any], *, with_context: bool
) -> tuple[Any, _Context | None]:
    """(what forward returns, the ctx it was given)."""
    context = _Context(len(arguments)) if with_context else None
    return (forward(*arguments) if context is None else forward(context, *arguments)), context


@final
class Functions(Form):
    """Two functions, called as a plan says; forward always right before backward."""

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        arguments: Arguments,
        plan: Plan,
    ) -> None:
        super().__init__(arguments)
        self.function, self._backward, self.plan = forward, backward, plan
        self.with_context = takes_context(forward)

    @property
    def code(self) -> list[types.CodeType]:
        function = inspect.unwrap(getattr(self.function, "__func__", self.function))
        return [function.__code__] if isinstance(function, types.FunctionType) else []

    def _called(self, point: Point) -> tuple[Any, _Context | None]:
        arguments = self.arguments.build(point)
        return called(self.function, arguments, with_context=self.with_context)

    def forward(self, point: Point) -> Output:
        return Output.read(self.plan.output_of(self._called(point)[0]))

    def backward(self, point: Point, dy: Tensor, layout: str = "contiguous") -> Gradients:
        whole, context = self._called(point)
        upstream = Output.read(self.plan.output_of(whole)).upstream(dy, layout)
        arguments = dict(zip(self.arguments.names, self.arguments.build(point), strict=True))
        give: dict[str, Callable[[Any], Any]] = {
            "input": lambda name: arguments[name],
            "dy": lambda k: upstream if k is None or self.plan.outputs == 1 else upstream[k],
            "cache": lambda k: whole[k] if len(whole) == k + 1 else whole[k:],
            "output": lambda outputs: whole if outputs is None else whole[0],
            "ctx": lambda _: context,
        }
        handed = [give[kind](which) for kind, which in self.plan.slots]
        pristine = [_snapshot(value) for value in handed]
        self.before_backward()
        found = self.read(self._backward(*handed))
        for (kind, which), before, after in zip(self.plan.slots, pristine, handed, strict=True):
            if kind in {"dy", "input"} and before is not None and not _same(before, after):
                self.overwrites.add("dy" if kind == "dy" else str(which))
        return found if self.plan.needs_dy else times(found, dy)


def _snapshot(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone() if value.layout == torch.strided else None
    return value.copy() if hasattr(value, "copy") and is_numeric(value) else None


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, Tensor):
        return torch.equal(before.nan_to_num(), after.detach().nan_to_num())
    before, after = np.asarray(before), np.asarray(after)
    return bool(((before == after) | (before != before)).all())  # noqa: PLR0124 - a nan

"""The forms in which people have a forward and a backward, each called in one way.

recognise() makes a Form of what was given: two functions (`Functions`), one alone (in alone.py), an object with state (`Layer`,
in layers.py), or what torch differentiates by itself (`ThroughAutograd`, in throughautograd.py).
"""

import inspect
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from torch_ref.check.binding import Plan, is_output, names_of, plans
from torch_ref.check.outputs import Output
from torch_ref.check.returned import Gradients, gradients
from torch_ref.check.values import Arguments, Leaf, Point, describe, kind_of


class Form(ABC):
    """A forward and a backward of `arguments`. Both calls may raise whatever the user's code raises."""

    arguments: Arguments
    autograd = False  # an input that gets None there is one that backward forgot, not one that its author left out
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
        """The gradients for a dy of the output's shape, as real views, on the CPU, in the dtype they were returned in."""

    def read(self, result: Any) -> Gradients:
        """The gradients in what a backward returned."""
        found, notes = gradients(result, self.arguments)
        self.notes = list(dict.fromkeys([*self.notes, *notes]))
        return found

    @property
    def code(self) -> list[types.CodeType]:
        """Of forward, by which a call of it from within backward is seen."""
        return []


def times(found: Gradients, dy: Tensor) -> Gradients:
    """The gradient of the loss itself, for a dy that is not 1."""
    return {name: None if g is None else g * dy.reshape(()).to(g.dtype) for name, g in found.items()}


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


@final
class Functions(Form):
    """Two functions, called as a plan says; forward always right before backward."""

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any], arguments: Arguments, plan: Plan) -> None:
        super().__init__(arguments)
        self._forward, self._backward, self.plan = forward, backward, plan
        self.forward_function, self.takes_context = forward, _first_is_ctx(forward)

    @property
    def code(self) -> list[types.CodeType]:
        function = inspect.unwrap(getattr(self._forward, "__func__", self._forward))
        return [function.__code__] if isinstance(function, types.FunctionType) else []

    def _run(self, point: Point) -> tuple[Output, Any, Any]:
        arguments = self.arguments.build(point)
        context = _Context(len(arguments)) if self.takes_context else None
        result = self._forward(context, *arguments) if context else self._forward(*arguments)
        whole = result
        if self.plan.outputs is not None:
            result = result[0] if self.plan.outputs == 1 else tuple(result[: self.plan.outputs])
        return Output.read(result), whole, context

    def forward(self, point: Point) -> Output:
        return self._run(point)[0]

    def backward(self, point: Point, dy: Tensor, layout: str = "contiguous") -> Gradients:
        output, whole, context = self._run(point)
        upstream = output.upstream(dy, layout)
        arguments = dict(zip(self.arguments.names, self.arguments.build(point), strict=True))
        handed = []
        for kind, which in self.plan.slots:
            if kind == "input":
                handed.append(arguments[which])
            elif kind == "dy":
                handed.append(upstream if which is None or self.plan.outputs == 1 else upstream[which])
            elif kind == "cache":
                handed.append(whole[which] if len(whole) == which + 1 else whole[which:])
            elif kind == "output":
                handed.append(whole if which is None else whole[0])
            else:
                handed.append(context)
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
    return value.copy() if hasattr(value, "copy") and is_output(value) else None


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, Tensor):
        return torch.equal(before.nan_to_num(), after.detach().nan_to_num())
    before, after = np.asarray(before), np.asarray(after)
    return bool(((before == after) | (before != before)).all())  # noqa: PLR0124 - a nan


def _first_is_ctx(function: Callable[..., Any]) -> bool:
    try:
        return next(iter(inspect.signature(function).parameters), "") == "ctx"
    except (TypeError, ValueError):
        return False


def values_of(forward: Callable[..., Any], inputs: Any) -> tuple[list[str], list[Any]]:
    """The names and values of the arguments; ValueError where there are none."""
    if isinstance(inputs, Mapping):
        values = {str(name): value for name, value in inputs.items()}
        names = names_of(forward, len(values))
        if set(names) == set(values):
            return names, [values[name] for name in names]
        return list(values), list(values.values())
    sequence = list(inputs) if isinstance(inputs, tuple) or (isinstance(inputs, list) and not _numbers(inputs)) else [inputs]
    if not sequence:
        raise ValueError("no inputs: give one array or tensor at least")
    return names_of(forward, len(sequence)), sequence


def _numbers(inputs: list[Any]) -> bool:
    from torch_ref.check.values import is_number_list  # noqa: PLC0415

    return is_number_list(inputs)


def recognise(forward: Any, backward: Any, inputs: Any) -> Form:
    """The form of what was given, tried at the given point. ValueError, in a sentence, for what is none."""
    from torch_ref.check import alone, layers, throughautograd  # noqa: PLC0415 - they are forms themselves

    function = throughautograd.function_of(forward)
    owned = backward is None or backward is forward or throughautograd.function_of(backward) is function
    if function is not None and (owned or backward is getattr(function, "backward", None)):
        return throughautograd.ThroughAutograd(function.apply, _arguments(function.forward, inputs), function=function)
    if isinstance(forward, nn.Module) and (backward is None or isinstance(backward, nn.Module) or inspect.ismethod(backward)):
        return throughautograd.of_module(forward, inputs)
    owner = layers.owner_of(forward, backward)
    if owner is not None:
        return layers.Layer.of(*owner, inputs)
    if not callable(forward):
        raise ValueError(f"forward is {kind_of(forward)}: a function, a layer or a module is wanted")  # noqa: TRY004
    arguments = _arguments(forward, inputs)
    if backward is None or backward is forward:
        return alone.of_function(forward, arguments)
    if not callable(backward):
        raise ValueError(f"backward is {kind_of(backward)}: it must be a function backward(dy, *inputs)")  # noqa: TRY004
    return _two_functions(forward, backward, arguments)


def _arguments(forward: Callable[..., Any], inputs: Any) -> Arguments:
    arguments = Arguments.of(*values_of(forward, inputs))
    if any(leaf.is_float for leaf in arguments.leaves.values()):
        return arguments
    if not arguments.leaves:
        raise ValueError("no input is an array of numbers: there is no gradient to check")
    # whole numbers typed without a point, where there is nothing else to differentiate by
    for name, leaf in list(arguments.leaves.items()):
        arguments.leaves[name] = Leaf(name, leaf.value.double(), leaf.kind)
    return arguments


def _two_functions(forward: Callable[..., Any], backward: Callable[..., Any], arguments: Arguments) -> Form:
    """The first plan that can be called; of several, the first whose gradient agrees with forward."""
    from torch_ref.check.slopes import agrees  # noqa: PLC0415

    call = arguments.build(arguments.given)
    try:
        result = forward(_Context(len(call)), *call) if _first_is_ctx(forward) else forward(*call)
    except Exception as error:
        error.add_note(f"raised by forward, called with {describe(arguments.leaves, arguments.given)}")
        raise
    forms: list[Functions] = []
    misshapen: list[Functions] = []
    failure: Exception | None = None
    for plan in plans(backward, arguments.names, result, scalar=_scalar(result)):
        form = Functions(forward, backward, arguments, plan)
        try:
            output = form.forward(arguments.given)
            found = form.backward(arguments.given, torch.ones_like(output.y))
        except Exception as error:  # noqa: BLE001 - whatever it raises: it wasn't to be called like this
            error.add_note(f"raised by backward, called with {describe(arguments.leaves, arguments.given)}")
            failure = failure or error
            continue
        fits = all(g is None or g.shape == arguments.leaves[name].value.shape for name, g in found.items())
        (forms if fits else misshapen).append(form)
    forms = forms or misshapen[:1]
    if not forms:
        if failure is not None:
            raise failure
        names = ", ".join(arguments.names)
        raise ValueError(
            f"backward takes neither (dy, {names}) nor (dy, cache) nor what else could be told from the names of its "
            f"parameters: write backward(dy, {names})"
        )
    if len(forms) > 1:
        return next((form for form in forms if agrees(form)), forms[0])
    return forms[0]


def _scalar(result: Any) -> bool:
    first = result[0] if isinstance(result, list | tuple) and result else result
    try:
        return Output.read(first).is_scalar
    except ValueError:
        return False

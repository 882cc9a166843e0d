"""A user's own forward and backward, of NumPy arrays or torch tensors: called on copies, their results read as tensors.

A point is a value for each input by name. Its tensors lie where the user's do; what is read from a result lies on the CPU.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Point = dict[str, Tensor]
Inputs = Any  # an array or tensor, a tuple or list of them, or a dict of them by name


class Subject:
    """`forward(*inputs)`, and `backward(dy, *inputs)`, which returns gradients in a tuple, a dict by name, or as one array.

    `given` is the user's point. ValueError says what an input, an output or what backward returned should have been.
    """

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any], inputs: Inputs) -> None:
        self._forward, self._backward = forward, backward
        values = _named(forward, inputs)
        self._numpy = {name: not isinstance(value, Tensor) for name, value in values.items()}
        self.given: Point = {name: _read(value, f"input {name}") for name, value in values.items()}
        for name, value in self.given.items():
            if value.dtype in (torch.float16, torch.bfloat16) or value.is_complex():
                raise ValueError(f"input {name} is {_plain(value.dtype)}: give float32 or float64, or integers for labels")
            if value.numel() == 0:
                raise ValueError(f"input {name} has shape {tuple(value.shape)}: give at least one entry")
        if not self.floats:
            raise ValueError("no input holds floats: there is no gradient to check")

    @property
    def floats(self) -> list[str]:
        """The inputs that have a gradient: not labels."""
        return [name for name, value in self.given.items() if value.is_floating_point()]

    def forward(self, point: Point) -> Tensor:
        """The output, on the CPU, in the dtype that the user gave it."""
        return self._output(point)[0]

    def backward(self, point: Point, dy: Tensor) -> dict[str, Tensor | None]:
        """The gradient of each float input as backward returned it, None where it says that none is wanted.

        dy (as the output) is handed over in the output's dtype, as an array where the output is one.
        """
        y, numpy, device = self._output(point)
        upstream = dy.to(y.dtype).to(device)
        result = _call("backward", self._backward, [_hand_over(upstream, numpy), *self._arguments(point)], point)
        gradients = self._by_name(result)
        return {name: None if gradients[name] is None else _read(gradients[name], f"d{name}").cpu() for name in self.floats}

    def _output(self, point: Point) -> tuple[Tensor, bool, torch.device]:
        result = _call("forward", self._forward, self._arguments(point), point)
        if isinstance(result, tuple | list | Mapping) or result is None:
            raise ValueError(f"forward returned {_kind(result)}: it must return one array or tensor")
        y = _read(result, "forward's output")
        if not y.is_floating_point():
            raise ValueError(f"forward returned {_plain(y.dtype)}: its output must be floats to have a gradient")
        return y.cpu(), not isinstance(result, Tensor) and any(self._numpy.values()), y.device

    def _arguments(self, point: Point) -> list[Any]:
        return [_hand_over(value, self._numpy[name]) for name, value in point.items()]

    def _by_name(self, result: Any) -> dict[str, Any]:
        names, floats = list(self.given), self.floats
        none = "None where no gradient is wanted"
        if result is None:
            raise ValueError("backward returned None: it must return the gradients (does it lack a return?)")
        if isinstance(result, Mapping):
            gradients = {key if key in names else str(key).removeprefix("d"): value for key, value in result.items()}
            if unknown := [str(key) for key in gradients if key not in names]:
                raise ValueError(f"backward returned a gradient of {', '.join(unknown)}; the inputs are {', '.join(names)}")
            if missing := [name for name in floats if name not in gradients]:
                raise ValueError(f"backward returned no gradient of {', '.join(missing)}: give one for each input, {none}")
        else:
            values = list(result) if isinstance(result, tuple | list) else [result]
            keys = names if len(values) == len(names) else floats
            if len(values) != len(keys):
                number = f"{len(values)} gradient{'s' * (len(values) != 1)}"
                wanted = f"return a tuple of one for each, {none}"
                raise ValueError(f"backward returned {number} for {len(names)} inputs ({', '.join(names)}): {wanted}")
            gradients = dict(zip(keys, values, strict=True))
        if all(gradients[name] is None for name in floats):
            raise ValueError("every gradient that backward returned is None: there is nothing to check")
        return gradients


def double(point: Point) -> Point:
    """The same numbers in float64; labels as they are."""
    return {name: value.double() if value.is_floating_point() else value for name, value in point.items()}


def describe(point: Point) -> str:
    """Names, shapes and dtypes in a line: x (8, 5) float32, ..."""
    return ", ".join(f"{name} {tuple(value.shape)} {_plain(value.dtype)}" for name, value in point.items())


def _named(forward: Callable[..., Any], inputs: Inputs) -> dict[str, Any]:
    parameters = _parameters(forward)
    if isinstance(inputs, Mapping):
        values = {str(name): value for name, value in inputs.items()}
        return {name: values[name] for name in parameters} if set(parameters) == set(values) else values
    sequence: Sequence[Any] = inputs if isinstance(inputs, tuple | list) else (inputs,)
    if not sequence:
        raise ValueError("no inputs: give one array or tensor at least")
    if len(parameters) < len(sequence):
        parameters = ["x"] if len(sequence) == 1 else [f"x{i}" for i in range(1, len(sequence) + 1)]
    return dict(zip(parameters, sequence, strict=False))


def _parameters(function: Callable[..., Any]) -> list[str]:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin need not have one
        return []
    return [name for name, parameter in signature.parameters.items() if parameter.kind in positional]


def _read(value: Any, what: str) -> Tensor:
    """A copy of the user's value as a tensor that belongs to no graph."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{what} is {_kind(value)}: an array of numbers or a tensor is wanted")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    return torch.from_numpy(array.copy())


def _hand_over(value: Tensor, numpy: bool) -> Any:  # noqa: FBT001 - one of two kinds, known only at run time
    """A copy, so that the user may overwrite it."""
    copy = value.clone()
    return copy.numpy() if numpy else copy


def _call(what: str, function: Callable[..., Any], arguments: list[Any], point: Point) -> Any:
    try:
        with np.errstate(all="ignore"):  # an overflow shows in the gradient, where it is diagnosed
            return function(*arguments)
    except Exception as error:
        error.add_note(f"raised by {what}, called with {describe(point)}")
        raise


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

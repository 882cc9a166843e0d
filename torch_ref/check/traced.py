"""A NumPy forward as a function of torch tensors: the same code with torch's NumPy in the place of NumPy.

So its parts can be differentiated and named. Whether it computes the same is for the caller to see.
"""

import builtins
import copy
import inspect
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import _numpy as _tnp

from torch_ref.check.alone import Closure, LossAndGradient
from torch_ref.check.attributes import put
from torch_ref.check.forms import Functions
from torch_ref.check.layers import Layer
from torch_ref.check.values import is_array

tnp: Any = _tnp  # NumPy on tensors; it exports nothing by name


def torch_version(form: Any) -> Callable[..., Any] | None:
    """Of a form's forward: takes what Autograd gives a reference. None where there is no telling how."""
    if isinstance(form, Functions | LossAndGradient | Closure):
        function, outputs = form.forward_function, form.plan.outputs if isinstance(form, Functions) else 1
        if not set(form.arguments.leaves) <= {n for names in form.arguments.by_argument.values() for n in names}:
            return None
        of_torch = any(leaf.kind == "torch" for leaf in form.arguments.leaves.values())
        if isinstance(form, Functions) and form.takes_context:
            return None

        def run(*arguments: Any) -> Any:
            result = function(*arguments) if of_torch else _swapped(function, arguments)
            return result if outputs is None else result[0] if outputs == 1 else tuple(result[:outputs])

        return run
    return _of_layer(form) if isinstance(form, Layer) else None


def _of_layer(form: Layer) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        number = len(form.inputs)
        owner = copy.deepcopy(form.owner)
        of_torch = any(isinstance(value, Tensor) for value in vars(owner).values())
        swap = Swap(tensors=of_torch)
        swapped = owner if of_torch else swap.instance(owner)
        for (path, _), value in zip(form.where.values(), arguments[number:], strict=True):
            put(swapped, path, value if of_torch else tnp.asarray(value))
        method = getattr(swapped, form.forward_name)
        result = method(*(arguments[:number] if of_torch else swap.convert(list(arguments[:number]))))
        return _tensors(form.result_of(swapped, result))

    return run


def _swapped(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    swap = Swap()
    return _tensors(swap.convert(function)(*swap.convert(list(arguments))))


def _tensors(value: Any) -> Any:
    if isinstance(value, tnp.ndarray):
        return value.tensor
    if isinstance(value, dict):
        return {key: _tensors(part) for key, part in value.items()}
    return type(value)(map(_tensors, value)) if type(value) in {list, tuple} else value


class Swap:
    """Rebuilds functions, classes and objects of the user's with torch's NumPy where they name NumPy."""

    def __init__(self, *, tensors: bool = False) -> None:
        self._memo: dict[int, Any] = {}
        self._keep: list[Any] = []
        self._tensors = tensors

    def convert(self, value: Any) -> Any:  # noqa: C901, PLR0911
        """The value itself where it has nothing of NumPy."""
        if id(value) in self._memo:
            return self._memo[id(value)]
        if value is np:
            return _NumPy()
        if getattr(value, "__name__", "") == "sliding_window_view":
            return _windows
        if isinstance(value, np.ufunc) or (callable(value) and getattr(value, "__module__", "").startswith("numpy")):
            room = tnp.linalg if getattr(value, "__module__", "") == "numpy.linalg" else tnp
            return getattr(room, getattr(value, "__name__", ""), value)
        if isinstance(value, Tensor) or (is_array(value) and isinstance(value, np.ndarray | np.generic)):
            return tnp.asarray(value)
        if type(value) in {list, tuple}:
            return type(value)(map(self.convert, value))
        if type(value) is dict:
            return {key: self.convert(part) for key, part in value.items()}
        if isinstance(value, types.FunctionType) and not _of_a_library(value.__module__):
            return self._function(value)
        if isinstance(value, types.MethodType):
            return types.MethodType(self.convert(value.__func__), self.instance(value.__self__))
        if isinstance(value, type) and not _of_a_library(value.__module__) and value.__module__ != "builtins":
            return self._class(value)
        if hasattr(value, "__dict__") and not isinstance(
            value, type | types.ModuleType | types.FunctionType | types.BuiltinFunctionType
        ):
            return self.instance(value) if not _of_a_library(type(value).__module__) else value
        return value

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        names = _names(function.__code__)
        scope: dict[str, Any] = {"__builtins__": builtins}
        closure = None
        if function.__closure__ is not None:
            closure = tuple(types.CellType() for _ in function.__closure__)
        made = types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, closure)
        made.__kwdefaults__ = function.__kwdefaults__
        self._memo[id(function)] = made
        self._keep.append(function)
        for name in names:
            if name in function.__globals__:
                scope[name] = self.convert(function.__globals__[name])
        for new, old in zip(closure or (), function.__closure__ or (), strict=True):
            new.cell_contents = self.convert(old.cell_contents)
        made.__defaults__ = (
            None if function.__defaults__ is None else tuple(self.convert(part) for part in function.__defaults__)
        )
        return made

    def _class(self, cls: type) -> type:
        kinds = types.FunctionType | staticmethod | classmethod | property  # type: ignore[type-arg]
        members = {name: value for name, value in vars(cls).items() if isinstance(value, kinds) or not name.startswith("__")}
        made = type(cls.__name__, tuple(self.convert(base) if base is not object else base for base in cls.__bases__), {})
        self._memo[id(cls)] = made
        self._keep.append(cls)
        for name, value in members.items():
            if isinstance(value, staticmethod | classmethod):
                setattr(made, name, type(value)(self.convert(value.__func__)))
            elif not isinstance(value, property):
                setattr(made, name, self.convert(value))
        return made

    def instance(self, owner: Any) -> Any:
        """An object with the same attributes, converted."""
        if id(owner) in self._memo or inspect.ismodule(owner):
            return self._memo.get(id(owner), owner)
        made_class = self.convert(type(owner))
        made = made_class.__new__(made_class)
        self._memo[id(owner)] = made
        self._keep.append(owner)
        for name, value in vars(owner).items():
            setattr(made, name, self.convert(value))
        return made


class _NumPy:
    """torch's NumPy, and what it lacks from NumPy itself, such as random numbers."""

    def __getattr__(self, name: str) -> Any:
        if name == "random":
            return _Random()
        found = getattr(tnp, name, None)
        return getattr(np, name) if found is None else found

    def einsum(self, *arguments: Any, **_: Any) -> Any:
        """einsum of tensors."""
        return tnp.asarray(torch.einsum(arguments[0], *(tnp.asarray(part).tensor for part in arguments[1:])))


def _windows(x: Any, shape: Any, axis: Any = None) -> Any:
    """sliding_window_view."""
    tensor = tnp.asarray(x).tensor
    shape = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    axes = range(tensor.ndim) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    for size, one in zip(shape, axes, strict=True):
        tensor = tensor.unfold(one, size, 1)
    return tnp.asarray(tensor)


class _Random:
    """NumPy's, so that the numbers are the same."""

    def __getattr__(self, name: str) -> Any:
        function = getattr(np.random, name)

        def draw(*arguments: Any, **named: Any) -> Any:
            result = function(*arguments, **named)
            return tnp.asarray(result) if isinstance(result, np.ndarray) else result

        return draw


def _names(code: types.CodeType) -> set[str]:
    """Of globals that a function or those within it may read."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _of_a_library(module: str | None) -> bool:
    return (module or "").split(".")[0] in {"numpy", "torch", "math", "scipy", "jax", "builtins", "random"}

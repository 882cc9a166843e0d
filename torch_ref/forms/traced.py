"""A NumPy forward as a function of torch tensors: the same code with torch's NumPy in place of
NumPy, so that torch can differentiate it. The caller checks that it computes the same.
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

from torch_ref.forms.alone import Closure, LossAndGradient
from torch_ref.forms.attributes import put
from torch_ref.forms.binding import Plan, takes_context
from torch_ref.forms.forms import Form, Functions
from torch_ref.forms.layers import Layer
from torch_ref.forms.values import rebuilt

tnp: Any = _tnp  # NumPy on tensors; it exports nothing by name
LIBRARIES = {"numpy", "torch", "math", "scipy", "jax", "builtins", "random"}


def torch_version(form: Form) -> Callable[..., Any] | None:
    """A form's forward as a function of tensors, called as a reference is. None for a form that is
    not understood.
    """
    if isinstance(form, Layer):
        return _of_layer(form)
    if (
        not isinstance(form, Functions | LossAndGradient | Closure)
        or takes_context(form.function)
        or form.arguments.kept
    ):
        return None
    function, plan = form.function, form.plan if isinstance(form, Functions) else Plan(outputs=1)
    of_torch = any(leaf.kind == "torch" for leaf in form.arguments.leaves.values())

    def run(*arguments: Any) -> Any:
        if of_torch:
            return plan.output_of(function(*arguments))
        swap = Swap()
        return plan.output_of(_tensors(swap.convert(function)(*swap.convert(list(arguments)))))

    return run


def _of_layer(form: Layer) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        number, owner = len(form.inputs), copy.deepcopy(form.owner)
        of_torch = any(isinstance(value, Tensor) for value in vars(owner).values())
        swap = Swap()
        swapped = owner if of_torch else swap.instance(owner)
        for (path, _), value in zip(form.where.values(), arguments[number:], strict=True):
            put(swapped, path, value if of_torch else tnp.asarray(value))
        method = getattr(swapped, form.forward_name)
        result = method(
            *(arguments[:number] if of_torch else swap.convert(list(arguments[:number])))
        )
        return _tensors(form.result_of(swapped, result))

    return run


def _tensors(value: Any) -> Any:
    return rebuilt(value, lambda part: part.tensor if isinstance(part, tnp.ndarray) else part)


class Swap:
    """Rebuilds functions, classes and objects of the user's with torch's NumPy where they name
    NumPy.
    """

    def __init__(self) -> None:
        self._memo: dict[int, Any] = {}
        self._keep: list[Any] = []  # so that the ids in the memo stay taken

    def convert(self, value: Any) -> Any:  # noqa: C901, PLR0911
        """The value with torch's NumPy for NumPy; the value itself where it has none."""
        if id(value) in self._memo:
            return self._memo[id(value)]
        name, home = getattr(value, "__name__", ""), getattr(value, "__module__", None) or ""
        if value is np:
            return _NumPy()
        if name == "sliding_window_view":
            return _windows
        if isinstance(value, np.ufunc) or (callable(value) and home.startswith("numpy")):
            return getattr(tnp.linalg if home == "numpy.linalg" else tnp, name, value)
        if isinstance(value, Tensor | np.ndarray | np.generic):
            return tnp.asarray(value)
        if type(value) in {list, tuple}:
            return type(value)(map(self.convert, value))
        if type(value) is dict:
            return {key: self.convert(part) for key, part in value.items()}
        if isinstance(value, types.MethodType):
            return types.MethodType(self.convert(value.__func__), self.convert(value.__self__))
        if isinstance(value, types.FunctionType | type):
            if home.split(".")[0] in LIBRARIES:
                return value
            return self._class(value) if isinstance(value, type) else self._function(value)
        if hasattr(value, "__dict__") and not isinstance(
            value, types.ModuleType | types.BuiltinFunctionType
        ):
            return (
                self.instance(value)
                if type(value).__module__.split(".")[0] not in LIBRARIES
                else value
            )
        return value

    def _made(self, value: Any, made: Any) -> Any:
        """Note what a value has become before its parts are converted, for they may name it."""
        self._memo[id(value)] = made
        self._keep.append(value)
        return made

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        scope: dict[str, Any] = {"__builtins__": builtins}
        cells = function.__closure__
        closure = None if cells is None else tuple(types.CellType() for _ in cells)
        made: types.FunctionType = self._made(
            function,
            types.FunctionType(
                function.__code__, scope, function.__name__, function.__defaults__, closure
            ),
        )
        for name in _names(function.__code__) & function.__globals__.keys():
            scope[name] = self.convert(function.__globals__[name])
        for new, old in zip(closure or (), cells or (), strict=True):
            new.cell_contents = self.convert(old.cell_contents)
        made.__defaults__ = self.convert(function.__defaults__)
        made.__kwdefaults__ = self.convert(function.__kwdefaults__)
        return made

    def _class(self, cls: type) -> type:
        bases = tuple(self.convert(base) if base is not object else base for base in cls.__bases__)
        made: type = self._made(cls, type(cls.__name__, bases, {}))
        for name, value in vars(cls).items():
            if isinstance(value, staticmethod | classmethod):
                setattr(made, name, type(value)(self.convert(value.__func__)))
            elif isinstance(value, property):
                setattr(made, name, property(self.convert(value.fget)))
            elif isinstance(value, types.FunctionType) or not name.startswith("__"):
                setattr(made, name, self.convert(value))
        return made

    def instance(self, owner: Any) -> Any:
        """An object with the same attributes, converted."""
        if id(owner) in self._memo or inspect.ismodule(owner):
            return self._memo.get(id(owner), owner)
        made_class = self.convert(type(owner))
        made = self._made(owner, made_class.__new__(made_class))
        for name, value in vars(owner).items():
            setattr(made, name, self.convert(value))
        return made


class _NumPy:
    """torch's NumPy, and what it lacks from NumPy itself or a module in it, such as random
    numbers.
    """

    def __init__(self, module: Any = np) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name == "random":
            return _Random()
        if name == "sliding_window_view":
            return _windows
        found = getattr(tnp, name, None) or getattr(self._module, name)
        is_ours = inspect.ismodule(found) and not found.__name__.startswith("torch")
        return _NumPy(found) if is_ours else found

    def einsum(self, *arguments: Any, **_: Any) -> Any:
        """einsum of tensors."""
        return tnp.asarray(
            torch.einsum(arguments[0], *(tnp.asarray(part).tensor for part in arguments[1:]))
        )


def _windows(x: Any, shape: Any, axis: Any = None) -> Any:
    """sliding_window_view."""
    tensor = tnp.asarray(x).tensor
    shape = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    axes = (
        range(tensor.ndim) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    )
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
    """The names of globals that a function, or one inside it, may read."""
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))

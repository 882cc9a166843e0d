"""A user's arrays, tensors and numbers, nested as they are: read as tensors, and handed back in the kind they came in.

A point is a value for each float or integer array by name. Complex numbers are held as pairs of real ones, (..., 2): what
torch calls the gradient of a complex number is then the gradient of the pair.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

Point = dict[str, Tensor]


@dataclass(frozen=True)
class Leaf:
    """One array of the user's: `value` as a tensor that belongs to no graph, and in which kind it was given.

    kind: "torch", "numpy", "matrix" (of NumPy), "list" (nested, of numbers) or "number" (of Python).
    """

    name: str
    value: Tensor
    kind: str
    is_complex: bool = False

    @property
    def is_float(self) -> bool:
        """It may have a gradient: it doesn't hold integers."""
        return self.value.is_floating_point()

    @property
    def shape(self) -> tuple[int, ...]:
        """As the user gave it."""
        return tuple(self.value.shape[:-1] if self.is_complex else self.value.shape)

    def hand_over(self, value: Tensor) -> Any:
        """A copy in the user's kind, so that it may be overwritten."""
        return as_kind(value, self.kind, complex_=self.is_complex)


def as_kind(value: Tensor, kind: str, *, complex_: bool) -> Any:
    """A copy of a tensor as the kind of thing that a user's code takes."""
    own = torch.view_as_complex(value.contiguous()).clone() if complex_ else value.clone()
    if kind == "torch":
        return own
    array = own.cpu().numpy()
    if kind == "matrix":
        return np.asmatrix(array)
    if kind == "list":
        return array.tolist()
    return array.item() if kind == "number" else array


def is_number(value: Any) -> bool:
    """A number of Python, which is no truth value."""
    return isinstance(value, int | float | complex) and not isinstance(value, bool | np.generic)


def numbers_in(value: Any) -> Iterator[Any]:
    """Everything in nested lists and tuples."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from numbers_in(part)
    else:
        yield value


def is_number_list(value: Any) -> bool:
    """A nested list of Python's numbers, a float among them: an array that its author wrote as a list."""
    if not isinstance(value, list | tuple) or not value:
        return False
    parts = list(numbers_in(value))
    if not parts or not all(is_number(part) for part in parts) or not any(isinstance(part, float) for part in parts):
        return False
    try:
        return np.asarray(value).dtype.kind in "fc"
    except ValueError:  # ragged
        return False


def is_array(value: Any) -> bool:
    """Something of numbers that NumPy or torch can read."""
    if isinstance(value, Tensor):
        return value.layout == torch.strided
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "fciub"
    return hasattr(value, "__array__") and hasattr(value, "shape") and not isinstance(value, type)


def read(value: Any, what: str) -> Tensor:
    """A copy as a tensor that belongs to no graph, complex numbers as they are. ValueError for what isn't of numbers."""
    if isinstance(value, Tensor):
        tensor = value.detach().clone()
        return tensor.to_dense() if tensor.layout != torch.strided else tensor
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(f"{what} is a masked array: give the array and its mask as two inputs")  # noqa: TRY004
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "fciub":
        raise ValueError(f"{what} is {kind_of(value)}: an array of numbers or a tensor is wanted")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape).copy())


def as_real(value: Tensor) -> Tensor:
    """Complex numbers as pairs."""
    return torch.view_as_real(value.resolve_conj()).contiguous() if value.is_complex() else value


def kind_of(value: Any) -> str:
    """For a message: None, or a list."""
    return "None" if value is None else f"a {type(value).__name__}"


def plain(dtype: torch.dtype) -> str:
    """float64, without torch."""
    return str(dtype).removeprefix("torch.")


def double(point: Point) -> Point:
    """The same numbers in float64; labels as they are."""
    return {name: value.double() if value.is_floating_point() else value for name, value in point.items()}


def describe(leaves: Mapping[str, Leaf], point: Point) -> str:
    """Names, shapes and dtypes in a line: x (8, 5) float32, ..."""
    return ", ".join(f"{name} {leaves[name].shape} {plain(value.dtype)}" for name, value in point.items())


@dataclass
class Arguments:
    """The arguments of a call with their arrays taken out: `leaves` by name, and `build` puts others in their place.

    What is no array (a stride, a mode, a generator of random numbers) is handed over as it is, a copy at each call.
    """

    names: list[str]
    template: list[Any]
    leaves: dict[str, Leaf] = field(default_factory=dict)
    by_argument: dict[str, list[str]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)  # which inputs the gradients are of, where only their shapes told

    @classmethod
    def of(cls, names: list[str], values: list[Any]) -> "Arguments":
        """Read them. Integers stand for themselves unless there is nothing else that could have a gradient."""
        found = cls(names, [])
        numbers = not any(_has_floats(value) for value in values)
        for name, value in zip(names, values, strict=True):
            before = set(found.leaves)
            found.template.append(found._take(value, name, top=True, numbers=numbers))
            found.by_argument[name] = [leaf for leaf in found.leaves if leaf not in before]
        return found

    def _take(self, value: Any, name: str, *, top: bool, numbers: bool) -> Any:
        if is_array(value) and not isinstance(value, np.ma.MaskedArray):
            return self._leaf(name, value, "torch" if isinstance(value, Tensor) else
                              "matrix" if isinstance(value, np.matrix) else "numpy")  # fmt: skip
        if isinstance(value, np.ma.MaskedArray):
            raise ValueError(f"{name} is a masked array: give the array and its mask as two inputs")  # noqa: TRY004
        if top and is_number(value) and (isinstance(value, float | complex) or numbers):
            return self._leaf(name, complex(value) if isinstance(value, complex) else float(value), "number")
        if is_number_list(value):
            return self._leaf(name, value, "list")
        if isinstance(value, Mapping):
            items = {key: self._take(part, self._name(name, key), top=False, numbers=numbers) for key, part in value.items()}
            return items if type(value) is dict else _like(value, items)
        if isinstance(value, list | tuple):
            parts = [self._take(part, f"{name}[{i}]", top=False, numbers=numbers) for i, part in enumerate(value)]
            return parts if isinstance(value, list) else type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        return value

    def _name(self, parent: str, key: Any) -> str:
        """W1 for p["W1"], as long as no other has that name."""
        plain_name = str(key)
        taken = plain_name in self.leaves or plain_name in self.names
        return f"{parent}[{key!r}]" if taken or not isinstance(key, str) else plain_name

    def _leaf(self, name: str, value: Any, kind: str) -> Leaf:
        tensor = read(value, f"input {name}")
        if tensor.numel() == 0:
            raise ValueError(f"input {name} has shape {tuple(tensor.shape)}: give at least one entry")
        leaf = Leaf(name, as_real(tensor), kind, tensor.is_complex())
        self.leaves[name] = leaf
        return leaf

    def build(self, point: Point, hand_over: Callable[[Leaf, Tensor], Any] | None = None) -> list[Any]:
        """The arguments with the values of a point, nested as they were."""
        give = hand_over or (lambda leaf, value: leaf.hand_over(value))

        def put(part: Any) -> Any:
            if isinstance(part, Leaf):
                return give(part, point[part.name])
            if isinstance(part, dict):
                return {key: put(value) for key, value in part.items()}
            if isinstance(part, list):
                return [put(value) for value in part]
            if isinstance(part, tuple):
                return type(part)(*map(put, part)) if hasattr(part, "_fields") else tuple(map(put, part))
            return _copied(part)

        return [put(part) for part in self.template]

    @property
    def given(self) -> Point:
        """The user's own point."""
        return {name: leaf.value for name, leaf in self.leaves.items()}


def _like(value: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    try:
        return type(value)(items)  # type: ignore[call-arg]
    except TypeError:
        return items


def _copied(value: Any) -> Any:
    if isinstance(value, str | int | float | type | None):
        return value
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - a handle or a module can't be copied, and need not be
        return value


def _has_floats(value: Any) -> bool:
    if isinstance(value, np.ma.MaskedArray):
        return True
    if is_array(value):
        return read(value, "").is_floating_point() or read(value, "").is_complex()
    if isinstance(value, Mapping):
        return any(_has_floats(part) for part in value.values())
    if isinstance(value, list | tuple):
        return is_number_list(value) or any(_has_floats(part) for part in value)
    return isinstance(value, float)


GRADIENT_OF = re.compile(
    r"^(?:dL_?d|dloss_?d|dJ_?d|dE_?d|grads?_?|gradient_?|delta_?|nabla_?|d_|d|g_)(?P<a>.+)$|^(?P<b>.+?)_?(?:grads?|gradient)$",
    re.IGNORECASE,
)


def stripped(name: str) -> list[str]:
    """What dW, grad_W, dLdW or W_grad may be the gradient of: the name itself, and it without such a mark."""
    found = [name]
    for pattern in (GRADIENT_OF, re.compile(r"^[dg](?P<a>.+)$(?P<b>)")):
        match = pattern.match(name)
        if match:
            found += [part for part in (match["a"], match["b"]) if part]
    return list(dict.fromkeys(found))


def matching(name: str, wanted: list[str]) -> str | None:
    """Which of the wanted names a gradient's name belongs to: exactly, or but for the case where only one fits."""
    for candidate in stripped(name):
        if candidate in wanted:
            return candidate
    for candidate in stripped(name):
        close = [other for other in wanted if _loose(other) == _loose(candidate)]
        if len(close) == 1:
            return close[0]
    return None


def _loose(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())

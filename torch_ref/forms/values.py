"""A user's arrays, tensors and numbers, nested as they are: read as tensors, and given back in the
kind they came in.

A point is a value for each float or integer array by name. Complex numbers are held as pairs of
real ones, (..., 2): what torch calls the gradient of a complex number is then the gradient of the
pair.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Point = dict[str, Tensor]


@dataclass(frozen=True)
class Leaf:
    """One array of the user's: `value` as a tensor that belongs to no graph, and how it was given.

    kind: "torch", "numpy", "matrix" (of NumPy), "list" (nested, of numbers) or "number" (of
    Python).
    """

    name: str
    value: Tensor
    kind: str
    is_complex: bool = False

    @classmethod
    def of(cls, name: str, value: Any, what: str = "") -> "Leaf":
        """Read a value. ValueError for what holds no numbers."""
        tensor = read(value, what or name)
        if tensor.numel() == 0:
            raise ValueError(
                f"{what or name} has shape {tuple(tensor.shape)}: give at least one entry"
            )
        return cls(name, as_real(tensor), kind_of(value), tensor.is_complex())

    @property
    def is_float(self) -> bool:
        """Whether it holds floats, and so may have a gradient."""
        return self.value.is_floating_point()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that the user gave it."""
        return tuple(self.value.shape[:-1] if self.is_complex else self.value.shape)

    def hand_over(self, value: Tensor) -> Any:
        """A copy in the user's kind, so that it may be overwritten."""
        return as_kind(value, self.kind, complex_=self.is_complex)


def kind_of(value: Any) -> str:
    """The kind of a value, as in Leaf."""
    if is_array(value):
        return (
            "torch"
            if isinstance(value, Tensor)
            else "matrix"
            if isinstance(value, np.matrix)
            else "numpy"
        )
    return "list" if isinstance(value, list | tuple) else "number"


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
    """Whether it is a number of Python, and no bool."""
    return isinstance(value, int | float | complex) and not isinstance(value, bool | np.generic)


def is_number_list(value: Any) -> bool:
    """Whether it is a nested list of Python's numbers, a float among them: an array written as a
    list.
    """
    if not isinstance(value, list | tuple):
        return False
    numbers = list(parts(value))
    if not all(map(is_number, numbers)) or not any(isinstance(number, float) for number in numbers):
        return False
    try:
        return np.asarray(value).dtype.kind in "fc"
    except ValueError:  # ragged
        return False


def is_array(value: Any) -> bool:
    """Whether it is an array of numbers that NumPy or torch can read."""
    if isinstance(value, Tensor):
        return value.layout == torch.strided
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "fciub"
    return hasattr(value, "__array__") and hasattr(value, "shape") and not isinstance(value, type)


def is_numeric(value: Any) -> bool:
    """Whether it is an array, a number or a list of numbers."""
    return is_array(value) or is_number(value) or is_number_list(value)


def parts(value: Any) -> Iterator[Any]:
    """Everything in nested dicts, lists and tuples."""
    if isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from parts(part)
    else:
        yield value


def rebuilt(value: Any, function: Callable[[Any], Any]) -> Any:
    """Nested dicts, lists and tuples of the same types, with `function` applied to all that is in
    them.
    """
    if isinstance(value, Mapping):
        return like(value, {key: rebuilt(part, function) for key, part in value.items()})
    if isinstance(value, list | tuple) and not is_number_list(value):
        return like(value, [rebuilt(part, function) for part in value])
    return function(value)


def like(value: Any, content: Any) -> Any:
    """The content of a dict, list or tuple as one of the type of `value`."""
    try:
        return type(value)(*content) if hasattr(value, "_fields") else type(value)(content)
    except Exception:  # noqa: BLE001 - only its author knows how to make one
        return content


def read(value: Any, what: str) -> Tensor:
    """A copy as a tensor that belongs to no graph, complex numbers as they are. ValueError for what
    isn't of numbers.
    """
    if isinstance(value, Tensor):
        tensor = value.detach().clone()
        return tensor.to_dense() if tensor.layout != torch.strided else tensor
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(  # noqa: TRY004
            f"{what} is a masked array: give the array and its mask as two inputs"
        )
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "fciub":
        raise ValueError(f"{what} is {a_or_none(value)}: an array of numbers or a tensor is wanted")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape).copy())


def as_real(value: Tensor) -> Tensor:
    """The same with complex numbers as pairs of real ones."""
    return torch.view_as_real(value.resolve_conj()).contiguous() if value.is_complex() else value


def a_or_none(value: Any) -> str:
    """Words for a message: "None", or "a list" and the like."""
    return "None" if value is None else f"a {type(value).__name__}"


def plain(dtype: torch.dtype) -> str:
    """The name of a dtype without "torch."."""
    return str(dtype).removeprefix("torch.")


def double(point: Point) -> Point:
    """The same numbers in float64; labels as they are."""
    return {
        name: value.double() if value.is_floating_point() else value
        for name, value in point.items()
    }


def has_slope(value: Any) -> bool:
    """Whether an array is of real or complex numbers, not of integers."""
    if isinstance(value, Tensor):
        return value.is_floating_point() or value.is_complex()
    return np.asarray(value).dtype.kind in "fc"

"""The attributes of an object in which it keeps its parameters, and their gradients."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from torch_ref.forms.arguments import Arguments
from torch_ref.forms.binding import matching, stripped
from torch_ref.forms.values import Leaf, Point, is_array

CONTAINER = {"grads", "grad", "gradients", "gradient", "dparams", "derivatives", "deltas"}
VALUE = {"data", "value", "val"}  # in which a small object keeps its array
Path = tuple[Any, ...]


def arrays(owner: Any) -> Iterator[tuple[Path, Any]]:
    """The arrays of floats among an object's attributes, those in a dict, a list or a small object
    there included.
    """
    for name, value in list(vars(owner).items() if hasattr(owner, "__dict__") else []):
        yield from _within((name,), value, depth=2)


def _within(path: Path, value: Any, depth: int) -> Iterator[tuple[Path, Any]]:
    if is_array(value):
        if (
            value.is_floating_point()
            if isinstance(value, Tensor)
            else np.asarray(value).dtype.kind == "f"
        ):
            yield path, value
        if isinstance(value, Tensor) and value.is_leaf and value.grad is not None:
            yield (*path, "grad"), value.grad
    elif isinstance(value, float):
        yield path, value
    elif depth:
        inner: list[tuple[Any, Any]] = []
        if isinstance(value, dict):
            inner = list(value.items())
        elif isinstance(value, list):
            inner = list(enumerate(value))
        elif hasattr(value, "__dict__") and not callable(value) and not inspect.ismodule(value):
            inner = list(vars(value).items())
        for key, part in inner:
            yield from _within((*path, key), part, depth - 1)


def get(owner: Any, path: Path) -> Any:
    """The value at a path."""
    for key in path:
        owner = owner[key] if isinstance(owner, dict | list) else getattr(owner, key)
    return owner


def put(owner: Any, path: Path, value: Any) -> None:
    """Set the value at a path."""
    *way, last = path
    holder = get(owner, tuple(way))
    if isinstance(holder, dict | list):
        holder[last] = value
    else:
        setattr(holder, last, value)


def name_of(path: Path) -> str:
    """The W of self.W, self.params["W"] or self.W.data."""
    names = [part for part in path if isinstance(part, str)]
    return next((name for name in reversed(names) if name not in VALUE), "")


class Parameters:
    """The arrays of an object whose names are in a dict of gradients: they become inputs, too."""

    def __init__(self, owner: Any, arguments: Arguments, gradients: Any) -> None:
        self._owner, self._leaves = owner, arguments.leaves
        self._where: dict[str, Path] = {}
        if owner is None or inspect.ismodule(owner) or not isinstance(gradients, dict):
            return
        for path, value in list(arrays(owner)):
            name = name_of(path)
            if name not in self._leaves and any(matching(str(key), [name]) for key in gradients):
                self._leaves[name] = Leaf.of(name, value)
                self._where[name] = path

    def put(self, point: Point) -> None:
        """Set them in the object to their values at a point."""
        for name, path in self._where.items():
            put(self._owner, path, self._leaves[name].hand_over(point[name]))


def gradient_path(path: Path, candidates: list[Path]) -> Path | None:
    """Where the gradient of the parameter at `path` is: self.dW, self.grads["W"], self.W.grad; in
    the same object first.
    """
    near = [
        other
        for other in candidates
        if other[: len(path) - 1] == path[:-1] or other[: len(path)] == path
    ]
    of_many = len(path) > 2 and isinstance(path[1], int)
    return _among(path, near) or (None if of_many else _among(path, candidates))


def _among(path: Path, candidates: list[Path]) -> Path | None:
    key = name_of(path)
    # dw is of w before dW is
    for other in sorted(candidates, key=lambda other: key not in stripped(str(other[-1]))):
        last = other[-1]
        within = any(isinstance(part, str) and part.lower() in CONTAINER for part in other)
        if within and other[0] == path[0] and last in CONTAINER:
            return other
        if within and isinstance(last, int) and last == path[-1]:
            return other
        if (
            isinstance(last, str)
            and other != path
            and ((within and last == key) or _is_marked(last, key))
        ):
            return other
    return None


def _is_marked(last: str, key: str) -> bool:
    """Whether it is key with the mark of a gradient, such as dW of W."""
    bare = [part.lower() for part in stripped(last) if part != last]
    return last != key and matching(last, [key]) == key and key.lower() in bare

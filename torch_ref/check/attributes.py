"""The attributes of an object in which it keeps its parameters, and their gradients."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from torch_ref.check.values import Arguments, Leaf, Point, as_real, is_array, matching, read, stripped

CONTAINER = ("grads", "grad", "gradients", "gradient", "dparams", "derivatives", "deltas")
Path = tuple[Any, ...]


def arrays(owner: Any) -> Iterator[tuple[Path, Any]]:
    """The arrays of floats among an object's attributes, those in a dict, a list or a small object there included."""
    for name, value in list(vars(owner).items() if hasattr(owner, "__dict__") else []):
        yield from _within((name,), value, depth=2)


def _within(path: Path, value: Any, depth: int) -> Iterator[tuple[Path, Any]]:  # noqa: C901
    if is_array(value):
        if _is_float(value):
            yield path, value
        if isinstance(value, Tensor) and value.is_leaf and value.grad is not None:
            yield (*path, "grad"), value.grad
    elif isinstance(value, float) and not isinstance(value, bool):
        yield path, value
    elif depth and isinstance(value, dict):
        for key, part in value.items():
            yield from _within((*path, key), part, depth - 1)
    elif depth and isinstance(value, list):
        for i, part in enumerate(value):
            yield from _within((*path, i), part, depth - 1)
    elif depth and hasattr(value, "__dict__") and not callable(value) and not inspect.ismodule(value):
        for key, part in vars(value).items():
            yield from _within((*path, key), part, depth - 1)


def _is_float(value: Any) -> bool:
    dtype = value.dtype
    return bool(dtype.is_floating_point) if isinstance(value, Tensor) else np.asarray(value).dtype.kind == "f"


def get(owner: Any, path: Path) -> Any:
    for key in path:
        owner = owner[key] if isinstance(owner, dict | list) else getattr(owner, key)
    return owner


def put(owner: Any, path: Path, value: Any) -> None:
    *way, last = path
    holder = get(owner, tuple(way))
    if isinstance(holder, dict | list):
        holder[last] = value
    else:
        setattr(holder, last, value)


class Parameters:
    """Arrays of an object that a dict of gradients has the names of: they become inputs, too."""

    def __init__(self, owner: Any, arguments: Arguments, gradients: Any) -> None:
        self._owner, self._where = owner, dict[str, Path]()
        self._arguments = arguments
        if owner is None or inspect.ismodule(owner) or not isinstance(gradients, dict):
            return
        for path, value in list(arrays(owner)):
            name = next((part for part in reversed(path) if isinstance(part, str)), "")
            if name not in arguments.leaves and any(matching(str(key), [name]) for key in gradients):
                kind = "torch" if isinstance(value, Tensor) else "numpy" if is_array(value) else "number"
                arguments.leaves[name] = Leaf(name, as_real(read(value, name)), kind)
                self._where[name] = path

    def put(self, point: Point) -> None:
        """Into the object."""
        for name, path in self._where.items():
            put(self._owner, path, self._arguments.leaves[name].hand_over(point[name]))


def gradient_path(path: Path, candidates: list[Path]) -> Path | None:
    """Where the gradient of the parameter at `path` lies: self.dW, self.grads["W"], self.W.grad; near it before elsewhere."""
    near = [other for other in candidates if other[: len(path) - 1] == path[:-1] or other[: len(path)] == path]
    return _among(path, near) or (_among(path, candidates) if len(path) < 3 or not isinstance(path[1], int) else None)


def _among(path: Path, candidates: list[Path]) -> Path | None:
    key = next((part for part in reversed(path) if isinstance(part, str) and part not in {"data", "value", "val"}), "")
    for other in candidates:
        last = other[-1]
        within = any(isinstance(part, str) and part.lower() in CONTAINER for part in other)
        if within and other[0] == path[0] and other[-1] in CONTAINER:
            return other
        if within and isinstance(last, int) and last == path[-1]:
            return other
        if not isinstance(last, str) or other == path:
            continue
        if (within and last == key) or (last != key and matching(last, [key]) == key and key in _close(last, key)):
            return other
    return None


def _close(last: str, key: str) -> list[str]:
    """key, if `last` is it with a mark of a gradient."""
    return [key] if any(part.lower() == key.lower() and part != last for part in stripped(last)) else []

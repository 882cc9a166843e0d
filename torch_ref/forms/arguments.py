"""The arguments of a call, with the arrays in them taken out."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from torch_ref.forms.values import (
    Leaf,
    Point,
    has_slope,
    is_array,
    is_number,
    is_number_list,
    like,
    parts,
    plain,
    rebuilt,
)


@dataclass
class Arguments:
    """The arguments of a call with their arrays taken out: `leaves` by name, and `build` puts
    others in their place.

    What is no array (a stride, a mode, a generator of random numbers) is handed over as it is, a
    copy at each call.
    """

    names: list[str]
    template: list[Any]
    leaves: dict[str, Leaf] = field(default_factory=dict)
    by_argument: dict[str, list[str]] = field(default_factory=dict)
    # which inputs the gradients are of, where only their shapes told
    order: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, names: list[str], values: list[Any]) -> "Arguments":
        """Read the arguments. Integers are no inputs unless nothing else could have a gradient."""
        found = cls(names, [])
        has_floats = any(_has_floats(value) for value in values)
        for name, value in zip(names, values, strict=True):
            before = set(found.leaves)
            if is_number(value) and not (isinstance(value, int) and has_floats):
                found.template.append(
                    found._leaf(name, value if isinstance(value, complex) else float(value))
                )
            else:
                found.template.append(found._take(value, name))
            found.by_argument[name] = [leaf for leaf in found.leaves if leaf not in before]
        return found

    def _take(self, value: Any, name: str) -> Any:
        if is_array(value) or is_number_list(value):
            return self._leaf(name, value)
        if isinstance(value, Mapping):
            return like(
                value, {key: self._take(part, self._name(name, key)) for key, part in value.items()}
            )
        if isinstance(value, list | tuple):
            return like(value, [self._take(part, f"{name}[{i}]") for i, part in enumerate(value)])
        return value

    def _name(self, parent: str, key: Any) -> str:
        """W1 for p["W1"], as long as no other has that name."""
        taken = not isinstance(key, str) or key in self.leaves or key in self.names
        return f"{parent}[{key!r}]" if taken else key

    def _leaf(self, name: str, value: Any) -> Leaf:
        self.leaves[name] = Leaf.of(name, value, f"input {name}")
        return self.leaves[name]

    def build(
        self, point: Point, hand_over: Callable[[Leaf, Tensor], Any] = Leaf.hand_over
    ) -> list[Any]:
        """The arguments with the values of a point, nested as they were."""

        def put(part: Any) -> Any:
            return hand_over(part, point[part.name]) if isinstance(part, Leaf) else _copied(part)

        return [rebuilt(part, put) for part in self.template]

    @property
    def given(self) -> Point:
        """The user's own point."""
        return {name: leaf.value for name, leaf in self.leaves.items()}

    @property
    def floats(self) -> list[str]:
        """The inputs that may have a gradient."""
        return [name for name, leaf in self.leaves.items() if leaf.is_float]

    @property
    def kept(self) -> list[str]:
        """The inputs that are no arguments of the call: an object keeps them, as a layer does its
        parameters.
        """
        return [
            name
            for name in self.leaves
            if not any(name in leaves for leaves in self.by_argument.values())
        ]

    def describe(self, point: Point) -> str:
        """Names, shapes and dtypes in a line: x (8, 5) float32, ..."""
        return ", ".join(
            f"{name} {self.leaves[name].shape} {plain(value.dtype)}"
            for name, value in point.items()
        )


def _copied(value: Any) -> Any:
    if isinstance(value, str | int | float | type | None):
        return value
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - a handle or a module can't be copied, and need not be
        return value


def _has_floats(value: Any) -> bool:
    if is_number_list(value):
        return True
    return any(
        has_slope(part) if is_array(part) else isinstance(part, float) for part in parts(value)
    )

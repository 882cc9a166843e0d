"""The gradients that a backward returned, by the names of the inputs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from torch_ref.forms.arguments import Arguments
from torch_ref.forms.binding import matching
from torch_ref.forms.values import Leaf, as_real, is_array, is_number, is_numeric, parts, read

Gradients = dict[str, Tensor | None]
WANTED = "return a tuple of one for each, None where no gradient is wanted"


def gradients(result: Any, arguments: Arguments) -> tuple[Gradients, list[str]]:
    """(the gradient of each input that may have one, or None; remarks). ValueError if it is not
    clear which is which.

    The result may be one array, a tuple in the order of the inputs, a dict with keys such as x, dx
    or grad_x, or nested as the inputs are.
    """
    found = _Found(arguments)
    if result is None:
        raise ValueError(
            "backward returned None: it must return the gradients (does it lack a return?)"
        )
    if isinstance(result, Mapping):
        found.by_key(result)
    elif found.is_one(result):
        found.one(result)
    else:
        found.in_order(list(result))
    if all(value is None for value in found.gradients.values()):
        raise ValueError("every gradient that backward returned is None: there is nothing to check")
    return found.gradients, found.notes


def gradient(value: Any, leaf: Leaf) -> Tensor | None:
    """The gradient of one input as a real view on the CPU. ValueError for complex numbers where the
    input is real.
    """
    if value is None:
        return None
    tensor = read(value, f"d{leaf.name}").cpu()
    if leaf.is_complex and not tensor.is_complex():
        tensor = tensor + 0j
    if tensor.is_complex() and not leaf.is_complex:
        raise ValueError(f"d{leaf.name} is complex where {leaf.name} is real: return its real part")
    real = as_real(tensor)
    return real if real.is_floating_point() else real.double()


class _Found:
    """The gradients that were found in a result so far."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments, self._leaves, self._floats = arguments, arguments.leaves, arguments.floats
        self._templates = dict(zip(arguments.names, arguments.template, strict=True))
        self.gradients: Gradients = dict.fromkeys(self._floats)
        self.notes: list[str] = []

    def _put(self, names: list[str], values: list[Any]) -> None:
        self.gradients |= {
            name: gradient(value, self._leaves[name])
            for name, value in zip(names, values, strict=True)
        }

    def is_one(self, result: Any) -> bool:
        """Whether it is the gradient of one input, not several in a list."""
        if not isinstance(result, list | tuple):
            return True
        if not result or not all(map(is_number, parts(result))):
            return False
        try:
            shape = np.asarray(result, dtype=complex).shape
        except ValueError:  # ragged
            return False
        return (
            isinstance(result, list)
            and len(self._floats) == 1
            and shape == self._leaves[self._floats[0]].shape
        )

    def one(self, result: Any) -> None:
        """Take it for the gradient of the only input, or of the first that has its shape."""
        if len(self._floats) > 1 and not self._arguments.order:
            first = next(iter(self._arguments.by_argument.values()))
            shape = tuple(read(result, "the gradient").shape)
            fitting = [name for name in self._floats if self._leaves[name].shape == shape]
            if not fitting or (len(first) > 1 and not is_array(result)):
                raise ValueError(
                    f"backward returned 1 gradient, of shape {shape}, for {len(self._floats)} "
                    "inputs "
                    f"({', '.join(self._floats)}), of which none has that shape: {WANTED}"
                )
            self._arguments.order = fitting[:1]
        self._put((self._arguments.order or self._floats)[:1], [result])

    def by_key(self, result: Mapping[Any, Any]) -> None:
        """Read a dict."""
        arguments, unknown = self._arguments, []
        for key, value in result.items():
            whole, name = matching(str(key), arguments.names), matching(str(key), self._floats)
            if (
                whole is not None
                and isinstance(value, Mapping | list | tuple)
                and arguments.by_argument[whole] != [whole]
            ):
                self._nested(value, self._templates[whole])
            elif name is not None:
                self._put([name], [value])
            elif (
                value is not None and matching(str(key), [*arguments.names, *self._leaves]) is None
            ):
                unknown.append(str(key))
        if unknown and all(value is None for value in self.gradients.values()):
            raise ValueError(
                f"backward returned a gradient of {', '.join(unknown)}; the inputs are "
                f"{', '.join(self._floats)}"
            )
        if unknown:
            self.notes.append(
                f"backward also returned {', '.join(unknown)}, of no input: not looked at"
            )

    def _nested(self, value: Any, template: Any) -> None:
        """Read a gradient nested as its argument is."""
        if isinstance(template, Leaf):
            if template.is_float:
                self._put([template.name], [value])
        elif isinstance(template, Mapping) and isinstance(value, Mapping):
            own = {str(key): old for key, old in template.items()}
            for key, part in value.items():
                name = matching(str(key), list(own))
                if name is not None:
                    self._nested(part, own[name])
        elif isinstance(template, Mapping | list | tuple) and isinstance(value, list | tuple):
            for part, old in zip(
                value,
                template.values() if isinstance(template, Mapping) else template,
                strict=False,
            ):
                self._nested(part, old)

    def in_order(self, values: list[Any]) -> None:
        """Read a list: one for each argument, each argument with floats, or each array of floats;
        else by their shapes.
        """
        arguments, names = self._arguments, self._arguments.names
        with_floats = [
            name for name in names if set(arguments.by_argument[name]) & set(self._floats)
        ]
        hard = [
            name
            for name in with_floats
            if arguments.by_argument[name] != [name] or self._leaves[name].kind != "number"
        ]
        for wanted in (names, with_floats, hard):
            if len(values) == len(wanted):
                for name, value in zip(wanted, values, strict=True):
                    template = self._templates[name]
                    if value is not None and (
                        isinstance(template, Leaf) or isinstance(value, Mapping | list | tuple)
                    ):
                        self._nested(value, template)
                return
        if len(values) == len(self._floats) and all(v is None or is_numeric(v) for v in values):
            self._put(self._floats, values)
        elif len(names) == 1 and not isinstance(self._templates[names[0]], Leaf):
            self._nested(values, self._templates[names[0]])
        elif len(values) > len(names) and values[-1] is None:
            self.in_order(values[:-1])  # a Function returns None for arguments that are no tensors
        else:
            self._by_shape(values)

    def _by_shape(self, values: list[Any]) -> None:
        arguments = self._arguments
        if len(arguments.order) != len(values):
            left, order = list(self._floats), []
            for value in values:
                shape = (
                    np.shape(value.detach().cpu() if isinstance(value, Tensor) else value)
                    if value is not None
                    else None
                )
                name = next((name for name in left if self._leaves[name].shape == shape), None)
                if name is None:
                    number = f"{len(values)} gradient{'s' * (len(values) != 1)}"
                    names = arguments.names
                    inputs = f"{len(names)} input{'s' * (len(names) != 1)} ({', '.join(names)})"
                    raise ValueError(f"backward returned {number} for {inputs}: {WANTED}")
                order.append(name)
                left = left[left.index(name) + 1 :]
            arguments.order = order
        self._put(arguments.order, values)

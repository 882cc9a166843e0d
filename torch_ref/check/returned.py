"""The gradients that a backward returned, by the names of the inputs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from torch_ref.check.values import Arguments, Leaf, as_real, is_array, is_number, matching, numbers_in, read

Gradients = dict[str, Tensor | None]
NONE = "None where no gradient is wanted"


def gradients(result: Any, arguments: Arguments) -> tuple[Gradients, list[str]]:
    """(the gradient of each input that may have one, None where there is none; remarks). ValueError if they can't be told.

    One array, a tuple in the order of the inputs, a dict under x, dx or grad_x, and nested as the inputs are.
    """
    floats = [name for name, leaf in arguments.leaves.items() if leaf.is_float]
    found: Gradients = dict.fromkeys(floats)
    notes: list[str] = []
    if result is None:
        raise ValueError("backward returned None: it must return the gradients (does it lack a return?)")
    if isinstance(result, Mapping):
        _by_key(result, arguments, floats, found, notes)
    elif _is_one(result, floats, arguments):
        _one(result, floats, arguments, found)
    else:
        _in_order(list(result), floats, arguments, found)
    if all(value is None for value in found.values()):
        raise ValueError("every gradient that backward returned is None: there is nothing to check")
    return found, notes


def _is_one(result: Any, floats: list[str], arguments: Arguments) -> bool:
    if not isinstance(result, list | tuple):
        return True
    if not all(is_number(part) for part in numbers_in(result)) or not result:
        return False
    shape = np.asarray(result).shape if _even(result) else None
    return isinstance(result, list) and len(floats) == 1 and shape == arguments.leaves[floats[0]].shape


def _even(result: Any) -> bool:
    try:
        np.asarray(result, dtype=complex)
    except (ValueError, TypeError):
        return False
    return True


def _value(value: Any, leaf: Leaf) -> Tensor | None:
    if value is None:
        return None
    tensor = read(value, f"d{leaf.name}").cpu()
    if leaf.is_complex and not tensor.is_complex():
        tensor = tensor + 0j
    if tensor.is_complex() and not leaf.is_complex:
        return tensor.real.contiguous()
    real = as_real(tensor)
    return real if real.is_floating_point() else real.double()


def _one(result: Any, floats: list[str], arguments: Arguments, found: Gradients) -> None:
    leaves = arguments.leaves
    if len(floats) == 1:
        found[floats[0]] = _value(result, leaves[floats[0]])
        return
    if arguments.order:
        found[arguments.order[0]] = _value(result, leaves[arguments.order[0]])
        return
    first = next(iter(arguments.by_argument))
    shape = tuple(read(result, "the gradient").shape)
    fitting = [name for name in floats if leaves[name].shape == shape]
    if not fitting or (len(arguments.by_argument[first]) > 1 and not is_array(result)):
        raise ValueError(
            f"backward returned 1 gradient, of shape {shape}, for {len(floats)} inputs ({', '.join(floats)}), of which none "
            f"has that shape: return a tuple of one for each, {NONE}"
        )
    arguments.order = fitting[:1]
    found[fitting[0]] = _value(result, leaves[fitting[0]])


def _by_key(result: Mapping[Any, Any], arguments: Arguments, floats: list[str], found: Gradients, notes: list[str]) -> None:
    unknown = []
    for key, value in result.items():
        nested = matching(str(key), arguments.names)
        if nested is not None and isinstance(value, Mapping | list | tuple) and not _is_leaf(nested, arguments):
            _nested(value, arguments.template[arguments.names.index(nested)], found)
            continue
        name = matching(str(key), floats)
        if name is not None:
            found[name] = _value(value, arguments.leaves[name])
        elif value is not None and matching(str(key), [*arguments.names, *arguments.leaves]) is None:
            unknown.append(str(key))
    if unknown and all(value is None for value in found.values()):
        raise ValueError(f"backward returned a gradient of {', '.join(unknown)}; the inputs are {', '.join(floats)}")
    if unknown:
        notes.append(f"backward also returned {', '.join(unknown)}, which are no inputs: not looked at")


def _is_leaf(name: str, arguments: Arguments) -> bool:
    return arguments.by_argument[name] == [name] and isinstance(arguments.template[arguments.names.index(name)], Leaf)


def _nested(value: Any, template: Any, found: Gradients) -> None:
    """A gradient nested as its argument is."""
    if isinstance(template, Leaf):
        if template.is_float:
            found[template.name] = _value(value, template)
    elif isinstance(template, Mapping) and isinstance(value, Mapping):
        keys = [str(key) for key in template]
        for key, part in value.items():
            name = matching(str(key), keys)
            if name is not None:
                _nested(part, next(old for own, old in template.items() if str(own) == name), found)
    elif isinstance(template, list | tuple) and isinstance(value, list | tuple):
        for part, old in zip(value, template, strict=False):
            _nested(part, old, found)
    elif isinstance(template, Mapping) and isinstance(value, list | tuple):
        for part, old in zip(value, template.values(), strict=False):
            _nested(part, old, found)


def _in_order(values: list[Any], floats: list[str], arguments: Arguments, found: Gradients) -> None:
    """As many as arguments, or as there are arguments with floats, or as leaves with floats; else as the shapes say."""
    leaves, names = arguments.leaves, arguments.names
    with_floats = [name for name in names if any(leaf in floats for leaf in arguments.by_argument[name])]
    hard = [name for name in with_floats if arguments.by_argument[name] != [name] or leaves[name].kind != "number"]
    for wanted in (names, with_floats, hard):
        if len(values) == len(wanted):
            for name, value in zip(wanted, values, strict=True):
                template = arguments.template[names.index(name)]
                if value is not None and (isinstance(template, Leaf) or isinstance(value, Mapping | list | tuple)):
                    _nested(value, template, found)
            return
    if len(values) == len(floats):
        for name, value in zip(floats, values, strict=True):
            found[name] = _value(value, leaves[name])
        return
    while len(values) > len(names) and values[-1] is None:  # a Function returns None for what it has besides tensors
        values = values[:-1]
    if len(values) == len(names):
        _in_order(values, floats, arguments, found)
        return
    _by_shape(values, floats, arguments, found)


def _by_shape(values: list[Any], floats: list[str], arguments: Arguments, found: Gradients) -> None:
    if len(arguments.order) == len(values):
        for name, value in zip(arguments.order, values, strict=True):
            found[name] = _value(value, arguments.leaves[name])
        return
    left, order = list(floats), []
    for value in values:
        shape = tuple(np.shape(value.detach().cpu() if isinstance(value, Tensor) else value)) if value is not None else None
        fitting = [name for name in left if arguments.leaves[name].shape == shape]
        if not fitting:
            number = f"{len(values)} gradient{'s' * (len(values) != 1)}"
            wanted = f"return a tuple of one for each, {NONE}"
            inputs = f"{len(arguments.names)} inputs ({', '.join(arguments.names)})"
            raise ValueError(f"backward returned {number} for {inputs}: {wanted}")
        order.append(fitting[0])
        found[fitting[0]] = _value(value, arguments.leaves[fitting[0]])
        left = left[left.index(fitting[0]) + 1 :]
    arguments.order = order

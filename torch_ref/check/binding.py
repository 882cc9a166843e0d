"""What each parameter of a backward stands for, by its place and its name: dy, an input, the output, a cache.

No way to read a signature is always right, so `plans` names those that are possible, the likeliest first.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch_ref.check.values import is_array, is_number, is_number_list

CACHE = re.compile(
    r"^_*(caches?|saved.*|ctx|context|tape|mem(ory)?|residuals?|intermediates?|tmp|fwd.*|state|aux|store)\d*$", re.IGNORECASE
)
UPSTREAM = re.compile(r"^_*(d[A-Z_]?\w*|g|g_\w+|grad\w*|up\w*|err\w*|accum\w*|cot\w*|v|out_?grad\w*|\w+_grad|\w+_bar)$")
OUTPUT = re.compile(r"^(y|ys|out|outputs?|result|y_?hat|yhat|a|A|AL|h|H|s|p|probs?|act\w*|pred\w*)$")
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """The positional ones; None where there is no telling (a builtin, *args)."""
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in found):
        return None
    return [parameter for parameter in found if parameter.kind in POSITIONAL]


def names_of(function: Callable[..., Any], number: int) -> list[str]:
    """Names of as many inputs: forward's own, x or x1, x2, ... where it has none."""
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        found = []
    names = [parameter.name for parameter in found if parameter.kind in POSITIONAL]
    if names[:1] == ["ctx"]:
        names = names[1:]
    if len(names) < number:
        names = ["x"] if number == 1 else [f"x{i}" for i in range(1, number + 1)]
    return names[:number]


@dataclass(frozen=True)
class Plan:
    """slots: for each parameter, what is handed over. outputs: how many of forward's results are its output, None for all."""

    slots: tuple[tuple[str, Any], ...]
    outputs: int | None = None

    @property
    def needs_dy(self) -> bool:
        """It's given an upstream gradient."""
        return any(kind == "dy" for kind, _ in self.slots)


def is_output(value: Any) -> bool:
    """It may be an output: numbers."""
    return is_array(value) or is_number(value) or is_number_list(value)


def plans(backward: Callable[..., Any], names: list[str], result: Any, *, scalar: bool) -> Iterator[Plan]:
    """The ways to call it, the likeliest first. result: what forward returned; scalar: its output is one number."""
    found = parameters(backward)
    inputs = tuple(("input", name) for name in names)
    several = len(result) if isinstance(result, list | tuple) else 0
    if found is None:
        yield Plan((("dy", None), *inputs))
        return
    if found and found[0].name == "ctx":
        flat = several if several and all(map(is_output, result)) else 1
        yield Plan((("ctx", None), *((("dy", k) for k in range(flat)) if flat > 1 else [("dy", None)])), None)
        return
    required = sum(parameter.default is inspect.Parameter.empty for parameter in found)
    candidates = [
        *_by_name(found, names, result, scalar=scalar),
        Plan((("dy", None), *inputs)),
        *(Plan((*_each(k), ("cache", k)), k) for k in range(1, several)),
        *([Plan((*_each(several), *inputs))] if several > 1 else []),
        *([Plan(inputs)] if scalar else []),
        Plan((("dy", None),)),
        *([Plan(())] if scalar else []),
    ]
    outright = several > 1 and not all(_could_be_output(part) for part in result)
    seen = set()
    for plan in candidates:
        fits = required <= len(plan.slots) <= len(found)
        if outright and plan.outputs is None and any(slot == ("dy", None) for slot in plan.slots):
            fits = False  # a cache has no upstream gradient
        if fits and plan not in seen:
            seen.add(plan)
            yield plan


def _could_be_output(part: Any) -> bool:
    if isinstance(part, dict):
        return all(map(_could_be_output, part.values()))
    return is_output(part)


def _each(number: int) -> tuple[tuple[str, Any], ...]:
    return tuple(("dy", k) for k in range(number)) if number > 1 else (("dy", 0),)


def _by_name(found: list[inspect.Parameter], names: list[str], result: Any, *, scalar: bool) -> list[Plan]:  # noqa: C901
    slots: list[tuple[str, Any]] = []
    several = isinstance(result, list | tuple) and len(result) > 1
    upstream = sum(p.name not in names and not CACHE.match(p.name) and bool(UPSTREAM.match(p.name)) for p in found)
    has_cache = several and any(CACHE.match(p.name) and p.name not in names for p in found)
    number = max(1, upstream) if has_cache else 1
    if several and not has_cache:
        number = len(result) if upstream == len(result) else 1
    used = 0
    for i, parameter in enumerate(found):
        name = parameter.name
        if name in names:
            slots.append(("input", name))
        elif has_cache and CACHE.match(name):
            slots.append(("cache", number))
        elif (UPSTREAM.match(name) or i == 0) and used < number:
            slots.append(("dy", used if several and (has_cache or number > 1) else None))
            used += 1
        elif OUTPUT.match(name) and (any(kind == "dy" for kind, _ in slots) or scalar):
            slots.append(("output", number if has_cache else None))
        elif parameter.default is not inspect.Parameter.empty:
            break
        elif i == len(found) - 1 and not used:
            slots.append(("dy", None))
            used += 1
        else:
            return []
    if not any(kind == "input" for kind, _ in slots) and not any(kind in {"cache", "output"} for kind, _ in slots):
        return []
    if not used and not scalar:
        return []
    return [Plan(tuple(slots), number if has_cache else None)]

"""What names stand for: each parameter of a backward (dy, an input, the output, a cache), and a
gradient such as dW.

No way to read a signature is always right, so `plans` names those that are possible, the likeliest
first.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch_ref.forms.values import is_number_list, is_numeric

CACHE = re.compile(
    r"^_*(caches?|saved.*|ctx|context|tape|mem(ory)?|residuals?"
    r"|intermediates?|tmp|fwd.*|state|aux|store)\d*$",
    re.IGNORECASE,
)
UPSTREAM = re.compile(
    r"^_*(d[A-Z_]?\w*|g|g_\w+|grad\w*|up\w*|err\w*|accum\w*|cot\w*"
    r"|v|out_?grad\w*|\w+_grad|\w+_bar)$"
)
OUTPUT = re.compile(
    r"^(y|ys|out|outputs?|result|y_?hat|yhat|a|A|AL|h|H|s|p|probs?|act\w*|pred\w*)$"
)
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
GRADIENT_OF = (
    re.compile(
        r"^(?:dL_?d|dloss_?d|dJ_?d|dE_?d|gradients?_?|grads?_?|delta_?|nabla_?|d_|d|g_)(.+)$"
        r"|^(.+?)_?(?:grads?|gradients?)$",
        re.IGNORECASE,
    ),
    re.compile(r"^[dg](.+)$"),
)
Slot = tuple[str, Any]  # a parameter's kind: "input", "dy", "cache", "output" or "ctx"; and which


def signature(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """The parameters of a function; None where Python doesn't know them, as of a builtin."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """The positional parameters; None where they are not known, as of *args."""
    found = signature(function)
    if found is None or any(
        parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in found
    ):
        return None
    return [parameter for parameter in found if parameter.kind in POSITIONAL]


def takes_context(function: Callable[..., Any]) -> bool:
    """Whether its first parameter is the ctx of a torch.autograd.Function."""
    return [parameter.name for parameter in (signature(function) or [])[:1]] == ["ctx"]


def named(forward: Callable[..., Any], inputs: Any) -> tuple[list[str], list[Any]]:
    """The names and values of forward's arguments: x or x1, x2, ... where it has no names.
    ValueError where there are none.
    """
    if isinstance(inputs, Mapping):
        values = {str(name): value for name, value in inputs.items()}
        names = _names(forward, len(values))
        return (
            (names, [values[name] for name in names])
            if set(names) == set(values)
            else (list(values), list(values.values()))
        )
    several = isinstance(inputs, tuple) or (isinstance(inputs, list) and not is_number_list(inputs))
    sequence = list(inputs) if several else [inputs]
    if not sequence:
        raise ValueError("no inputs: give one array or tensor at least")
    return _names(forward, len(sequence)), sequence


def _names(function: Callable[..., Any], number: int) -> list[str]:
    names = [
        parameter.name for parameter in signature(function) or [] if parameter.kind in POSITIONAL
    ]
    names = names[1:] if names[:1] == ["ctx"] else names
    if len(names) < number:
        return ["x"] if number == 1 else [f"x{i}" for i in range(1, number + 1)]
    return names[:number]


@dataclass(frozen=True)
class Plan:
    """slots: for each parameter, what is handed over. outputs: how many of forward's results are
    its output, None for all.
    """

    slots: tuple[Slot, ...] = (("dy", None),)
    outputs: int | None = None

    @property
    def needs_dy(self) -> bool:
        """Whether backward takes an upstream gradient."""
        return any(kind == "dy" for kind, _ in self.slots)

    def output_of(self, result: Any) -> Any:
        """The output, out of what forward returned."""
        return (
            result
            if self.outputs is None
            else result[0]
            if self.outputs == 1
            else tuple(result[: self.outputs])
        )


def plans(
    backward: Callable[..., Any], names: list[str], result: Any, *, scalar: bool
) -> Iterator[Plan]:
    """The ways to call backward, the likeliest first. result: what forward returned; scalar: its
    output is one number.
    """
    found = parameters(backward)
    inputs = tuple(("input", name) for name in names)
    whole = ("dy", None)
    if found is None:
        yield Plan((whole, *inputs))
        return
    several = len(result) if isinstance(result, list | tuple) else 0
    each = tuple(("dy", k) for k in range(several))
    if found and found[0].name == "ctx":
        yield Plan(
            (("ctx", None), *(each if several > 1 and all(map(is_numeric, result)) else [whole]))
        )
        return
    required = sum(parameter.default is inspect.Parameter.empty for parameter in found)
    candidates = [
        *_by_name(found, names, result, scalar=scalar),
        Plan((whole, *inputs)),
        *(Plan((*each[:k], ("cache", k)), k) for k in range(1, several)),
        *([Plan((*each, *inputs))] if several > 1 else []),
        *([Plan(inputs)] if scalar else []),
        Plan((whole,)),
        *([Plan(())] if scalar else []),
    ]
    has_cache = several > 1 and not all(map(_could_be_output, result))
    for plan in dict.fromkeys(candidates):
        # a cache has no upstream gradient
        impossible = has_cache and plan.outputs is None and whole in plan.slots
        if required <= len(plan.slots) <= len(found) and not impossible:
            yield plan


def _could_be_output(part: Any) -> bool:
    return all(map(_could_be_output, part.values())) if isinstance(part, dict) else is_numeric(part)


def _by_name(
    found: list[inspect.Parameter], names: list[str], result: Any, *, scalar: bool
) -> list[Plan]:
    slots: list[Slot] = []
    several = isinstance(result, list | tuple) and len(result) > 1
    upstream = sum(
        p.name not in names and not CACHE.match(p.name) and bool(UPSTREAM.match(p.name))
        for p in found
    )
    has_cache = several and any(CACHE.match(p.name) and p.name not in names for p in found)
    outputs = max(1, upstream) if has_cache else None
    number = outputs or (len(result) if several and upstream == len(result) else 1)
    used = 0
    for i, parameter in enumerate(found):
        name = parameter.name
        if name in names:
            slots.append(("input", name))
        elif has_cache and CACHE.match(name):
            slots.append(("cache", number))
        elif (UPSTREAM.match(name) or i == 0) and used < number:
            slots.append(("dy", used if has_cache or number > 1 else None))
            used += 1
        elif OUTPUT.match(name) and (used or scalar):
            slots.append(("output", outputs))
        elif parameter.default is not inspect.Parameter.empty:
            break
        elif i == len(found) - 1 and not used:
            slots.append(("dy", None))
            used += 1
        else:
            return []
    known = any(kind in {"input", "cache", "output"} for kind, _ in slots)
    return [Plan(tuple(slots), outputs)] if known and (used or scalar) else []


# -- names of gradients
# -----------------------------------------------------------------------------------------------


def stripped(name: str) -> list[str]:
    """What a gradient of this name may be of: of dW, grad_W, dLdW or W_grad, the name itself and
    W.
    """
    matches = [match for pattern in GRADIENT_OF if (match := pattern.match(name))]
    return list(
        dict.fromkeys([name, *(part for match in matches for part in match.groups() if part)])
    )


def matching(name: str, wanted: list[str]) -> str | None:
    """Which of the wanted names a gradient's name belongs to: exactly, or but for the case where
    only one fits.
    """
    candidates = stripped(name)
    for candidate in candidates:
        if candidate in wanted:
            return candidate
    for candidate in candidates:
        close = [other for other in wanted if _loose(other) == _loose(candidate)]
        if len(close) == 1:
            return close[0]
    return None


def _loose(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())

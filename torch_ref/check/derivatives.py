"""Mistakes in the derivative of one function: of an activation, of its mask."""

# ruff: noqa: ARG001, ARG005 - a change is given all that there is, and looks at some of it

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, fx

from torch_ref.check.graph import SIGNS, THROUGH, Change, Operation, operands
from torch_ref.check.rewriting import op

Make = Callable[[Operation, Any, Tensor], Tensor | None]  # of the operation, the gradient of its result, the right one
Wrong = Callable[[Tensor, Tensor, Tensor], Tensor]  # of the gradient of the output, the input z, the output y
Derivative = Callable[[Tensor], Tensor]

RIGHT = {
    "sigmoid": "y (1 - y)", "tanh": "1 - y^2", "exp": "y", "softplus": "sigmoid(z)", "log": "1/z", "sqrt": "1/(2 y)",
    "rsqrt": "-y^3/2", "reciprocal": "-1/z^2", "pow": "n z^(n - 1)", "sin": "cos z", "cos": "-sin z",
    "gelu": "Phi(z) + z phi(z)", "elu": "1, or y + alpha below 0", "abs": "sign z",
}  # fmt: skip
WRONG: dict[str, dict[str, Wrong]] = {  # stands where the right one belongs
    "sigmoid": {
        "y": lambda d, z, y: d * y,
        "1 - y": lambda d, z, y: d * (1 - y),
        "1 - y^2": lambda d, z, y: d * (1 - y * y),
        "y (1 + y)": lambda d, z, y: d * y * (1 + y),
        "sigmoid(y)": lambda d, z, y: d * torch.sigmoid(y),
        "e^-z / (1 + e^-z)": lambda d, z, y: d * torch.exp(-z) / (1 + torch.exp(-z)),
    },
    "tanh": {
        "1 - y": lambda d, z, y: d * (1 - y),
        "y (1 - y), which is that of the sigmoid": lambda d, z, y: d * y * (1 - y),
        "y^2": lambda d, z, y: d * y * y,
        "1 + y^2": lambda d, z, y: d * (1 + y * y),
        "tanh(y)": lambda d, z, y: d * torch.tanh(y),
        "(1 - y)^2": lambda d, z, y: d * (1 - y) ** 2,
    },
    "exp": {"z e^(z - 1), as if it were a power": lambda d, z, y: d * z * torch.exp(z - 1)},
    "softplus": {
        "sigmoid(z) (1 - sigmoid(z))": lambda d, z, y: d * torch.sigmoid(z) * (1 - torch.sigmoid(z)),
        "y (1 - y)": lambda d, z, y: d * y * (1 - y),
        "1 - sigmoid(z)": lambda d, z, y: d * torch.sigmoid(-z),
        "e^z": lambda d, z, y: d * z.exp(),
    },
    "log": {"z": lambda d, z, y: d * z, "1/y": lambda d, z, y: d / y, "1/z^2": lambda d, z, y: d / z**2},
    "sqrt": {"y/2": lambda d, z, y: d * y / 2},
    "rsqrt": {
        "-y/2": lambda d, z, y: -d * y / 2,
        "-y^2/2": lambda d, z, y: -d * y * y / 2,
        "y^3/2, without the minus": lambda d, z, y: d * y**3 / 2,
        "-y^3": lambda d, z, y: -d * y**3,
    },
    "reciprocal": {"1/z^2, without the minus": lambda d, z, y: d / z**2, "-1/z": lambda d, z, y: -d / z},
    "pow": {"z^n": lambda d, z, y: d * y, "z": lambda d, z, y: d * z},
    "sin": {"-cos z": lambda d, z, y: -d * z.cos(), "-sin z": lambda d, z, y: -d * y},
    "cos": {"sin z, without the minus": lambda d, z, y: d * z.sin(), "cos z": lambda d, z, y: d * y},
    "gelu": {
        "Phi(z), without the term z phi(z)": lambda d, z, y: d * (y / z).nan_to_num(0.5),
        "y": lambda d, z, y: d * y,
        "that of a relu": lambda d, z, y: d * (z > 0),
        "1.702 sigma(1.702 z) ..., that of another approximation": lambda d, z, y: d * _quick_gelu(z),
    },
    "elu": {
        "y below 0": lambda d, z, y: torch.where(z > 0, d, d * y),
        "1 + y everywhere": lambda d, z, y: d * (1 + y),
    },
    "abs": {"z": lambda d, z, y: d * z},
}
OF_INPUT: dict[str, tuple[str, Wrong]] = {  # what should be of the output
    "sigmoid": ("z (1 - z)", lambda d, z, y: d * z * (1 - z)),
    "tanh": ("1 - z^2", lambda d, z, y: d * (1 - z * z)),
    "exp": ("z", lambda d, z, y: d * z),
    "sqrt": ("1/(2 z)", lambda d, z, y: d / (2 * z)),
}
UNBRACKETED: dict[str, dict[str, Wrong]] = {
    "sigmoid": {
        "dy y - y": lambda d, z, y: d * y - y,
        "dy - y": lambda d, z, y: d - y,
        "dy y - y^2": lambda d, z, y: d * y - y * y,
    },
    "tanh": {"dy - y^2": lambda d, z, y: d - y * y},
}
OF_OTHERS: dict[str, Derivative] = {  # activations that people take for one another
    "sigmoid": lambda z: torch.sigmoid(z) * (1 - torch.sigmoid(z)),
    "tanh": lambda z: 1 - torch.tanh(z) ** 2,
    "relu": lambda z: (z > 0).to(z.dtype),
    "softplus": torch.sigmoid,
    "exp": torch.exp,
}
LIKE_OTHERS = {*OF_OTHERS, "gelu", "silu", "elu", "leaky_relu"}
MASKED = {"relu", "leaky_relu", "threshold", "clamp", "clamp_min", "clamp_max", "where", "maximum", "minimum", "hardtanh",
          "elu", "abs"}  # fmt: skip
SLOPED = {"leaky_relu", "elu", "where", "maximum"}  # below 0, too
REDUCED = {"mean", "var", "sum", "amax", "amin", "logsumexp", "prod", "std", "cumsum"}


def _quick_gelu(z: Tensor) -> Tensor:
    s = torch.sigmoid(1.702 * z)
    return s + 1.702 * z * s * (1 - s)


def at(k: int, make: Make) -> Callable[[Operation, Any, list[Tensor]], list[Tensor]]:
    """A change of the gradient of the k-th operand alone."""

    def apply(step: Operation, adjoint: Any, grads: list[Tensor]) -> list[Tensor]:
        new = make(step, adjoint, grads[k])
        if new is None or new.shape != grads[k].shape:
            raise ValueError("of another shape")
        return [*grads[:k], new, *grads[k + 1 :]]

    return apply


def derivatives(node: fx.Node, text: str) -> Iterator[Change]:
    """The changes of a node that is such a function. text: its formula."""
    name = op(node)
    within = f"in the derivative of {text}, "

    def instead(words: str, function: Wrong, verdict: str = "derivative", right: str = RIGHT.get(name, "")) -> Change:
        make: Make = lambda s, d, g: function(d, s.z, s.y)  # noqa: E731
        return Change(node, verdict, f"{within}{words} stands where {right} belongs", at(0, make), 1)

    for words, function in WRONG.get(name, {}).items():
        yield instead(words, function)
    if name in OF_INPUT:
        words, function = OF_INPUT[name]
        yield instead(f"{words}, the input in the place of the output,", function, "z for y")
    for words, function in UNBRACKETED.get(name, {}).items():
        yield instead(f"parentheses are missing: {words}", function, "parentheses", f"dy ({RIGHT[name]})")
    for other in OF_OTHERS if name in LIKE_OTHERS else ():
        if other != name:
            words = f"the derivative of {text} is that of {'an' if other == 'exp' else 'a'} {other}"
            yield Change(node, "derivative", words, at(0, _of_other(OF_OTHERS[other])), 2)
    if name == "pow" and isinstance(node.args[1], float | int) and node.args[1]:
        n = float(node.args[1])
        yield Change(
            node, "factor missing", f"the {n:g} of the derivative of {text} is missing", at(0, lambda s, d, g: g / n), 2
        )
        words = f"{within}n z^n stands where n z^(n - 1) belongs"
        yield Change(node, "derivative", words, at(0, lambda s, d, g: g * s.z), 1)
    for user in node.users if name == "exp" else ():
        if op(user) in {"add", "sub"} and user.args[0] is node and isinstance(user.args[1], float | int):
            words = f"{within}{text} {SIGNS[op(user)]} {user.args[1]:g} stands where e^z belongs"
            yield Change(node, "derivative", words, at(0, _of_user(user)), 1)
    if len(operands(node)) == 1 and name not in {*THROUGH, *REDUCED, *SIGNS, "neg"}:
        yield Change(node, "f' missing", f"the derivative of {text} is missing", at(0, lambda s, d, g: d), 2)
        yield Change(node, "f' twice", f"the derivative of {text} is applied twice", at(0, lambda s, d, g: s.vjp(g)[0]), 3)
        words = f"the derivative of {text} is taken at its output, where it belongs at its input"
        yield Change(node, "y for z", words, at(0, _at_output), 3)
    for k in range(len(operands(node)) if name in MASKED else 0):
        for words, make, rank in MASKS:
            yield Change(node, "mask", words.format(text), at(k, make), rank)
        if name in SLOPED:
            words = f"the slope of {text} below 0 is missing: it is taken as 0, like a relu's"
            yield Change(node, "mask", words, at(k, _flat), 2)


MASKS: list[tuple[str, Make, int]] = [
    ("the mask of {0} is upside down", lambda s, d, g: torch.where(g == 0, d, 0) if d.shape == g.shape else None, 2),
    (
        "the mask of {0} is that of dy: dy > 0 stands where the input belongs",
        lambda s, d, g: d * (d > 0) if d.shape == g.shape else None,
        2,
    ),
    ("the mask of {0} asks for dy > 0 besides", lambda s, d, g: g * (d > 0), 3),
    (
        "the mask of {0} asks for an output > 0, where the input counts",
        lambda s, d, g: d * (s.y > 0) if s.y.shape == g.shape else None,
        4,
    ),
]


def _flat(step: Operation, d: Any, g: Tensor) -> Tensor | None:
    return torch.where(step.z > 0, g, 0) if step.z.shape == g.shape else None


def _of_other(derivative: Derivative) -> Make:
    return lambda s, d, g: d * derivative(s.z)


def _of_user(user: fx.Node) -> Make:
    return lambda s, d, g: d * s.tape.values[user] if s.tape.values[user].shape == g.shape else None


def _at_output(step: Operation, d: Any, g: Tensor) -> Tensor | None:
    return step.of(step.inputs[0], step.y).vjp(d)[0] if step.y.shape == g.shape else None

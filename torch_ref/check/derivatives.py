"""Mistakes in the derivative of one function: of an activation, of its mask."""

# ruff: noqa: ARG001, ARG005 - a change is given all that there is, and looks at some of it

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, fx

from torch_ref.check.graph import SIGNS, THROUGH, Change, Operation, Tape, op

# Wrong derivatives of the usual functions, made of adjoint, input z and output y; the right one is in the first column.
Wrong = Callable[[Tensor, Tensor, Tensor], Tensor]
DERIVATIVES: dict[str, tuple[str, dict[str, Wrong]]] = {
    "sigmoid": ("y (1 - y)", {
        "y": lambda d, z, y: d * y,
        "1 - y": lambda d, z, y: d * (1 - y),
        "1 - y^2": lambda d, z, y: d * (1 - y * y),
        "y (1 + y)": lambda d, z, y: d * y * (1 + y),
        "z (1 - z), the input in the place of the output,": lambda d, z, y: d * z * (1 - z),
        "sigmoid(y)": lambda d, z, y: d * torch.sigmoid(y),
        "dy y - y (parentheses are missing)": lambda d, z, y: d * y - y,
        "dy - y (parentheses are missing)": lambda d, z, y: d * y * 1 - y,
        "dy y - y^2 (parentheses are missing)": lambda d, z, y: d * y - y * y,
        "e^-z / (1 + e^-z)": lambda d, z, y: d * torch.exp(-z) / (1 + torch.exp(-z)) * 1.0,
    }),
    "tanh": ("1 - y^2", {
        "1 - y": lambda d, z, y: d * (1 - y),
        "y (1 - y), which is that of the sigmoid": lambda d, z, y: d * y * (1 - y),
        "y^2": lambda d, z, y: d * y * y,
        "1 + y^2": lambda d, z, y: d * (1 + y * y),
        "1 - z^2, the input in the place of the output,": lambda d, z, y: d * (1 - z * z),
        "tanh(y)": lambda d, z, y: d * torch.tanh(y),
        "dy - y^2 (parentheses are missing)": lambda d, z, y: d - y * y,
        "(1 - y)^2": lambda d, z, y: d * (1 - y) ** 2,
    }),
    "exp": ("y", {
        "z, the input in the place of the output,": lambda d, z, y: d * z,
        "z e^(z - 1), as if it were a power": lambda d, z, y: d * z * torch.exp(z - 1),
    }),
    "softplus": ("sigmoid(z)", {
        "sigmoid(z) (1 - sigmoid(z))": lambda d, z, y: d * torch.sigmoid(z) * (1 - torch.sigmoid(z)),
        "y (1 - y)": lambda d, z, y: d * y * (1 - y),
        "1 - sigmoid(z)": lambda d, z, y: d * torch.sigmoid(-z),
        "e^z": lambda d, z, y: d * z.exp(),
    }),
    "log": ("1/z", {"z": lambda d, z, y: d * z, "1/y": lambda d, z, y: d / y, "1/z^2": lambda d, z, y: d / z**2}),
    "sqrt": ("1/(2 y)", {
        "1/(2 z), the input in the place of the output,": lambda d, z, y: d / (2 * z),
        "y/2": lambda d, z, y: d * y / 2,
    }),
    "rsqrt": ("-y^3/2", {
        "-y/2": lambda d, z, y: -d * y / 2,
        "-y^2/2": lambda d, z, y: -d * y * y / 2,
        "y^3/2, without the minus": lambda d, z, y: d * y**3 / 2,
        "-y^3": lambda d, z, y: -d * y**3,
    }),
    "reciprocal": ("-1/z^2", {"1/z^2, without the minus": lambda d, z, y: d / z**2, "-1/z": lambda d, z, y: -d / z}),
    "pow": ("n z^(n - 1)", {"z^n": lambda d, z, y: d * y, "z": lambda d, z, y: d * z}),
    "sin": ("cos z", {"-cos z": lambda d, z, y: -d * z.cos(), "-sin z": lambda d, z, y: -d * y}),
    "cos": ("-sin z", {"sin z, without the minus": lambda d, z, y: d * z.sin(), "cos z": lambda d, z, y: d * y}),
    "gelu": ("Phi(z) + z phi(z)", {
        "Phi(z), without the term z phi(z)": lambda d, z, y: d * (y / z).nan_to_num(0.5),
        "y": lambda d, z, y: d * y,
        "that of a relu": lambda d, z, y: d * (z > 0),
        "1.702 sigma(1.702 z) ..., that of another approximation": lambda d, z, y: d * _quick_gelu(z),
    }),
    "elu": ("1, or y + alpha below 0", {
        "y below 0": lambda d, z, y: torch.where(z > 0, d, d * y),
        "1 + y everywhere": lambda d, z, y: d * (1 + y),
    }),
    "abs": ("sign z", {"z": lambda d, z, y: d * z}),
}  # fmt: skip
MASKED = {
    "relu",
    "leaky_relu",
    "threshold",
    "clamp",
    "clamp_min",
    "clamp_max",
    "where",
    "maximum",
    "minimum",
    "hardtanh",
    "elu",
    "abs",
}
REDUCED = {"mean", "var", "sum", "amax", "amin", "logsumexp", "prod", "std", "cumsum"}


OF_OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda z: torch.sigmoid(z) * (1 - torch.sigmoid(z)),
    "tanh": lambda z: 1 - torch.tanh(z) ** 2,
    "relu": lambda z: (z > 0).to(z.dtype),
    "softplus": torch.sigmoid,
    "exp": torch.exp,
}  # derivatives of activations, which people take for one another


def _quick_gelu(z: Tensor) -> Tensor:
    s = torch.sigmoid(1.702 * z)
    return s + 1.702 * z * s * (1 - s)


Make = Callable[[Tape, Operation, Any, Tensor], Tensor | None]


def at(k: int, make: Make) -> Callable[..., list[Tensor]]:
    """A change of the gradient of the k-th operand alone."""

    def apply(tape: Tape, step: Operation, adjoint: Any, grads: list[Tensor]) -> list[Tensor]:
        new = make(tape, step, adjoint, grads[k])
        if new is None or new.shape != grads[k].shape:
            raise ValueError("of another shape")
        return [*grads[:k], new, *grads[k + 1 :]]

    return apply


def operands(node: fx.Node) -> list[fx.Node]:
    return list(dict.fromkeys(node.all_input_nodes))


def derivatives(node: fx.Node, text: str) -> Iterator[Change]:
    name = op(node)
    right, wrong = DERIVATIVES.get(name, ("", {}))
    for words, function in wrong.items():
        verdict = (
            "z for y" if "in the place of the output" in words else "parentheses" if "parentheses" in words else "derivative"
        )

        def make(tape: Tape, step: Operation, d: Any, g: Tensor, function: Wrong = function) -> Tensor:
            return function(d, step.leaves[0].detach(), tape.values[step.node])

        stands = f"{words.removesuffix(' (parentheses are missing)')} stands where" if verdict != "parentheses" else (
            f"parentheses are missing: {words.removesuffix(' (parentheses are missing)')} stands where")  # fmt: skip
        target = f"dy ({right})" if verdict == "parentheses" else right
        yield Change(node, verdict, f"in the derivative of {text}, {stands} {target} belongs", at(0, make), 1)
    if name in {*OF_OTHERS, "gelu", "silu", "elu", "leaky_relu"}:
        yield from _of_others(node, text)
    if name == "pow" and isinstance(node.args[1], float | int) and node.args[1]:
        n = float(node.args[1])
        yield Change(node, "factor missing", f"the {n:g} of the derivative of {text} is missing",
                     at(0, lambda t, s, d, g: g / n), 2)  # fmt: skip
        yield Change(node, "derivative", f"in the derivative of {text}, n z^n stands where n z^(n - 1) belongs",
                     at(0, lambda t, s, d, g: g * s.leaves[0].detach()), 1)  # fmt: skip
    if name == "exp":
        for user in node.users:
            if op(user) in {"add", "sub"} and user.args[0] is node and isinstance(user.args[1], float | int):
                words = f"in the derivative of {text}, {text} {SIGNS[op(user)]} {user.args[1]:g} stands where e^z belongs"
                yield Change(node, "derivative", words, at(0, _of_user(user)), 1)
    if len(operands(node)) == 1 and name not in {*THROUGH, *REDUCED, *SIGNS, "neg"}:
        yield Change(node, "f' missing", f"the derivative of {text} is missing", at(0, lambda t, s, d, g: d), 2)
        yield Change(node, "f' twice", f"the derivative of {text} is applied twice", at(0, lambda t, s, d, g: s.vjp(g)[0]), 3)
        yield Change(node, "y for z", f"the derivative of {text} is taken at its output, where it belongs at its input",
                     at(0, _at_output), 3)  # fmt: skip
    if name in MASKED:
        yield from _masks(node, text)


def _of_others(node: fx.Node, text: str) -> Iterator[Change]:
    for other, function in OF_OTHERS.items():
        if other != op(node):

            def make(tape: Tape, step: Operation, d: Any, g: Tensor, function: Callable[[Tensor], Tensor] = function) -> Tensor:
                other: Tensor = d * function(step.leaves[0].detach())
                return other

            words = f"the derivative of {text} is that of {'an' if other == 'exp' else 'a'} {other}"
            yield Change(node, "derivative", words, at(0, make), 2)


def _of_user(user: fx.Node) -> Make:
    def make(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor | None:
        value = tape.values[user]
        return d * value if value.shape == g.shape else None

    return make


def _at_output(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor | None:
    y = tape.values[step.node]
    return tape.operation(step.node, {step.inputs[0]: y}).vjp(d)[0] if y.shape == g.shape else None


def _masks(node: fx.Node, text: str) -> Iterator[Change]:
    for k in range(len(operands(node))):

        def inverted(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor | None:
            return torch.where(g == 0, d, 0) if d.shape == g.shape else None

        def by_dy(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor | None:
            return d * (d > 0) if d.shape == g.shape else None

        def asked_besides(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor:
            both: Tensor = g * (d > 0)
            return both

        def strict(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor | None:
            y = tape.values[step.node]
            return d * (y > 0) if y.shape == g.shape else None

        def flat(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor | None:
            z = step.leaves[0].detach()
            return torch.where(z > 0, g, 0) if z.shape == g.shape else None

        yield Change(node, "mask", f"the mask of {text} is upside down", at(k, inverted), 2)
        yield Change(node, "mask", f"the mask of {text} is that of dy: dy > 0 stands where the input belongs", at(k, by_dy), 2)
        yield Change(node, "mask", f"the mask of {text} asks for dy > 0 besides", at(k, asked_besides), 3)
        yield Change(node, "mask", f"the mask of {text} asks for an output > 0, where the input counts", at(k, strict), 4)
        if op(node) in {"leaky_relu", "elu", "where", "maximum"}:
            yield Change(
                node, "mask", f"the slope of {text} below 0 is missing: it is taken as 0, like a relu's", at(k, flat), 2
            )

"""Mistakes in the derivative of one function: of an activation, of its mask."""

# ruff: noqa: ARG005 - a derivative is given all that there is, and looks at some of it

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, fx

from torch_ref.diagnosis.graph import SIGNS, THROUGH, Change, Make, Place, operands
from torch_ref.diagnosis.rewriting import op

# of the gradient of the output, the input z, the output y
Wrong = Callable[[Tensor, Tensor, Tensor], Tensor]
Derivative = Callable[[Tensor], Tensor]

RIGHT = {
    "sigmoid": "y (1 - y)", "tanh": "1 - y^2", "exp": "y", "softplus": "sigmoid(z)", "log": "1/z",
    "sqrt": "1/(2 y)", "rsqrt": "-y^3/2", "reciprocal": "-1/z^2", "pow": "n z^(n - 1)",
    "sin": "cos z", "cos": "-sin z", "gelu": "Phi(z) + z phi(z)", "elu": "1, or y + alpha below 0",
    "abs": "sign z",
}  # fmt: skip
WRONG: dict[str, dict[str, Wrong]] = {  # stands where the right one belongs
    "sigmoid": {
        "y": lambda d, z, y: d * y,
        "1 - y": lambda d, z, y: d * (1 - y),
        "1 - y^2": lambda d, z, y: d * (1 - y * y),
        "y^2": lambda d, z, y: d * y * y,
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
        "sigmoid(z) (1 - sigmoid(z))": lambda d, z, y: (
            d * torch.sigmoid(z) * (1 - torch.sigmoid(z))
        ),
        "y (1 - y)": lambda d, z, y: d * y * (1 - y),
        "1 - sigmoid(z)": lambda d, z, y: d * torch.sigmoid(-z),
        "e^z": lambda d, z, y: d * z.exp(),
    },
    "log": {
        "z": lambda d, z, y: d * z,
        "1/y": lambda d, z, y: d / y,
        "1/z^2": lambda d, z, y: d / z**2,
    },
    "sqrt": {"y/2": lambda d, z, y: d * y / 2},
    "rsqrt": {
        "-y/2": lambda d, z, y: -d * y / 2,
        "-y^2/2": lambda d, z, y: -d * y * y / 2,
        "y^3/2, without the minus": lambda d, z, y: d * y**3 / 2,
        "-y^3": lambda d, z, y: -d * y**3,
    },
    "reciprocal": {
        "1/z^2, without the minus": lambda d, z, y: d / z**2,
        "-1/z": lambda d, z, y: -d / z,
    },
    "pow": {"z^n": lambda d, z, y: d * y, "z": lambda d, z, y: d * z},
    "sin": {"-cos z": lambda d, z, y: -d * z.cos(), "-sin z": lambda d, z, y: -d * y},
    "cos": {
        "sin z, without the minus": lambda d, z, y: d * z.sin(),
        "cos z": lambda d, z, y: d * y,
    },
    "gelu": {
        "Phi(z), without the term z phi(z)": lambda d, z, y: d * torch.special.ndtr(z),
        "y": lambda d, z, y: d * y,
        "that of a relu": lambda d, z, y: d * (z > 0),
        "1.702 sigma(1.702 z) ..., that of another approximation": lambda d, z, y: (
            d * _quick_gelu(z)
        ),
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
LIKE_OTHERS = {*OF_OTHERS, "gelu", "elu", "leaky_relu"}
MASKED = {
    "relu", "leaky_relu", "threshold", "clamp", "clamp_min", "clamp_max", "where", "maximum",
    "minimum", "hardtanh", "elu", "abs",
}  # fmt: skip
SLOPED = {"leaky_relu", "elu", "where", "maximum"}  # below 0, too
REDUCED = {"mean", "var", "sum", "amax", "amin", "logsumexp", "prod", "std", "cumsum"}


def _quick_gelu(z: Tensor) -> Tensor:
    s = torch.sigmoid(1.702 * z)
    return s + 1.702 * z * s * (1 - s)


MASKS: list[tuple[int, str, Make]] = [
    (2, "the mask of {0} is upside down",
        lambda p: torch.where(p.g == 0, p.d, 0) if p.d.shape == p.g.shape else None),
    (2, "the mask of {0} is that of dy: dy > 0 stands where the input belongs",
     lambda p: p.d.relu() if p.d.shape == p.g.shape else None),
    (3, "the mask of {0} asks for dy > 0 besides", lambda p: p.vjp(p.d.relu())),
    (4, "the mask of {0} asks for an output > 0, where the input counts",
     lambda p: p.d * (p.y > 0) if p.y.shape == p.g.shape else None),
]  # fmt: skip


def derivatives(node: fx.Node, text: str) -> Iterator[Change]:  # noqa: C901
    """The changes of a node that is such a function. text: its formula."""
    name, within = op(node), f"in the derivative of {text}, "
    right = RIGHT.get(name, "")

    def change(rank: int, verdict: str, sentence: str, make: Make) -> Change:
        return Change(node, verdict, sentence, 0, make, rank)

    for words, wrong in WRONG.get(name, {}).items():
        yield change(1, "derivative", f"{within}{words} stands where {right} belongs", _of(wrong))
    if name in OF_INPUT:
        words, wrong = OF_INPUT[name]
        sentence = (
            f"{within}{words}, the input in the place of the output, stands where {right} belongs"
        )
        yield change(1, "z for y", sentence, _of(wrong))
    for words, wrong in UNBRACKETED.get(name, {}).items():
        sentence = f"{within}parentheses are missing: {words} stands where dy ({right}) belongs"
        yield change(1, "parentheses", sentence, _of(wrong))
    for other in OF_OTHERS if name in LIKE_OTHERS else ():
        if other != name:
            words = f"the derivative of {text} is that of {'an' if other == 'exp' else 'a'} {other}"
            yield change(2, "derivative", words, _of_other(OF_OTHERS[other]))
    if name == "pow" and isinstance(node.args[1], float | int) and node.args[1]:
        n = float(node.args[1])
        yield change(
            2,
            "factor missing",
            f"the {n:g} of the derivative of {text} is missing",
            lambda p: p.g / n,
        )
        yield change(
            1, "derivative", f"{within}n z^n stands where n z^(n - 1) belongs", lambda p: p.g * p.z
        )
    for user in node.users if name == "exp" else ():
        if (
            op(user) in {"add", "sub"}
            and user.args[0] is node
            and isinstance(user.args[1], float | int)
        ):
            words = f"{within}{text} {SIGNS[op(user)]} {user.args[1]:g} stands where e^z belongs"
            yield change(1, "derivative", words, _of_user(user))
    if len(operands(node)) == 1 and name not in {*THROUGH, *REDUCED, *SIGNS, "neg"}:
        yield change(2, "f' missing", f"the derivative of {text} is missing", lambda p: p.d)
        yield change(
            3, "f' twice", f"the derivative of {text} is applied twice", lambda p: p.vjp(p.g)
        )
        words = f"the derivative of {text} is taken at its output, where it belongs at its input"
        yield change(3, "y for z", words, _at_output)
    for k in range(len(operands(node)) if name in MASKED else 0):
        for rank, words, make in MASKS:
            yield Change(node, "mask", words.format(text), k, make, rank)
        if name in SLOPED:
            words = f"the slope of {text} below 0 is missing: it is taken as 0, like a relu's"
            yield Change(node, "mask", words, k, _flat, 2)


def _of(wrong: Wrong) -> Make:
    return lambda p: wrong(p.d, p.z, p.y)


def _of_other(derivative: Derivative) -> Make:
    return lambda p: p.d * derivative(p.z)


def _of_user(user: fx.Node) -> Make:
    return lambda p: p.d * p.values(user)[0] if p.values(user)[0].shape == p.g.shape else None


def _at_output(place: Place) -> Tensor | None:
    return place.vjp_with(place.step.inputs[0], place.y) if place.y.shape == place.g.shape else None


def _flat(place: Place) -> Tensor | None:
    return torch.where(place.z > 0, place.g, 0) if place.z.shape == place.g.shape else None

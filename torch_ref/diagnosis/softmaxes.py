"""Mistakes in the gradient of softmax, log_softmax and logsumexp: z is the input, p = softmax(z)
along an axis.
"""

# ruff: noqa: ARG005 - a gradient is given all that there is, and looks at some of it

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, fx

from torch_ref.diagnosis.graph import Change, Place
from torch_ref.diagnosis.rewriting import op

Sum = Callable[[Tensor], Tensor]  # along the axis, which is kept
OfZ = Callable[[Tensor, int], Tensor]
Gradient = Callable[[Tensor, Tensor, Sum], Tensor]  # dz, of dy, p and the sum
# (rank, the term in words: {0} is the softmax, dz)
WRONG: dict[str, list[tuple[int, str, Gradient]]] = {
    "_softmax": [
        (1, "the term -y sum(dy y) of {0} is missing", lambda d, p, total: d * p),
        (2, "the term -y sum(dy y) of {0} has the wrong sign",
            lambda d, p, total: p * (d + total(d * p))),
        (2, "in the term -y sum(dy y) of {0} the factor y within the sum is missing",
            lambda d, p, total: p * (d - total(d))),
        (2, "in the term -y sum(dy y) of {0} the sum is a mean",
            lambda d, p, total: p * (d - total(d * p) / total(torch.ones_like(p)))),
        (2, "in {0}, dy - sum(dy y) is not multiplied by y", lambda d, p, total: d - total(d * p)),
        (3, "in {0}, the sum of the term -y sum(dy y) is taken over everything",
            lambda d, p, total: p * (d - (d * p).sum())),
    ],
    "_log_softmax": [
        (1, "the term dy of {0} is missing: of softmax - target only the softmax is there",
            lambda d, p, total: -p * total(d)),
        (1, "the term -softmax sum(dy) of {0} is missing", lambda d, p, total: d),
        (1, "the term -softmax sum(dy) of {0} is wrong: + softmax stands there, without sum(dy)",
            lambda d, p, total: d + p),
        (1, "in the term -softmax sum(dy) of {0} the sum(dy) is missing",
            lambda d, p, total: d - p),
        (1, "the term -softmax sum(dy) of {0} has the wrong sign",
            lambda d, p, total: d + p * total(d)),
        (1, "in the term -softmax sum(dy) of {0} there is dy for sum(dy)",
            lambda d, p, total: d * (1 - p)),
        (2, "in the term -softmax sum(dy) of {0} the softmax is missing",
            lambda d, p, total: d - total(d)),
        (2, "the term -softmax sum(dy) of {0} is multiplied by it",
            lambda d, p, total: p * (d - total(d * p))),
    ],
    "logsumexp": [],
}  # fmt: skip
RIGHT: dict[str, Gradient] = {
    "_softmax": lambda d, p, total: p * (d - total(d * p)),
    "_log_softmax": lambda d, p, total: d - p * total(d),
    "logsumexp": lambda d, p, total: p * d,
}
OTHERS: dict[str, OfZ] = {  # what stands for p
    "log_softmax(z)": torch.log_softmax,
    "sigmoid(z)": lambda z, axis: torch.sigmoid(z),
    "e^z": lambda z, axis: torch.exp(z),
    "z": lambda z, axis: z,
}
AXES = 3  # a softmax is tried along this many others at most


def softmaxes(node: fx.Node, text: str) -> Iterator[Change]:
    """The changes of a node that is one of the three. text: its formula."""
    name = op(node)
    axis = node.args[1] if name in WRONG else None
    if isinstance(axis, list | tuple) and len(axis) == 1:
        (axis,) = axis
    if not isinstance(axis, int):
        return

    def change(rank: int, verdict: str, words: str, p_of: OfZ, gradient: Gradient) -> Change:
        def make(place: Place) -> Tensor:
            d = place.d if place.d.ndim == place.g.ndim else place.d.unsqueeze(axis)
            return gradient(d, p_of(place.z, axis), lambda part: part.sum(axis, keepdim=True))

        return Change(node, verdict, words, 0, make, rank)

    if name == "_softmax":
        words = (
            f"only the diagonal of the Jacobian of {text} is there: y (1 - y), where y_j depends "
            "on the other inputs of its row too"
        )
        yield change(1, "diagonal", words, torch.softmax, lambda d, p, total: d * p * (1 - p))
    for rank, words, gradient in WRONG[name]:
        yield change(rank, "term", words.format(text), torch.softmax, gradient)
    for other in range(AXES):
        words = (
            f"the softmax in the gradient of {text} is taken along axis {other}, where it belongs "
            f"along axis {axis}"
        )
        yield change(1, "wrong axis", words, _along(other), RIGHT[name])
    for other_p, p_of in OTHERS.items():
        words = f"in the gradient of {text}, {other_p} stands where softmax(z) belongs"
        yield change(1, "other value", words, p_of, RIGHT[name])


def _along(other: int) -> OfZ:
    def softmax(z: Tensor, axis: int) -> Tensor:
        if other >= z.ndim or other == axis % z.ndim:
            raise ValueError("no other axis")
        return z.softmax(other)

    return softmax

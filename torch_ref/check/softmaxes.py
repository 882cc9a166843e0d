"""Mistakes in the gradient of softmax, log_softmax and logsumexp: z is the input, p = softmax(z) along an axis."""

# ruff: noqa: ARG001, ARG005 - a change is given all that there is, and looks at some of it

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, fx

from torch_ref.check.derivatives import at
from torch_ref.check.graph import Change, Operation, Tape, op

# (rank, verdict, in words, dz made of dy, p and the function that sums along the axis)
Wrong = Callable[[Tensor, Tensor, Callable[[Tensor], Tensor]], Tensor]
OF_SOFTMAX: list[tuple[int, str, str, Wrong]] = [
    (
        1,
        "diagonal",
        "only the diagonal of the Jacobian of {0} is there: y (1 - y), where y_j depends on the other inputs of its row too",
        lambda d, p, total: d * p * (1 - p),
    ),
    (1, "term", "the term -y sum(dy y) of {0} is missing", lambda d, p, total: d * p),
    (2, "term", "the term -y sum(dy y) of {0} has the wrong sign", lambda d, p, total: p * (d + total(d * p))),
    (
        2,
        "term",
        "in the term -y sum(dy y) of {0} the factor y within the sum is missing",
        lambda d, p, total: p * (d - total(d)),
    ),
    (
        2,
        "term",
        "in the term -y sum(dy y) of {0} the sum is a mean",
        lambda d, p, total: p * (d - total(d * p) / total(torch.ones_like(p))),
    ),
    (2, "term", "in {0}, dy - sum(dy y) is not multiplied by y", lambda d, p, total: d - total(d * p)),
    (
        3,
        "term",
        "in {0}, the sum of the term -y sum(dy y) is taken over everything",
        lambda d, p, total: p * (d - (d * p).sum()),
    ),
]
OF_LOG_SOFTMAX: list[tuple[int, str, str, Wrong]] = [
    (
        1,
        "term",
        "the term dy of {0} is missing: of softmax - target only the softmax is there",
        lambda d, p, total: -p * total(d),
    ),
    (1, "term", "the term -softmax sum(dy) of {0} is missing", lambda d, p, total: d),
    (
        1,
        "term",
        "the term -softmax sum(dy) of {0} is wrong: + softmax stands there, without sum(dy)",
        lambda d, p, total: d + p,
    ),
    (1, "term", "in the term -softmax sum(dy) of {0} the sum(dy) is missing", lambda d, p, total: d - p),
    (1, "term", "the term -softmax sum(dy) of {0} has the wrong sign", lambda d, p, total: d + p * total(d)),
    (1, "term", "in the term -softmax sum(dy) of {0} there is dy for sum(dy)", lambda d, p, total: d * (1 - p)),
    (2, "term", "in the term -softmax sum(dy) of {0} the softmax is missing", lambda d, p, total: d - total(d)),
    (2, "term", "the term -softmax sum(dy) of {0} is multiplied by it", lambda d, p, total: p * (d - total(d * p))),
]
OTHERS: dict[str, Callable[[Tensor, int], Tensor]] = {  # what stands for p
    "log_softmax(z)": torch.log_softmax,
    "sigmoid(z)": lambda z, axis: torch.sigmoid(z),
    "e^z": lambda z, axis: torch.exp(z),
    "z": lambda z, axis: z,
}
AXES = 3  # a softmax is tried along this many others at most


def softmaxes(node: fx.Node, text: str) -> Iterator[Change]:
    """The changes of a node that is one of the three."""
    axis = _axis(node)
    if axis is None:
        return
    kinds = {"_softmax": OF_SOFTMAX, "_log_softmax": OF_LOG_SOFTMAX}
    for rank, verdict, words, function in kinds.get(op(node), []):
        yield Change(node, verdict, words.format(text), _of_p(function, axis), rank)
    for other in range(AXES):
        words = f"the softmax in the gradient of {text} is taken along axis {other}, where it belongs along axis {axis}"
        yield Change(node, "wrong axis", words, _with(_along(other, axis), axis), 1)
    for name, function_of_z in OTHERS.items():
        words = f"in the gradient of {text}, {name} stands where softmax(z) belongs"
        yield Change(node, "other value", words, _with(function_of_z, axis), 1)


def _axis(node: fx.Node) -> int | None:
    """Along which it is one."""
    axis = node.args[1] if op(node) in {"_softmax", "_log_softmax", "logsumexp"} else None
    if isinstance(axis, list | tuple) and len(axis) == 1:
        (axis,) = axis
    return axis if isinstance(axis, int) else None


def _of_p(function: Wrong, axis: int) -> Callable[..., list[Tensor]]:
    def make(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor:
        y = tape.values[step.node]
        p = y if op(step.node) == "_softmax" else y.exp()
        return function(d, p, lambda part: part.sum(axis, keepdim=True))

    return at(0, make)


def _with(p_of: Callable[[Tensor, int], Tensor], axis: int) -> Callable[..., list[Tensor]]:
    """The right formula with another p."""

    def make(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor:
        p: Tensor = p_of(step.leaves[0].detach(), axis)
        dy: Tensor = d
        if op(step.node) == "logsumexp":
            return p * (dy if dy.ndim == p.ndim else dy.unsqueeze(axis))
        if op(step.node) == "_softmax":
            return p * (dy - (dy * p).sum(axis, keepdim=True))
        return dy - p * dy.sum(axis, keepdim=True)

    return at(0, make)


def _along(other: int, axis: int) -> Callable[[Tensor, int], Tensor]:
    def softmax(z: Tensor, _: int) -> Tensor:
        if other >= z.ndim or other == axis % z.ndim:
            raise ValueError("no other axis")
        return z.softmax(other)

    return softmax

"""The mistakes that people make at one operation of a backward, as changes to the right one."""

# ruff: noqa: ARG001, ARG005, PLR0913, PLR0917 - a change is given all that there is, and looks at some of it

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx

from torch_ref.check.derivatives import REDUCED, Make, at, derivatives, operands
from torch_ref.check.graph import THROUGH, Change, Graph, Operation, Tape, expression, op
from torch_ref.check.softmaxes import softmaxes

LINEAR = {"mm", "bmm", "matmul", "mv", "dot", "convolution", "linalg_inv", "linalg_inv_ex", "inverse"}


def changes(graph: Graph, names: dict[fx.Node, str]) -> Iterator[Change]:
    """Every change of every operation."""
    for node in graph.operations():
        text = expression(node, names)
        yield from derivatives(node, text)
        yield from softmaxes(node, text)
        yield from _edges(node, text, names)
        if op(node) in LINEAR:
            yield from _products(node, text, names)
        if op(node) == "expand":
            words = f"{expression(operands(node)[0], names)} is used for several entries, and only the gradient of the first"
            yield Change(node, "batch sum", f"{words} is there: the sum over them is missing", at(0, _of_first), 1)
        if op(node) in {"index", "gather", "embedding", "index_select", "take"}:
            yield from _indexed(node, text)
        if op(node) in {*LINEAR, "mul", "div"}:
            yield from _substituted(node, text, names)


def _edges(node: fx.Node, text: str, names: dict[fx.Node, str]) -> Iterator[Change]:
    """Of each operand: its gradient left out, turned round, with another factor missing, not summed, of dy = 1."""
    for k, operand in enumerate(operands(node)):
        if operand.op == "get_attr":
            continue
        part = expression(operand, names)
        name = op(node)
        whole = text if name not in THROUGH else part
        trivial = name in THROUGH
        constant = f"{part} is taken as a constant in {whole}: the gradient through it is missing"
        if operand in names:
            constant = f"{whole} is taken as a constant: the gradient of {part} through it is missing"
        rank = 8 if trivial else 2 if op(operand) in REDUCED or name in REDUCED else 5
        yield Change(node, "term", constant, at(k, lambda t, s, d, g: torch.zeros_like(g)), rank)
        if trivial:
            continue
        yield Change(
            node, "sign", f"the gradient of {part} through {whole} has the wrong sign", at(k, lambda t, s, d, g: -g), 4
        )
        yield Change(node, "dy ignored", f"the gradient of {part} through {whole} lacks what comes from above: 1 stands there",
                     at(k, _of_ones(k, 1)), 6)  # fmt: skip
        yield Change(node, "dy ignored", f"the gradient of {part} through {whole} lacks what comes from above: -1 stands there",
                     at(k, _of_ones(k, -1)), 6)  # fmt: skip
        if name in {"mul", "div"}:
            other = [a for a in node.args if a is not operand]
            factor = expression(other[0], names) if other else part
            verb = f"the factor {factor}" if name == "mul" else f"the division by {factor}"
            if name == "div" and k == 1:
                verb = f"the factor -{expression(node.args[0], names)}/{part}^2"
            yield Change(node, "factor missing", f"{verb} of {text} is missing in the gradient of {part}", at(k, _passed), 3)
            yield Change(node, "factor twice", f"{verb} of {text} is there twice in the gradient of {part}",
                         at(k, _again(k)), 5)  # fmt: skip
        yield from _of_one_kind(node, k, text, part)


def _of_one_kind(node: fx.Node, k: int, text: str, part: str) -> Iterator[Change]:
    """What only a quotient, a running sum, a sum or a mean can lack in the gradient of operand k."""
    name = op(node)
    if name == "div" and k == 1:
        words = f"in the gradient of {part} the divisor of {text} isn't squared: -a/b stands where -a/b^2 belongs"
        yield Change(node, "derivative", words, at(k, lambda t, s, d, g: g * s.leaves[1].detach()), 2)
    if name == "cumsum":
        yield Change(node, "order", f"the sums of {text} run backward: in its gradient they must be summed from the end",
                     at(k, lambda t, s, d, g: d.cumsum(s.node.args[1])), 1)  # fmt: skip
    if name in {"mean", "var"}:
        yield Change(node, "factor missing", f"the 1/n of {text} is missing", at(k, _without_n), 2)
    if name in {"sum", "mean"}:
        yield Change(node, "term", f"the gradient through {text} is an entry's own dy", at(k, _passed), 7)


def _of_ones(k: int, sign: int) -> Make:
    return lambda t, s, d, g: s.vjp(sign * torch.ones_like(d))[k]


def _again(k: int) -> Make:
    return lambda t, s, d, g: s.vjp(g)[k] if g.shape == d.shape else None


def _passed(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor | None:
    """d itself, summed over what was broadcast."""
    passed: Tensor | None = d.sum_to_size(g.shape) if _broadcasts(g.shape, d.shape) else None
    return passed


def _broadcasts(small: torch.Size, large: torch.Size) -> bool:
    try:
        return bool(torch.broadcast_shapes(small, large) == large)
    except RuntimeError:
        return False


def _of_first(tape: Tape, step: Operation, d: Tensor, g: Tensor) -> Tensor:
    for axis, size in enumerate(g.shape, d.ndim - g.ndim):
        d = d.narrow(axis, 0, size)
    return d.reshape(g.shape) if d.numel() == g.numel() else d[(0,) * (d.ndim - g.ndim)]


def _without_n(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor:
    n: float = d.numel() / g.numel()
    return g / n


def _products(node: fx.Node, text: str, names: dict[fx.Node, str]) -> Iterator[Change]:  # noqa: C901
    for k, operand in enumerate(operands(node)):
        for other in operands(node):

            def transposed(tape: Tape, step: Operation, d: Any, g: Tensor, other: fx.Node = other, k: int = k) -> Tensor | None:
                value = tape.values[other]
                if value.ndim < 2 or value.shape[-1] != value.shape[-2]:
                    return None
                return tape.operation(step.node, {other: value.mT}).vjp(d)[k]

            def flipped(tape: Tape, step: Operation, d: Any, g: Tensor, other: fx.Node = other, k: int = k) -> Tensor | None:
                value = tape.values[other]
                axes = tuple(range(2, value.ndim))
                return tape.operation(step.node, {other: value.flip(axes)}).vjp(d)[k] if axes else None

            if op(node) != "convolution":
                turn = f"{expression(other, names)} is not transposed where it should be"
                yield Change(node, "transposed", f"in the gradient of {text}, {turn}",
                             at(k, transposed), 2)  # fmt: skip
            elif other is not operand:
                yield Change(node, "flipped", f"in the gradient of {text}, the kernel is not turned round (or turned where it "
                             "should not be): rows and columns reversed", at(k, flipped), 2)  # fmt: skip

        def adjoint(tape: Tape, step: Operation, d: Any, g: Tensor, k: int = k) -> Tensor | None:
            return step.vjp(d.mT)[k] if d.ndim > 1 and d.shape[-1] == d.shape[-2] else None

        def turned(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor | None:
            return g.mT if g.ndim > 1 and g.shape[-1] == g.shape[-2] else None

        def not_flipped(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor | None:
            return g.flip(tuple(range(2, g.ndim))) if g.ndim > 2 else None

        yield Change(node, "transposed", f"in the gradient of {text}, what comes from above is not transposed as it should be",
                     at(k, adjoint), 2)  # fmt: skip
        if op(node) == "convolution":
            yield Change(node, "flipped", f"the gradient of {text} is reversed along rows and columns", at(k, not_flipped), 2)
        else:
            yield Change(node, "transposed", f"a gradient of {text} is transposed", at(k, turned), 3)


def _substituted(node: fx.Node, text: str, names: dict[fx.Node, str]) -> Iterator[Change]:
    """Another value in the place of an operand: what it was made of, or what was made of it."""
    for operand in operands(node):
        inputs = [n for n in names if n is not node and n not in operand.all_input_nodes]
        near = [
            n
            for n in [*operand.all_input_nodes, *operand.users, *inputs]
            if n is not operand and n.op in {"placeholder", "call_function"}
        ]
        for other in near[:8]:
            for k, target in enumerate(operands(node)):
                if target is operand and op(node) in LINEAR:
                    continue

                def make(tape: Tape, step: Operation, d: Any, g: Tensor, operand: fx.Node = operand,
                         other: fx.Node = other, k: int = k) -> Tensor | None:  # fmt: skip
                    value, own = tape.values[other], tape.values[operand]
                    if not isinstance(value, Tensor) or value.shape != own.shape or torch.equal(value, own):
                        return None
                    return tape.operation(step.node, {operand: value}).vjp(d)[k]

                yield Change(node, "other value", f"in the gradient of {text}, {expression(other, names)} stands where "
                             f"{expression(operand, names)} belongs", at(k, make), 4)  # fmt: skip


def _indexed(node: fx.Node, text: str) -> Iterator[Change]:
    """A repeated index counts once: as A[i] += g does, and A[i] = g."""
    for k in range(len(operands(node))):

        def once(tape: Tape, step: Operation, d: Any, g: Tensor, k: int = k) -> Tensor:
            return _assigned(tape, step, d, g, k)

        def first(tape: Tape, step: Operation, d: Any, g: Tensor, k: int = k) -> Tensor:
            return _assigned(tape, step, d, g, k, last=False)

        yield Change(node, "repeated index", f"an index that occurs more than once in {text} counts only once (A[i] += g keeps "
                     "the last): np.add.at(A, i, g) or A.index_add_ sums them", at(k, once), 1)  # fmt: skip
        words = (
            f"{text} uses an entry more than once, and only what comes through its first use is there: the others are not added"
        )
        yield Change(node, "repeated index", words, at(k, first), 1)


def _assigned(tape: Tape, step: Operation, d: Any, g: Tensor, k: int, *, last: bool = True) -> Tensor:
    """Of each entry that occurs more than once, what comes through its last or its first place."""
    source = tape.values[step.inputs[k]]
    places = torch.arange(source.numel(), dtype=torch.float64, device=source.device).reshape(source.shape)
    taken = tape.operation(step.node, {step.inputs[k]: places}).result.detach().reshape(-1).long()
    result = torch.zeros_like(g).reshape(-1)
    pairs = list(zip(taken.tolist(), d.reshape(-1).tolist(), strict=True))
    for place, value in pairs if last else reversed(pairs):
        result[place] = value
    return result.reshape(g.shape)

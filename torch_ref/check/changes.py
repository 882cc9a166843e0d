"""The mistakes that people make at one operation of a backward, or at all uses of a value, as changes to the right one."""

# ruff: noqa: ARG001, ARG005 - a change is given all that there is, and looks at some of it

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx

from torch_ref.check.derivatives import REDUCED, Make, at, derivatives
from torch_ref.check.graph import THROUGH, Change, Graph, Names, Operation, expression, operands
from torch_ref.check.rewriting import op
from torch_ref.check.softmaxes import softmaxes

LINEAR = {"mm", "bmm", "matmul", "mv", "dot", "convolution", "linalg_inv", "linalg_inv_ex", "inverse"}
INDEXED = {"index", "gather", "embedding", "index_select", "take"}
VIEWS = {"slice", "select", "index", "unfold"}
Row = tuple[int, str, str, int, Make]  # rank, verdict, sentence, which operand, its gradient


def changes(graph: Graph, names: Names) -> Iterator[Change]:
    """Every change of every operation."""
    for node in graph.operations:
        text = expression(node, names)
        yield from derivatives(node, text)
        yield from softmaxes(node, text)
        for k, operand in enumerate(operands(node)):
            if operand.op != "get_attr":
                yield _constant(node, k, text, names)
                if op(node) not in THROUGH:
                    yield from _changes(node, _of_operand(node, k, text, names))
        yield from _changes(node, _of_kind(node, text, names))


def _changes(node: fx.Node, rows: Iterator[Row]) -> Iterator[Change]:
    return (Change(node, verdict, sentence, at(k, make), rank) for rank, verdict, sentence, k, make in rows)


def _constant(node: fx.Node, k: int, text: str, names: Names) -> Change:
    """The gradient of an operand is left out."""
    operand, name = operands(node)[k], op(node)
    part = expression(operand, names)
    whole = part if name in THROUGH else text
    rank = 8 if name in THROUGH else 2 if {op(operand), name} & REDUCED else 5
    constant, rest = part, f"in {whole}: the gradient through it is missing"
    if operand in names:
        constant, rest = whole, f"the gradient of {part} through it is missing"
    sentence = f"{constant} is taken as a constant{': ' if operand in names else ' '}{rest}"
    return Change(node, "term", sentence, at(k, lambda s, d, g: torch.zeros_like(g)), rank, constant)


def _of_operand(node: fx.Node, k: int, text: str, names: Names) -> Iterator[Row]:
    """The gradient of operand k turned round, of dy = 1, with another factor missing, not summed."""
    name, operand = op(node), operands(node)[k]
    part = expression(operand, names)
    through = f"the gradient of {part} through {text}"
    yield 4, "sign", f"{through} has the wrong sign", k, lambda s, d, g: -g
    for sign in (1, -1):
        words = f"{through} lacks what comes from above: {sign} stands there"
        yield 6, "dy ignored", words, k, lambda s, d, g, sign=sign: s.vjp(sign * torch.ones_like(d))[k]
    if name in {"mul", "div"}:
        others = [a for a in node.args if a is not operand]
        factor = expression(others[0], names) if others else part
        what = f"the factor {factor}" if name == "mul" else f"the division by {factor}"
        if name == "div" and k == 1:
            what = f"the factor -{expression(node.args[0], names)}/{part}^2"
        yield 3, "factor missing", f"{what} of {text} is missing in the gradient of {part}", k, _passed
        twice = f"{what} of {text} is there twice in the gradient of {part}"
        yield 5, "factor twice", twice, k, lambda s, d, g: s.vjp(g)[k] if g.shape == d.shape else None
    if name == "div" and k == 1:
        words = f"in the gradient of {part} the divisor of {text} isn't squared: -a/b stands where -a/b^2 belongs"
        yield 2, "derivative", words, k, lambda s, d, g: g * s.leaves[1].detach()
    if name == "cumsum":
        words = f"the sums of {text} run backward: in its gradient they must be summed from the end"
        yield 1, "order", words, k, lambda s, d, g: d.cumsum(s.node.args[1])
    if name in {"mean", "var"}:
        yield 2, "factor missing", f"the 1/n of {text} is missing", k, lambda s, d, g: g / (d.numel() / g.numel())
    if name in {"sum", "mean"}:
        yield 7, "term", f"the gradient through {text} is an entry's own dy", k, _passed


def _passed(step: Operation, d: Any, g: Tensor) -> Tensor | None:
    """d itself, summed over what was broadcast."""
    try:
        passed: Tensor = d.sum_to_size(g.shape)
    except RuntimeError:
        return None
    return passed


def _of_kind(node: fx.Node, text: str, names: Names) -> Iterator[Row]:
    """What only products, an expansion or an index can lack."""
    name = op(node)
    if name in LINEAR:
        yield from _products(node, text, names)
    if name == "expand":
        words = f"{expression(operands(node)[0], names)} is used for several entries, and only the gradient of the first"
        yield 1, "batch sum", f"{words} is there: the sum over them is missing", 0, _of_first
    if name in INDEXED:
        for k in range(len(operands(node))):
            words = f"an index that occurs more than once in {text} counts only once (A[i] += g keeps the last): "
            words += "np.add.at(A, i, g) or A.index_add_ sums them"
            yield 1, "repeated index", words, k, lambda s, d, g, k=k: _assigned(s, d, g, k)
            words = f"{text} uses an entry more than once, and only what comes through its first use is there: the others are "
            yield 1, "repeated index", words + "not added", k, lambda s, d, g, k=k: _assigned(s, d, g, k, last=False)
    if name in {*LINEAR, "mul", "div"}:
        yield from _substituted(node, text, names)


def _of_first(step: Operation, d: Tensor, g: Tensor) -> Tensor:
    for axis, size in enumerate(g.shape, d.ndim - g.ndim):
        d = d.narrow(axis, 0, size)
    return d.reshape(g.shape) if d.numel() == g.numel() else d[(0,) * (d.ndim - g.ndim)]


def _products(node: fx.Node, text: str, names: Names) -> Iterator[Row]:
    within = f"in the gradient of {text}, "
    for k, operand in enumerate(operands(node)):
        for other in operands(node):
            if op(node) != "convolution":
                words = f"{within}{expression(other, names)} is not transposed where it should be"
                yield 2, "transposed", words, k, lambda s, d, g, k=k, n=other: _with(s, d, k, n, _turned(s.tape.values[n]))
            elif other is not operand:
                words = f"{within}the kernel is not turned round (or turned where it should not be): rows and columns reversed"
                yield 2, "flipped", words, k, lambda s, d, g, k=k, n=other: _with(s, d, k, n, _flipped(s.tape.values[n]))
        words = f"{within}what comes from above is not transposed as it should be"
        yield 2, "transposed", words, k, lambda s, d, g, k=k: None if _turned(d) is None else s.vjp(_turned(d))[k]
        if op(node) == "convolution":
            words = f"the gradient of {text} is reversed along rows and columns"
            yield 2, "flipped", words, k, lambda s, d, g: _flipped(g)
        else:
            yield 3, "transposed", f"a gradient of {text} is transposed", k, lambda s, d, g: _turned(g)


def _turned(value: Tensor) -> Tensor | None:
    return value.mT if value.ndim > 1 and value.shape[-1] == value.shape[-2] else None


def _flipped(value: Tensor) -> Tensor | None:
    return value.flip(tuple(range(2, value.ndim))) if value.ndim > 2 else None


def _with(step: Operation, d: Any, k: int, node: fx.Node, value: Tensor | None) -> Tensor | None:
    """The gradient of operand k with another value of a node."""
    return None if value is None else step.of(node, value).vjp(d)[k]


def _substituted(node: fx.Node, text: str, names: Names) -> Iterator[Row]:
    """Another value in the place of an operand: what it was made of, or what was made of it."""
    for operand in operands(node):
        inputs = [n for n in names if n is not node and n not in operand.all_input_nodes]
        near = [*operand.all_input_nodes, *operand.users, *inputs]
        near = [n for n in near if n is not operand and n.op in {"placeholder", "call_function"}]
        for other in near[:8]:
            words = f"in the gradient of {text}, {expression(other, names)} stands where {expression(operand, names)} belongs"
            for k, target in enumerate(operands(node)):
                if target is not operand or op(node) not in LINEAR:
                    yield (
                        4,
                        "other value",
                        words,
                        k,
                        lambda s, d, g, k=k, o=operand, n=other: _with(s, d, k, o, _other(s, o, n)),
                    )


def _other(step: Operation, operand: fx.Node, node: fx.Node) -> Tensor | None:
    """The value of a node, where it could stand for that of an operand and is another."""
    value, own = step.tape.values[node], step.tape.values[operand]
    return value if isinstance(value, Tensor) and value.shape == own.shape and not torch.equal(value, own) else None


def _assigned(step: Operation, d: Any, g: Tensor, k: int, *, last: bool = True) -> Tensor:
    """Of each entry that occurs more than once, what comes through its last or its first place: as A[i] = g leaves it."""
    source = step.tape.values[step.inputs[k]]
    places = torch.arange(source.numel(), dtype=torch.float64, device=source.device).reshape(source.shape)
    taken = step.of(step.inputs[k], places).result.detach().reshape(-1).long()
    result = torch.zeros_like(g).reshape(-1)
    pairs = list(zip(taken.tolist(), d.reshape(-1).tolist(), strict=True))
    for place, value in pairs if last else reversed(pairs):
        result[place] = value
    return result.reshape(g.shape)


# -- a value that forward uses several times --------------------------------------------------------------------------


def uses(graph: Graph, names: Names) -> Iterator[tuple[Change, ...]]:
    """Changes of all uses of a value at once: their gradients replace one another instead of being added."""
    for node in graph.values:
        users = [user for user in node.users if user.op == "call_function"]
        kinds, text = {op(user) for user in users}, expression(node, names)
        if len(users) > 1 and len(kinds) == 1 and not kinds & VIEWS:
            for words, kept in (("first", users[0]), ("last", users[-1])):
                sentence = f"{text} is used {len(users)} times, and only the gradient of its {words} use is there: "
                sentence += "they are to be added (+=, where = stands?)"
                yield tuple(
                    _overwritten(user, node, sentence, lambda s, d, g: torch.zeros_like(g))
                    for user in users
                    if user is not kept
                )
        if len(users) > 1 and kinds <= VIEWS:
            sentence = f"parts of {text} overlap, and where they do the last one replaces the others: += belongs where = stands"
            yield tuple(
                _overwritten(user, node, sentence, lambda s, d, g, later=users[i + 1 :]: _uncovered(s, g, node, later))
                for i, user in enumerate(users[:-1])
            )


def _overwritten(user: fx.Node, node: fx.Node, sentence: str, make: Make) -> Change:
    return Change(user, "overwritten", sentence, at(operands(user).index(node), make), 3)


def _uncovered(step: Operation, g: Tensor, node: fx.Node, later: list[fx.Node]) -> Tensor:
    """0 where a later use has a gradient, too."""
    covered = torch.zeros_like(g)
    for user in later:
        other = step.tape.steps[user]
        covered += other.vjp(torch.ones_like(other.result))[other.inputs.index(node)]
    return torch.where(covered == 0, g, 0)

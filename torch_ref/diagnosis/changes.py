"""Mistakes at one operation of a backward, or at all uses of a value, as changes to the right
backward.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, fx

from torch_ref.diagnosis.derivatives import REDUCED, derivatives
from torch_ref.diagnosis.graph import (
    THROUGH,
    Change,
    Graph,
    Make,
    Names,
    Place,
    expression,
    operands,
)
from torch_ref.diagnosis.rewriting import op
from torch_ref.diagnosis.softmaxes import softmaxes

LINEAR = {"mm", "bmm", "mv", "dot", "convolution", "linalg_inv_ex"}
INDEXED = {"index", "gather", "embedding", "index_select", "take"}
NEAR = 8  # values that are tried in the place of another
VIEWS = {"slice", "select", "index", "unfold"}
Row = tuple[int, str, str, int, Make]  # rank, verdict, sentence, operand, its gradient


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
    return (
        Change(node, verdict, sentence, k, make, rank) for rank, verdict, sentence, k, make in rows
    )


def _constant(node: fx.Node, k: int, text: str, names: Names) -> Change:
    """The gradient of an operand is left out."""
    operand, name = operands(node)[k], op(node)
    part = expression(operand, names)
    whole = part if name in THROUGH else text
    rank = 8 if name in THROUGH else 2 if {op(operand), name} & REDUCED else 5
    if operand in names:
        sentence = f"{whole} is taken as a constant: the gradient of {part} through it is missing"
    else:
        sentence = f"{part} is taken as a constant in {whole}: the gradient through it is missing"
    return Change(node, "term", sentence, k, _nothing, rank, whole if operand in names else part)


def _of_operand(node: fx.Node, k: int, text: str, names: Names) -> Iterator[Row]:
    """Wrong gradients of operand k: with the other sign, for a dy of 1, without a factor, not
    summed.
    """
    name, operand = op(node), operands(node)[k]
    part = expression(operand, names)
    through = f"the gradient of {part} through {text}"
    yield 4, "sign", f"{through} has the wrong sign", k, lambda p: -p.g
    lacks = f"{through} lacks what comes from above: "
    yield 6, "dy ignored", f"{lacks}1 stands there", k, lambda p: p.vjp(torch.ones_like(p.d))
    yield 6, "dy ignored", f"{lacks}-1 stands there", k, lambda p: p.vjp(-torch.ones_like(p.d))
    if name in {"mul", "div"}:
        others = [a for a in node.args if a is not operand]
        factor = expression(others[0], names) if others else part
        what = f"the factor {factor}" if name == "mul" else f"the division by {factor}"
        if name == "div" and k == 1:
            what = f"the factor -{expression(node.args[0], names)}/{part}^2"
        yield (
            3,
            "factor missing",
            f"{what} of {text} is missing in the gradient of {part}",
            k,
            _passed,
        )
        twice = f"{what} of {text} is there twice in the gradient of {part}"
        yield 5, "factor twice", twice, k, lambda p: p.vjp(p.g) if p.g.shape == p.d.shape else None
    if name == "div" and k == 1:
        words = (
            f"in the gradient of {part} the divisor of {text} isn't squared: -a/b stands where "
            "-a/b^2 belongs"
        )
        yield 2, "derivative", words, k, lambda p: p.g * p.values(operand)[0]
    if name == "cumsum":
        words = f"the sums of {text} run backward: in its gradient they must be summed from the end"
        yield 1, "order", words, k, lambda p: p.d.cumsum(node.args[1])
    if name in {"mean", "var"}:
        yield (
            2,
            "factor missing",
            f"the 1/n of {text} is missing",
            k,
            lambda p: p.g / (p.d.numel() / p.g.numel()),
        )
    if name in {"sum", "mean"}:
        yield 7, "term", f"the gradient through {text} is an entry's own dy", k, _passed


def _nothing(place: Place) -> Tensor:
    return torch.zeros_like(place.g)


def _passed(place: Place) -> Tensor | None:
    """d itself, summed over what was broadcast."""
    try:
        passed: Tensor = place.d.sum_to_size(place.g.shape)
    except RuntimeError:
        return None
    return passed


def _of_kind(node: fx.Node, text: str, names: Names) -> Iterator[Row]:
    """Mistakes that only a product, an expansion or an index can have."""
    name = op(node)
    if name in LINEAR:
        yield from _products(node, text, names)
    if name == "expand":
        words = (
            f"{expression(operands(node)[0], names)} is used for several entries, and only the "
            "gradient of the first"
        )
        yield 1, "batch sum", f"{words} is there: the sum over them is missing", 0, _of_first
    if name in INDEXED:
        for k in range(len(operands(node))):
            words = (
                f"an index that occurs more than once in {text} counts only once (A[i] += g keeps "
                "the last): "
            )
            yield (
                1,
                "repeated index",
                words + "np.add.at(A, i, g) or A.index_add_ sums them",
                k,
                _assigned,
            )
            words = (
                f"{text} uses an entry more than once, and only what comes through its first use "
                "is there: the others are "
            )
            yield 1, "repeated index", words + "not added", k, lambda p: _assigned(p, last=False)
    if name in {*LINEAR, "mul", "div"}:
        yield from _substituted(node, text, names)


def _of_first(place: Place) -> Tensor:
    d, g = place.d, place.g
    for axis, size in enumerate(g.shape, d.ndim - g.ndim):
        d = d.narrow(axis, 0, size)
    first: Tensor = d.reshape(g.shape) if d.numel() == g.numel() else d[(0,) * (d.ndim - g.ndim)]
    return first


def _products(node: fx.Node, text: str, names: Names) -> Iterator[Row]:
    within = f"in the gradient of {text}, "
    for k, operand in enumerate(operands(node)):
        for other in operands(node):
            if op(node) != "convolution":
                words = f"{within}{expression(other, names)} is not transposed where it should be"
                yield 2, "transposed", words, k, _of_value(other, _turned)
            elif other is not operand:
                words = (
                    f"{within}the kernel is not turned round (or turned where it should not be): "
                    "rows and columns reversed"
                )
                yield 2, "flipped", words, k, _of_value(other, _flipped)
        words = f"{within}what comes from above is not transposed as it should be"
        yield 2, "transposed", words, k, lambda p: p.vjp(_turned(p.d))
        if op(node) == "convolution":
            yield (
                2,
                "flipped",
                f"the gradient of {text} is reversed along rows and columns",
                k,
                lambda p: _flipped(p.g),
            )
        else:
            yield 3, "transposed", f"a gradient of {text} is transposed", k, lambda p: _turned(p.g)


def _turned(value: Tensor) -> Tensor:
    return value.swapaxes(-2, -1)  # of matrices alone


def _flipped(value: Tensor) -> Tensor:
    return value.flip(tuple(range(2, value.ndim)))


def _of_value(node: fx.Node, function: Callable[[Tensor], Tensor]) -> Make:
    """The gradient for a function of the value of an operand."""
    return lambda p: p.vjp_with(node, function(*p.values(node)))


def _substituted(node: fx.Node, text: str, names: Names) -> Iterator[Row]:
    """Another value in the place of an operand: what it was made of, or what was made of it."""
    for operand in operands(node):
        inputs = [n for n in names if n is not node and n not in operand.all_input_nodes]
        near = [*operand.all_input_nodes, *operand.users, *inputs]
        right = expression(operand, names)
        for other in near[:NEAR]:
            wrong = expression(other, names)
            if wrong == right:  # parts of one look alike in a formula
                continue
            words = f"in the gradient of {text}, {wrong} stands where {right} belongs"
            for k, target in enumerate(operands(node)):
                if target is not operand or op(node) not in LINEAR:
                    yield 4, "other value", words, k, _with(operand, other)


def _with(operand: fx.Node, other: fx.Node) -> Make:
    def make(place: Place) -> Tensor | None:
        own, value = place.values(operand, other)
        if not isinstance(value, Tensor) or value.shape != own.shape or torch.equal(value, own):
            return None
        return place.vjp_with(operand, value)

    return make


def _assigned(place: Place, *, last: bool = True) -> Tensor:
    """The gradient as A[i] = g leaves it: of an entry that occurs more than once, what comes
    through its last place alone, or its first.
    """
    step, node = place.step, place.step.inputs[place.k]
    (source,) = place.values(node)
    places = torch.arange(source.numel(), dtype=torch.float64, device=source.device).reshape(
        source.shape
    )
    taken = step.tape.operation(step.node, {node: places}).result.detach().reshape(-1).long()
    result = torch.zeros_like(place.g).reshape(-1)
    pairs = list(zip(taken.tolist(), place.d.reshape(-1).tolist(), strict=True))
    for i, value in pairs if last else reversed(pairs):
        result[i] = value
    return result.reshape(place.g.shape)


# -- a value that forward uses several times
# --------------------------------------------------------------------------


def uses(graph: Graph, names: Names) -> Iterator[tuple[Change, ...]]:
    """Changes of all uses of a value at once: their gradients replace one another instead of being
    added.
    """
    for node in graph.values:
        users = [user for user in node.users if user.op == "call_function"]
        kinds, text = {op(user) for user in users}, expression(node, names)
        if len(users) < 2:
            continue
        if len(kinds) == 1 and not kinds & VIEWS:
            for words, kept in (("first", users[0]), ("last", users[-1])):
                sentence = (
                    f"{text} is used {len(users)} times, and only the gradient of its {words} use "
                    "is there: "
                )
                sentence += "they are to be added (+=, where = stands?)"
                yield tuple(
                    _replaced(user, node, sentence, _nothing) for user in users if user is not kept
                )
        if not kinds - VIEWS:
            sentence = (
                f"parts of {text} overlap, and where they do the last one replaces the others: += "
                "belongs where = stands"
            )
            yield tuple(
                _replaced(user, node, sentence, _uncovered(node, users[i + 1 :]))
                for i, user in enumerate(users[:-1])
            )


def _replaced(user: fx.Node, node: fx.Node, sentence: str, make: Make) -> Change:
    return Change(user, "overwritten", sentence, operands(user).index(node), make, 3)


def _uncovered(node: fx.Node, later: list[fx.Node]) -> Make:
    """0 where a later use has a gradient, too."""

    def make(place: Place) -> Tensor:
        covered = torch.zeros_like(place.g, dtype=torch.bool)
        for user in later:
            other = place.step.tape.steps[user]
            covered |= other.vjp(torch.ones_like(other.result))[other.inputs.index(node)] != 0
        return place.g.masked_fill(covered, 0)

    return make

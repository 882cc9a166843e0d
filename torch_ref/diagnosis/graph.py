"""The reference's forward as a graph of operations, and a backward in which any can be changed."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from torch_ref.diagnosis.rewriting import PARTS, number_in, op, rewrite
from torch_ref.forms.values import Point

NODES = 150  # beyond, a forward is too long to be changed place by place
THROUGH = {
    "t", "transpose", "permute", "view", "_unsafe_view", "expand", "unsqueeze",
    "squeeze", "clone", "alias", "detach", "slice", "select", "cat", "_to_copy",
    "getitem", "stack", "unbind", "split", "flip",
}  # fmt: skip
SIGNS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "mm": "@",
    "bmm": "@",
    "mv": "@",
    "dot": "@",
}
SHOWN = {"_softmax": "softmax", "_log_softmax": "log_softmax", "amax": "max", "convolution": "conv"}
LONG = 34  # characters of a formula
Names = dict[fx.Node, str]  # of the inputs
Values = dict[fx.Node, Any]
# values that are changed, by a function of the right one
Swaps = dict[fx.Node, Callable[[Tensor, "Tape"], Tensor]]


@dataclass
class Operation:
    """A node of a tape: its operands as leaves of a graph of its own, and its result."""

    tape: "Tape"
    node: fx.Node
    inputs: list[fx.Node]  # those that may have a gradient
    leaves: list[Tensor]
    result: Any

    def vjp(self, adjoint: Any) -> list[Tensor]:
        """The gradient of each input for that of the result."""
        results = list(self.result) if isinstance(self.result, tuple | list) else [self.result]
        adjoints = adjoint if isinstance(adjoint, list) else [adjoint]
        pairs = [
            (r, a)
            for r, a in zip(results, adjoints, strict=True)
            if a is not None and r.requires_grad
        ]
        if not pairs:
            return [torch.zeros_like(leaf) for leaf in self.leaves]
        return list(torch.autograd.grad(
            [r for r, _ in pairs], self.leaves, [a for _, a in pairs],
            retain_graph=True, materialize_grads=True,
        ))  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Operand k of an operation, where a backward may be changed: d is the gradient of the result,
    g that of the operand.
    """

    step: Operation
    k: int
    d: Any
    g: Tensor

    @property
    def z(self) -> Tensor:
        """The first operand."""
        return self.step.leaves[0].detach()

    @property
    def y(self) -> Any:
        """The result."""
        return self.step.tape.values[self.step.node]

    def vjp(self, d: Any) -> Tensor:
        """The gradient for another d."""
        return self.step.vjp(d)[self.k]

    def vjp_with(self, node: fx.Node, value: Tensor) -> Tensor:
        """The gradient for another value of an operand."""
        return self.step.tape.operation(self.step.node, {node: value}).vjp(self.d)[self.k]

    def values(self, *nodes: fx.Node) -> list[Any]:
        """The values of these nodes in forward."""
        return [self.step.tape.values[node] for node in nodes]


Make = Callable[[Place], Tensor | None]  # another gradient there


@dataclass(frozen=True)
class Change:
    """A mistake at one node: `make` gives another gradient of its operand k. verdict and sentence:
    what it means.

    rank: the plainest first. constant: what it takes as a constant, in words.
    """

    node: fx.Node
    verdict: str
    sentence: str
    k: int
    make: Make
    rank: int = 0
    constant: str = ""

    def apply(self, step: Operation, d: Any, grads: list[Tensor]) -> list[Tensor]:
        """The gradients of all operands, changed. ValueError where the change has no meaning for
        these shapes.
        """
        new = self.make(Place(step, self.k, d, grads[self.k]))
        if new is None or new.shape != grads[self.k].shape:
            raise ValueError("of another shape")
        return [*grads[: self.k], new, *grads[self.k + 1 :]]


class Graph:
    """A function of tensors by name, traced at one point; shapes are those of that point.

    ValueError where it can't be traced or is too long.
    """

    def __init__(self, function: Callable[[Point], Tensor], point: Point) -> None:
        self.names = list(point)

        def call(*tensors: Tensor) -> Tensor:
            return function(dict(zip(self.names, tensors, strict=True)))

        with torch.no_grad():
            traced = make_fx(
                torch.func.functionalize(call, remove="mutations"), decomposition_table=PARTS
            )
            self.module = traced(*point.values())
        rewrite(self.module.graph)
        self.module.graph.eliminate_dead_code()
        every = list(self.module.graph.nodes)
        self.nodes = [node for node in every if node.op in {"call_function", "get_attr"}]
        # in forward's order
        self.operations = [node for node in every if node.op == "call_function"]
        self.inputs = [node for node in every if node.op == "placeholder"]
        self.values = [*self.inputs, *self.operations]
        self.output: fx.Node = every[-1].args[0]
        if len(self.nodes) > NODES:
            raise ValueError("too long")


class Tape:
    """The values of a graph at one point, some of them changed."""

    def __init__(self, graph: Graph, point: Point, changed: Swaps | None = None) -> None:
        self.graph, self._changed = graph, changed or {}
        self.values: Values = {}
        self.steps: dict[fx.Node, Operation] = {}
        for node, name in zip(graph.inputs, graph.names, strict=True):
            self._keep(node, point[name])
        for node in graph.nodes:
            if node.op == "get_attr":
                self.values[node] = getattr(graph.module, str(node.target))
            else:
                self.steps[node] = self.operation(node)
                self._keep(node, self.steps[node].result)

    def _keep(self, node: fx.Node, value: Any) -> None:
        detached = fx.node.map_aggregate(value, _detached)
        self.values[node] = (
            self._changed[node](detached, self) if node in self._changed else detached
        )

    def operation(self, node: fx.Node, swapped: Values | None = None) -> Operation:
        """The node by itself at these values, or with others in the place of some."""
        inputs = [n for n in operands(node) if is_float(self.values[n])]
        values: Values = {n: (swapped or {}).get(n, self.values[n]) for n in inputs}
        leaves = {n: values[n].detach().clone().requires_grad_() for n in inputs}
        arguments, named = fx.map_arg(
            (node.args, node.kwargs), lambda n: leaves.get(n, self.values[n])
        )
        with torch.enable_grad():
            result = node.target(*arguments, **named)  # type: ignore[operator]
        return Operation(self, node, inputs, list(leaves.values()), result)

    def backward(self, dy: Tensor, *changes: Change) -> dict[str, Tensor]:
        """The gradient of each input for a dy of the output, with some places changed."""
        graph = self.graph
        adjoint: Values = {graph.output: dy.reshape(self.values[graph.output].shape)}
        for node in reversed(graph.operations):
            a = adjoint.get(node)
            if a is None:
                continue
            if node.target is operator.getitem:
                source, i = cast("tuple[fx.Node, int]", node.args)
                many = adjoint.setdefault(source, [None] * len(self.values[source]))
                many[i] = a if many[i] is None else many[i] + a
                continue
            step = self.steps[node]
            grads = step.vjp(a)
            for change in changes:
                if change.node is node:
                    grads = change.apply(step, a, grads)
            for n, g in zip(step.inputs, grads, strict=True):
                adjoint[n] = adjoint[n] + g if n in adjoint else g
        zero = {
            node: torch.zeros_like(self.values[node])
            for node in graph.inputs
            if is_float(self.values[node])
        }
        return {
            name: adjoint.get(node, zero[node]) if node in zero else torch.zeros(())
            for node, name in zip(graph.inputs, graph.names, strict=True)
        }


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def is_float(value: Any) -> bool:
    """A tensor that may have a gradient."""
    return isinstance(value, Tensor) and value.is_floating_point()


def operands(node: fx.Node) -> list[fx.Node]:
    """The nodes that it is computed from, each once."""
    return list(dict.fromkeys(node.all_input_nodes))


def expression(  # noqa: C901, PLR0911
    node: Any, names: Names, depth: int = 4
) -> str:
    """What a node computes, as a formula: tanh(x @ w + b); inner parts left out where it is
    long.
    """
    if not isinstance(node, fx.Node):
        return f"{node:.4g}" if isinstance(node, float) else str(node)
    if node in names:
        return names[node]
    number = number_in(node)
    if number is not None:
        return f"{number:.4g}"
    if node.op == "get_attr":
        return "c"
    if depth <= 0:
        return "..."
    name = op(node)
    parts = [
        expression(a, names, depth - 1) for a in node.args if isinstance(a, fx.Node | float | int)
    ]
    first = _bracketed(parts[0]) if parts else "..."
    if _is_transpose(node):
        return first if first == "..." else f"{first}.T"
    if name in THROUGH:
        return parts[0] if parts else "..."
    if name in SIGNS and len(parts) > 1:
        text = f"{first} {SIGNS[name]} {_bracketed(parts[1])}"
    elif name == "pow":
        text = f"{first}^{parts[1]}"
    elif name == "neg":
        text = f"-{first}"
    else:
        inner = ", ".join(
            expression(a, names, depth - 1) for a in node.args if isinstance(a, fx.Node)
        )
        text = f"{SHOWN.get(name, name)}({inner})"
    return text if len(text) <= LONG else expression(node, names, depth - 2)


def _is_transpose(node: fx.Node) -> bool:
    """Whether it exchanges two axes: x.t(), x.mT, or x.T, for which torch permutes two."""
    exchanges = op(node) == "permute" and list(cast("list[int]", node.args[1])) == [1, 0]
    return exchanges or op(node) in {"t", "transpose"}


def _bracketed(text: str) -> str:
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and letter in "+-*/@" and text[i - 1 : i] == " ":
            return f"({text})"
    return text

"""The reference's forward as a graph of operations, and its backward one at a time, so that one may be changed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from torch_ref.check.rewriting import PARTS, number_in, rewrite

NODES = 150  # beyond, a forward is too long to be changed place by place


THROUGH = {"t", "transpose", "permute", "view", "_unsafe_view", "reshape", "expand", "unsqueeze", "squeeze", "clone", "alias",
           "detach", "lift_fresh_copy", "slice", "select", "cat", "_to_copy", "contiguous", "getitem", "stack", "unbind",
           "split", "flip"}  # fmt: skip


@dataclass
class Operation:
    """A node at one point: its operands as leaves of a graph of its own, and its result."""

    node: fx.Node
    inputs: list[fx.Node]  # those that may have a gradient
    leaves: list[Tensor]
    result: Any

    def vjp(self, adjoint: Any) -> list[Tensor]:
        """The gradient of each input for that of the result."""
        results = list(self.result) if isinstance(self.result, tuple | list) else [self.result]
        adjoints = adjoint if isinstance(adjoint, list) else [adjoint]
        pairs = [(r, a) for r, a in zip(results, adjoints, strict=True) if a is not None and r.requires_grad]
        if not pairs:
            return [torch.zeros_like(leaf) for leaf in self.leaves]
        return list(torch.autograd.grad(
            [r for r, _ in pairs], self.leaves, [a for _, a in pairs],
            retain_graph=True, allow_unused=True, materialize_grads=True,
        ))  # fmt: skip


class Graph:
    """A function of tensors by name, traced at one point; shapes are those of that point.

    ValueError where it can't be traced or is too long.
    """

    def __init__(self, function: Callable[[dict[str, Tensor]], Tensor], point: dict[str, Tensor]) -> None:
        self.names = list(point)

        def call(*tensors: Tensor) -> Tensor:
            return function(dict(zip(self.names, tensors, strict=True)))

        with torch.no_grad():
            self.module = make_fx(torch.func.functionalize(call, remove="mutations"), decomposition_table=PARTS)(
                *point.values()
            )
        rewrite(self.module.graph)
        self.module.graph.eliminate_dead_code()
        self.nodes = [node for node in self.module.graph.nodes if node.op in {"call_function", "get_attr"}]
        self.inputs = [node for node in self.module.graph.nodes if node.op == "placeholder"]
        (self.output,) = (node for node in self.module.graph.nodes if node.op == "output")
        if len(self.nodes) > NODES:
            raise ValueError("too long")

    def operations(self) -> list[fx.Node]:
        """Every operation, in forward's order."""
        return [node for node in self.nodes if node.op == "call_function"]

    def tape(
        self, point: dict[str, Tensor], changed: dict[fx.Node, Callable[[Tensor, "Tape"], Tensor]] | None = None
    ) -> "Tape":
        """The values at a point, some of them changed by a function of the right one."""
        return Tape(self, point, changed or {})


class Tape:
    """The values of a graph at one point."""

    def __init__(
        self, graph: Graph, point: dict[str, Tensor], changed: dict[fx.Node, Callable[[Tensor, "Tape"], Tensor]]
    ) -> None:
        self.graph = graph
        self.values: dict[fx.Node, Any] = {
            node: point[name].detach() for node, name in zip(graph.inputs, graph.names, strict=True)
        }
        for node in graph.inputs:
            if node in changed:
                self.values[node] = changed[node](self.values[node], self)
        self.steps: dict[fx.Node, Operation] = {}
        for node in graph.nodes:
            if node.op == "get_attr":
                self.values[node] = getattr(graph.module, str(node.target))
                continue
            step = self.operation(node)
            self.steps[node] = step
            value = _detached(step.result)
            self.values[node] = changed[node](value, self) if node in changed else value

    def operation(self, node: fx.Node, swapped: dict[fx.Node, Tensor] | None = None) -> Operation:
        """The node by itself at these values, or with others in the place of some."""
        inputs = [n for n in dict.fromkeys(node.all_input_nodes) if _is_float(self.values[n])]
        own = {n: (swapped or {}).get(n, self.values[n]) for n in inputs}
        leaves = {n: own[n].detach().clone().requires_grad_() for n in inputs}

        def value(n: fx.Node) -> Any:
            return leaves.get(n, self.values[n])

        arguments = fx.map_arg(node.args, value)
        named = fx.map_arg(node.kwargs, value)
        with torch.enable_grad():
            result = node.target(*arguments, **named)  # type: ignore[operator]
        return Operation(node, inputs, list(leaves.values()), result)

    def backward(self, dy: Tensor, *changes: "Change") -> dict[str, Tensor]:
        """The gradient of each input for a dy of the output, with some places changed."""
        adjoint: dict[fx.Node, Any] = {}
        last = self.graph.output.args[0]
        assert isinstance(last, fx.Node)
        adjoint[last] = dy.reshape(self.values[last].shape)
        for node in reversed(self.graph.nodes):
            a = adjoint.get(node)
            if a is None or node.op == "get_attr":
                continue
            step = self.steps[node]
            if str(node.target).endswith("getitem>") or node.name.startswith("getitem"):
                source, index = node.args[0], node.args[1]
                assert isinstance(source, fx.Node)
                many = adjoint.setdefault(source, [None] * len(self.values[source]))
                many[index] = a if many[index] is None else many[index] + a
                continue
            grads = step.vjp(a)
            for change in changes:
                if change.node is node:
                    grads = change.apply(self, step, a, grads)
            for n, g in zip(step.inputs, grads, strict=True):
                adjoint[n] = adjoint[n] + g if n in adjoint else g
        return {
            name: adjoint.get(node, torch.zeros_like(self.values[node])) if _is_float(self.values[node]) else torch.zeros(())
            for node, name in zip(self.graph.inputs, self.graph.names, strict=True)
        }


@dataclass(frozen=True)
class Change:
    """At one node another way from the gradient of its result to those of its operands. verdict and sentence: what it means.

    apply(tape, operation, adjoint, right gradients) -> the changed gradients.
    """

    node: fx.Node
    verdict: str
    sentence: str
    apply: Callable[[Tape, Operation, Any, list[Tensor]], list[Tensor]]
    rank: int = 0


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _detached(value: Any) -> Any:
    return (
        tuple(map(_detached, value))
        if isinstance(value, tuple | list)
        else value.detach()
        if isinstance(value, Tensor)
        else value
    )


def op(node: fx.Node) -> str:
    """tanh, of aten.tanh.default."""
    return str(node.target).removeprefix("aten.").split(".")[0].rstrip("_") if node.op == "call_function" else node.op


SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "mm": "@", "bmm": "@", "matmul": "@", "mv": "@", "dot": "@"}
LONG = 34


def expression(node: Any, names: dict[fx.Node, str], depth: int = 4) -> str:  # noqa: PLR0911
    """What a node computes, as a formula: tanh(x @ w + b); inner parts left out where it is long."""
    if not isinstance(node, fx.Node):
        return f"{node:.4g}" if isinstance(node, float) else str(node)
    if node in names:
        return names[node]
    if node.op == "get_attr":
        number = number_in(node)
        return "c" if number is None else f"{number:.4g}"
    if depth == 0:
        return "..."
    name, args = op(node), [a for a in node.args if a is not None]
    parts = [expression(a, names, depth - 1) for a in args if isinstance(a, fx.Node | float | int)]
    if name in {"t", "transpose"}:
        return f"{_bracketed(parts[0])}.T"
    if name in THROUGH:
        return parts[0] if parts else "..."
    if name in SIGNS and len(parts) > 1:
        text = f"{_bracketed(parts[0])} {SIGNS[name]} {_bracketed(parts[1])}"
    elif name in {"pow", "square"}:
        text = f"{_bracketed(parts[0])}^{parts[1] if len(parts) > 1 else 2}"
    elif name == "neg":
        text = f"-{_bracketed(parts[0])}"
    else:
        shown = {"_softmax": "softmax", "_log_softmax": "log_softmax", "amax": "max", "convolution": "conv"}.get(name, name)
        inner = ", ".join(expression(a, names, depth - 1) for a in args if isinstance(a, fx.Node))
        text = f"{shown}({inner})"
    return text if len(text) <= LONG else _short(node, names, depth)


def _short(node: fx.Node, names: dict[fx.Node, str], depth: int) -> str:
    return expression(node, names, depth - 2) if depth > 2 else "..."


def _bracketed(text: str) -> str:
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and letter in "+-*/@" and text[i - 1 : i] == " ":
            return f"({text})"
    return text

"""A value that forward uses several times: gradients of its uses that replace one another instead of being added."""

# ruff: noqa: ARG001, ARG005 - a change is given all that there is, and looks at some of it

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx

from torch_ref.check.derivatives import at, operands
from torch_ref.check.graph import Change, Graph, Operation, Tape, expression, op

VIEWS = {"slice", "select", "index", "unfold"}


def uses(graph: Graph, names: dict[fx.Node, str]) -> Iterator[tuple[Change, ...]]:
    """Changes of all uses of a value at once; the first has the verdict and the sentence."""
    for node in [*graph.inputs, *graph.operations()]:
        users = [user for user in node.users if user.op == "call_function"]
        if len(users) < 2:
            continue
        text = expression(node, names)
        if len({op(user) for user in users}) == 1 and op(users[0]) not in VIEWS:
            for words, kept in (("first", users[0]), ("last", users[-1])):
                sentence = (
                    f"{text} is used {len(users)} times, and only the gradient of its {words} use is there: "
                    "they are to be added (+=, where = stands?)"
                )
                yield tuple(_zero(user, node, sentence) for user in users if user is not kept)
        if all(op(user) in VIEWS for user in users):
            sentence = f"parts of {text} overlap, and where they do the last one replaces the others: += belongs where = stands"
            yield tuple(_overwritten(user, node, users[i + 1 :], sentence) for i, user in enumerate(users[:-1]))


def _zero(user: fx.Node, node: fx.Node, sentence: str) -> Change:
    return Change(user, "overwritten", sentence, at(operands(user).index(node), lambda t, s, d, g: torch.zeros_like(g)), 3)


def _overwritten(user: fx.Node, node: fx.Node, later: list[fx.Node], sentence: str) -> Change:
    def make(tape: Tape, step: Operation, d: Any, g: Tensor) -> Tensor:
        covered = torch.zeros_like(g)
        for other in later:
            one = tape.steps[other]
            covered += one.vjp(torch.ones_like(one.result))[one.inputs.index(node)]
        return torch.where(covered == 0, g, 0)

    return Change(user, "overwritten", sentence, at(operands(user).index(node), make), 3)

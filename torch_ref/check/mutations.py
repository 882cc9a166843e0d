"""The mistake found by making it: the reference's own backward, changed at a place or two, gives the wrong gradient."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from torch_ref.check.changes import changes
from torch_ref.check.factors import meaning
from torch_ref.check.graph import Change, Graph, Tape, expression, op
from torch_ref.check.reference import Autograd
from torch_ref.check.trials import Fault, common_factor, fits, is_wrong
from torch_ref.check.uses import uses

SECONDS = 6.0  # that changes, one by one and in pairs, may take
PAIRED = 45  # changes of which pairs are tried
POINTS = 3
Gradients = dict[str, Tensor]
POWERS = {  # of a value of forward, in words
    1: "it has {0} once too often",
    -1: "it lacks {0}, or is divided by it",
    2: "it is multiplied by {0} where it should be divided, or has its square",
    -2: "it is divided by {0} where it should be multiplied, or lacks its square",
}


@dataclass(frozen=True)
class Found:
    """What a change explains: the names of wrong inputs; `all`: every wrong one, while the right ones stay right."""

    verdict: str
    sentence: str
    names: frozenset[str]
    all: bool
    rank: int


def operations(fault: Fault) -> frozenset[str] | None:
    """torch's names of what forward is made of; None where it can't be traced."""
    if not isinstance(fault.source, Autograd):
        return None
    try:
        graph = Graph(fault.source.function, {name: _plain(value) for name, value in fault.trials[0].point.items()})
    except Exception:  # noqa: BLE001 - whatever torch says of what it can't trace
        return None
    return frozenset(op(node).lstrip("_") for node in graph.operations())


class Mutations:
    """The changes of a reference, tried on faults of the same trials."""

    def __init__(self, source: Autograd, faults: dict[str, Fault], right: dict[str, list[Tensor]]) -> None:
        """right: the gradients that are right, by input, at the same trials. ValueError where the reference can't be traced."""
        self._faults, self._right = faults, right
        one = next(iter(faults.values()))
        self._where = [i for i, trial in enumerate(one.trials) if not trial.kinks][:POINTS]
        points = [{name: _plain(value) for name, value in one.trials[i].point.items()} for i in self._where]
        self._graph = Graph(source.function, points[0])
        self._names = dict(zip(self._graph.inputs, self._graph.names, strict=True))
        self._points = points
        self._dys = [one.trials[i].dy for i in self._where]
        self._tapes = [self._graph.tape(point) for point in points]
        self._shifts = list(self._shifted())
        self._base = [tape.backward(dy) for tape, dy in zip(self._tapes, self._dys, strict=True)]
        self._until = time.perf_counter() + SECONDS
        for name, fault in faults.items():
            expected = [fault.expected[i] for i in self._where]
            if not fits(expected, [base[name] for base in self._base], max(fault.tolerance, 1e-12)):
                raise ValueError("what was traced is another function")

    def _shifted(self) -> Iterator[Change]:
        """A maximum that is only taken off for the sake of large numbers has no gradient, in a changed backward either."""
        for node in self._graph.operations():
            if op(node) not in {"amax", "max"}:
                continue
            none = Change(node, "", "", lambda t, s, d, g: [torch.zeros_like(part) for part in g])  # noqa: ARG005
            tape, dy = self._tapes[0], self._dys[0]
            with_, without = tape.backward(dy), tape.backward(dy, none)
            if all(torch.allclose(with_[name], without[name], rtol=1e-9, atol=1e-12) for name in self._faults):
                yield none

    def search(self) -> list[Found]:
        """What explains a fault: a change that explains all of them first, then the plainest."""
        every = list(changes(self._graph, self._names))
        found = list(self._singles(every))
        found += self._of_uses()
        found += self._of_other_values()
        found += self._of_factors()
        if not any(f.all for f in found) and len({name for f in found for name in f.names}) < len(self._faults):
            found += self._pairs(every)
        return sorted(found, key=lambda f: (not f.all, -len(f.names), f.rank))

    # -- one place ----------------------------------------------------------------------------------------------------

    def _singles(self, every: list[Change]) -> Iterator[Found]:
        for change in every:
            if time.perf_counter() > self._until:
                return
            first = self._run(0, change)
            if first is None:
                continue
            yield from self._judge([first], self._runs(change), change.verdict, change.sentence, change.rank)
            if change.verdict == "term" and "as a constant" in change.sentence:
                yield from self._share(change, first)

    def _runs(self, *some: Change) -> Callable[[int], Gradients | None]:
        return lambda i: self._run(i, *some)

    def _run(self, i: int, *some: Change) -> Gradients | None:
        try:
            return self._tapes[i].backward(self._dys[i], *some, *self._shifts)
        except Exception:  # noqa: BLE001 - the change has no meaning for these shapes
            return None

    def _judge(
        self, known: list[Gradients], run: Callable[[int], Gradients | None], verdict: str, sentence: str, rank: int
    ) -> Iterator[Found]:
        names = {name for name in self._faults if self._fits(name, 0, known[0])}
        for i in range(1, len(self._where)):
            if not names:
                return
            result = run(i)
            names = {name for name in names if result is not None and self._fits(name, i, result)}
        if names:
            stays = self._stays(known[0])
            yield Found(verdict, sentence, frozenset(names), names == set(self._faults) and stays, rank)

    def _stays(self, changed: Gradients) -> bool:
        """What is right is not changed."""
        pairs = [(changed[name], known[self._where[0]]) for name, known in self._right.items()]
        return all(
            not is_wrong(a, e, 1e-9 + 1e-6 * float(e.abs().max())).any() for a, e in pairs if a.shape == e.shape and e.numel()
        )

    def _fits(self, name: str, i: int, result: Gradients) -> bool:
        fault = self._faults[name]
        actual = fault.actual[self._where[i]]
        return actual.shape == result[name].shape and not is_wrong(actual, result[name], fault.tolerance).any()

    def _share(self, change: Change, without: Gradients) -> Iterator[Found]:
        """The part through this place may be there, but times a number."""
        for name, fault in self._faults.items():
            part = self._base[0][name] - without[name]
            actual = fault.actual[self._where[0]]
            if (
                actual.shape != part.shape
                or part.abs().max() <= 8 * fault.tolerance
                or without[name].abs().max() <= 8 * fault.tolerance
            ):
                continue
            c = common_factor([actual - without[name]], [part], fault.tolerance)
            if c is None or abs(c) < 1e-6 or abs(c + 1) < 1e-6:
                continue
            others = [self._run(i, change) for i in range(1, len(self._where))]
            good = all(
                o is not None
                and not is_wrong(
                    fault.actual[self._where[i]],
                    o[name] + c * (self._base[i][name] - o[name]),
                    fault.tolerance * max(1, abs(c)),
                ).any()
                for i, o in enumerate(others, 1)
            )
            if good:
                what = meaning(c, fault, None)
                text = change.sentence.split(" is taken as a constant")[0]
                sentence = f"the part of the gradient through {text} is {c:.6g} times what it should be" + (
                    f" ({what})" if what else ""
                )
                yield Found("factor of a term", sentence, frozenset({name}), len(self._faults) == 1, change.rank + 1)

    def _of_uses(self) -> Iterator[Found]:
        for some in uses(self._graph, self._names):
            first = self._run(0, *some) if time.perf_counter() < self._until else None
            if first is not None:
                yield from self._judge([first], self._runs(*some), some[0].verdict, some[0].sentence, some[0].rank)

    def _of_factors(self) -> Iterator[Found]:
        """The right gradient, times or divided by a value of forward that it should not have, or lacks."""
        for name, fault in self._faults.items():
            pairs = [(fault.actual[i], fault.expected[i]) for i in self._where]
            if any(a.shape != e.shape or not a.ndim for a, e in pairs):
                continue
            for node in [*self._graph.inputs, *self._graph.operations()]:
                values = [tape.values[node] for tape in self._tapes]
                if not all(isinstance(v, Tensor) and v.is_floating_point() and v.numel() > 1 for v in values):
                    continue
                for power, words in POWERS.items():
                    try:
                        guessed = [e * v**power for (_, e), v in zip(pairs, values, strict=True)]
                    except RuntimeError:
                        break
                    if all(g.isfinite().all() for g in guessed) and fits([a for a, _ in pairs], guessed, fault.tolerance):
                        sentence = f"right but for a factor: {words.format(expression(node, self._names))}"
                        yield Found("factor missing" if power < 0 else "factor twice", sentence, frozenset({name}),
                                    len(self._faults) == 1, 5)  # fmt: skip

    # -- other values of forward --------------------------------------------------------------------------------------

    def _of_other_values(self) -> Iterator[Found]:
        """A value of forward is another in backward: a variance by n - 1, an eps left out."""
        for node in [*self._graph.inputs, *self._graph.operations()]:
            for words, function in _others(node, self._names):
                if time.perf_counter() > self._until:
                    return

                def run(
                    i: int, node: fx.Node = node, function: Callable[[Tensor, Tape], Tensor] = function
                ) -> Gradients | None:
                    try:
                        return self._graph.tape(self._points[i], {node: function}).backward(self._dys[i])
                    except Exception:  # noqa: BLE001 - no such value
                        return None

                first = run(0)
                if first is not None:
                    yield from self._judge([first], run, "other value", words, 4)

    # -- two places ---------------------------------------------------------------------------------------------------

    def _pairs(self, every: list[Change]) -> Iterator[Found]:
        some = [
            c
            for c in every
            if c.verdict in {"term", "f' missing", "factor missing", "diagonal", "derivative", "sign", "batch sum"}
            and c.rank < 8
        ]
        some = sorted(some, key=lambda c: c.rank)[:PAIRED]
        done = 0
        for a, b in itertools.combinations(some, 2):
            if time.perf_counter() > self._until or done:
                return
            if a.node is b.node and a.verdict == b.verdict:
                continue
            first = self._run(0, a, b)
            if first is None:
                continue
            both = f"{a.sentence}; and {b.sentence}"
            for found in self._judge([first], self._runs(a, b), "two mistakes", both, 10):
                done += 1
                yield found


def _others(node: fx.Node, names: dict[fx.Node, str]) -> Iterator[tuple[str, Callable[[Tensor, Tape], Tensor]]]:
    text = expression(node, names)
    if any(op(user) in {"mul", "div"} for user in node.users) and not _is_input_alone(node, names):
        words = f"it is the gradient for a {text} of 1: the factor {text} is missing"
        yield words, lambda value, tape: torch.ones_like(value)  # noqa: ARG005
    if op(node) == "var":

        def by_less(value: Tensor, tape: Tape) -> Tensor:
            n: float = tape.values[node.all_input_nodes[0]].numel() / value.numel()
            return value * n / (n - 1)

        def by_n(value: Tensor, tape: Tape) -> Tensor:
            n: float = tape.values[node.all_input_nodes[0]].numel() / value.numel()
            return value * (n - 1) / n

        yield f"{text} is divided by n - 1 in backward (ddof=1, unbiased), by n in forward", by_less
        yield f"{text} is divided by n in backward, by n - 1 in forward", by_n
    if op(node) in {"masked_fill", "where", "tril", "triu"}:
        whole = next((n for n in node.all_input_nodes if n.op != "get_attr" and _looks_alike(n, node)), None)
        if whole is not None:
            yield f"the mask of {text} is forgotten in backward", lambda value, tape: tape.values[whole]  # noqa: ARG005
    inner = node
    while op(inner) in {"add", "sub", "mul", "div", "sqrt", "neg"} and len(inner.all_input_nodes) == 1:
        inner = inner.all_input_nodes[0]

        def before(value: Tensor, tape: Tape, inner: fx.Node = inner) -> Tensor:  # noqa: ARG001
            found: Tensor = tape.values[inner]
            return found

        yield f"{expression(inner, names)} stands in backward where {text} belongs", before


def _looks_alike(one: fx.Node, other: fx.Node) -> bool:
    a, b = one.meta.get("val"), other.meta.get("val")
    return isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape and a.dtype == b.dtype


def _is_input_alone(node: fx.Node, names: dict[fx.Node, str]) -> bool:
    return node in names and len(names) == 1


def _plain(value: Tensor) -> Tensor:
    """Labels as torch wants them: int64."""
    return value if value.is_floating_point() or value.dtype == torch.bool else value.long()

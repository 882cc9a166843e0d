"""The mistake found by making it: the reference's own backward, changed at a place or two, gives
the wrong gradient.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, fx

from torch_ref.diagnosis.changes import changes, uses
from torch_ref.diagnosis.factors import meaning
from torch_ref.diagnosis.graph import Change, Graph, Names, Tape, expression
from torch_ref.diagnosis.rewriting import op
from torch_ref.evidence.reference import Autograd, labels
from torch_ref.evidence.trials import Fault, Trial, common_factor, fits, is_wrong
from torch_ref.forms.values import Point

SECONDS = 6.0  # that changes, one by one and in pairs, may take
PAIRED = 45  # changes of which pairs are tried
MASKING = {"masked_fill", "where", "tril", "triu"}
POINTS = 3
POWERS = {  # of a value of forward: the verdict, in words
    1: ("factor twice", "it has {0} once too often"),
    -1: ("factor missing", "it lacks {0}, or is divided by it"),
    2: ("factor twice", "it is multiplied by {0} where it should be divided, or has its square"),
    -2: (
        "factor missing",
        "it is divided by {0} where it should be multiplied, or lacks its square",
    ),
}
Gradients = dict[str, Tensor]
# a changed backward at one of the points; it may raise anything where it has no meaning
Run = Callable[[int], Gradients]
Other = Callable[[Tensor, Tape], Tensor]  # a value for another


@dataclass(frozen=True)
class Found:
    """What a change explains: the gradients of the inputs `names`. `all`: whether these are all
    wrong ones, and the right ones stay right.
    """

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
        graph = Graph(fault.source.function, _point(fault.trials[0]))
    except Exception:  # noqa: BLE001 - whatever torch says of what it can't trace
        return None
    return frozenset(op(node).lstrip("_") for node in graph.operations)


def _point(trial: Trial) -> Point:
    return {name: labels(value) for name, value in trial.point.items()}


class Mutations:
    """The changes of a reference, tried on faults of the same trials."""

    def __init__(
        self, source: Autograd, faults: dict[str, Fault], right: dict[str, list[Tensor]]
    ) -> None:
        """right: the gradients that are right, by input, at the same trials. ValueError where the
        reference can't be traced.
        """
        self._faults = faults
        every = next(iter(faults.values())).trials
        where = [i for i, trial in enumerate(every) if not trial.kinks][:POINTS]
        self._actual = {name: [fault.actual[i] for i in where] for name, fault in faults.items()}
        self._expected = {
            name: [fault.expected[i] for i in where] for name, fault in faults.items()
        }
        self._right = {name: found[where[0]] for name, found in right.items()}
        self._points, self._dys = [_point(every[i]) for i in where], [every[i].dy for i in where]
        self._graph = Graph(source.function, self._points[0])
        self._names: Names = dict(zip(self._graph.inputs, self._graph.names, strict=True))
        self._tapes = [Tape(self._graph, point) for point in self._points]
        self._shifts = tuple(self._shifted())
        self._base = [tape.backward(dy) for tape, dy in zip(self._tapes, self._dys, strict=True)]
        self._until = time.perf_counter() + SECONDS
        for name, fault in faults.items():
            if not fits(self._expected[name], [base[name] for base in self._base], fault.tolerance):
                raise ValueError("what was traced is another function")

    def _shifted(self) -> Iterator[Change]:
        """Maxima, one or all, that are only taken off for the sake of large numbers have no
        gradient, in a changed backward either.
        """
        tape, dy = self._tapes[0], self._dys[0]
        right = tape.backward(dy)
        constant = [
            Change(node, "", "", 0, lambda place: torch.zeros_like(place.g))
            for node in self._graph.operations
            if op(node) in {"amax", "max"}
        ]
        for some in [*([each] for each in constant), constant]:
            without = tape.backward(dy, *some)
            if all(
                fits([without[name]], [right[name]], fault.tolerance)
                for name, fault in self._faults.items()
            ):
                yield from some

    def search(self) -> list[Found]:
        """What explains a fault: a change that explains all of them first, then the plainest."""
        every = list(changes(self._graph, self._names))
        found = [one for change in every for one in self._of_change(change)]
        for some in uses(self._graph, self._names):
            found += self._judge(
                self._changed(*some), some[0].verdict, some[0].sentence, some[0].rank
            )
        for node in self._graph.values:
            for words, other in _others(node, self._names):
                found += self._judge(self._with_value(node, other), "other value", words, 4)
        found += self._of_factors()
        if len({name for f in found for name in f.names}) < len(self._faults):
            found += self._of_pairs(every)
        return sorted(found, key=lambda f: (not f.all, -len(f.names), f.rank))

    # -- one hypothesis
    # ----------------------------------------------------------------------------------------------

    def _changed(self, *some: Change) -> Run:
        return cache(lambda i: self._tapes[i].backward(self._dys[i], *some, *self._shifts))

    def _with_value(self, node: fx.Node, other: Other) -> Run:
        """A value of forward is another in backward: a variance by n - 1, an eps left out."""
        return lambda i: Tape(self._graph, self._points[i], {node: other}).backward(self._dys[i])

    def _at(self, run: Run, i: int) -> Gradients | None:
        try:
            return run(i) if time.perf_counter() < self._until else None
        except Exception:  # noqa: BLE001 - the change has no meaning for these shapes
            return None

    def _judge(self, run: Run, verdict: str, sentence: str, rank: int) -> Iterator[Found]:
        """What a changed backward explains, if anything; nothing once the time is up."""
        first = self._at(run, 0)
        names = set() if first is None else set(self._faults)
        for i in range(len(self._points)):
            result = self._at(run, i) if names else None
            names = {name for name in names if result is not None and self._fits(name, i, result)}
        if names and first is not None:
            everything = names == set(self._faults) and all(
                not is_wrong(first[name], e, 1e-6 * float(e.norm())).any()
                for name, e in self._right.items()
            )
            yield Found(verdict, sentence, frozenset(names), everything, rank)

    def _fits(self, name: str, i: int, result: Gradients) -> bool:
        return fits([self._actual[name][i]], [result[name]], self._faults[name].tolerance)

    # -- one place, or two
    # --------------------------------------------------------------------------------------------

    def _of_change(self, change: Change) -> Iterator[Found]:
        run = self._changed(change)
        yield from self._judge(run, change.verdict, change.sentence, change.rank)
        if change.constant:
            yield from self._share(run, change)

    def _share(self, run: Run, change: Change) -> Iterator[Found]:
        """Whether the part through this place is there, but times a number."""
        results = [self._at(run, i) for i in range(len(self._points))]
        rests = [result for result in results if result is not None]
        if len(rests) < len(results):
            return
        for name, fault in self._faults.items():
            part = [base[name] - rest[name] for base, rest in zip(self._base, rests, strict=True)]
            actual = [a - rest[name] for a, rest in zip(self._actual[name], rests, strict=True)]
            c = common_factor(actual, part, fault.tolerance)
            if c is not None:
                what = meaning(c, fault, []).words
                words = (
                    f"the part of the gradient through {change.constant} is {c:.6g} times what it "
                    "should be"
                )
                words += f" ({what})" if what else ""
                yield Found(
                    "factor of a term",
                    words,
                    frozenset({name}),
                    len(self._faults) == 1,
                    change.rank + 1,
                )

    def _of_pairs(self, every: list[Change]) -> list[Found]:
        """What the first two changes explain that explain something together."""
        some = sorted(every, key=lambda change: change.rank)[:PAIRED]
        for a, b in itertools.combinations(some, 2):
            words = f"{a.sentence}; and {b.sentence}"
            found = list(self._judge(self._changed(a, b), "two mistakes", words, 10))
            if found:
                return found
        return []

    def _of_factors(self) -> Iterator[Found]:
        """The right gradient, times or divided by a value of forward that it should not have, or
        lacks.
        """
        for node in self._graph.values:
            value = expression(node, self._names)
            for name, (power, (verdict, words)) in itertools.product(self._faults, POWERS.items()):
                sentence = f"right but for a factor: {words.format(value)}"
                yield from self._judge(self._times(name, node, power), verdict, sentence, 5)

    def _times(self, name: str, node: fx.Node, power: int) -> Run:
        def run(i: int) -> Gradients:
            right = self._base[i][name]
            new: Tensor = right * self._tapes[i].values[node] ** power
            if new.shape != right.shape:
                raise ValueError("of another shape")
            return self._base[i] | {name: new}

        return run


def _others(node: fx.Node, names: Names) -> Iterator[tuple[str, Other]]:
    text, name = expression(node, names), op(node)
    if any(op(user) in {"mul", "div"} for user in node.users) and not (
        node in names and len(names) == 1
    ):
        words = f"it is the gradient for a {text} of 1: the factor {text} is missing"
        yield words, lambda value, _: torch.ones_like(value)
    if name == "var":
        yield (
            f"{text} is divided by n - 1 in backward (ddof=1, unbiased), by n in forward",
            lambda v, t: v * _unbiased(node, v, t),
        )
        yield (
            f"{text} is divided by n in backward, by n - 1 in forward",
            lambda v, t: v / _unbiased(node, v, t),
        )
    for whole in node.all_input_nodes if name in MASKING else ():
        yield f"the mask of {text} is forgotten in backward", _value_of(whole)
    inner = node
    while (
        op(inner) in {"add", "sub", "mul", "div", "sqrt", "neg"} and len(inner.all_input_nodes) == 1
    ):
        inner = inner.all_input_nodes[0]
        yield (
            f"{expression(inner, names)} stands in backward where {text} belongs",
            _value_of(inner),
        )


def _value_of(node: fx.Node) -> Other:
    def value(_: Tensor, tape: Tape) -> Tensor:
        found: Tensor = tape.values[node]
        return found

    return value


def _unbiased(node: fx.Node, value: Tensor, tape: Tape) -> float:
    """n/(n - 1) of a variance."""
    n: float = tape.values[node.all_input_nodes[0]].numel() / value.numel()
    return n / (n - 1)

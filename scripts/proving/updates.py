"""What is claimed of the operations that have no derivative: optimizers and initializers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import sympy as sp

from manual.initializers import Initializer
from manual.optimizers import Optimizer
from scripts.proving import definitions
from scripts.proving.algebra import exact
from scripts.proving.cases import UNIT, symbols
from scripts.proving.claims import Pairs, Run, Verdict, claim, merged, unchanged
from scripts.proving.symbols import Symbolic
from torch_ref.cases import OPTIMIZER_FIELDS

KEPT = symbols("beta", 2, positive=True)  # what a running mean keeps of itself, between 0 and 1


def optimizer(cls: type[Optimizer]) -> Iterator[Verdict]:
    """Each step is the recurrence's: the first, and the one after any state, so by induction every
    one.

    With the numbers in use that are in each row of OPTIMIZER_FIELDS; the L2 term of the weights
    alone, of all, or of none.
    """
    _, source = definitions.OPTIMIZERS[cls]
    used = {
        tuple(name for name in fields if name in {"momentum", "nesterov"})
        for of, fields in OPTIMIZER_FIELDS
        if of is cls
    }
    for names in sorted(used):
        claimed = (
            f"every step{''.join(f', {name}' for name in names)}, with L2 and without, any numbers "
            f"> 0: {source}"
        )
        yield merged([
            claim(f"optimizer {cls.name}", claimed, _step, {"kept": KEPT}, cls, names, decay, first,
                domain=UNIT)
            for first in (True, False)
            for decay in ("none", "weights", "all")
        ])  # fmt: skip


def _step(
    cls: type[Optimizer],
    names: tuple[str, ...],
    decay: str,
    first: bool,  # noqa: FBT001 one of many
) -> Run:
    """Of theta (2,), of which the first is a weight."""
    settings: dict[str, Any] = {name: name == "nesterov" or 0.5 for name in names}
    ours: Any = cls(0.1, **settings)
    decayed, theta, grad = np.array([1, int(decay == "all")]), symbols("theta", 2), symbols("g", 2)
    for name, value in vars(ours).items():  # its numbers are any that are not 0
        if isinstance(value, float) and value:
            setattr(ours, name, KEPT[0] if name == "alpha" else sp.Symbol(name, positive=True))
        elif isinstance(value, tuple):
            setattr(ours, name, tuple(KEPT))
    rate = sp.Symbol("lambda", positive=True) if decay != "none" else 0
    ours.weight_decay, ours.weights = rate, Symbolic(decayed) if decay == "weights" else None
    n = sp.Integer(0) if first else sp.Symbol("n", integer=True, positive=True)
    step, _ = definitions.OPTIMIZERS[cls]
    kept = {
        name: symbols(name, 2, **{"positive": True} if "sq" in name else {})
        for name in definitions.KEPT[cls]
    }
    if first:
        kept = {name: 0 * array for name, array in kept.items()}
    else:
        ours.buffers = {name: Symbolic(array.copy()) for name, array in kept.items()}
    expected, left = step(ours, theta, grad + rate * decayed * theta, kept, n + 1)
    ours.steps, given = n, [Symbolic(theta.copy()), Symbolic(grad.copy())]
    ours.step(*given)
    pairs: Pairs = [
        ("theta", given[0].entries, expected),
        ("n", ours.steps, n + 1),
        *unchanged(("g",), given[1:], (grad,)),
    ]
    return Run(
        [],
        [],
        {},
        pairs + [(name, ours.buffers[name].entries, array) for name, array in left.items()],
    )


class _Drawn:
    """Weight (O, I) or bias (O,) with the moments of what it is filled with."""

    def __init__(self, *shape: Any) -> None:
        self.shape, self.mean, self.variance = shape, sp.nan, sp.nan

    def zero_(self) -> None:
        self.mean = self.variance = sp.Integer(0)

    def normal_(self, mean: Any = 0, std: Any = 1, **_: Any) -> None:
        self.mean, self.variance = exact(mean), exact(std) ** 2

    def uniform_(self, low: Any, high: Any, **_: Any) -> None:
        self.mean, self.variance = (
            (exact(low) + exact(high)) / 2,
            (exact(high) - exact(low)) ** 2 / 12,
        )


def initializer(cls: type[Initializer]) -> Iterator[Verdict]:
    """Mean and variance of weights and biases, for any I and O."""
    inputs, outputs = sp.symbols("I O", positive=True, integer=True)

    def run() -> Run:
        weight, bias = _Drawn(outputs, inputs), _Drawn(outputs)
        cls()(weight, bias, None)  # type: ignore[arg-type]
        pairs: Pairs = [
            ("the mean of weights", weight.mean, 0),
            ("the mean of biases", bias.mean, 0),
        ]
        names = ("the variance of weights", "the variance of biases")
        for name, drawn, expected in zip(
            names, (weight, bias), definitions.VARIANCES[cls](inputs, outputs), strict=True
        ):
            pairs.append((name, drawn.variance, expected))
        return Run([], [], {}, pairs)

    yield claim(
        f"initializer {cls.name}", "mean and variance of weights and biases, any sizes", run, {}
    )

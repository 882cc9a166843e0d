"""Guesses at what was computed in place of the gradient: one that gives the user's numbers at every
point is right.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations

import torch
from torch import Tensor

from torch_ref.diagnosis.factors import at_each, meaning
from torch_ref.evidence.report import Finding
from torch_ref.evidence.trials import Fault, Trial, common_factor, fits

MANY = 256  # gradients of the reference beyond which a guess would take too long
UNFIT = (RuntimeError, IndexError, ValueError)  # of a guess that has no meaning for these shapes


@dataclass(frozen=True)
class Case:
    """A fault at one of its trials: the right gradient, the input, the output and its gradient."""

    fault: Fault
    trial: Trial
    right: Tensor
    x: Tensor
    y: Tensor
    dy: Tensor

    def of(self, dy: Tensor) -> Tensor | None:
        """The gradient for another dy, which has to have the shape of dy."""
        return self.fault.gradient(self.trial, dy) if dy.shape == self.dy.shape else None


def _case(fault: Fault, trial: Trial) -> Case:
    return Case(
        fault, trial, trial.expected[fault.name], trial.point[fault.name].cpu(), trial.y, trial.dy
    )


Guess = Callable[[Case], Tensor | None]
# (verdict, sentence, guess): {d} is the gradient, {x} its input
Rows = Iterator[tuple[str, str, Guess]]
# f' of the activations that may come last in forward, from its output y: what dDiv/dy is multiplied
# by first of all. By torch's name: in words, and as a function
LAST: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "sigmoid": ("a sigmoid's y (1 - y)", lambda y: y * (1 - y)),
    "tanh": ("a tanh's 1 - y^2", lambda y: 1 - y * y),
    "softplus": ("a softplus's 1 - e^-y", lambda y: -torch.expm1(-y)),
    "exp": ("an exp's y", lambda y: y),
}


def guessed(fault: Fault) -> Iterator[Finding]:
    """The guesses that give the user's numbers: exactly, then but for a factor with a name."""
    but_for_a_factor = []
    for verdict, sentence, guess in _guesses(fault) if fault.source is not None else ():
        end = _end(fault, guess)
        if end is not None:
            found = Finding(verdict, sentence.format(d=fault.d, x=fault.name) + end)
            if end:
                but_for_a_factor.append(found)
            else:
                yield found
    yield from but_for_a_factor


def _end(fault: Fault, guess: Guess) -> str | None:
    """The end of a sentence if the guess gives the actual numbers: empty, or the factor by which
    they differ.
    """
    usable = [
        (a, trial) for a, trial in zip(fault.actual, fault.trials, strict=True) if not trial.kinks
    ]
    found: list[Tensor] = []
    for a, trial in usable:
        try:
            g = guess(_case(fault, trial))
        except UNFIT:
            return None
        if g is None or g.shape != a.shape:
            return None
        found.append(g)
    if fits(found, [trial.expected[fault.name] for _, trial in usable], fault.tolerance):
        return None  # the right one itself
    factor = common_factor([a for a, _ in usable], found, fault.tolerance)
    if factor is None or abs(factor - 1) < 1e-6:
        return None if factor is None else ""
    try:
        factors = at_each(fault, factor, lambda trial: guess(_case(fault, trial)))
    except UNFIT:
        factors = []
    what = meaning(factor, fault, factors).words
    return f", and {factor:.6g} times that ({what})" if what else None


def _guesses(fault: Fault) -> Rows:
    yield "transposed", "{d} is transposed", lambda c: c.right.swapaxes(-2, -1)
    words = "{d} has the numbers of the transposed gradient, reshaped where .T was needed"
    yield "transposed", words, lambda c: c.right.swapaxes(-2, -1).reshape(c.right.shape)
    yield from _of_dy(fault)
    yield from _of_samples(fault)
    yield from _of_more(fault)
    for other in fault.trials[0].expected:
        if other != fault.name:
            what = f"d{other}" + " (dy is overwritten before {d} is made)" * (
                "dy" in fault.overwrites
            )
            yield (
                "dy overwritten",
                f"{{d}} is made of {what} where it should be made of dy",
                partial(_of_gradient, other),
            )
    for other in fault.trials[0].point:
        if other != fault.name:
            words = (
                f"{{d}} is there only where {other} is not 0, and zero elsewhere: every entry has "
                "a gradient"
            )
            yield "mask", words, partial(_where, other)
    yield from _of_order(fault.expected[0].shape)


def _of_dy(fault: Fault) -> Rows:
    """Guesses at how dy enters, and at f' of the function that comes last."""
    yield (
        "dy ignored",
        "{d} ignores dy: it is the gradient for a dy of ones; multiply by dy",
        lambda c: c.of(torch.ones_like(c.dy)),
    )
    yield (
        "dy ignored",
        "{d} has dy squared: it is multiplied by dy twice",
        lambda c: c.of(c.dy.square()),
    )
    yield "dy ignored", "{d} is that of |dy|: the sign of dy is lost", lambda c: c.of(c.dy.abs())
    yield (
        "dy ignored",
        "{d} takes the mean of dy for dy",
        lambda c: c.of(c.dy.mean().expand(c.dy.shape)),
    )
    yield (
        "dy ignored",
        "{d} takes the sum of dy for dy",
        lambda c: c.of(c.dy.sum().expand(c.dy.shape)),
    )
    yield "f' missing", "f'(z) is missing: {d} is dy itself", lambda c: c.dy
    last = [LAST[name] for name in LAST if fault.operations is None or name in fault.operations]
    for words, f_ in last:
        yield "f' missing", f"f'(z) is missing: {{d}} lacks {words}", partial(_with_last, f_, -1)
    yield "f' missing", "what comes after dy is missing: {d} is dy summed", _summed
    yield "f' twice", "f'(z) is applied twice in {d}", lambda c: c.of(c.right)
    for words, f_ in last:
        yield (
            "f' twice",
            f"f'(z) is applied twice: {{d}} has the square of {words}",
            partial(_with_last, f_, 1),
        )
    for words, f_ in last:
        yield (
            "z for y",
            f"{{d}} uses {words} with the input z in the place of the output y",
            partial(_of_input, f_),
        )
    yield "y for z", "{d} takes f' at the output y where it belongs at the input z", _at_output


def _with_last(derivative: Callable[[Tensor], Tensor], power: int, case: Case) -> Tensor | None:
    """f' of what comes last once more, or once less."""
    return case.of(case.dy * derivative(case.y) ** power)


def _summed(case: Case) -> Tensor:
    return case.dy.sum_to_size(case.right.shape)


def _of_input(derivative: Callable[[Tensor], Tensor], case: Case) -> Tensor | None:
    return case.dy * derivative(case.x) if case.x.shape == case.dy.shape else None


def _at_output(case: Case) -> Tensor | None:
    name, x = case.fault.name, case.trial.point[case.fault.name]
    if x.shape != case.y.shape:
        return None
    there = replace(case.trial, point=case.trial.point | {name: case.y.to(x.device)})
    return case.fault.gradient(there, case.dy)


def _of_samples(fault: Fault) -> Rows:
    """Guesses at what is summed, and over what."""
    yield (
        "diagonal",
        (
            "{d} holds only the diagonal of the Jacobian: y_j depends on the other inputs of its "
            "row too"
        ),
        _diagonal,
    )
    missing = "the sum over the batch is missing: {d} "
    yield "batch sum", missing + "has a row for each sample", _rows
    yield "batch sum", missing + "is that of the first sample alone", partial(_only, 0, 0)
    yield "batch sum", missing + "is that of the last sample alone", partial(_only, 0, -1)
    if fault.trials[0].dy.ndim > 1:
        yield "batch sum", "{d} is that of the first column of dy alone", partial(_only, -1, 0)
        yield "batch sum", "{d} is that of the last column of dy alone", partial(_only, -1, -1)
    for axes in ((1,), (2,), (1, 2), (0, 2)):
        words = (
            f"{{d}} is summed over axis {' and '.join(map(str, axes))}, where the samples lie "
            "along axis 0"
        )
        yield "wrong axis", words, partial(_summed_over, axes)
    words = "{d} is the mean over axis 1, where the sum over axis 0 belongs"
    yield (
        "wrong axis",
        words,
        lambda c: _rows(c).mean(1),
    )


def _only(axis: int, i: int, case: Case) -> Tensor | None:
    """The part of the gradient that dy makes at one place of an axis, 0 elsewhere."""
    if not case.dy.ndim:
        return None
    only = torch.zeros_like(case.dy)
    only.select(axis, i).copy_(case.dy.select(axis, i))
    return case.of(only)


def _diagonal(case: Case) -> Tensor | None:
    """dy_j dy_j/dx_j alone, of functions of the rows of x."""
    if case.dy.ndim != 2 or case.dy.shape != case.x.shape or case.dy.shape[1] > MANY:
        return None
    columns = [g[:, j] for j in range(case.dy.shape[1]) if (g := _only(1, j, case)) is not None]
    return torch.stack(columns, dim=1)


def _rows(case: Case) -> Tensor:
    """The gradient that each sample makes. ValueError where the input has a row for each itself."""
    if not case.dy.ndim or len(case.dy) > MANY or case.x.shape == case.dy.shape:
        raise ValueError("rows")
    return torch.stack([g for b in range(len(case.dy)) if (g := _only(0, b, case)) is not None])


def _summed_over(axes: tuple[int, ...], case: Case) -> Tensor:
    return _rows(case).sum(axes)


def _of_more(fault: Fault) -> Rows:
    """Guesses at one more activation's derivative; of a complex input, at a missing conjugate."""
    softmax = (
        "a softmax's derivative is applied once more: what comes before {d} has it already "
        "(softmax - target is the whole)"
    )
    for axis in (-1, 0):
        yield "f' twice", softmax, partial(_more, partial(torch.softmax, dim=axis))
    for word, activation in {"sigmoid": torch.sigmoid, "tanh": torch.tanh}.items():
        words = f"a {word}'s derivative at {{x}} is applied besides: {{d}} has it once too often"
        yield "f' twice", words, partial(_more, activation)
    besides = (
        "{{d}} has the factor {0} of a {1} besides: it is the gradient of what comes before the {1}"
    )
    yield (
        "f' twice",
        besides.format("{x} (1 - {x})", "sigmoid"),
        lambda c: c.right * c.x * (1 - c.x),
    )
    yield "f' twice", besides.format("1 - {x}^2", "tanh"), lambda c: c.right * (1 - c.x * c.x)
    if fault.is_complex:
        yield (
            "conjugate",
            "a conjugate is missing: {d} = dy f'(z), where it should be dy conj(f'(z))",
            _conjugate,
        )


def _more(function: Callable[[Tensor], Tensor], case: Case) -> Tensor | None:
    x = case.x.detach().clone().requires_grad_()
    with torch.enable_grad():
        y = function(x)
    return torch.autograd.grad(y, x, case.right)[0]


def _conjugate(case: Case) -> Tensor | None:
    turn = torch.tensor([1, -1])
    g = case.of((case.dy.reshape(-1, 2) * turn).reshape(case.dy.shape))
    return None if g is None else g * turn


def _of_gradient(other: str, case: Case) -> Tensor | None:
    g = case.trial.actual.get(other)
    return None if g is None else case.of(g)


def _where(other: str, case: Case) -> Tensor:
    return case.right * (case.trial.point[other].cpu() != 0)


def _of_order(shape: torch.Size) -> Rows:
    """Guesses at the order of the right numbers along an axis, and at that of the axes."""
    for axis in range(len(shape)):
        yield (
            "order",
            f"{{d}} is reversed along axis {axis}",
            partial(_reordered, partial(torch.flip, dims=(axis,))),
        )
    for axis in range(len(shape)):
        for by, words in ((1, "after"), (-1, "before")):
            sentence = (
                f"{{d}} is shifted along axis {axis}: each entry stands one {words} its place"
            )
            yield "order", sentence, partial(_reordered, partial(torch.roll, shifts=by, dims=axis))
    for axes in permutations(range(len(shape))) if len(shape) <= 4 else ():
        sentence = f"{{d}} has its axes in the order {axes}"
        yield "transposed", sentence, partial(_reordered, partial(torch.permute, dims=axes))


def _reordered(function: Callable[[Tensor], Tensor], case: Case) -> Tensor:
    return function(case.right)

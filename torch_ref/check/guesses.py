"""What was computed instead of the whole gradient: if a guess gives the user's numbers at every point, that is what it was."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from torch_ref.check.factors import Symbol, meaning, names, symbols
from torch_ref.check.rearranged import Guess, rearranged, transposed
from torch_ref.check.trials import Fault, Trial, common_factor, fits

MANY = 256  # gradients of the reference beyond which a guess would take too long


def is_guess(fault: Fault, guess: Guess) -> str | None:  # noqa: PLR0911
    """The end of a sentence if the guess gives the actual numbers: empty, or the factor by which they differ."""
    if fault.source is None:
        return None
    usable = [i for i, trial in enumerate(fault.trials) if not trial.kinks]
    actual, guessed = [fault.actual[i] for i in usable], []
    for i in usable:
        try:
            g = guess(fault, fault.trials[i])
        except (RuntimeError, IndexError, ValueError):
            return None
        if g is None or g.shape != fault.actual[i].shape:
            return None
        guessed.append(g)
    if not guessed or fits(guessed, [fault.expected[i] for i in usable], fault.tolerance):
        return None  # nothing, or the right one itself
    factor = common_factor(actual, guessed, fault.tolerance)
    if factor is None:
        return None
    if abs(factor - 1) < 1e-6:
        return ""
    factors = _at_others(fault, guess, factor)
    what = meaning(factor, fault, factors)
    named = what or _is_plain(factor, symbols(fault) if factors and len(factors) > 1 else [], factors)
    return f", and {factor:.6g} times that ({what})" if named and what else None


def _is_plain(factor: float, known: list[Symbol], factors: list[float] | None) -> bool:
    return bool(names(factors or [factor], known))


def _at_others(fault: Fault, guess: Guess, factor: float) -> list[float] | None:
    found = [factor]
    for trial in fault.others:
        actual = trial.actual[fault.name]
        try:
            g = guess(fault, trial)
        except (RuntimeError, IndexError, ValueError):
            return None
        c = (
            common_factor([actual], [g], fault.tolerance)
            if actual is not None and g is not None and g.shape == actual.shape
            else None
        )
        if c is None:
            return None
        found.append(c)
    return found


def _without_dy(fault: Fault, trial: Trial) -> Tensor | None:
    return fault.gradient(trial, torch.ones_like(trial.dy))


def _of_dy(function: Callable[[Tensor], Tensor]) -> Guess:
    return lambda fault, trial: fault.gradient(trial, function(trial.dy))


def _dy_itself(fault: Fault, trial: Trial) -> Tensor | None:  # noqa: ARG001
    return trial.dy


def _dy_summed(fault: Fault, trial: Trial) -> Tensor | None:
    shape = trial.expected[fault.name].shape
    if shape == trial.dy.shape or not trial.dy.ndim or trial.dy.ndim < len(shape):
        return None
    return trial.dy.sum_to_size(shape)


def _twice(fault: Fault, trial: Trial) -> Tensor | None:
    e = trial.expected[fault.name]
    return fault.gradient(trial, e) if e.shape == trial.dy.shape else None


# f' of the activations that may come last in forward, from its output y: what dDiv/dy is multiplied by first of all
_LAST: dict[str, Callable[[Tensor], Tensor]] = {
    "a sigmoid's y (1 - y)": lambda y: y * (1 - y),
    "a tanh's 1 - y^2": lambda y: 1 - y * y,
    "a softplus's 1 - e^-y": lambda y: -torch.expm1(-y),
    "an exp's y": lambda y: y,
}


def _missing_last(derivative: Callable[[Tensor], Tensor]) -> Guess:
    return lambda fault, trial: fault.gradient(trial, trial.dy / derivative(trial.y))


def _twice_last(derivative: Callable[[Tensor], Tensor]) -> Guess:
    return lambda fault, trial: fault.gradient(trial, trial.dy * derivative(trial.y))


def _of_input(derivative: Callable[[Tensor], Tensor]) -> Guess:
    def guess(fault: Fault, trial: Trial) -> Tensor | None:
        x = trial.point[fault.name].cpu()
        return trial.dy * derivative(x) if x.shape == trial.dy.shape else None

    return guess


def _at_output(fault: Fault, trial: Trial) -> Tensor | None:
    x = trial.point[fault.name]
    if x.shape != trial.y.shape:
        return None
    assert fault.source is not None
    return fault.source.vjp(trial.point | {fault.name: trial.y.to(x.device)}, trial.dy, fault.name)


def _diagonal(fault: Fault, trial: Trial) -> Tensor | None:
    """dy_j dy_j/dx_j alone, of functions of the rows of x."""
    dy = trial.dy
    if dy.ndim != 2 or dy.shape != trial.point[fault.name].shape or not 1 < dy.shape[1] <= MANY:
        return None
    columns = []
    for j in range(dy.shape[1]):
        only = torch.zeros_like(dy)
        only[:, j] = dy[:, j]
        columns.append(fault.gradient(trial, only)[:, j])
    return torch.stack(columns, dim=1)


def _sample(fault: Fault, trial: Trial, b: int, axis: int = 0) -> Tensor | None:
    """The part of the gradient that one sample of the batch makes."""
    if trial.dy.ndim > abs(axis + (axis < 0)) and trial.dy.ndim:
        only = torch.zeros_like(trial.dy)
        only.select(axis, b).copy_(trial.dy.select(axis, b))
        return fault.gradient(trial, only)
    return None


def _unsummed(fault: Fault, trial: Trial) -> Tensor | None:
    if not trial.dy.ndim or not 1 < len(trial.dy) <= MANY or trial.point[fault.name].shape == trial.dy.shape:
        return None
    rows = [torch.zeros_like(trial.dy).index_copy_(0, torch.tensor([b]), trial.dy[b : b + 1]) for b in range(len(trial.dy))]
    return torch.stack([fault.gradient(trial, row) for row in rows])


def _summed_over(axes: tuple[int, ...], *, mean: bool = False) -> Guess:
    """Of a row for each sample, summed over other axes than that of the samples."""

    def guess(fault: Fault, trial: Trial) -> Tensor | None:
        rows = _unsummed(fault, trial)
        if rows is None or rows.ndim <= max(axes):
            return None
        return rows.mean(axes) if mean else rows.sum(axes)

    return guess


def _more(function: Callable[[Tensor], Tensor]) -> Guess:
    """The derivative of one more activation, at this input."""

    def guess(fault: Fault, trial: Trial) -> Tensor | None:
        x = trial.point[fault.name].cpu().double().detach().clone().requires_grad_()
        with torch.enable_grad():
            y = function(x)
        return torch.autograd.grad(y, x, trial.expected[fault.name])[0]

    return guess


def _P(x: Tensor) -> Tensor:  # noqa: N802 - the letter of probabilities
    return x * (1 - x)


def _T(x: Tensor) -> Tensor:  # noqa: N802 - as above
    return 1 - x * x


def _with_factor(derivative: Callable[[Tensor], Tensor]) -> Guess:
    return lambda fault, trial: trial.expected[fault.name] * derivative(trial.point[fault.name].cpu().double())


def _conjugate(fault: Fault, trial: Trial) -> Tensor | None:
    if trial.dy.numel() % 2:
        return None
    turn = torch.tensor([1.0, -1.0], dtype=torch.float64)
    g = fault.gradient(trial, (trial.dy.reshape(-1, 2) * turn).reshape(trial.dy.shape))
    return g * turn


def _of_other_dy(other: str) -> Guess:
    def guess(fault: Fault, trial: Trial) -> Tensor | None:
        g = trial.actual.get(other)
        return fault.gradient(trial, g) if g is not None and g.shape == trial.dy.shape else None

    return guess


def _where_data(other: str) -> Guess:
    def guess(fault: Fault, trial: Trial) -> Tensor | None:
        mask = trial.point[other].cpu().double()
        e = trial.expected[fault.name]
        return e * (mask != 0) if mask.shape == e.shape and bool((mask == 0).any()) else None

    return guess


def guesses(fault: Fault) -> Iterator[tuple[str, str, Guess]]:  # noqa: C901, PLR0912
    """(verdict, sentence, guess): {d} is the gradient, {x} its input, {than} what it is held against."""
    yield from transposed()
    yield "dy ignored", "{d} ignores dy: it is the gradient for a dy of ones; multiply by dy", _without_dy
    yield "dy ignored", "{d} has dy squared: it is multiplied by dy twice", _of_dy(torch.square)
    yield "dy ignored", "{d} is that of |dy|: the sign of dy is lost", _of_dy(torch.abs)
    if fault.trials[0].dy.numel() > 1:
        yield "dy ignored", "{d} takes the mean of dy for dy", _of_dy(lambda dy: dy.mean().expand(dy.shape))
        yield "dy ignored", "{d} takes the sum of dy for dy", _of_dy(lambda dy: dy.sum().expand(dy.shape))
    yield "f' missing", "f'(z) is missing: {d} is dy itself", _dy_itself
    for f, f_ in _LAST.items():
        yield "f' missing", f"f'(z) is missing: {{d}} lacks {f}", _missing_last(f_)
    yield "f' missing", "what comes after dy is missing: {d} is dy summed", _dy_summed
    yield "f' twice", "f'(z) is applied twice in {d}", _twice
    for f, f_ in _LAST.items():
        if fault.operations is None or any(name in f for name in fault.operations):
            yield "f' twice", f"f'(z) is applied twice: {{d}} has the square of {f}", _twice_last(f_)
    for f, f_ in _LAST.items():
        yield "z for y", f"{{d}} uses {f} with the input z in the place of the output y", _of_input(f_)
    yield "y for z", "{d} takes f' at the output y where it belongs at the input z", _at_output
    yield "diagonal", "{d} holds only the diagonal of the Jacobian: y_j depends on the other inputs of its row too", _diagonal
    missing = "the sum over the batch is missing: {d} "
    yield "batch sum", missing + "has a row for each sample", _unsummed
    yield "batch sum", missing + "is that of the first sample alone", lambda f, t: _sample(f, t, 0)
    yield "batch sum", missing + "is that of the last sample alone", lambda f, t: _sample(f, t, -1)
    if fault.trials[0].dy.ndim > 1:
        yield "batch sum", "{d} is that of the first column of dy alone", lambda f, t: _sample(f, t, 0, -1)
        yield "batch sum", "{d} is that of the last column of dy alone", lambda f, t: _sample(f, t, -1, -1)
    for axes in ((1,), (2,), (1, 2), (0, 2)):
        which = " and ".join(map(str, axes))
        yield "wrong axis", f"{{d}} is summed over axis {which}, where the samples lie along axis 0", _summed_over(axes)
    yield "wrong axis", "{d} is the mean over axis 1, where the sum over axis 0 belongs", _summed_over((1,), mean=True)
    softmax = (
        "a softmax's derivative is applied once more: what comes before {d} has it already (softmax - target is the whole)"
    )
    yield "f' twice", softmax, _more(lambda x: x.softmax(-1) if x.ndim else x)
    yield "f' twice", softmax, _more(lambda x: x.softmax(0) if x.ndim else x)
    for word, activation in {"sigmoid": torch.sigmoid, "tanh": torch.tanh}.items():
        yield "f' twice", f"a {word}'s derivative at {{x}} is applied besides: {{d}} has it once too often", _more(activation)
    for word, text, derivative in (("sigmoid", "{x} (1 - {x})", _P), ("tanh", "1 - {x}^2", _T)):
        sentence = f"{{d}} has the factor {text} of a {word} besides: it is the gradient of what comes before the {word}"
        yield "f' twice", sentence, _with_factor(derivative)
    if fault.is_complex:
        yield "conjugate", "a conjugate is missing: {d} = dy f'(z), where it should be dy conj(f'(z))", _conjugate
    for other in fault.trials[0].expected:
        if other != fault.name:
            what = f"d{other}" + (" (dy is overwritten before {d} is made)" if "dy" in fault.overwrites else "")
            yield "dy overwritten", f"{{d}} is made of {what} where it should be made of dy", _of_other_dy(other)
    for other, value in fault.trials[0].point.items():
        if value.shape == fault.expected[0].shape and other != fault.name:
            yield (
                "mask",
                f"{{d}} is there only where {other} is not 0, and zero elsewhere: every entry has a gradient",
                _where_data(other),
            )
    yield from rearranged(fault)

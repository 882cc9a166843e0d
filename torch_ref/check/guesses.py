"""What was computed instead of the whole gradient: if a guess gives the user's numbers at every point, that is what it was."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations, product

import torch
from torch import Tensor

from torch_ref.check.factors import at_each, meaning
from torch_ref.check.report import Said
from torch_ref.check.trials import Fault, Trial, common_factor, fits

Guess = Callable[[Fault, Trial], Tensor | None]
Function = Callable[[Tensor], Tensor | None]
MANY = 256  # gradients of the reference beyond which a guess would take too long

# f' of the activations that may come last in forward, from its output y: what dDiv/dy is multiplied by first of all
LAST: dict[str, Callable[[Tensor], Tensor]] = {
    "a sigmoid's y (1 - y)": lambda y: y * (1 - y),
    "a tanh's 1 - y^2": lambda y: 1 - y * y,
    "a softplus's 1 - e^-y": lambda y: -torch.expm1(-y),
    "an exp's y": lambda y: y,
}


def guessed(fault: Fault) -> Iterator[Said]:
    """What gives the user's numbers, but for a factor that has a name."""
    for verdict, sentence, guess in _guesses(fault) if fault.source is not None else ():
        end = _end(fault, guess)
        if end is not None:
            yield Said(verdict, sentence.format(d=fault.d, x=fault.name) + end)


def _end(fault: Fault, guess: Guess) -> str | None:
    """The end of a sentence if the guess gives the actual numbers: empty, or the factor by which they differ."""
    usable = [(actual, trial) for actual, trial in zip(fault.actual, fault.trials, strict=True) if not trial.kinks]
    actual, found = [a for a, _ in usable], []
    try:
        for a, trial in usable:
            g = guess(fault, trial)
            if g is None or g.shape != a.shape:
                return None
            found.append(g)
        if not found or fits(found, [trial.expected[fault.name] for _, trial in usable], fault.tolerance):
            return None  # nothing, or the right one itself
        factor = common_factor(actual, found, fault.tolerance)
        if factor is None or abs(factor - 1) < 1e-6:
            return None if factor is None else ""
    except (RuntimeError, IndexError, ValueError):
        return None
    try:
        factors = at_each(fault, factor, lambda trial: guess(fault, trial))
    except (RuntimeError, IndexError, ValueError):
        factors = []
    what = meaning(factor, fault, factors).words
    return f", and {factor:.6g} times that ({what})" if what else None


# -- ways to guess ----------------------------------------------------------------------------------------------------


def _of_right(function: Function) -> Guess:
    """Of the right gradient."""
    return lambda fault, trial: function(trial.expected[fault.name])


def _of_dy(function: Function) -> Guess:
    """The right gradient for another dy."""
    return lambda fault, trial: None if (dy := function(trial.dy)) is None else fault.gradient(trial, dy)


def _input(fault: Fault, trial: Trial) -> Tensor:
    return trial.point[fault.name].cpu().double()


def _dy_summed(fault: Fault, trial: Trial) -> Tensor | None:
    shape = trial.expected[fault.name].shape
    if shape == trial.dy.shape or not trial.dy.ndim or trial.dy.ndim < len(shape):
        return None
    return trial.dy.sum_to_size(shape)


def _twice(fault: Fault, trial: Trial) -> Tensor | None:
    e = trial.expected[fault.name]
    return fault.gradient(trial, e) if e.shape == trial.dy.shape else None


def _with_last(derivative: Callable[[Tensor], Tensor], power: int) -> Guess:
    """f' of what comes last once more, or once less."""
    return lambda fault, trial: fault.gradient(trial, trial.dy * derivative(trial.y) ** power)


def _of_input(derivative: Callable[[Tensor], Tensor]) -> Guess:
    def guess(fault: Fault, trial: Trial) -> Tensor | None:
        x = _input(fault, trial)
        return trial.dy * derivative(x) if x.shape == trial.dy.shape else None

    return guess


def _at_output(fault: Fault, trial: Trial) -> Tensor | None:
    x = trial.point[fault.name]
    if x.shape != trial.y.shape or fault.source is None:
        return None
    return fault.source.vjp(trial.point | {fault.name: trial.y.to(x.device)}, trial.dy, fault.name)


def _only(dy: Tensor, axis: int, i: int) -> Tensor:
    """dy at one place of an axis, 0 elsewhere."""
    only = torch.zeros_like(dy)
    only.select(axis, i).copy_(dy.select(axis, i))
    return only


def _diagonal(fault: Fault, trial: Trial) -> Tensor | None:
    """dy_j dy_j/dx_j alone, of functions of the rows of x."""
    dy = trial.dy
    if dy.ndim != 2 or dy.shape != trial.point[fault.name].shape or not 1 < dy.shape[1] <= MANY:
        return None
    return torch.stack([fault.gradient(trial, _only(dy, 1, j))[:, j] for j in range(dy.shape[1])], dim=1)


def _part(i: int, axis: int = 0) -> Guess:
    """The part of the gradient that one sample of the batch makes, or one column of dy."""
    return _of_dy(lambda dy: _only(dy, axis, i) if dy.ndim else None)


def _unsummed(fault: Fault, trial: Trial) -> Tensor | None:
    """A row for each sample."""
    if not trial.dy.ndim or not 1 < len(trial.dy) <= MANY or trial.point[fault.name].shape == trial.dy.shape:
        return None
    return torch.stack([fault.gradient(trial, _only(trial.dy, 0, b)) for b in range(len(trial.dy))])


def _summed_over(axes: tuple[int, ...], reduce: Callable[..., Tensor] = torch.sum) -> Guess:
    """Over other axes than that of the samples."""

    def guess(fault: Fault, trial: Trial) -> Tensor | None:
        rows = _unsummed(fault, trial)
        return None if rows is None or rows.ndim <= max(axes) else reduce(rows, axes)

    return guess


def _more(function: Callable[[Tensor], Tensor]) -> Guess:
    """The derivative of one more activation, at this input."""

    def guess(fault: Fault, trial: Trial) -> Tensor | None:
        x = _input(fault, trial).detach().clone().requires_grad_()
        with torch.enable_grad():
            y = function(x)
        return torch.autograd.grad(y, x, trial.expected[fault.name])[0]

    return guess


def _with_factor(derivative: Callable[[Tensor], Tensor]) -> Guess:
    return lambda fault, trial: trial.expected[fault.name] * derivative(_input(fault, trial))


def _conjugate(fault: Fault, trial: Trial) -> Tensor | None:
    if trial.dy.numel() % 2:
        return None
    turn = torch.tensor([1.0, -1.0], dtype=torch.float64)
    return fault.gradient(trial, (trial.dy.reshape(-1, 2) * turn).reshape(trial.dy.shape)) * turn


def _of_other_dy(other: str) -> Guess:
    def guess(fault: Fault, trial: Trial) -> Tensor | None:
        g = trial.actual.get(other)
        return fault.gradient(trial, g) if g is not None and g.shape == trial.dy.shape else None

    return guess


def _where_data(other: str) -> Guess:
    def guess(fault: Fault, trial: Trial) -> Tensor | None:
        mask, e = trial.point[other].cpu().double(), trial.expected[fault.name]
        return e * (mask != 0) if mask.shape == e.shape and bool((mask == 0).any()) else None

    return guess


# -- the guesses: (verdict, sentence, guess); {d} is the gradient, {x} its input --------------------------------------


def _guesses(fault: Fault) -> Iterator[tuple[str, str, Guess]]:
    yield "transposed", "{d} is transposed", _of_right(lambda e: e.mT if e.ndim > 1 else None)
    yield (
        "transposed",
        "{d} has the numbers of the transposed gradient, reshaped where .T was needed",
        _of_right(lambda e: e.mT.reshape(e.shape) if e.ndim > 1 else None),
    )
    yield from _of_upstream(fault)
    yield from _of_samples(fault)
    softmax = (
        "a softmax's derivative is applied once more: what comes before {d} has it already (softmax - target is the whole)"
    )
    for axis in (-1, 0):
        yield "f' twice", softmax, _more(partial(torch.softmax, dim=axis))
    for word, activation in {"sigmoid": torch.sigmoid, "tanh": torch.tanh}.items():
        yield "f' twice", f"a {word}'s derivative at {{x}} is applied besides: {{d}} has it once too often", _more(activation)
    besides = "{{d}} has the factor {0} of a {1} besides: it is the gradient of what comes before the {1}"
    yield "f' twice", besides.format("{x} (1 - {x})", "sigmoid"), _with_factor(lambda x: x * (1 - x))
    yield "f' twice", besides.format("1 - {x}^2", "tanh"), _with_factor(lambda x: 1 - x * x)
    if fault.is_complex:
        yield "conjugate", "a conjugate is missing: {d} = dy f'(z), where it should be dy conj(f'(z))", _conjugate
    for other in fault.trials[0].expected:
        if other != fault.name:
            what = f"d{other}" + " (dy is overwritten before {d} is made)" * ("dy" in fault.overwrites)
            yield "dy overwritten", f"{{d}} is made of {what} where it should be made of dy", _of_other_dy(other)
    for other, value in fault.trials[0].point.items():
        if value.shape == fault.expected[0].shape and other != fault.name:
            words = f"{{d}} is there only where {other} is not 0, and zero elsewhere: every entry has a gradient"
            yield "mask", words, _where_data(other)
    yield from _of_order(fault.expected[0].shape)


def _of_upstream(fault: Fault) -> Iterator[tuple[str, str, Guess]]:
    """What becomes of dy, and f' of the function that comes last."""
    yield "dy ignored", "{d} ignores dy: it is the gradient for a dy of ones; multiply by dy", _of_dy(torch.ones_like)
    yield "dy ignored", "{d} has dy squared: it is multiplied by dy twice", _of_dy(torch.square)
    yield "dy ignored", "{d} is that of |dy|: the sign of dy is lost", _of_dy(torch.abs)
    if fault.trials[0].dy.numel() > 1:
        yield "dy ignored", "{d} takes the mean of dy for dy", _of_dy(lambda dy: dy.mean().expand(dy.shape))
        yield "dy ignored", "{d} takes the sum of dy for dy", _of_dy(lambda dy: dy.sum().expand(dy.shape))
    yield "f' missing", "f'(z) is missing: {d} is dy itself", lambda _, trial: trial.dy
    for words, f_ in LAST.items():
        yield "f' missing", f"f'(z) is missing: {{d}} lacks {words}", _with_last(f_, -1)
    yield "f' missing", "what comes after dy is missing: {d} is dy summed", _dy_summed
    yield "f' twice", "f'(z) is applied twice in {d}", _twice
    for words, f_ in LAST.items():
        if fault.operations is None or any(name in words for name in fault.operations):
            yield "f' twice", f"f'(z) is applied twice: {{d}} has the square of {words}", _with_last(f_, 1)
    for words, f_ in LAST.items():
        yield "z for y", f"{{d}} uses {words} with the input z in the place of the output y", _of_input(f_)
    yield "y for z", "{d} takes f' at the output y where it belongs at the input z", _at_output


def _of_samples(fault: Fault) -> Iterator[tuple[str, str, Guess]]:
    """What is summed, and over what."""
    yield "diagonal", "{d} holds only the diagonal of the Jacobian: y_j depends on the other inputs of its row too", _diagonal
    missing = "the sum over the batch is missing: {d} "
    yield "batch sum", missing + "has a row for each sample", _unsummed
    yield "batch sum", missing + "is that of the first sample alone", _part(0)
    yield "batch sum", missing + "is that of the last sample alone", _part(-1)
    if fault.trials[0].dy.ndim > 1:
        yield "batch sum", "{d} is that of the first column of dy alone", _part(0, -1)
        yield "batch sum", "{d} is that of the last column of dy alone", _part(-1, -1)
    for axes in ((1,), (2,), (1, 2), (0, 2)):
        which = " and ".join(map(str, axes))
        yield "wrong axis", f"{{d}} is summed over axis {which}, where the samples lie along axis 0", _summed_over(axes)
    yield "wrong axis", "{d} is the mean over axis 1, where the sum over axis 0 belongs", _summed_over((1,), torch.mean)


def _of_order(shape: torch.Size) -> Iterator[tuple[str, str, Guess]]:
    """The right numbers along an axis, or in the order of the axes."""
    for axis, size in enumerate(shape):
        if size > 1:
            yield "order", f"{{d}} is reversed along axis {axis}", _of_right(partial(torch.flip, dims=(axis,)))
    for (axis, size), (by, words) in product(enumerate(shape), ((1, "after"), (-1, "before"))):
        if size > 2:
            sentence = f"{{d}} is shifted along axis {axis}: each entry stands one {words} its place"
            yield "order", sentence, _of_right(partial(torch.roll, shifts=by, dims=axis))
    if 2 < len(shape) <= 4:
        for axes in permutations(range(len(shape))):
            if axes != tuple(range(len(shape))):
                yield "transposed", f"{{d}} has its axes in the order {axes}", _of_right(partial(torch.permute, dims=axes))

"""What is probably wrong with a gradient: a table of hypotheses, each a small function that says a sentence or nothing.

Most of them are a guess of what was computed instead: if the guess gives the user's numbers at every point, at those drawn
at random too, that is what was computed. To add a guess, write it and add it to GUESSES; other hypotheses go to _hypotheses.

Shapes: B batch, the first dimension of the first input; C columns, the last dimension of the output, or of the first input.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from torch_ref.slopes import ENTRIES, Differences, Source
from torch_ref.subject import Point

MANY = 256  # gradients of the reference, or entries at kinks, beyond which a hypothesis would take too long


@dataclass(frozen=True)
class Trial:
    """One point in float64 with its dy and output, and what each gradient should be there."""

    point: Point
    dy: Tensor
    y: Tensor
    expected: dict[str, Tensor]
    drawn: str  # how the point was drawn, empty for the one given
    kinks: bool  # it was drawn to lie on kinks

    @property
    def sizes(self) -> dict[str, int]:
        """B and C, as far as the shapes have them."""
        first = next(iter(self.point.values()))
        matrix = self.y if self.y.ndim > 1 else first
        return ({"B": first.shape[0]} if first.ndim else {}) | ({"C": matrix.shape[-1]} if matrix.ndim > 1 else {})


@dataclass(frozen=True)
class Fault:
    """A wrong gradient of the input `name`: `actual` at each of the trials; errors up to `tolerance` prove nothing.

    `than`: what it is measured by, "the reference" or "the finite differences of forward".
    """

    name: str
    trials: list[Trial]
    actual: list[Tensor]
    tolerance: float
    source: Source
    kinks: Differences
    than: str
    float64_is_right: bool = False  # these are the numbers in the inputs' own float32

    @property
    def expected(self) -> list[Tensor]:
        """What it should be at each of the trials."""
        return [trial.expected[self.name] for trial in self.trials]

    @property
    def d(self) -> str:
        """dw, the gradient of w."""
        return f"d{self.name}"

    def gradient(self, trial: Trial, dy: Tensor) -> Tensor:
        """The right gradient for another dy."""
        return self.source.vjp(trial.point, dy, self.name)

    def is_guess(self, guess: "Guess") -> str | None:
        """The end of a sentence if guess gives the actual numbers: empty, or the factor by which they differ."""
        if self.source is self.kinks and self.actual[0].numel() > ENTRIES:
            return None  # not every entry is known, and guesses by finite differences would take too long
        # at a kink finite differences have no one value to guess with, so they guess elsewhere
        usable = [i for i, trial in enumerate(self.trials) if not trial.kinks or self.source is not self.kinks]
        actual, guessed = [self.actual[i] for i in usable], [guess(self, self.trials[i]) for i in usable]
        known = [g for a, g in zip(actual, guessed, strict=True) if g is not None and g.shape == a.shape]
        factor = common_factor(actual, known, self.tolerance) if len(known) == len(actual) else None
        if factor is None:
            return None
        if abs(factor - 1) < 1e-6:
            return ""
        names = factor_names(factor, self.trials[0].sizes)
        return f", and {factor:.6g} times that ({names[0]})" if names else None

    @property
    def same_shape(self) -> bool:
        """The gradient has the shape of its input."""
        return self.actual[0].shape == self.expected[0].shape

    def wrong(self) -> list[Tensor]:
        """For each trial, where the gradient is wrong."""
        return [is_wrong(a, e, self.tolerance) for a, e in zip(self.actual, self.expected, strict=True)]


Guess = Callable[[Fault, Trial], Tensor | None]


def is_wrong(actual: Tensor, expected: Tensor, tolerance: float) -> Tensor:
    """Where two float64 tensors of one shape differ; an infinity and a nan equal themselves."""
    same = (actual == expected) | (actual.isnan() & expected.isnan())
    return ~same & ~((actual - expected).abs() <= tolerance)


def common_factor(actual: list[Tensor], guessed: list[Tensor], tolerance: float) -> float | None:
    """The number c with actual = c * guessed everywhere, if there is one other than 0."""
    a, g = flat(actual), flat(guessed)
    if not g.isfinite().all() or g.abs().max() <= 8 * tolerance:  # there is nothing to multiply
        return None
    factor = (a @ g / (g @ g)).item()
    return factor if factor and not is_wrong(a, factor * g, tolerance * max(1.0, abs(factor))).any() else None


def flat(tensors: list[Tensor]) -> Tensor:
    """All entries in one vector."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def diagnose(fault: Fault) -> tuple[str, str]:
    """(verdict in a word or two, what is probably wrong in a sentence); two explanations where both fit."""
    if fault.float64_is_right:
        return _float32(fault)
    found: list[tuple[str, str]] = []
    for verdict, sentences in _hypotheses():
        found += [(verdict, sentence) for sentence in sentences(fault)]
        if len(found) > 1 or (found and verdict in CERTAIN):
            break
    if not found:
        found = [_entries(fault) if fault.same_shape else _shape(fault)]
    return found[0][0], "; or ".join(sentence for _, sentence in found[:2]) + _only_drawn(fault)


def _only_drawn(fault: Fault) -> str:
    if not fault.same_shape or fault.wrong()[0].any():
        return ""
    drawn = next(trial.drawn for trial, wrong in zip(fault.trials, fault.wrong(), strict=True) if wrong.any())
    return f" (not at the given inputs, but at random ones {drawn})"


# -- the factors that have a name -------------------------------------------------------------------------------------


def factor_names(factor: float, sizes: dict[str, int]) -> list[str]:
    """What a number may be, in the plainest words that fit: sign, 2 or 1/2, and B and C; all that fit equally plainly."""
    powers = [dict(zip(sizes, exponents, strict=True)) for exponents in product((-1, 0, 1), repeat=len(sizes))]
    by_plainness: dict[int, list[str]] = {}
    for sign, two, power in product((1, -1), (0, 1, -1), powers):
        value = sign * 2.0**two
        for size, exponent in power.items():
            value *= float(sizes[size]) ** exponent
        plainness = (sign < 0) + abs(two) + sum(map(abs, power.values()))
        trivial = any(exponent and sizes[size] == 1 for size, exponent in power.items())
        if plainness and not trivial and abs(value / factor - 1) < 1e-6:
            by_plainness.setdefault(plainness, []).append(_product(sign, two, power))
    # 1/B and B/... of equal value are told apart by nothing: the plainest are named
    return by_plainness[min(by_plainness)] if by_plainness else []


def _product(sign: int, two: int, power: dict[str, int]) -> str:
    over = ["2"] * (two < 0) + [size for size, exponent in power.items() if exponent < 0]
    under = ["2"] * (two > 0) + [size for size, exponent in power.items() if exponent > 0]
    text = "*".join(under) or "1"
    if over:
        text += f"/({'*'.join(over)})" if len(over) > 1 else f"/{over[0]}"
    return "-" * (sign < 0) + text


def times(factor: float, what: str, sizes: dict[str, int]) -> str:
    """10 times `what` everywhere, and what 10 is and probably comes from."""
    meanings = {"-1": "the sign is turned round", "2": "a 2 too many, or the 1/2 of a square forgotten"}
    meanings["1/2"] = "a 2 is missing, such as that of a square's derivative"
    for name, inverse, long, over in (
        ("B", "1/B", "the batch size", "the batch"),
        ("C", "1/C", "the number of columns", "the columns"),
        ("B*C", "1/(B*C)", "the number of entries", "all entries"),
    ):
        number = math.prod(sizes.get(letter, 1) for letter in name.split("*"))
        meanings[name] = f"{number} is {long} {name}: summed over {over} where {what} averages"
        meanings[inverse] = f"{number} is {long} {name}: averaged over {over} where {what} sums"
    legend = ", ".join(f"{letter} = {number}" for letter, number in sizes.items())
    causes = [meanings.get(name, f"that is {name} with {legend}") for name in factor_names(factor, sizes)]
    return f"{factor:.6g} times {what} everywhere" + (", and " if causes else "") + ", or ".join(causes)


# -- guesses: what was computed instead -------------------------------------------------------------------------------


def _transposed(fault: Fault, trial: Trial) -> Tensor | None:
    e = trial.expected[fault.name]
    return e.mT if e.ndim > 1 else None


def _transposed_numbers(fault: Fault, trial: Trial) -> Tensor | None:
    e = trial.expected[fault.name]
    return e.mT.reshape(e.shape) if e.ndim > 1 else None


def _all_zero(fault: Fault, trial: Trial) -> Tensor | None:
    return torch.zeros_like(trial.expected[fault.name])


def _without_dy(fault: Fault, trial: Trial) -> Tensor | None:
    return fault.gradient(trial, torch.ones_like(trial.dy))


def _dy_itself(fault: Fault, trial: Trial) -> Tensor | None:  # noqa: ARG001
    return trial.dy


def _twice(fault: Fault, trial: Trial) -> Tensor | None:
    e = trial.expected[fault.name]
    return fault.gradient(trial, e) if e.shape == trial.dy.shape else None


# f' of the activations that may come last in forward, from its output y: what dDiv/dy is multiplied by first of all
_LAST: dict[str, Callable[[Tensor], Tensor]] = {
    "a sigmoid's y (1 - y)": lambda y: y * (1 - y),
    "a tanh's 1 - y^2": lambda y: 1 - y * y,
    "a softplus's 1 - e^-y": lambda y: -torch.expm1(-y),
    "an exponential's y": lambda y: y,
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


def _sample(fault: Fault, trial: Trial, b: int) -> Tensor | None:
    """The part of the gradient that sample b of the batch makes."""
    if trial.dy.ndim:
        only = torch.zeros_like(trial.dy)
        only[b] = trial.dy[b]
        return fault.gradient(trial, only)
    return None


def _first_sample(fault: Fault, trial: Trial) -> Tensor | None:
    return _sample(fault, trial, 0)


def _last_sample(fault: Fault, trial: Trial) -> Tensor | None:
    return _sample(fault, trial, -1)


def _unsummed(fault: Fault, trial: Trial) -> Tensor | None:
    if not trial.dy.ndim or not 1 < len(trial.dy) <= MANY or trial.point[fault.name].shape == trial.dy.shape:
        return None
    rows = [torch.zeros_like(trial.dy).index_copy_(0, torch.tensor([b]), trial.dy[b : b + 1]) for b in range(len(trial.dy))]
    return torch.stack([fault.gradient(trial, row) for row in rows])


GUESSES: list[tuple[str, str, Guess]] = [
    ("zero", "{d} is zero everywhere, where {than} is not", _all_zero),
    ("transposed", "{d} is transposed", _transposed),
    ("transposed", "{d} has the numbers of the transposed gradient, reshaped where .T was needed", _transposed_numbers),
    ("dy ignored", "{d} ignores dy: it is the gradient for a dy of ones; multiply by dy", _without_dy),
    ("f' missing", "f'(z) is missing: {d} is dy itself", _dy_itself),
    *(("f' missing", f"f'(z) is missing: {{d}} lacks {f}", _missing_last(f_)) for f, f_ in _LAST.items()),
    ("f' twice", "f'(z) is applied twice in {d}", _twice),
    *(("f' twice", f"f'(z) is applied twice: {{d}} has the square of {f}", _twice_last(f_)) for f, f_ in _LAST.items()),
    *(("z for y", f"{{d}} uses {f} with the input z in the place of the output y", _of_input(f_)) for f, f_ in _LAST.items()),
    ("y for z", "{d} takes f' at the output y where it belongs at the input z", _at_output),
    ("diagonal", "{d} holds only the diagonal of the Jacobian: y_j depends on the other inputs of its row too", _diagonal),
    ("batch sum", "the sum over the batch is missing: {d} has a row for each sample", _unsummed),
    ("batch sum", "the sum over the batch is missing: {d} is that of the first sample alone", _first_sample),
    ("batch sum", "the sum over the batch is missing: {d} is that of the last sample alone", _last_sample),
]  # fmt: skip


# -- the other hypotheses ---------------------------------------------------------------------------------------------

Sentences = Callable[[Fault], Iterator[str]]


def _nonfinite(fault: Fault) -> Iterator[str]:
    if not fault.same_shape:
        return
    for word, test in (("nan", torch.isnan), ("infinite", torch.isinf)):
        for actual, expected, trial in zip(fault.actual, fault.expected, fault.trials, strict=True):
            bad = test(actual) & expected.isfinite()
            if bad.any():
                at = first(bad)
                where = f"at {int(bad.sum())} of {bad.numel()} entries" if bad.ndim else ""
                yield f"{fault.d} is {word} {where}, first{_place(fault, trial, at)}: {fault.than} gives {expected[at]:.4g}"
                return


def _kink(fault: Fault) -> Iterator[str]:
    if not fault.same_shape:
        return
    example, count = "", 0
    for trial, wrong, actual in zip(fault.trials, fault.wrong(), fault.actual, strict=True):
        if wrong.sum() > MANY:
            return
        for i in wrong.reshape(-1).nonzero().reshape(-1).tolist():
            sides = fault.kinks.kink(trial.point, trial.dy, fault.name, i)
            if sides is None:
                return
            at = index(i, wrong.shape)
            expected = trial.expected[fault.name][at]
            sides_text = f"slopes {sides[0]:.4g} to the left and {sides[1]:.4g} to the right"
            example = f"{_place(fault, trial, at)}: got {actual[at]:.4g}, {fault.than} {expected:.4g}, {sides_text}"
            count += 1
    if count:
        yield f"{fault.d} is wrong only at a kink of forward{example}"


def _factor(fault: Fault) -> Iterator[str]:
    factor = common_factor(fault.actual, fault.expected, fault.tolerance) if fault.same_shape else None
    if factor is not None:
        yield f"{fault.d} is {times(factor, fault.than, fault.trials[0].sizes)}"


def _exchanged(fault: Fault) -> Iterator[str]:
    for other in fault.trials[0].expected:
        if other != fault.name:
            end = fault.is_guess(lambda _, trial, other=other: trial.expected[other])  # type: ignore[misc]
            if end is not None:
                yield f"{fault.d} is the gradient of {other}{end}: exchanged?"


def _guess(sentence: str, guess: Guess) -> Sentences:
    def sentences(fault: Fault) -> Iterator[str]:
        end = fault.is_guess(guess) if guess is not _all_zero else _zero_end(fault)
        if end is not None:
            yield sentence.format(d=fault.d, than=fault.than) + end

    return sentences


def _zero_end(fault: Fault) -> str | None:
    return "" if fault.same_shape and not flat(fault.actual).any() else None


def _mask(fault: Fault) -> Iterator[str]:
    """All that is wrong is 0 where it should not be, or not 0 where it should."""
    if not fault.same_shape:
        return
    a, e, wrong = flat(fault.actual), flat(fault.expected), flat(fault.wrong())
    zero, not_zero = wrong & (a == 0), wrong & (e.abs() <= fault.tolerance)
    if (zero | not_zero).equal(wrong):
        x = flat([trial.point[fault.name].cpu() for trial in fault.trials])
        parts = [
            f"{words} at {int(which.sum())} of {len(which)} entries{_side(x[which], fault.name)}"
            for which, words in ((zero, "zero"), (not_zero, "not zero"))
            if which.any()
        ]
        yield f"{fault.d} is {' and '.join(parts)}, where {fault.than} is the opposite: look at the mask"


def _side(x: Tensor, name: str) -> str:
    for words, test in (("< 0", x < 0), ("= 0", x == 0), ("> 0", x > 0)):
        if test.all():
            return f" (all where {name} {words})"
    return ""


def _precision(fault: Fault) -> Iterator[str]:
    """Rounded as in a smaller float: no more than that is wrong, and most entries are."""
    if not fault.same_shape:
        return
    a, e, wrong = flat(fault.actual), flat(fault.expected), flat(fault.wrong())
    scale = e.abs().max().item()
    error = (a - e).abs().max().item() / scale if scale else torch.inf
    for dtype in (torch.float32, torch.float16):
        eps = torch.finfo(dtype).eps
        if error <= 4 * eps and wrong.sum() > 0.2 * (e != 0).sum():
            yield (
                f"{fault.d} is right, but in lower precision: off by {error:.1g} of its size, as if "
                f"{str(dtype).removeprefix('torch.')} were used on the way"
            )
            return


def _hypotheses() -> Iterator[tuple[str, Sentences]]:
    yield "nan or inf", _nonfinite
    yield "kink", _kink
    yield "factor", _factor
    yield "exchanged", _exchanged
    for verdict, sentence, guess in GUESSES:
        yield verdict, _guess(sentence, guess)
    yield "lower precision", _precision
    yield "mask", _mask


CERTAIN = ("nan or inf", "kink", "zero")  # after these, what else fits says no more


def _float32(fault: Fault) -> tuple[str, str]:
    for sentence in _nonfinite(fault):
        return "nan or inf", f"{sentence}; in float64 it is right: something on the way is too large for float32"
    errors = flat([(a - e).abs() for a, e in zip(fault.actual, fault.expected, strict=True)])
    lost = errors.max().item() / flat(fault.expected).abs().max().item()
    return "lower precision", f"{fault.d} is right in float64, but in float32 off by {lost:.1g} of its size"


# -- where nothing fits -----------------------------------------------------------------------------------------------


def _shape(fault: Fault) -> tuple[str, str]:
    actual, expected = tuple(fault.actual[0].shape), tuple(fault.expected[0].shape)
    sentence = f"{fault.d} has shape {actual}, but {fault.name} has {expected}"
    squeezed = all(a.numel() == e.numel() and not is_wrong(a.reshape(e.shape), e, fault.tolerance).any()
                   for a, e in zip(fault.actual, fault.expected, strict=True))  # fmt: skip
    return "shape", sentence + (": the numbers are right, reshape them" if squeezed else "")


def _entries(fault: Fault) -> tuple[str, str]:
    wrong = fault.wrong()
    k = max(range(len(wrong)), key=lambda i: (fault.actual[i] - fault.expected[i]).abs().max().item())
    actual, expected, trial = fault.actual[k], fault.expected[k], fault.trials[k]
    at = index(int((actual - expected).abs().argmax()), actual.shape)
    return "wrong", (
        f"{fault.d} differs at {int(wrong[k].sum())} of {actual.numel()} entries, most{_place(fault, trial, at)}: "
        f"got {actual[at]:.6g}, expected {expected[at]:.6g}"
    )


def forward_difference(trials: list[Trial], expected: list[Tensor], tolerance: float) -> str:
    """How the outputs of forward differ from those of the reference."""
    actual = [trial.y for trial in trials]
    factor = common_factor(actual, expected, tolerance)
    if factor is not None:
        return f"its output is {times(factor, 'the reference', trials[0].sizes)}"
    k = max(range(len(trials)), key=lambda i: (actual[i] - expected[i]).abs().max().item())
    at = index(int((actual[k] - expected[k]).abs().argmax()), actual[k].shape)
    return f"its output differs, most{_brackets(at)}: got {actual[k][at]:.6g}, expected {expected[k][at]:.6g}"


def index(i: int, shape: torch.Size) -> tuple[int, ...]:
    """The place in a tensor of the i-th of its entries."""
    place = []
    for size in reversed(shape):
        i, remainder = divmod(i, size)
        place.append(remainder)
    return tuple(reversed(place))


def first(where: Tensor) -> tuple[int, ...]:
    """The place of the first true entry."""
    return index(int(where.reshape(-1).int().argmax()), where.shape)


def _place(fault: Fault, trial: Trial, at: tuple[int, ...]) -> str:
    return f"{_brackets(at)}, where {fault.name} = {trial.point[fault.name][at].item():.4g}".removeprefix(", ")


def _brackets(at: tuple[int, ...]) -> str:
    return f" at [{', '.join(map(str, at))}]" if at else ""

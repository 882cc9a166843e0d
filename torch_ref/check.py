"""A user's own forward and backward, of NumPy arrays or torch tensors, held against autograd and finite differences.

    from torch_ref.check import assert_gradients

    def test_my_softplus():
        assert_gradients(forward, backward, np.random.randn(8, 5), reference=torch.nn.functional.softplus)

A gradient is checked in float64 first, where rounding cannot be mistaken for an error, then in the dtype of the inputs.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor

from torch_ref import draws
from torch_ref.compare import Difference, compare, largest
from torch_ref.diagnosis import Fault, Trial, diagnose, flat, forward_difference, is_wrong
from torch_ref.slopes import ENTRIES, Autograd, Differences, Source
from torch_ref.subject import Inputs, Point, Subject, double

DRAWS: dict[str, draws.Draw] = {
    "in the range of those given": draws.alike,
    "of both signs": draws.wide,
    "of a usual size": draws.usual,
    (ON_KINKS := "with 0, 1 and -1 among them"): draws.round_numbers,
}
NO_GRADIENT, NOT_GIVEN, OK = "no gradient", "not given", "ok"
IN_FLOAT32 = 2.0**6 * 2.0**-23  # of the gradient's size: what a backward may lose that works in float32 whatever it is given
ONLY_FLOAT32 = 2.0**10 * 2.0**-23  # the same where nothing in float64 vouches for it: here the terms may cancel, too
LOST_IN_FLOAT32 = 2.0**16 * 2.0**-23  # 0.8 %: more is lost than the rounding of a sum, and float64 has shown what is right
FORWARD = "forward"
SAMPLE = 64  # entries of an input at which forward is held against backward though there is a reference


@dataclass(frozen=True)
class Row:
    """One input: the largest difference of its gradient from the expected one, over all points, and what it amounts to.

    The figures are those of `compare`, in the input's dtype; nan where shapes differ or nothing was compared.
    """

    name: str
    shape: tuple[int, ...]
    max_abs: float
    max_rel: float
    max_ulp: float
    verdict: str


@dataclass(frozen=True)
class Report:
    """What `check_gradients` found. `diagnosis`: a sentence for each wrong input, and for "forward" if it is not the reference.

    `notes` say what could not be checked.
    """

    rows: list[Row]
    diagnosis: dict[str, str]
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.diagnosis

    def __str__(self) -> str:
        lines: list[tuple[str, ...]] = [("input", "shape", "max abs", "max rel", "ulp", "verdict")]
        for row in self.rows:
            figures = ("-" if value != value else f"{value:.2g}" for value in (row.max_abs, row.max_rel, row.max_ulp))  # noqa: PLR0124
            lines.append((row.name, str(row.shape), *figures, row.verdict))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = ["  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([*table, *self.diagnosis.values(), *(f"note: {note}" for note in self.notes)])


def check_gradients(  # noqa: PLR0913 - four things to check, two that are seldom needed
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Inputs,
    reference: Callable[..., Any] | None = None,
    *,
    domain: Mapping[str, tuple[float, float]] | tuple[float, float] | None = None,
    seed: int = 0,
) -> Report:
    """Check `backward(dy, *inputs)` at the given inputs and at random ones of the same shapes and dtypes, with random dy.

    forward: `forward(*inputs)` -> one array or tensor of floats.
    backward: the gradient of each input, in a tuple in their order, a dict by name, or as one array; None for one that is
        not wanted, nothing for labels.
    inputs: an array or tensor, a tuple of them, or a dict by name.
    reference: a torch function or nn.Module of the same inputs, differentiated by autograd. Finite differences of forward
        stand in where there is none, and check the given point where there is one.
    domain: (low, high) of all inputs, or by name, outside of which backward means nothing. By default inputs of both signs
        are drawn, too, unless forward refuses them or gives a nan.

    ValueError for inputs, outputs or gradients that are not of this form; an exception of forward or backward passes
    through, with a note of the call that raised it.
    """
    subject = Subject(forward, backward, inputs)
    ranges = dict.fromkeys(subject.floats, domain) if isinstance(domain, tuple) else dict(domain or {})
    return _Check(subject, reference, ranges, seed).report()


def assert_gradients(  # noqa: PLR0913 - as above
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Inputs,
    reference: Callable[..., Any] | None = None,
    *,
    domain: Mapping[str, tuple[float, float]] | tuple[float, float] | None = None,
    seed: int = 0,
) -> None:
    """`check_gradients` as a line of a test: AssertionError with the report where something is wrong."""
    report = check_gradients(forward, backward, inputs, reference, domain=domain, seed=seed)
    if not report.ok:
        raise AssertionError(f"wrong gradient\n{report}")


@dataclass(frozen=True)
class _Run:
    """What the user's functions gave at one point: `actual` in float64 if they can, `plain` in the dtype of the inputs."""

    trial: Trial
    dtypes: dict[str, torch.dtype]
    actual: dict[str, Tensor | None]
    plain: dict[str, Tensor | None]
    forward_expected: Tensor


class _Check:
    def __init__(
        self, subject: Subject, reference: Callable[..., Any] | None, domain: dict[str, tuple[float, float]], seed: int
    ) -> None:
        if unknown := [name for name in domain if name not in subject.given]:
            raise ValueError(f"domain names {', '.join(unknown)}; the inputs are {', '.join(subject.given)}")
        self.subject, self.domain = subject, domain
        self.generator = Generator().manual_seed(seed)
        self.notes: list[str] = []
        self.doubles = self._runs_in_float64()
        y = subject.forward(self._precise(subject.given))
        self.differences = Differences(lambda point: subject.forward(self._precise(point)), torch.finfo(y.dtype).eps)
        if reference is None:
            large = [name for name in subject.floats if subject.given[name].numel() > ENTRIES]
            self.notes += [
                f"{name} has more than {ENTRIES} entries: without a reference, as many of them are checked at each point"
                for name in large
            ]
        self.source: Source = Autograd(reference) if reference else self.differences
        self.than = "the reference" if reference else "forward"

    def report(self) -> Report:
        given = self.subject.given
        runs = [self._run(given), *self._drawn()]
        diagnosis = dict(self._judge_forward(runs))
        rows = []
        for name, x in given.items():
            if not x.is_floating_point() or runs[0].actual[name] is None:
                verdict = NOT_GIVEN if x.is_floating_point() else NO_GRADIENT
                rows.append(Row(name, tuple(x.shape), math.nan, math.nan, math.nan, verdict))
                continue
            fault = self._judge(name, runs)
            verdict = OK
            if fault:
                verdict, diagnosis[name] = diagnose(fault)
            elif x.dtype == torch.float64 and runs[0].dtypes[name] != x.dtype:
                verdict = "lower precision"
                dtype = str(runs[0].dtypes[name]).removeprefix("torch.")
                diagnosis[name] = f"d{name} is right, but in lower precision: it is {dtype}, and {name} is float64"
            figures = self._figures(name, runs)
            rows.append(Row(name, tuple(x.shape), figures.max_abs, figures.max_rel, figures.max_ulp, verdict))
        return Report(rows, diagnosis, self.notes)

    # -- the points ---------------------------------------------------------------------------------------------------

    def _runs_in_float64(self) -> bool:
        """Whether the user's functions take float64, having shown that they take what was given."""
        subject, given = self.subject, self.subject.given
        subject.backward(given, torch.ones_like(subject.forward(given)))
        try:
            subject.backward(double(given), torch.ones_like(subject.forward(double(given))))
        except Exception:  # noqa: BLE001 - whatever a user's code raises: it does not take float64
            self.notes.append("forward or backward does not take float64: errors as small as rounding in float32 stay hidden")
            return False
        return True

    def _precise(self, point: Point) -> Point:
        if self.doubles:
            return double(point)
        return {name: value.to(self.subject.given[name].dtype) for name, value in point.items()}

    @property
    def _dtype(self) -> torch.dtype:
        """The smallest dtype of the float inputs."""
        dtypes = [self.subject.given[name].dtype for name in self.subject.floats]
        return torch.float32 if torch.float32 in dtypes else torch.float64

    def _run(self, point: Point, drawn: str = "") -> _Run:
        subject, precise = self.subject, self._precise(point)
        y, expected_y = subject.forward(precise).double(), self.source.output(precise)
        if y.shape != expected_y.shape:
            raise ValueError(f"forward's output has shape {tuple(y.shape)}, the reference's {tuple(expected_y.shape)}")
        dy = torch.randn(y.shape, generator=self.generator, dtype=torch.float64).to(self._dtype).double()
        returned = subject.backward(precise, dy)
        dtypes = {name: gradient.dtype for name, gradient in returned.items() if gradient is not None}
        actual = _in_float64(returned)
        plain = _in_float64(subject.backward(point, dy)) if self.doubles and self._dtype == torch.float32 else actual
        expected = {
            name: self.source.slopes(precise, dy, name, self.generator).nearest(gradient)
            for name, gradient in actual.items()
            if gradient is not None
        }
        return _Run(Trial(double(point), dy, y, expected, drawn, kinks=drawn == ON_KINKS), dtypes, actual, plain, expected_y)

    def _drawn(self) -> Iterator[_Run]:
        """A run for each way to draw; within the range of the given inputs where forward refuses the others."""
        refused = ""
        for words, draw in DRAWS.items():
            for how, name in ((draw, words), (draws.alike, next(iter(DRAWS)))):
                run = self._attempt(self._draw(how), name)
                if isinstance(run, _Run):
                    yield run
                    break
                refused = run
            else:
                self.notes.append(f"no inputs {words} could be tried: {refused}")

    def _attempt(self, point: Point, drawn: str) -> _Run | str:
        """The run, or why forward or the reference has no finite value or slope there."""
        try:
            outputs = [self.subject.forward(self._precise(point)), self.source.output(self._precise(point))]
        except Exception as error:  # noqa: BLE001 - a function may refuse what lies outside its domain, however it likes
            return f"{type(error).__name__}: {error}"
        if all(y.isfinite().all() for y in outputs):
            run = self._run(point, drawn)
            if all(gradient.isfinite().all() for gradient in run.trial.expected.values()):
                return run
        return "forward or its slope is nan or infinite there"

    def _draw(self, draw: draws.Draw) -> Point:
        wanted = self.subject.backward(self.subject.given, torch.ones_like(self.subject.forward(self.subject.given)))
        point = {}
        for name, x in self.subject.given.items():
            # an input whose gradient is not wanted is data, such as one-hot targets: it keeps its kind
            how = (
                draws.between(*self.domain[name])
                if name in self.domain
                else draw
                if wanted.get(name) is not None
                else draws.alike
            )
            point[name] = how(x, self.generator)
        return point

    # -- the verdicts -------------------------------------------------------------------------------------------------

    def _judge(self, name: str, runs: list[_Run]) -> Fault | None:
        trials = [run.trial for run in runs]
        size = _largest([trial.expected[name] for trial in trials])
        actual, plain = [_of(run.actual, name) for run in runs], [_of(run.plain, name) for run in runs]
        slack = max(self.source.slack, self._slack)
        noise = max(_noise(trial, name) for trial in trials)
        fault = Fault(name, trials, actual, slack * size + self.source.noise * noise, self.source, self._kinks, self.than)
        if not fault.same_shape or any(wrong.any() for wrong in fault.wrong()):
            return fault
        lost = dataclasses.replace(
            fault, actual=plain, tolerance=LOST_IN_FLOAT32 * size + fault.tolerance, float64_is_right=True
        )
        return lost if any(wrong.any() for wrong in lost.wrong()) else None

    @property
    def _slack(self) -> float:
        if not self.doubles:
            return ONLY_FLOAT32
        return IN_FLOAT32 if self._dtype == torch.float32 else 0.0

    @property
    def _kinks(self) -> Differences:
        return Differences(self.source.output, self.differences.eps) if isinstance(self.source, Autograd) else self.differences

    def _judge_forward(self, runs: list[_Run]) -> Iterator[tuple[str, str]]:
        """Where there is a reference: whether forward is the reference, and backward the gradient of forward."""
        if self.source is self.differences:
            return
        own = self._not_own_slope(runs)
        trials, expected = [run.trial for run in runs], [run.forward_expected for run in runs]
        tolerance = max(self.source.slack, self._slack) * _largest(expected)
        if any(is_wrong(a, e, tolerance).any() for a, e in zip((t.y for t in trials), expected, strict=True)):
            what = forward_difference(trials, expected, tolerance)
            whose = (
                f"backward is not the gradient of forward either ({', '.join(own)})"
                if own
                else "backward is the gradient of forward"
            )
            yield FORWARD, f"forward is not the reference: {what}; {whose}"
        elif own and not any(self._judge(name, runs) for name in own):
            yield (
                FORWARD,
                f"backward agrees with the reference, but at the given inputs forward has other slopes ({', '.join(own)})",
            )

    def _not_own_slope(self, runs: list[_Run]) -> list[str]:
        """The inputs whose gradient at the given point is not what finite differences of forward give, at some entries."""
        run, wrong = runs[0], []
        differences = dataclasses.replace(self.differences, entries=SAMPLE)
        for name in run.trial.expected:
            slopes = differences.slopes(self._precise(run.trial.point), run.trial.dy, name, self.generator)
            actual = _of(run.actual, name)
            size = _largest([other.trial.expected[name] for other in runs])  # here it may all have cancelled
            tolerance = differences.slack * size + differences.noise * _noise(run.trial, name)
            if actual.shape != slopes.value.shape or is_wrong(actual, slopes.nearest(actual), tolerance).any():
                wrong.append(name)
        return wrong

    def _figures(self, name: str, runs: list[_Run]) -> Difference:
        dtype = self.subject.given[name].dtype
        pairs = [(_of(run.plain, name), run.trial.expected[name]) for run in runs]
        if any(a.shape != e.shape for a, e in pairs):
            return Difference(math.nan, math.nan, math.nan, bitwise=False)
        return largest(compare(a.to(dtype), e.to(dtype)) for a, e in pairs)


def _in_float64(gradients: dict[str, Tensor | None]) -> dict[str, Tensor | None]:
    return {name: None if gradient is None else gradient.double() for name, gradient in gradients.items()}


def _of(gradients: dict[str, Tensor | None], name: str) -> Tensor:
    gradient = gradients[name]
    if gradient is None:
        raise ValueError(f"backward gave a gradient of {name} at one point and None at another")
    return gradient


def _noise(trial: Trial, name: str) -> float:
    """|dy| |y| / |x|: the size of the terms of a gradient, also where they cancel."""
    return _largest([trial.dy]) * _largest([trial.y]) / (_largest([trial.point[name]]) or 1.0)


def _largest(tensors: list[Tensor]) -> float:
    """The largest finite absolute value."""
    values = flat(tensors).abs()
    finite = values[values.isfinite()]
    return finite.max().item() if len(finite) else 0.0

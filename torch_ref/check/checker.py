"""A check from beginning to end: what was given, whether it answers alike, points, verdicts."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from torch_ref.check import behaviour, judging
from torch_ref.check.inputs import Asked
from torch_ref.check.known import Known
from torch_ref.evidence import points
from torch_ref.evidence.points import Draws
from torch_ref.evidence.report import DATA, NOT_CHECKED, Finding, Report, Row
from torch_ref.evidence.sizes import Axis, Sizes
from torch_ref.evidence.trials import Trial
from torch_ref.forms.forms import Form
from torch_ref.forms.returned import Gradients
from torch_ref.forms.values import Point, double

LONG = 6.0  # seconds after which a fault that was seen at two points is not looked for at more
PROGRESS = 2.0  # seconds after which stderr says what is being done
MANY, SLOW = 20_000, 0.05  # entries, seconds of forward: beyond, no other sizes are tried
APART = (4, 1, 2, 7, 3, 5, 6)  # by how much sizes grow, to tell one from another
LAYOUTS = {
    "transposed": "is not contiguous in memory",
    "expanded": "is expanded (one row in memory stands for many)",
}
KINKED = {points.KINKS, points.ZEROS, points.TIES}
SEEDED = (
    "forward draws random numbers: the generators of Python, NumPy and torch were seeded before "
    "each call"
)
NOWHERE = "forward or its slope is nan or infinite there"


class Check:
    """One check of one form."""

    def __init__(self, form: Form, reference: Callable[..., Any] | None, *, seed: int) -> None:
        self._started = time.perf_counter()
        self._known = Known(form, reference)
        self._subject = self._known.subject
        self._seed, self._of_dy = seed, torch.Generator().manual_seed(seed)

    def report(self, asked: Asked) -> Report:
        """Everything that was found."""
        known, subject = self._known, self._subject
        for what, names in asked._asdict().items():
            if unknown := [
                name
                for name in sorted(names)
                if name not in subject.given and name not in subject.form.arguments.names
            ]:
                raise ValueError(
                    f"{what} names {', '.join(unknown)}; the inputs are {', '.join(subject.given)}"
                )
        precise = known.precise(subject.given)
        first = subject.backward(precise, torch.ones_like(subject.forward(precise)))
        unsteady = behaviour.unsteady(subject, precise)
        if unsteady:
            return self._unsteady(unsteady, first)
        if subject.seeded:
            known.notes.append(SEEDED)
        known.measure(precise)
        known.sort_inputs(first, asked)
        trials, unseen = self._trials()
        rows, diagnosis = judging.Judging(known, trials).rows()
        if unseen and not diagnosis:
            raise ValueError(f"{unseen}: give a reference")
        return Report(rows, diagnosis, self._notes(), subject.calls_autograd)

    def _unsteady(self, findings: dict[str, Finding], first: Gradients) -> Report:
        rows = []
        for name in self._subject.given:
            verdict = NOT_CHECKED if first.get(name) is not None else DATA
            verdict = findings[name].verdict if name in findings else verdict
            rows.append(
                Row(name, self._subject.leaves[name].shape, math.nan, math.nan, math.nan, verdict)
            )
        return Report(
            rows,
            {name: sentence for name, (_, sentence) in findings.items()},
            self._notes(),
            self._subject.calls_autograd,
        )

    def _notes(self) -> list[str]:
        notes, form = list(self._known.notes), self._subject.form
        if form.overwrites:
            over = " and ".join(sorted(form.overwrites))
            notes.append(f"backward overwrites {over}: hand it a copy of what is needed again")
        if self._subject.calls_autograd:
            notes.append("backward has torch.autograd do the work")
        return list(dict.fromkeys([*notes, *form.notes]))

    # -- the points
    # ----------------------------------------------------------------------------------------------

    def _trials(self) -> tuple[list[Trial], str]:
        """The trials, and of which input no slope was found."""
        self._first = self._run(self._subject.given)
        trials = [self._first]
        for drawn, ways in Draws(
            self._subject, self._known.inputs.fixed, self._known.inputs.domains, self._seed
        ).points():
            seconds = time.perf_counter() - self._started
            if seconds > LONG and sum(trial.is_wrong for trial in trials[1:]) > 1:
                return trials, ""
            if seconds > PROGRESS:
                sys.stderr.write(f"checking: inputs {drawn}, after {seconds:.0f} s\n")
            refused = ""
            for way in ways:
                found = self._attempt(way(), drawn)
                if isinstance(found, Trial):
                    trials.append(found)
                    break
                refused = found or refused
            else:
                if refused and drawn in {points.ALIKE, points.WIDE, points.USUAL}:
                    self._known.notes.append(f"no inputs {drawn} could be tried: {refused}")
        self._layouts(next((each for each in trials if each.drawn == points.USUAL), trials[-1]))
        unseen = self._without_slope()
        return [*trials, *self._sized()], unseen

    def _without_slope(self) -> str:
        """Which input has entries of which no slope was found at all: forward refuses each step."""
        known = self._known
        for name in known.inputs.checked:
            n = self._subject.given[name].numel()
            if known.source_of(name) is known.differences and (
                unseen := known.differences.without_slope(name, n)
            ):
                return f"forward has no slope by {name} at {unseen} of {n} entries"
        return ""

    def _run(self, point: Point, drawn: str = "", *, sized: bool = False) -> Trial:
        known, subject, precise = self._known, self._subject, self._known.precise(point)
        y = subject.forward(precise).double()
        expected_y = known.reference.output(precise) if known.reference else None
        if expected_y is not None and y.shape != expected_y.shape:
            raise ValueError(
                f"forward's output has shape {tuple(y.shape)}, the reference's "
                f"{tuple(expected_y.shape)}"
            )
        dy = (
            torch.randn(y.shape, generator=self._of_dy, dtype=torch.float64)
            .to(known.coarsest)
            .double()
        )
        returned = subject.backward(precise, dy)
        lower = known.doubles and known.coarsest != torch.float64
        actual = {name: None if g is None else g.double() for name, g in returned.items()}
        plain = subject.backward(subject.in_own_dtypes(point), dy) if lower else actual
        expected = {}
        exact = known.reference.all(double(point), dy) if known.reference else {}
        for name in known.inputs.checked:
            g = actual[name]
            if g is None:
                raise ValueError(
                    f"backward gave a gradient of {name} at one point and None at another"
                )
            expected[name] = (
                exact[name] if name in exact else known.differences.nearest(precise, dy, name, g)
            )
        plain = {name: None if g is None else g.double() for name, g in plain.items()}
        dtypes = {name: g.dtype for name, g in returned.items() if g is not None}
        return Trial(
            double(point),
            dy,
            y,
            actual,
            plain,
            dtypes,
            expected,
            expected_y,
            drawn,
            drawn in KINKED,
            sized,
        )

    def _attempt(self, point: Point, drawn: str, *, sized: bool = False) -> Trial | str:
        """The trial, or why there is none: something there is not finite, or raises."""
        known, precise = self._known, self._known.precise(point)
        try:
            outputs = [self._subject.forward(precise)]
            outputs += [known.reference.output(precise)] if known.reference else []
        except Exception as error:  # noqa: BLE001
            # a function may refuse what lies outside its domain, however it likes
            return f"{type(error).__name__}: {error}"
        if not all(y.isfinite().all() for y in outputs):
            return NOWHERE
        try:
            trial = self._run(point, drawn, sized=sized)
        except Exception as error:  # noqa: BLE001 - whatever a user's backward raises
            if sized or error is not self._subject.raised.get("backward"):
                return f"{type(error).__name__}: {error}"
            if not isinstance(error, AssertionError):
                known.note_exception(
                    error, f"at inputs {drawn}, where forward gives finite numbers"
                )
            return ""
        finite = all(g.isfinite().all() for g in trial.expected.values())
        return trial if finite or not known.reference else NOWHERE

    def _layouts(self, trial: Trial) -> None:
        """Whether backward does the same with dy in another memory layout."""
        known, subject = self._known, self._subject
        point = known.precise(trial.point)
        for layout, words in LAYOUTS.items():
            dy = trial.dy
            if layout == "expanded":
                if not dy.ndim or dy.shape[0] < 2 or not subject.output(point).single:
                    continue
                dy = dy[:1].expand(dy.shape).contiguous()
            expected = subject.backward(point, dy)
            try:
                found = subject.backward(point, dy, layout)
            except Exception as error:  # noqa: BLE001 - whatever a user's backward raises
                if layout == "transposed":
                    known.note_exception(
                        error, f"for a dy that {words}: call dy.contiguous() first"
                    )
                return
            for name in known.inputs.checked:
                if not behaviour.same(expected[name], found[name], trial.actual[name]):
                    sentence = (
                        f"d{name} is wrong for a dy that {words}: its memory is read as if it "
                        "were contiguous. Call dy.contiguous() first"
                    )
                    known.raised[name] = Finding("strides", sentence)
            if known.raised:
                return

    # -- other sizes
    # ----------------------------------------------------------------------------------------------

    def _sized(self) -> Iterator[Trial]:
        """Points of other sizes, where forward takes them."""
        known, subject = self._known, self._subject
        if sum(x.numel() for x in subject.given.values()) > MANY or subject.seconds > SLOW:
            return
        sizes = Sizes(
            subject, known.precise(subject.given), known.inputs.fixed, known.inputs.domains
        )
        known.groups = sizes.groups()
        every = list(known.groups.free)
        if not every:
            return
        together = self._at(sizes, every, sizes.apart(every))
        if together is None:
            trials = [
                trial for group in every if (trial := self._at(sizes, [group], (1,))) is not None
            ]
        else:
            apart = self._at(sizes, every, APART, drawn="")
            squares = [self._at(sizes, [group], (1,)) for group in sizes.squares(every)]
            trials = [trial for trial in (together, apart, *squares) if trial is not None]
        if not trials:
            known.notes.append(
                "only the sizes given were tried: at others something fails, or forward is another "
                "function"
            )
        yield from trials

    def _at(
        self,
        sizes: Sizes,
        groups: list[frozenset[Axis]],
        by: tuple[int, ...],
        drawn: str = "of other sizes",
    ) -> Trial | None:
        point = sizes.point(groups, by)
        if sizes.output(self._known.precise(point)) is None:
            return None
        found = self._attempt(point, drawn, sized=True)
        return found if isinstance(found, Trial) and self._is_usual(found) else None

    def _is_usual(self, trial: Trial) -> bool:
        """Whether forward uses all entries at these sizes, and is the reference there if it is so
        at the sizes given: otherwise it is another function there.
        """
        for name, expected in trial.expected.items():
            for axis, length in enumerate(self._subject.given[name].shape):
                more = expected.shape[axis] - length
                if more > 0 and not expected.narrow(axis, length, more).any():
                    return False
        if trial.forward_expected is None or self._first.forward_expected is None:
            return True
        return self._known.is_the_same(
            trial.y, trial.forward_expected
        ) or not self._known.is_the_same(self._first.y, self._first.forward_expected)

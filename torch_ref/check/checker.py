"""The way of a check: what was given, whether it answers alike, the points, the verdicts."""

import math
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch

from torch_ref.check import behaviour, judging, points
from torch_ref.check.known import Known
from torch_ref.check.points import Draws
from torch_ref.check.report import BACKWARD, DATA, Report, Row
from torch_ref.check.returned import Gradients
from torch_ref.check.sizes import Groups, Sizes
from torch_ref.check.trials import Trial, is_wrong
from torch_ref.check.values import Point, double

LONG = 6.0  # seconds after which a fault that was seen at two points is not looked for at more
PROGRESS = 2.0  # seconds after which stderr says what is being done
LAYOUT_OF = {"transposed": "is not contiguous in memory", "expanded": "is expanded (one row in memory stands for many)"}


class Check(Known):
    """One check of one form."""

    # -- the whole ----------------------------------------------------------------------------------------------------

    def report(self) -> Report:
        """Everything that was found."""
        subject = self.subject
        precise = self.precise(subject.given)
        first = subject.backward(precise, torch.ones_like(subject.forward(precise)))
        unsteady = list(behaviour.unsteady(subject, precise))
        if unsteady:
            return self._unsteady(unsteady, first)
        if subject.seeded:
            self.notes.append(
                "forward draws random numbers: the generators of Python, NumPy and torch were seeded before each call"
            )
        self._measure(precise)
        self._sort(first, precise)
        trials = list(self._trials())
        found = judging.Judging(self, trials)
        rows, diagnosis = found.rows()
        diagnosis |= {name: self._missing(name) for name in self.missing}
        diagnosis |= self.raised
        self._remark()
        return Report(rows, diagnosis, list(dict.fromkeys([*self.notes, *subject.form.notes])))

    def _unsteady(self, unsteady: list[tuple[str, str, list[str]]], first: Gradients) -> Report:
        verdicts, diagnosis = {}, {}
        for verdict, sentence, names in unsteady:
            for name in names:
                verdicts[name], diagnosis[name] = verdict, sentence
        rows = [
            Row(name, self.subject.shape(name), math.nan, math.nan, math.nan,
                verdicts.get(name, "not checked" if first.get(name) is not None else DATA))
            for name in self.subject.given
        ]  # fmt: skip
        return Report(rows, diagnosis, [*self.notes, *self.subject.form.notes])

    def _remark(self) -> None:
        over = sorted(self.subject.form.overwrites)
        if over:
            self.notes.append(f"backward overwrites {' and '.join(over)}: hand it a copy of what is needed again")
        if self.subject.calls_autograd:
            self.notes.append("backward has torch.autograd do the work")

    # -- the points ---------------------------------------------------------------------------------------------------

    def _trials(self) -> Iterator[Trial]:
        self.draws = Draws(self.subject, self.fixed, self.domains, self._seed)
        yield self._run(self.subject.given)
        usual, wrong = None, 0
        for drawn, ways in self.draws.points():
            if wrong > 1 and time.perf_counter() - self._started > LONG:
                return
            self._progress(f"inputs {drawn}")
            refused = ""
            for way in ways:
                found = self._attempt(way(), drawn)
                if isinstance(found, Trial):
                    usual = found if drawn == points.USUAL or usual is None else usual
                    wrong += found.is_wrong
                    yield found
                    break
                refused = found or refused
            else:
                if refused and drawn in {points.ALIKE, points.WIDE, points.USUAL}:
                    self.notes.append(f"no inputs {drawn} could be tried: {refused}")
        if usual is not None:
            self._layouts(usual)
        yield from self._sized()

    def _run(self, point: Point, drawn: str = "", *, sized: bool = False) -> Trial:
        subject, precise = self.subject, self.precise(point)
        y = subject.forward(precise).double()
        expected_y = self.reference.output(precise) if self.reference else None
        if expected_y is not None and y.shape != expected_y.shape:
            raise ValueError(f"forward's output has shape {tuple(y.shape)}, the reference's {tuple(expected_y.shape)}")
        dy = torch.randn(y.shape, generator=self._of_dy, dtype=torch.float64).to(self.own).double()
        returned = subject.backward(precise, dy)
        lower = self.doubles and self.own != torch.float64
        plain = _in_float64(subject.backward(subject.in_own_dtypes(point), dy)) if lower else _in_float64(returned)
        actual = _in_float64(returned)
        kinks = drawn in {points.KINKS, points.ZEROS, points.TIES}
        self.differences.kinked = kinks
        expected = {}
        exact = self.reference.all(double(point), dy) if self.reference else {}
        for name in self.checked:
            g = actual[name]
            if g is None:
                raise ValueError(f"backward gave a gradient of {name} at one point and None at another")
            found = exact.get(name)
            expected[name] = found if found is not None else self.differences.nearest(precise, dy, name, g)
        dtypes = {name: g.dtype for name, g in returned.items() if g is not None}
        return Trial(double(point), dy, y, actual, plain, dtypes, expected, expected_y, drawn, kinks, sized)

    def _attempt(self, point: Point, drawn: str, *, sized: bool = False) -> Trial | str:
        """The run, or why forward or the reference has no finite value or slope there."""
        precise = self.precise(point)
        try:
            outputs = [self.subject.forward(precise)]
            outputs += [self.reference.output(precise)] if self.reference else []
        except Exception as error:  # noqa: BLE001 - a function may refuse what lies outside its domain, however it likes
            return f"{type(error).__name__}: {error}"
        if not all(y.isfinite().all() for y in outputs):
            return "forward or its slope is nan or infinite there"
        try:
            trial = self._run(point, drawn, sized=sized)
        except Exception as error:  # noqa: BLE001 - whatever a user's backward raises
            if not any("raised by backward" in note for note in getattr(error, "__notes__", [])) or sized:
                return f"{type(error).__name__}: {error}"
            if not isinstance(error, AssertionError):
                self.raised[BACKWARD] = (
                    f"backward raises {type(error).__name__} ({error}) at inputs {drawn}, where forward gives finite numbers"
                )
            return ""
        finite = all(g.isfinite().all() for g in trial.expected.values())
        return trial if finite or not self.reference else "forward or its slope is nan or infinite there"

    def _layouts(self, trial: Trial) -> None:
        """The same dy with its memory laid out otherwise."""
        point = self.precise(trial.point)
        for layout, words in LAYOUT_OF.items():
            dy = trial.dy
            if layout == "expanded":
                if not dy.ndim or dy.shape[0] < 2 or self.subject.output(point).single is False:
                    continue
                dy = dy[:1].expand(dy.shape).contiguous()
            expected = self.subject.backward(point, dy)
            try:
                found = self.subject.backward(point, dy, layout)
            except Exception as error:  # noqa: BLE001 - whatever a user's backward raises
                if layout == "transposed":
                    self.raised[BACKWARD] = (
                        f"backward raises {type(error).__name__} ({error}) for a dy that {words}: call dy.contiguous() first"
                    )
                return
            for name in self.checked:
                e, g = expected[name], found[name]
                scale = trial.actual[name]
                if e is not None and g is not None and not behaviour.same(e, g, scale):
                    self.raised[name] = (
                        f"d{name} is wrong for a dy that {words}: its memory is read as if it were. Call dy.contiguous() first"
                    )
            if self.raised:
                return

    def _sized(self) -> Iterator[Trial]:
        """A point of other sizes, where forward takes them."""
        self.groups = Groups((), frozenset())
        numel = sum(x.numel() for x in self.subject.given.values())
        if numel > 20_000 or self.subject.seconds > 0.05:
            return
        sizes = Sizes(self.subject, self.precise(self.subject.given), self.fixed, self.domains)
        self.groups = sizes.groups()
        if not self.groups.free:
            return
        every = list(self.groups.free)
        ways = [(every, sizes.apart(every)), *(([group], (1,)) for group in every)]
        done = 0
        for groups, by in ways:
            point = sizes.point(groups, by)
            if sizes.output(self.precise(point)) is None:
                continue
            found = self._attempt(point, "of other sizes", sized=True)
            if isinstance(found, Trial) and self._is_usual(found):
                done += 1
                yield found
                if groups == every:
                    yield from self._again(sizes, every)
                    ways = [([group], (1,)) for group in sizes.squares(every)[:4]]
                    break
        else:
            ways = []
        for groups, by in ways:
            found = self._attempt(sizes.point(groups, by), "of other sizes", sized=True)
            if isinstance(found, Trial) and self._is_usual(found):
                yield found
        if not done:
            self.notes.append("backward could not be tried at other sizes than those given")

    def _again(self, sizes: Sizes, every: list[Any]) -> Iterator[Trial]:
        """Every group by a number of its own: only to tell one size from another."""
        found = self._attempt(sizes.point(every, (4, 1, 2, 7, 3, 5, 6)), "", sized=True)
        if isinstance(found, Trial) and self._is_usual(found):
            yield found

    def _is_usual(self, trial: Trial) -> bool:
        """forward is the reference there, or a number of its own depends on the sizes given; and uses all that it is given."""
        for name, expected in trial.expected.items():
            given = self.subject.given[name].shape
            for axis, length in enumerate(given):
                more = expected.shape[axis] - length
                if more > 0 and not expected.narrow(axis, length, more).any():
                    return False
        if trial.forward_expected is None:
            return True
        size = max(trial.forward_expected.abs().max().item(), 1e-30)
        tolerance = max(1e-6, 2**10 * torch.finfo(self.works_in).eps) * size
        return not is_wrong(trial.y, trial.forward_expected, tolerance).any()

    def _progress(self, what: str) -> None:
        if time.perf_counter() - self._started > PROGRESS:
            print(f"checking: {what}, after {time.perf_counter() - self._started:.0f} s", file=sys.stderr)  # noqa: T201


def _in_float64(gradients: Gradients) -> Gradients:
    return {name: None if g is None else g.double() for name, g in gradients.items()}

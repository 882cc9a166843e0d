"""From trials to rows: which gradients are wrong, in which precision, and how forward compares to the reference."""

import dataclasses
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from torch_ref.check import precision
from torch_ref.check.diagnosis import diagnose
from torch_ref.check.errors import Errors
from torch_ref.check.patterns import brackets, index
from torch_ref.check.reference import Autograd
from torch_ref.check.report import DATA, FORWARD, MISSING, OK, Row
from torch_ref.check.slopes import Source
from torch_ref.check.trials import Fault, Trial, common_factor, is_wrong, largest, noise


class Judging(Errors):
    """Of one check's trials."""

    def rows(self) -> tuple[list[Row], dict[str, str]]:
        """A row for each input, a sentence for each fault."""
        check = self.check
        faults = {name: fault for name in check.checked if (fault := self._fault(name)) is not None and name not in self.lower}
        said = self._said(faults) | self.lower | self._at_other_sizes(faults)
        diagnosis = dict(self._judge_forward(faults))
        rows = []
        for name in check.subject.given:
            shape = check.subject.shape(name)
            if name in check.missing or name not in check.checked:
                rows.append(Row(name, shape, math.nan, math.nan, math.nan, MISSING if name in check.missing else DATA))
                continue
            verdict = OK
            if name in said:
                verdict, diagnosis[name] = said[name]
            elif name in check.raised or "backward" in check.raised:
                verdict = (
                    "strides"
                    if "contiguous" in check.raised.get(name, "") or "expanded" in check.raised.get(name, "")
                    else "exception"
                )
            else:
                verdict = self._returned(name, diagnosis)
            max_abs, max_rel, max_ulp = self._figures(name)
            rows.append(Row(name, shape, max_abs, max_rel, max_ulp, verdict, self._of_torch(name)))
        return rows, diagnosis

    def _returned(self, name: str, diagnosis: dict[str, str]) -> str:
        """float32 returned for a float64 input, though forward works in float64."""
        dtype, given = self.main[0].dtypes[name], self.check.subject.given[name].dtype
        coarser = torch.finfo(dtype).eps > max(torch.finfo(given).eps, torch.finfo(self.check.works_in).eps)
        if not coarser or self.check.subject.leaves[name].kind == "number":
            return OK
        word = precision.word(dtype)
        diagnosis[name] = f"d{name} is right, but in lower precision: it is {word}, and {name} is {precision.word(given)}"
        return "lower precision"

    # -- other sizes --------------------------------------------------------------------------------------------------

    def _at_other_sizes(self, faults: dict[str, Fault]) -> dict[str, tuple[str, str]]:
        """Right at the sizes given, wrong at others."""
        said: dict[str, tuple[str, str]] = {}
        for trial in (trial for trial in self.sized if trial.drawn):
            for name in self.check.checked:
                actual, expected = trial.actual[name], trial.expected[name]
                if name in faults or name in said or name in self.lower or actual is None:
                    continue
                source = self.check.source_of(name)
                size = largest([expected])
                tolerance = max(source.slack, self._slack, 1e-6) * size + source.noise * noise(trial, name)
                where = ", ".join(f"{n} {tuple(x.shape)}" for n, x in trial.point.items())
                fault = self._made(name, [trial], tolerance)
                if fault.same_shape and (self._is_right(fault) or self._is_rounding(fault, size, 0.0)):
                    continue
                if not fault.same_shape and self._has_given_size(name, actual, expected):
                    self.check.notes.append(
                        f"at other sizes ({where}) {fault.d} has shape {tuple(actual.shape)}: is a size written as number?"
                    )
                    continue
                factor = common_factor([actual], [expected], tolerance) if fault.same_shape else None
                if factor is not None:
                    self.check.notes.append(
                        f"at other sizes ({where}) {fault.d} is {factor:.4g} times the right one: is a size written as number?"
                    )
                    continue
                verdict, sentence = self._said({name: fault})[name]
                if verdict not in {"wrong", "shape", "sizes", "part missing", "mask"}:
                    said[name] = verdict, f"{sentence} (not at the given inputs, but at others: {where})"
                    continue
                what = f"it has shape {tuple(actual.shape)} there" if not fault.same_shape else self._most(actual, expected)
                said[name] = "sizes", f"{fault.d} is right at the sizes given, but not at others ({where}): {what}"
        return said

    def _has_given_size(self, name: str, actual: Tensor, expected: Tensor) -> bool:
        """Each axis is as long as it should be or as it is at the inputs given: right there, and only there."""
        given = self.check.subject.given[name].shape
        sizes = zip(actual.shape, expected.shape, given, strict=False)
        return actual.ndim == expected.ndim and all(a in {e, g} for a, e, g in sizes)

    @staticmethod
    def _most(actual: Tensor, expected: Tensor) -> str:
        at = index(int((actual - expected).abs().nan_to_num(nan=1e300).argmax()), actual.shape)
        return f"got {actual[at]:.4g}, expected {expected[at]:.4g}{brackets(at)}"

    # -- sentences ----------------------------------------------------------------------------------------------------

    def _said(self, faults: dict[str, Fault]) -> dict[str, tuple[str, str]]:
        """Faults of the same trials are thought of together."""
        alike: dict[tuple[int, ...], dict[str, Fault]] = {}
        for name, fault in faults.items():
            alike.setdefault(tuple(map(id, fault.trials)), {})[name] = fault
        said: dict[str, tuple[str, str]] = {}
        for group in alike.values():
            exact = self._with_exact(group)
            trials = next(iter(exact.values())).trials
            right = {name: [t.expected[name] for t in trials] for name in self.check.checked if name not in faults}
            said |= diagnose(exact, right, self._worked)
        return said

    def _with_exact(self, faults: dict[str, Fault]) -> dict[str, Fault]:
        """Without a reference, the slopes of forward as torch finds them in its code, if that computes the same."""
        check = self.check
        if all(isinstance(fault.source, Autograd) for fault in faults.values()):
            return faults
        source = self._traced(next(iter(faults.values())).trials)
        if source is None:
            return {name: dataclasses.replace(fault, source=self._slow_source(fault)) for name, fault in faults.items()}
        exact = [self._exactly(source, trial) for trial in next(iter(faults.values())).trials]
        others = [self._exactly(source, trial) for trial in self.sized] if self._traced(self.sized) is not None else []
        return {
            name: dataclasses.replace(fault, trials=exact, source=source, others=others, kinks_of=check.differences)
            for name, fault in faults.items()
        }

    @staticmethod
    def _exactly(source: Autograd, trial: Trial) -> Trial:
        exact = source.all(trial.point, trial.dy) if not trial.kinks else {}
        return dataclasses.replace(trial, expected={n: exact.get(n, e) for n, e in trial.expected.items()})

    def _traced(self, trials: list[Trial]) -> Autograd | None:
        source = self.check.traced
        try:
            same = source is not None and not any(
                is_wrong(source.output(t.point), t.y, 1e-7 * largest([t.y])).any() for t in trials if not t.kinks
            )
        except Exception:  # noqa: BLE001 - whatever comes of code that was written for NumPy
            return None
        return source if same else None

    def _slow_source(self, fault: Fault) -> Source | None:
        """Finite differences entry by entry, where there are few."""
        calls = 2 * fault.expected[0].numel() * len(fault.trials)
        return (
            self.check.differences if calls * self.check.differences.seconds < 3 and fault.expected[0].numel() <= 400 else None
        )

    def _worked(self, fault: Fault) -> str:
        """The smallest case that shows it: dy is 1 at one place and 0 elsewhere."""
        check, trial = self.check, fault.trials[0]
        if fault.source is None or not fault.same_shape or trial.dy.numel() < 2:
            return ""
        point = check.precise(trial.point)
        for i in range(min(16, trial.dy.numel())):
            dy = torch.zeros(trial.dy.numel(), dtype=torch.float64)
            dy[i] = 1
            dy = dy.reshape(trial.dy.shape)
            got, want = check.subject.backward(point, dy)[fault.name], fault.gradient(trial, dy)
            if got is None or got.shape != want.shape or not is_wrong(got.double(), want, fault.tolerance).any():
                continue
            at = index(int((got.double() - want).abs().argmax()), want.shape)
            one = index(i, trial.dy.shape)
            values = f"it is {got[at].item():.4g}{brackets(at)}, and should be {want[at].item():.4g}"
            return f". The smallest case: with dy = 1{brackets(one)} and 0 elsewhere {values}"
        return ". With dy = 1 at one place and 0 elsewhere it is right: look at how the parts are added"

    # -- forward ------------------------------------------------------------------------------------------------------

    def _judge_forward(self, faults: dict[str, Fault]) -> Iterator[tuple[str, str]]:
        """Where there is a reference: whether forward is the reference."""
        trials = [trial for trial in self.main if trial.forward_expected is not None]
        if not trials:
            return
        actual = [trial.y for trial in trials]
        expected = [trial.forward_expected for trial in trials if trial.forward_expected is not None]
        tolerance = max(self.check.source.slack, self._slack) * largest(expected)
        if not any(is_wrong(a, e, tolerance).any() for a, e in zip(actual, expected, strict=True)):
            return
        factor = common_factor(actual, expected, tolerance)
        k = max(range(len(trials)), key=lambda i: (actual[i] - expected[i]).abs().max().item())
        at = index(int((actual[k] - expected[k]).abs().argmax()), actual[k].shape)
        what = (
            f"its output is {factor:.6g} times the reference everywhere"
            if factor is not None
            else f"its output differs, most{brackets(at)}: got {actual[k][at]:.6g}, expected {expected[k][at]:.6g}"
        )
        own = self._not_own_slope()
        whose = (
            f"backward is not the gradient of forward either ({', '.join(own)})"
            if own
            else "backward is the gradient of forward"
        )
        yield FORWARD, f"forward is not the reference: {what}; {whose}"
        for name in list(faults):
            if not own:
                faults.pop(name)

    def _not_own_slope(self) -> list[str]:
        trial, wrong = self.main[0], []
        point = self.check.precise(trial.point)
        for name in self.check.checked:
            actual = trial.actual[name]
            assert actual is not None
            near = self.check.differences.nearest(point, trial.dy, name, actual)
            if near.shape != actual.shape or is_wrong(actual, near, self.check.differences.slack * largest([near])).any():
                wrong.append(name)
        return wrong

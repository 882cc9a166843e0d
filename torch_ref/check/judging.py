"""From trials to rows: which gradients are wrong, in which precision, and how forward compares to
the reference.
"""

import dataclasses
import math
from collections.abc import Iterator

import torch

from torch_ref.check.errors import Errors
from torch_ref.check.known import Known
from torch_ref.diagnosis.diagnosis import diagnose
from torch_ref.evidence.precision import eps
from torch_ref.evidence.reference import Autograd
from torch_ref.evidence.report import BACKWARD, DATA, FORWARD, MISSING, OK, Finding, Row
from torch_ref.evidence.slopes import Differences, Source
from torch_ref.evidence.trials import (
    Fault,
    Trial,
    brackets,
    common_factor,
    furthest,
    index,
    is_wrong,
    largest,
    noise,
)
from torch_ref.forms.values import plain

# verdicts that say less than that other sizes show it
NAMELESS = {"wrong", "shape", "part missing", "mask"}
FEW, SLOW = 400, 0.2  # entries, and seconds for one slope of each, that guesses may take


class Judging:
    """The rows and sentences of one check's trials."""

    def __init__(self, known: Known, trials: list[Trial]) -> None:
        self._known, self._errors = known, Errors(known, trials)
        self._main, self._sized = self._errors.main, self._errors.sized

    def rows(self) -> tuple[list[Row], dict[str, str]]:
        """A row for each input, a sentence for each fault."""
        known, errors = self._known, self._errors
        found = {name: errors.fault(name) for name in known.inputs.checked}
        faults = {
            name: fault
            for name, fault in found.items()
            if fault is not None and name not in errors.lower
        }
        self._doubt_the_reference(faults)
        if not faults and not errors.lower:
            errors.note_ties()
        findings = self._diagnosed(faults) | errors.lower | self._at_other_sizes(faults)
        diagnosis = dict(self._of_forward())
        rows = []
        for name in known.subject.given:
            shape = known.subject.leaves[name].shape
            if name not in known.inputs.checked:
                rows.append(
                    Row(
                        name,
                        shape,
                        math.nan,
                        math.nan,
                        math.nan,
                        MISSING if name in known.inputs.missing else DATA,
                    )
                )
                continue
            one = (
                findings.get(name)
                or known.raised.get(name)
                or known.raised.get(BACKWARD)
                or self._returned(name)
            )
            if one is not None and one is not known.raised.get(BACKWARD):
                diagnosis[name] = one.sentence
            rows.append(
                Row(
                    name,
                    shape,
                    *errors.figures(name),
                    OK if one is None else one.verdict,
                    errors.of_torch(name),
                )
            )
        diagnosis |= {
            name: f"the gradient of {name} is missing: backward gives None, and forward "
            f"depends on {name}. Return it, or name {name} as data (data={name!r})"
            for name in known.inputs.missing
        }
        return rows, diagnosis | {name: one.sentence for name, one in known.raised.items()}

    def _returned(self, name: str) -> Finding | None:
        """What to say of float32 returned for a float64 input, where forward works in float64."""
        dtype, given = self._main[0].dtypes[name], self._known.subject.given[name].dtype
        if (
            eps(dtype) <= max(eps(given), eps(self._known.works_in))
            or self._known.subject.leaves[name].kind == "number"
        ):
            return None
        sentence = (
            f"d{name} is right, but in lower precision: it is {plain(dtype)}, and {name} is "
            f"{plain(given)}"
        )
        return Finding("lower precision", sentence)

    # -- other sizes
    # ----------------------------------------------------------------------------------------------

    def _at_other_sizes(self, faults: dict[str, Fault]) -> dict[str, Finding]:
        """What is right at the sizes given and wrong at others."""
        findings: dict[str, Finding] = {}
        for trial in (trial for trial in self._sized if trial.drawn):
            for name in self._known.inputs.checked:
                if name not in faults and name not in findings and name not in self._errors.lower:
                    findings |= self._at_another_size(name, trial)
        return findings

    def _at_another_size(self, name: str, trial: Trial) -> dict[str, Finding]:
        """The same for one input at one trial; a size written as a number gets a note alone."""
        source, (actual, expected) = (
            self._known.source_of(name),
            (trial.actual[name], trial.expected[name]),
        )
        assert actual is not None
        size = largest([expected])
        tolerance = self._known.slack_of(name) * size + source.noise * noise(trial, name)
        fault = self._errors.made(name, [trial], tolerance)
        if fault.same_shape and (
            self._errors.is_right(fault) or self._errors.is_rounding(fault, size, 0.0)
        ):
            return {}
        where = ", ".join(f"{n} {tuple(x.shape)}" for n, x in trial.point.items())
        note, what = "", f"it has shape {tuple(actual.shape)} there"
        if fault.same_shape:
            factor = common_factor([actual], [expected], tolerance)
            note = f"is {factor:.4g} times the right one" if factor is not None else ""
            at = furthest(actual, expected)
            what = f"got {actual[at]:.4g}, expected {expected[at]:.4g}{brackets(at)}"
        elif actual.ndim == expected.ndim:
            # each axis is as long as it should be, or as it is at the inputs given
            sizes = zip(
                actual.shape, expected.shape, self._known.subject.given[name].shape, strict=False
            )
            note = (
                f"has shape {tuple(actual.shape)}" if all(a in {e, g} for a, e, g in sizes) else ""
            )
        if note:
            self._known.notes.append(
                f"at other sizes ({where}) {fault.d} {note}: is a size written as number?"
            )
            return {}
        verdict, sentence = self._diagnosed({name: fault})[name]
        if verdict in NAMELESS:
            return {
                name: Finding(
                    "sizes",
                    f"{fault.d} is right at the sizes given, but not at others ({where}): {what}",
                )
            }
        return {
            name: Finding(verdict, f"{sentence} (not at the given inputs, but at others: {where})")
        }

    # -- sentences
    # ----------------------------------------------------------------------------------------------

    def _diagnosed(self, faults: dict[str, Fault]) -> dict[str, Finding]:
        """What is wrong, by input; faults of the same trials are diagnosed together."""
        alike: dict[tuple[int, ...], dict[str, Fault]] = {}
        for name, fault in faults.items():
            alike.setdefault(tuple(map(id, fault.trials)), {})[name] = fault
        findings: dict[str, Finding] = {}
        for group in alike.values():
            exact = self._with_exact(group)
            trials = next(iter(exact.values())).trials
            right = {
                name: [t.expected[name] for t in trials]
                for name in self._known.inputs.checked
                if name not in faults
            }
            findings |= diagnose(exact, right, self._worked)
        return findings

    def _doubt_the_reference(self, faults: dict[str, Fault]) -> None:
        """Note where the gradient that backward does not have isn't the reference's own slope: not
        in 16 bits, of which slopes are too coarse.
        """
        if self._known.reference is None or eps(self._known.works_in) > eps(torch.float32):
            return
        own = Differences(self._known.reference.output, eps(self._known.works_in))
        for name, fault in faults.items():
            if self._known.source_of(name) is self._known.reference and not _is_slope(
                fault.trials, name, own
            ):
                self._known.notes.append(
                    "the gradient that torch finds in the reference is not its slope by "
                    f"{name}: is something detached there, or computed outside torch?"
                )

    def _with_exact(self, faults: dict[str, Fault]) -> dict[str, Fault]:
        """The faults with the slopes that torch finds in forward's own code, where there is no
        reference and that code, run in torch, computes the same.
        """
        if all(isinstance(fault.source, Autograd) for fault in faults.values()):
            return faults
        exact = self._exact(next(iter(faults.values())).trials)
        differences = self._known.differences
        if not all(_is_slope(exact, name, differences) for name in faults):
            return {
                name: dataclasses.replace(fault, source=self._slow_source(fault))
                for name, fault in faults.items()
            }
        source, others = self._known.traced, self._exact(self._sized)
        return {
            name: dataclasses.replace(
                fault, trials=exact, source=source, others=others, differences=differences
            )
            for name, fault in faults.items()
        }

    def _exact(self, trials: list[Trial]) -> list[Trial]:
        """The trials with the slopes that torch finds in forward's own code, none at kinks; no
        trials where that can't be run, or computes something else.
        """
        source = self._known.traced
        if source is None or not self._is_traced(trials):
            return []
        return [_exactly(source, trial) for trial in trials]

    def _is_traced(self, trials: list[Trial]) -> bool:
        try:
            return all(
                self._known.is_traced(trial.point, trial.y) for trial in trials if not trial.kinks
            )
        except Exception:  # noqa: BLE001 - whatever comes of code that was written for NumPy
            return False

    def _slow_source(self, fault: Fault) -> Source | None:
        """Finite differences entry by entry, where there are few."""
        differences, entries = self._known.differences, fault.expected[0].numel()
        few = entries <= FEW and entries * differences.seconds < SLOW
        return differences if few else None

    def _worked(self, fault: Fault) -> str:
        """The smallest case that shows the fault, in words: dy is 1 at one place, 0 elsewhere."""
        trial = fault.trials[0]
        if fault.source is None or not fault.same_shape or trial.dy.numel() < 2:
            return ""
        point = self._known.precise(trial.point)
        for i in range(min(16, trial.dy.numel())):
            dy = torch.zeros_like(trial.dy)
            one = index(i, dy.shape)
            dy[one] = 1
            got, want = (
                self._known.subject.backward(point, dy)[fault.name],
                fault.gradient(trial, dy),
            )
            if (
                got is None
                or got.shape != want.shape
                or not is_wrong(got.double(), want, fault.tolerance).any()
            ):
                continue
            at = furthest(got.double(), want)
            values = (
                f"it is {got[at].item():.4g}{brackets(at)}, and should be {want[at].item():.4g}"
            )
            return f". The smallest case: with dy = 1{brackets(one)} and 0 elsewhere {values}"
        return (
            ". With dy = 1 at one place and 0 elsewhere it is right: look at how the parts are "
            "added"
        )

    # -- forward
    # ----------------------------------------------------------------------------------------------

    def _of_forward(self) -> Iterator[tuple[str, str]]:
        """A sentence where there is a reference and forward is another function."""
        pairs = [
            (trial.y, trial.forward_expected)
            for trial in self._main
            if trial.forward_expected is not None
        ]
        if not pairs:
            return
        actual, expected = [y for y, _ in pairs], [e for _, e in pairs]
        tolerance = self._known.slack * largest(expected)
        if not any(is_wrong(y, e, tolerance).any() for y, e in pairs):
            return
        factor = common_factor(actual, expected, tolerance)
        if factor is not None:
            what = f"is {factor:.6g} times the reference everywhere"
        else:
            y, e = max(pairs, key=lambda pair: (pair[0] - pair[1]).abs().max().item())
            at = furthest(y, e)
            what = f"differs, most{brackets(at)}: got {y[at]:.6g}, expected {e[at]:.6g}"
        own = self._not_own_slope()
        whose = (
            f"is not the gradient of forward either ({', '.join(own)})"
            if own
            else "is the gradient of forward"
        )
        yield FORWARD, f"forward is not the reference: its output {what}; backward {whose}"

    def _not_own_slope(self) -> list[str]:
        trial, wrong, differences = self._main[0], [], self._known.differences
        point = self._known.precise(trial.point)
        for name in self._known.inputs.checked:
            actual = trial.actual[name]
            assert actual is not None
            near = differences.nearest(point, trial.dy, name, actual)
            if (
                near.shape != actual.shape
                or is_wrong(actual, near, differences.slack * largest([near])).any()
            ):
                wrong.append(name)
        return wrong


def _is_slope(trials: list[Trial], name: str, differences: Differences) -> bool:
    """Whether what a source of gradients says is the slope, at most of the trials: not where
    something is detached, or was computed outside torch.
    """
    agree = [
        differences.agrees(trial.point, trial.dy, name, trial.expected[name])
        for trial in trials
        if not trial.kinks
    ]
    return 2 * sum(agree) > len(agree)


def _exactly(source: Autograd, trial: Trial) -> Trial:
    exact = source.all(trial.point, trial.dy) if not trial.kinks else {}
    return dataclasses.replace(
        trial, expected={n: exact.get(n, e) for n, e in trial.expected.items()}
    )

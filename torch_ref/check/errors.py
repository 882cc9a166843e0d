"""Which gradients are wrong by more than their precision loses, and not only by the side taken at a
kink.
"""

import dataclasses
import math

import torch
from torch import Tensor

from torch_ref import compare
from torch_ref.check.known import SAME, Known
from torch_ref.evidence import points, precision
from torch_ref.evidence.precision import eps
from torch_ref.evidence.reference import Autograd
from torch_ref.evidence.report import Finding
from torch_ref.evidence.slopes import Differences
from torch_ref.evidence.trials import Fault, Trial, brackets, first, largest, noise
from torch_ref.forms.values import plain

LARGE = 300.0  # times a usual gradient
SMALL = 0.2  # an error that may be rounding in some precision


class Errors:
    """The errors in one check's trials. `lower`: by input, what is right but in lower precision."""

    def __init__(self, known: Known, trials: list[Trial]) -> None:
        self._known = known
        self.main = [trial for trial in trials if not trial.sized]
        self.sized = [trial for trial in trials if trial.sized]
        self.lower: dict[str, Finding] = {}
        self._differences = known.differences
        if known.reference is not None:
            self._differences = Differences(known.reference.output, known.differences.eps)

    def fault(self, name: str) -> Fault | None:
        """The fault at the trials of a usual size first: where a gradient is a thousand times as
        large, it hides the others.
        """
        sizes = [largest([trial.expected[name]]) for trial in self.main]
        usual = sorted(sizes)[len(sizes) // 2] or max(sizes)
        small = [
            trial for trial, size in zip(self.main, sizes, strict=True) if size <= LARGE * usual
        ]
        large = [
            trial for trial, size in zip(self.main, sizes, strict=True) if size > LARGE * usual
        ]
        for trials in filter(None, (small, large)):
            found = self._fault_at(name, trials)
            if found is not None or name in self.lower:
                return found
        return None

    def _fault_at(self, name: str, trials: list[Trial]) -> Fault | None:
        source = self._known.source_of(name)
        size = largest([trial.expected[name] for trial in trials])
        cancelled = source.noise * max(noise(trial, name) for trial in trials)
        fault = self.made(name, trials, self._known.slack_of(name) * size + cancelled)
        if self.is_right(fault):
            self._in_own_dtype(fault, size)
            return None
        return None if fault.same_shape and self.is_rounding(fault, size, cancelled) else fault

    def made(self, name: str, trials: list[Trial], tolerance: float) -> Fault:
        """The gradient at these trials as a Fault, whether it is one or not."""
        known, source = self._known, self._known.source_of(name)
        return Fault(
            name,
            trials,
            [g for trial in trials if (g := trial.actual[name]) is not None],
            tolerance,
            source if isinstance(source, Autograd) else None,
            known.measured_by,
            self._differences,
            self.sized,
            known.groups,
            frozenset(known.subject.form.overwrites),
            known.subject.leaves[name].is_complex,
        )

    def is_right(self, fault: Fault) -> bool:
        """Within its tolerance, or at kinks where either side is as good as the other."""
        if not fault.same_shape:
            return False
        for trial, wrong, actual in zip(fault.trials, fault.wrong(), fault.actual, strict=True):
            if not wrong.any():
                continue
            if (
                trial.drawn not in points.TOLERANT
                or not actual.isfinite().all()
                or not self._all_kinks(fault, trial, wrong)
            ):
                return False
        return True

    def note_ties(self) -> None:
        """Note where the gradients of entries that are equal do not add up, though all are right: a
        maximum's dy may go to any of them, be it of another input, or be shared, but once.
        """
        names = self._known.inputs.checked
        for trial in (trial for trial in self.main if trial.drawn == points.TIES):
            actual = torch.cat([g.reshape(-1) for n in names if (g := trial.actual[n]) is not None])
            expected = torch.cat([trial.expected[n].reshape(-1) for n in names])
            size = expected.abs().sum()
            slack = max(SAME, precision.of_sums(self._known.coarsest))
            slack = max(slack, *map(self._known.slack_of, names))
            if (actual.sum() - expected.sum()).abs() > slack * size:
                twice = actual.abs().sum() > size
                says = "counts more than once: take one, or share it" if twice else "is lost"
                self._known.notes.append(f"where entries are equal, dy {says}")

    @staticmethod
    def _all_kinks(fault: Fault, trial: Trial, wrong: Tensor) -> bool:
        where = wrong.reshape(-1).nonzero().reshape(-1).tolist()[:40]
        return all(
            fault.differences.kink(trial.point, trial.dy, fault.name, i) is not None for i in where
        )

    def is_rounding(self, fault: Fault, size: float, cancelled: float) -> bool:
        """Whether its errors are those of the precision that backward works in. One that is lower
        than forward's is noted in `lower`.
        """
        known = self._known
        every = zip(fault.actual, fault.expected, fault.trials, strict=True)
        smooth = [(a - e, trial) for a, e, trial in every if not trial.kinks]
        if not known.doubles or not smooth:
            return False
        if largest([difference for difference, _ in smooth]) > SMALL * size:
            return False
        _, trial = smooth[-1]
        grain = precision.of_backward(
            known.subject, known.precise(trial.point), trial.dy, fault.name
        )
        if grain == torch.float64:
            return False
        loose = precision.of_sums(grain) * size + cancelled
        loose += precision.COARSE * self._torchs(fault, grain)
        if not self.is_right(dataclasses.replace(fault, tolerance=max(loose, fault.tolerance))):
            return False
        if eps(grain) > max(eps(known.coarsest), eps(known.works_in)):
            lost = max(
                (a - e).abs().max().item()
                for a, e in zip(fault.actual, fault.expected, strict=True)
            ) / (size or 1.0)
            self.lower[fault.name] = Finding(
                "lower precision",
                f"{fault.d} is right, but in lower precision: off by {lost:.1g} of its size, as if "
                f"{plain(grain)} were used on the way",
            )
        return True

    def _torchs(self, fault: Fault, dtype: torch.dtype) -> float:
        """The error of torch's own backward in that dtype."""
        trial, reference = fault.trials[0], self._known.reference
        low = reference.low(trial.point, trial.dy, dtype) if reference is not None else {}
        error = (
            (low[fault.name] - fault.expected[0]).abs().max().item() if fault.name in low else 0.0
        )
        return 0.0 if math.isnan(error) else error

    def _in_own_dtype(self, fault: Fault, size: float) -> None:
        """Note in `lower` what a gradient that is right in float64 loses in the given dtype."""
        known, coarsest = self._known, self._known.coarsest
        if (
            coarsest == torch.float64
            or not known.doubles
            or known.subject.given[fault.name].dtype == torch.float64
        ):
            return
        # the gradient through a saturated f' is nothing but rounding
        size = max(size, largest([trial.expected[fault.name] for trial in self.main]))
        eps_lost = precision.LOST if coarsest == torch.float32 else precision.COARSE
        limit = eps_lost * eps(coarsest) * size
        found = [g for trial in fault.trials if (g := trial.plain[fault.name]) is not None]
        tolerance = limit + fault.tolerance + precision.AS_TORCH * self._torchs(fault, coarsest)
        lost = dataclasses.replace(fault, actual=found, tolerance=tolerance)
        if not lost.same_shape or self.is_right(lost):
            return
        word = plain(coarsest)
        for a, e in zip(found, fault.expected, strict=True):
            if (~a.isfinite() & e.isfinite()).any():
                at = first(~a.isfinite())
                self.lower[fault.name] = Finding(
                    "nan or inf",
                    f"{fault.d} is {a[at].item()}{brackets(at)} in {word}; in float64 it is right: "
                    f"something on the way is too large for {word}",
                )
                return
        error = largest([a - e for a, e in zip(found, fault.expected, strict=True)]) / (
            largest(fault.expected) or 1.0
        )
        sentence = f"{fault.d} is right in float64, but in {word} off by {error:.1g} of its size"
        self.lower[fault.name] = Finding("lower precision", sentence)

    # -- figures
    # ----------------------------------------------------------------------------------------------

    def figures(self, name: str) -> tuple[float, float, float]:
        """The largest difference: absolute, relative, in ulp."""
        dtype = self._known.subject.given[name].dtype
        pairs = [
            (g, trial.expected[name])
            for trial in self.main
            if (g := trial.plain[name]) is not None and trial.drawn not in points.TOLERANT
        ]
        if any(a.shape != e.shape for a, e in pairs):
            return math.nan, math.nan, math.nan
        if dtype in {torch.float32, torch.float64}:
            off = compare.largest(compare.compare(a.to(dtype), e.to(dtype)) for a, e in pairs)
            return off.max_abs, off.max_rel, off.max_ulp
        absolute = max((a - e.to(dtype).double()).abs().max().item() for a, e in pairs)
        size = largest([e for _, e in pairs]) or 1.0
        return absolute, absolute / size, absolute / size / eps(dtype)

    def of_torch(self, name: str) -> float:
        """How many times as far off as torch's own gradient in the same dtype."""
        reference, own = self._known.reference, self._known.subject.given[name].dtype
        trial = self.main[0]
        mine, expected = trial.plain[name], trial.expected[name]
        if reference is None or own == torch.float64 or mine is None:
            return math.nan
        torchs = reference.low(trial.point, trial.dy, own).get(name, expected)
        if mine.shape != expected.shape or torch.equal(torchs, expected):
            return math.nan
        return ((mine - expected).abs().max() / (torchs - expected).abs().max()).item()

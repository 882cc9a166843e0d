"""Which gradients are wrong: not by what their precision loses, nor where either side of a kink is as good as the other."""

import dataclasses
import math

import torch
from torch import Tensor

from torch_ref.check import points, precision
from torch_ref.check.known import Known
from torch_ref.check.patterns import brackets, index
from torch_ref.check.reference import Autograd
from torch_ref.check.slopes import Differences
from torch_ref.check.trials import Fault, Trial, largest, noise
from torch_ref.compare import compare

TOLERANT = {points.ZEROS, points.TIES}  # drawn there, either side of a kink is as good as the other
LARGE = 300.0  # times a usual gradient
SMALL = 0.2  # an error that may be rounding in some precision


class Errors:
    """Of one check's trials. `lower`: what is right but for its precision, a verdict and a sentence by input."""

    def __init__(self, check: Known, trials: list[Trial]) -> None:
        self.check = check
        self.main = [trial for trial in trials if not trial.sized]
        self.sized = [trial for trial in trials if trial.sized]
        self.lower: dict[str, tuple[str, str]] = {}

    # -- one input ----------------------------------------------------------------------------------------------------

    def _fault(self, name: str) -> Fault | None:
        """The fault at the trials of a usual size first: where a gradient is a thousand times as large, it hides the others."""
        sizes = sorted(largest([trial.expected[name]]) for trial in self.main)
        usual = sizes[len(sizes) // 2] or sizes[-1]
        large = [trial for trial in self.main if largest([trial.expected[name]]) > LARGE * usual]
        for trials in ([trial for trial in self.main if not any(trial is other for other in large)], large):
            fault = self._fault_at(name, trials) if trials else None
            if fault is not None or name in self.lower:
                return fault
        return None

    def _fault_at(self, name: str, trials: list[Trial]) -> Fault | None:
        check = self.check
        source = check.source_of(name)
        size = largest([trial.expected[name] for trial in trials])
        quiet = source.noise * max(noise(trial, name) for trial in trials)
        slack = max(source.slack, self._slack)
        fault = self._made(name, trials, slack * size + quiet)
        if self._is_right(fault):
            return self._in_own_dtype(fault, size)
        if fault.same_shape and self._is_rounding(fault, size, quiet):
            return None
        return fault

    def _made(self, name: str, trials: list[Trial], tolerance: float) -> Fault:
        check = self.check
        actual = [g for trial in trials if (g := trial.actual[name]) is not None]
        kinks = check.differences
        if check.reference is not None:
            kinks = Differences(check.reference.output, check.differences.eps)
        y_is_input = name == "y" and "y" in check.subject.given
        source = check.source_of(name)
        return Fault(
            name, trials, actual, tolerance, source if isinstance(source, Autograd) else None, check.than, self.sized,
            check.groups.free, check.groups.sample, frozenset(check.data), frozenset(check.subject.form.overwrites), kinks,
            "the gradient of y" if y_is_input else "",
            check.subject.leaves[name].is_complex,
        )  # fmt: skip

    @property
    def _slack(self) -> float:
        """What code that works in a lower precision may lose, whatever it is given."""
        works = self.check.works_in
        if works == torch.float64:
            return 0.0
        if works == torch.float32:
            return (precision.LOOSE if self.check.doubles else 16 * precision.LOOSE) * torch.finfo(works).eps
        return 16 * torch.finfo(works).eps

    def _is_right(self, fault: Fault) -> bool:
        if not fault.same_shape:
            return False
        for trial, wrong, actual in zip(fault.trials, fault.wrong(), fault.actual, strict=True):
            if not wrong.any():
                continue
            if trial.drawn in TOLERANT and actual.isfinite().all() and self._all_kinks(fault, trial, wrong):
                if self._counts_twice(fault, trial, actual):
                    self.check.notes.append(
                        f"where entries are equal ({trial.drawn}), {fault.d} counts dy more than once: take one, or share it"
                    )
                continue
            return False
        return True

    def _all_kinks(self, fault: Fault, trial: Trial, wrong: Tensor) -> bool:
        where = wrong.reshape(-1).nonzero().reshape(-1).tolist()
        differences = fault.kinks_of
        assert isinstance(differences, Differences)
        return all(differences.kink(trial.point, trial.dy, fault.name, i) is not None for i in where[:40])

    @staticmethod
    def _counts_twice(fault: Fault, trial: Trial, actual: Tensor) -> bool:
        return trial.drawn == points.TIES and bool(actual.abs().sum() > 1.2 * trial.expected[fault.name].abs().sum())

    def _is_rounding(self, fault: Fault, size: float, quiet: float) -> bool:
        """Its errors are those of the precision that backward works in: as good as forward's, or a fault by itself."""
        check = self.check
        smooth = [a - e for a, e, t in zip(fault.actual, fault.expected, fault.trials, strict=True) if not t.kinks]
        error = largest(smooth)
        if not check.doubles or error > SMALL * size or not all(a.isfinite().all() for a in fault.actual):
            return False
        trial = fault.trials[-1 if not fault.trials[-1].kinks else 0]
        point = check.precise(trial.point)
        grain = precision.of_backward(check.subject, point, trial.dy, fault.name)
        eps = torch.finfo(grain).eps
        if grain == torch.float64:
            return False
        allowed = max(torch.finfo(check.own).eps, torch.finfo(check.works_in).eps)
        loose = (precision.LOOSE if grain == torch.float32 else 16) * eps * size + quiet + self._torchs(fault, grain)
        rounded = dataclasses.replace(fault, tolerance=max(loose, fault.tolerance))
        if not self._is_right(rounded):
            return False
        if eps > allowed:
            lost = max((a - e).abs().max().item() for a, e in zip(fault.actual, fault.expected, strict=True)) / (size or 1.0)
            self.lower[fault.name] = (
                "lower precision",
                (
                    f"{fault.d} is right, but in lower precision: off by {lost:.1g} of its size, as if "
                    f"{precision.word(grain)} were used "
                    "on the way"
                ),
            )
        return True

    def _torchs(self, fault: Fault, dtype: torch.dtype) -> float:
        """What torch's own backward loses in that dtype, many times over."""
        reference = self.check.reference
        if reference is None:
            return 0.0
        found = reference.low(fault.trials[0].point, fault.trials[0].dy, dtype)
        if found is None or fault.name not in found:
            return 0.0
        error = (found[fault.name] - fault.expected[0]).abs().max().item()
        return 16 * error if error == error else 0.0  # noqa: PLR0124 - a nan

    def _in_own_dtype(self, fault: Fault, size: float) -> Fault | None:
        """Right in float64: what is lost in the dtype that was given."""
        check, own = self.check, self.check.own
        if own == torch.float64 or not check.doubles or check.subject.given[fault.name].dtype == torch.float64:
            return None
        limit = precision.LOST * torch.finfo(own).eps if own == torch.float32 else 16 * torch.finfo(own).eps
        size = max(size, largest([trial.expected[fault.name] for trial in self.main]))  # a saturated f' is all rounding
        tolerance = limit * size + fault.tolerance + precision.AS_TORCH / 16 * self._torchs(fault, own)
        plain = [g for trial in fault.trials if (g := trial.plain[fault.name]) is not None]
        lost = dataclasses.replace(fault, actual=plain, tolerance=tolerance)
        if not lost.same_shape or self._is_right(lost):
            return None
        word = precision.word(own)
        bad = next(((a, e) for a, e in zip(plain, fault.expected, strict=True) if (~a.isfinite() & e.isfinite()).any()), None)
        if bad is not None:
            at = index(int((~bad[0].isfinite()).reshape(-1).int().argmax()), bad[0].shape)
            self.lower[fault.name] = (
                "nan or inf",
                (
                    f"{fault.d} is {bad[0][at].item()}{brackets(at)} in {word}; in float64 it is right: something on the "
                    "way is too "
                    f"large for {word}"
                ),
            )
            return None
        error = largest([(a - e) for a, e in zip(plain, fault.expected, strict=True)]) / (largest(fault.expected) or 1.0)
        self.lower[fault.name] = (
            "lower precision",
            f"{fault.d} is right in float64, but in {word} off by {error:.1g} of its size",
        )
        return None

    # -- figures ------------------------------------------------------------------------------------------------------

    def _figures(self, name: str) -> tuple[float, ...]:
        dtype = self.check.subject.given[name].dtype
        pairs = [
            (g, trial.expected[name])
            for trial in self.main
            if (g := trial.plain[name]) is not None and trial.drawn not in TOLERANT
        ]
        if any(a.shape != e.shape for a, e in pairs):
            return math.nan, math.nan, math.nan
        if dtype in {torch.float32, torch.float64}:
            found = [compare(a.to(dtype), e.to(dtype)) for a, e in pairs]
            return tuple(
                max((getattr(f, key) for f in found), key=lambda v: math.inf if math.isnan(v) else v)
                for key in ("max_abs", "max_rel", "max_ulp")
            )
        absolute = max((a - e.to(dtype).double()).abs().max().item() for a, e in pairs)
        size = largest([e for _, e in pairs]) or 1.0
        return absolute, absolute / size, absolute / size / torch.finfo(dtype).eps

    def _of_torch(self, name: str) -> float:
        """How many times as far off as torch's own gradient in the same dtype."""
        check, own = self.check, self.check.subject.given[name].dtype
        if own == torch.float64 or check.reference is None:
            return math.nan
        trial = self.main[0]
        found = check.reference.low(trial.point, trial.dy, own)
        mine, expected = trial.plain[name], trial.expected[name]
        if found is None or name not in found or mine is None or mine.shape != expected.shape:
            return math.nan
        error = (found[name] - expected).abs().max().item()
        return (mine - expected).abs().max().item() / error if error > 0 else math.nan

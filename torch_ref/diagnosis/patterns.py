"""Mistakes that a wrong gradient shows by itself: nan, zeros where there should be none, a wrong
shape, entries at kinks.
"""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from torch_ref.evidence.points import TOLERANT
from torch_ref.evidence.report import Finding
from torch_ref.evidence.trials import (
    Fault,
    Trial,
    brackets,
    common_factor,
    first,
    fits,
    flat,
    furthest,
    index,
    is_wrong,
)

MANY = 256  # entries at kinks beyond which looking at each would take too long


def certain(fault: Fault) -> Iterator[Finding]:
    """Findings after which no other is looked for, where the gradient has its input's shape."""
    if fault.same_shape:
        yield from _nonfinite(fault)
        yield from _kink(fault)
        if not flat(fault.actual).any():
            yield Finding("zero", f"{fault.d} is zero everywhere, where {fault.measured_by} is not")
        yield from _unmasked(fault)


def of_shape(fault: Fault) -> Finding:
    """What is wrong with the shape: a missing sum over broadcast axes, or anything else."""
    return next(_summed(fault), None) or Finding("shape", _shape(fault))


def vague(fault: Fault) -> Iterator[Finding]:
    """Findings that say less than a guess or a change of the reference, where the gradient has its
    input's shape.
    """
    if fault.same_shape:
        yield from _clipped(fault)
        if fault.expected[0].ndim:
            yield from _block(fault)
            yield from _places(fault)
        yield from _mask(fault)


def _nonfinite(fault: Fault) -> Iterator[Finding]:
    for word, test in (("nan", torch.isnan), ("infinite", torch.isinf)):
        for actual, expected, trial in zip(fault.actual, fault.expected, fault.trials, strict=True):
            bad = test(actual) & expected.isfinite()
            if bad.any():
                at = first(bad)
                where = f" at {int(bad.sum())} of {bad.numel()} entries, first" if bad.ndim else ""
                right = f"{_place(fault, trial, at)}: {expected[at]:.4g} is right"
                yield Finding("nan or inf", f"{fault.d} is {word}{where}{right}")
                return


def _kink(fault: Fault) -> Iterator[Finding]:
    example = ""
    for trial, wrong, actual in zip(fault.trials, fault.wrong(), fault.actual, strict=True):
        if wrong.sum() > MANY:
            return
        for i in wrong.reshape(-1).nonzero().reshape(-1).tolist():
            sides = fault.differences.kink(trial.point, trial.dy, fault.name, i)
            if sides is None:
                return
            at = index(i, wrong.shape)
            expected = trial.expected[fault.name][at]
            slopes = f"slopes {sides[0]:.4g} to the left and {sides[1]:.4g} to the right"
            example = (
                f"{_place(fault, trial, at)}: got {actual[at]:.4g}, "
                f"{fault.measured_by} {expected:.4g}, {slopes}"
            )
    if example:
        yield Finding("kink", f"{fault.d} is wrong only at a kink{example}")


def _mask(fault: Fault) -> Iterator[Finding]:
    """Every wrong entry is 0 where it should not be, or not 0 where it should."""
    a, e, wrong = flat(fault.actual), flat(fault.expected), flat(fault.wrong())
    zero, not_zero = wrong & (a == 0), wrong & (e.abs() <= fault.tolerance)
    if (zero | not_zero).equal(wrong):
        points = f" of {len(fault.trials)} points" if len(fault.trials) > 1 else ""
        parts = [
            f"{start} at {int(which.sum())} of {len(which)} entries{points}"
            f"{_side(fault, which)}, where it should{end} be"
            for which, start, end in ((zero, "zero", " not"), (not_zero, "not zero", ""))
            if which.any()
        ]
        yield Finding("mask", f"{fault.d} is {'; and '.join(parts)}: look at the mask")


def _unmasked(fault: Fault) -> Iterator[Finding]:
    """Right but where it should be 0."""
    a, e, wrong = flat(fault.actual), flat(fault.expected), flat(fault.wrong())
    zero = e.abs() <= fault.tolerance
    masked = zero & ~wrong
    if (
        wrong.any()
        and zero[wrong].all()
        and not zero.all()
        and not a[masked].any()
        and int(masked.sum()) <= 3
    ):
        words = (
            f"{fault.d} is right where it isn't 0, but not 0 where it should "
            f"be{_side(fault, wrong)}"
        )
        yield Finding("mask", f"the mask is missing: {words}")


def _side(fault: Fault, which: Tensor) -> str:
    """On which side of 0 some input is at all of these entries."""
    shape = fault.expected[0].shape
    others = [name for name, value in fault.trials[0].point.items() if value.shape == shape]
    for name in dict.fromkeys([fault.name, *others]):
        x = flat([trial.point[name].cpu() for trial in fault.trials])[which]
        for words, there in (("< 0", x < 0), ("= 0", x == 0), ("> 0", x > 0)):
            if there.all():
                return f" (all where {name} {words})"
    return ""


def _block(fault: Fault) -> Iterator[Finding]:
    """Right within a block of leading (or trailing) entries, and zero beyond."""
    smooth = [
        (a, w)
        for a, w, trial in zip(fault.actual, fault.wrong(), fault.trials, strict=True)
        if not trial.kinks
    ]
    there, wrong = (
        torch.stack([a != 0 for a, _ in smooth]).any(0),
        torch.stack([w for _, w in smooth]).any(0),
    )
    if not there.any() or (wrong & there).any():
        return
    where = there.nonzero()
    ends = list(zip(where.amin(0).tolist(), (where.amax(0) + 1).tolist(), strict=True))
    inside = torch.zeros_like(there)
    inside[tuple(slice(low, high) for low, high in ends)] = True
    share = inside.sum() / inside.numel()
    if (wrong & inside).any() or not (wrong | inside).float().mean() > 0.5 or share > 0.9:
        return
    box = ", ".join(f"{low}:{high}" for low, high in ends)
    yield Finding(
        "part missing",
        f"{fault.d} is right in [{box}] of {tuple(there.shape)} and zero beyond: a loop ends too "
        "soon (a return or a break within it?), or a part is never added",
    )


def _places(fault: Fault) -> Iterator[Finding]:
    """Zero at the same few places at every point."""
    wrong = torch.stack(fault.wrong()).any(0)
    if (
        wrong.sum() > max(2, wrong.numel() // 100)
        or wrong.all()
        or any(a[wrong].any() for a in fault.actual)
    ):
        return
    where = ", ".join(str(at) for at in wrong.nonzero()[:3].tolist()) + ", ..." * bool(
        wrong.sum() > 3
    )
    words = (
        f"{fault.d} is zero at {where} at every point, and right elsewhere: nothing is ever "
        "written there"
    )
    yield Finding("part missing", words)


def _clipped(fault: Fault) -> Iterator[Finding]:
    a, e = flat(fault.actual), flat(fault.expected)
    c = a.abs().max()
    if int((a.abs() == c).sum()) > 2 and not is_wrong(a, e.clamp(-c, c), fault.tolerance).any():
        yield Finding(
            "clipped", f"{fault.d} is clipped: nothing in it is larger than {c.item():.4g}"
        )


def _summed(fault: Fault) -> Iterator[Finding]:
    actual, expected = fault.actual, fault.expected
    dimensions = range(actual[0].ndim)
    if all(a.numel() == e.numel() for a, e in zip(actual, expected, strict=True)):
        return
    for axes in (
        axes for number in dimensions for axes in itertools.combinations(dimensions, number + 1)
    ):
        sums = [a.sum(axes) for a in actual]
        if any(s.numel() != e.numel() for s, e in zip(sums, expected, strict=True)):
            continue
        if fits(
            [s.reshape(e.shape) for s, e in zip(sums, expected, strict=True)],
            expected,
            fault.tolerance,
        ):
            one = len(axes) == 1
            over = f"axis {axes[0]}" if one else f"axes {', '.join(map(str, axes))}"
            keep = ", keepdims=True" if expected[0].ndim == actual[0].ndim else ""
            yield Finding(
                "batch sum",
                f"{fault.d} has shape {tuple(actual[0].shape)}, and {fault.name} "
                f"{tuple(expected[0].shape)}, which is used for "
                f"every entry of {over}: the sum over {over} is missing: "
                f".sum({axes[0] if one else axes}{keep})",
            )


def _shape(fault: Fault) -> str:
    pairs = list(zip(fault.actual, fault.expected, strict=True))
    a, e = next((a, e) for a, e in pairs if a.shape != e.shape)
    sentence = f"{fault.d} has shape {tuple(a.shape)}, but {fault.name} has {tuple(e.shape)}"
    alike = [(a.reshape(e.shape), e) for a, e in pairs if a.numel() == e.numel()]
    actual, expected = [a for a, _ in alike], [e for _, e in alike]
    if len(alike) == len(pairs) and fits(actual, expected, fault.tolerance):
        return f"{sentence}: the numbers are right, reshape them"
    scaled = common_factor(actual, expected, fault.tolerance) if alike else None
    return sentence + (
        f", and its numbers are {scaled:.6g} times the right ones" if scaled is not None else ""
    )


def entries(fault: Fault) -> str:
    """Where nothing fits: the entry that is off most, and where the wrong ones lie."""
    found = list(zip(fault.actual, fault.expected, fault.wrong(), fault.trials, strict=True))
    # of the points that the row's figures are of, where it shows at one
    counted = [part for part in found if part[2].any() and part[3].drawn not in TOLERANT]
    actual, expected, wrong, trial = max(
        counted or found, key=lambda part: (part[0] - part[1]).abs().max().item()
    )
    at = furthest(actual, expected)
    off = ((actual - expected).abs().max() / expected.abs().max().clamp_min(1e-300)).item()
    by = f" by {off:.1g} of its size" if off < 0.05 else ""
    where = f" at {int(wrong.sum())} of {actual.numel()} entries{_slice(fault.wrong())}, most"
    got = f"got {actual[at]:.6g}, expected {expected[at]:.6g}"
    return f"{fault.d} is wrong{by}{where * (actual.ndim > 0)}{_place(fault, trial, at)}: {got}"


def _slice(wrong: list[Tensor]) -> str:
    """In which slice all that is wrong lies, at every point."""
    if len({part.shape for part in wrong}) > 1:
        return ""
    anywhere = torch.stack(wrong).any(0)
    for axis, places in enumerate(anywhere.nonzero().T):
        if len(places.unique()) == 1 and anywhere.shape[axis] > 1:
            return f", all at {int(places[0])} of axis {axis}"
    return ""


def only_drawn(fault: Fault) -> str:
    """Words for a fault that does not show at the given point."""
    if not fault.same_shape or fault.wrong()[0].any():
        return ""
    drawn = next(
        (
            trial.drawn
            for trial, wrong in zip(fault.trials, fault.wrong(), strict=True)
            if wrong.any()
        ),
        "",
    )
    return f" (not at the given inputs, but at random ones {drawn})" if drawn else ""


def _place(fault: Fault, trial: Trial, at: tuple[int, ...]) -> str:
    """at [1, 2], where x = 0.5."""
    value = trial.point[fault.name][at].item()
    return f"{brackets(at)}, where {fault.name} = {value:.4g}"

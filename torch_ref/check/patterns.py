"""What a wrong gradient looks like by itself: nan, zeros where there should be none, a wrong shape, entries at kinks."""

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from torch_ref.check.slopes import Differences
from torch_ref.check.trials import Fault, Trial, common_factor, flat, is_wrong

Sentences = Callable[[Fault], Iterator[str]]
MANY = 256  # entries at kinks beyond which looking at each would take too long


def _nonfinite(fault: Fault) -> Iterator[str]:
    if not fault.same_shape:
        return
    for word, test in (("nan", torch.isnan), ("infinite", torch.isinf)):
        for actual, expected, trial in zip(fault.actual, fault.expected, fault.trials, strict=True):
            bad = test(actual) & expected.isfinite()
            if bad.any():
                at = first(bad)
                where = f"at {int(bad.sum())} of {bad.numel()} entries" if bad.ndim else ""
                what = f"{expected[at]:.4g} is right" if not _is_unknown(expected[at]) else "a number is wanted"
                yield f"{fault.d} is {word} {where}, first{place(fault, trial, at)}: {what}"
                return


def _is_unknown(value: Tensor) -> bool:
    return not bool(value.isfinite())


def _kink(fault: Fault) -> Iterator[str]:
    if not fault.same_shape or not isinstance(fault.kinks_of, Differences):
        return
    example, count = "", 0
    for trial, wrong, actual in zip(fault.trials, fault.wrong(), fault.actual, strict=True):
        if wrong.sum() > MANY:
            return
        for i in wrong.reshape(-1).nonzero().reshape(-1).tolist():
            sides = fault.kinks_of.kink(trial.point, trial.dy, fault.name, i)
            if sides is None:
                return
            at = index(i, wrong.shape)
            expected = trial.expected[fault.name][at]
            slopes = f"slopes {sides[0]:.4g} to the left and {sides[1]:.4g} to the right"
            example = f"{place(fault, trial, at)}: got {actual[at]:.4g}, {fault.than} {expected:.4g}, {slopes}"
            count += 1
    if count:
        yield f"{fault.d} is wrong only at a kink{example}"


def _zero(fault: Fault) -> Iterator[str]:
    if fault.same_shape and not flat(fault.actual).any():
        yield f"{fault.d} is zero everywhere, where {fault.than} is not"


def _mask(fault: Fault) -> Iterator[str]:
    """All that is wrong is 0 where it should not be, or not 0 where it should."""
    if not fault.same_shape:
        return
    a, e, wrong = flat(fault.actual), flat(fault.expected), flat(fault.wrong())
    zero, not_zero = wrong & (a == 0), wrong & (e.abs() <= fault.tolerance)
    if not (zero | not_zero).equal(wrong):
        return
    x = flat([trial.point[fault.name].cpu() for trial in fault.trials])
    parts = [
        f"{words.format(f'at {int(which.sum())} of {len(which)} entries{_side(fault, x, which, wrong)}')}"
        for which, words in ((zero, "zero {}, where it should not be"), (not_zero, "not zero {}, where it should be"))
        if which.any()
    ]
    yield f"{fault.d} is {'; and '.join(parts)}: look at the mask"


def _unmasked(fault: Fault) -> Iterator[str]:
    """Right but where it should be 0."""
    if not fault.same_shape:
        return
    a, e, wrong = flat(fault.actual), flat(fault.expected), flat(fault.wrong())
    zero = e.abs() <= fault.tolerance
    if (
        wrong.any()
        and zero[wrong].all()
        and (~zero).any()
        and not (zero & ~wrong & (a != 0)).any()
        and int((zero & ~wrong).sum()) <= 3
    ):
        x = flat([trial.point[fault.name].cpu() for trial in fault.trials])
        where = _side(fault, x, wrong, wrong)
        yield f"the mask is missing: {fault.d} is right where it isn't 0, but not 0 where it should be{where}"


def _side(fault: Fault, x: Tensor, which: Tensor, wrong: Tensor) -> str:  # noqa: ARG001
    for words, test in (("< 0", x < 0), ("= 0", x == 0), ("> 0", x > 0)):
        if test[which].all():
            return f" (all where {fault.name} {words})"
    for other, value in fault.trials[0].point.items():
        if value.is_floating_point() and other != fault.name and value.shape == fault.expected[0].shape:
            v = flat([trial.point[other].cpu() for trial in fault.trials])
            for words, test in (("< 0", v < 0), ("= 0", v == 0), ("> 0", v > 0)):
                if test[which].all():
                    return f" (all where {other} {words})"
    return ""


def _block(fault: Fault) -> Iterator[str]:
    """Right within a block of leading (or trailing) entries, and zero beyond."""
    if not fault.same_shape or not fault.expected[0].ndim:
        return
    smooth = [i for i, trial in enumerate(fault.trials) if not trial.kinks]
    there = torch.stack([(fault.actual[i] != 0) for i in smooth]).any(0)
    wrong = torch.stack([fault.wrong()[i] for i in smooth]).any(0)
    if not there.any() or (wrong & there).any():
        return
    where = there.nonzero()
    low, high = where.amin(0).tolist(), (where.amax(0) + 1).tolist()
    inside = torch.zeros_like(there)
    inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    share = inside.sum() / inside.numel()
    if (wrong & inside).any() or not (wrong | inside).float().mean() > 0.5 or share > 0.9:
        return
    box = ", ".join(f"{a}:{b}" for a, b in zip(low, high, strict=True))
    yield (
        f"{fault.d} is right in [{box}] of {tuple(there.shape)} and zero beyond: a loop ends too soon (a return or a break "
        "within it?), or a part is never added"
    )


def _places(fault: Fault) -> Iterator[str]:
    """Zero at the same few places at every point."""
    if not fault.same_shape or not fault.expected[0].ndim:
        return
    wrong = torch.stack(fault.wrong()).any(0)
    if wrong.sum() > max(2, wrong.numel() // 100) or wrong.all() or any(a[wrong].any() for a in fault.actual):
        return
    where = ", ".join(str(list(index(i, wrong.shape))) for i in wrong.reshape(-1).nonzero().reshape(-1)[:3].tolist())
    more = ", ..." if wrong.sum() > 3 else ""
    yield f"{fault.d} is zero at {where}{more} at every point, and right elsewhere: nothing is ever written there"


def _clipped(fault: Fault) -> Iterator[str]:
    if not fault.same_shape:
        return
    a, e = flat(fault.actual), flat(fault.expected)
    c = a.abs().max()
    if c > 0 and int((a.abs() == c).sum()) > 2 and not is_wrong(a, e.clamp(-c, c), fault.tolerance).any():
        yield f"{fault.d} is clipped: nothing in it is larger than {c.item():.4g}"


def _summed(fault: Fault) -> Iterator[str]:
    """The right gradient before its sum over the axes of a broadcast, or over time."""
    actual, expected = fault.actual, fault.expected
    if all(a.numel() == e.numel() for a, e in zip(actual, expected, strict=True)):
        return
    for number in range(1, actual[0].ndim + 1):
        for axes in itertools.combinations(range(actual[0].ndim), number):
            pairs = [(a.sum(axes), e) for a, e in zip(actual, expected, strict=True)]
            pairs = [(a.reshape(e.shape), e) for a, e in pairs if a.numel() == e.numel()]
            if len(pairs) == len(actual) and not any(is_wrong(a, e, fault.tolerance).any() for a, e in pairs):
                over = f"axis {axes[0]}" if number == 1 else f"axes {', '.join(map(str, axes))}"
                keep = ", keepdims=True" if expected[0].ndim == actual[0].ndim else ""
                given = axes[0] if number == 1 else axes
                yield (
                    f"{fault.d} has shape {tuple(actual[0].shape)}, and {fault.name} {tuple(expected[0].shape)}, which is "
                    f"used for every entry of {over}: the sum over {over} is missing: .sum({given}{keep})"
                )
                return


def _shape(fault: Fault) -> Iterator[str]:
    actual, expected = tuple(fault.actual[0].shape), tuple(fault.expected[0].shape)
    if actual == expected:
        k = next(i for i, (a, e) in enumerate(zip(fault.actual, fault.expected, strict=True)) if a.shape != e.shape)
        actual, expected = tuple(fault.actual[k].shape), tuple(fault.expected[k].shape)
    sentence = f"{fault.d} has shape {actual}, but {fault.name} has {expected}"
    squeezed = all(a.numel() == e.numel() and not is_wrong(a.reshape(e.shape), e, fault.tolerance).any()
                   for a, e in zip(fault.actual, fault.expected, strict=True))  # fmt: skip
    if squeezed:
        yield sentence + ": the numbers are right, reshape them"
        return
    pairs = [(a.reshape(e.shape), e) for a, e in zip(fault.actual, fault.expected, strict=True) if a.numel() == e.numel()]
    scaled = common_factor([a for a, _ in pairs], [e for _, e in pairs], fault.tolerance) if pairs else None
    yield sentence + (f", and its numbers are {scaled:.6g} times the right ones" if scaled is not None else "")


CERTAIN: list[tuple[str, Sentences]] = [("nan or inf", _nonfinite), ("kink", _kink), ("zero", _zero), ("mask", _unmasked)]
SHAPES: list[tuple[str, Sentences]] = [("batch sum", _summed), ("shape", _shape)]
VAGUE: list[tuple[str, Sentences]] = [
    ("clipped", _clipped),
    ("part missing", _block),
    ("part missing", _places),
    ("mask", _mask),
]


def entries(fault: Fault) -> tuple[str, str]:
    """Where nothing fits: the entry that is off most, and where the wrong ones lie."""
    wrong = fault.wrong()
    k = max(range(len(wrong)), key=lambda i: (fault.actual[i] - fault.expected[i]).abs().max().item())
    actual, expected, trial = fault.actual[k], fault.expected[k], fault.trials[k]
    at = index(int((actual - expected).abs().argmax()), actual.shape)
    off = ((actual - expected).abs().max() / expected.abs().max().clamp_min(1e-300)).item()
    by = f" by {off:.1g} of its size" if off < 0.05 else ""
    where = _rows(torch.stack(wrong).any(0)) if len({w.shape for w in wrong}) == 1 else ""
    return "wrong", (
        f"{fault.d} is wrong{by} at {int(wrong[k].sum())} of {actual.numel()} entries{where}, most{place(fault, trial, at)}: "
        f"got {actual[at]:.6g}, expected {expected[at]:.6g}"
    )


def _rows(wrong: Tensor) -> str:
    """Where all that is wrong lies in one slice."""
    where = wrong.nonzero()
    for axis in range(wrong.ndim):
        only = where[:, axis].unique()
        if len(only) == 1 and wrong.shape[axis] > 1:
            return f", all at {int(only)} of axis {axis}"
    return ""


def only_drawn(fault: Fault) -> str:
    """Where the given point alone would not have shown it."""
    if not fault.same_shape or fault.wrong()[0].any():
        return ""
    drawn = next((trial.drawn for trial, wrong in zip(fault.trials, fault.wrong(), strict=True) if wrong.any()), "")
    return f" (not at the given inputs, but at random ones {drawn})" if drawn else ""


def index(i: int, shape: torch.Size) -> tuple[int, ...]:
    """The place in a tensor of the i-th of its entries."""
    found = []
    for size in reversed(shape):
        i, remainder = divmod(i, size)
        found.append(remainder)
    return tuple(reversed(found))


def first(where: Tensor) -> tuple[int, ...]:
    """The place of the first true entry."""
    return index(int(where.reshape(-1).int().argmax()), where.shape)


def place(fault: Fault, trial: Trial, at: tuple[int, ...]) -> str:
    """at [1, 2], where x = 0.5."""
    return f"{brackets(at)}, where {fault.name} = {trial.point[fault.name][at].item():.4g}".removeprefix(", ")


def brackets(at: tuple[int, ...]) -> str:
    """at [1, 2]."""
    return f" at [{', '.join(map(str, at))}]" if at else ""

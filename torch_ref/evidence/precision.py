"""The precision in which a function computes, whatever it is given: found by moving its input by
ever larger shares of itself.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from torch_ref.forms.subject import Subject
from torch_ref.forms.values import Point

# (dtype, a relative change that is seen in it, and in none of those below)
GRAINS = (
    (torch.float64, 2.0**-40),
    (torch.float32, 2.0**-19),
    (torch.float16, 2.0**-8),
    (torch.bfloat16, 2.0**-5),
)
MOVED = 64  # entries, by such a change
LOOSE = 2.0**6  # eps of float32: what sums may lose, whatever they sum
COARSE = 16  # eps of 16 bits that they may lose; and times as much where only float32 is taken
LOST = 2.0**16  # eps of float32, 0.8 %: more than the rounding of a sum
AS_TORCH = 64  # times as far off as torch's own is still rounding


def eps(dtype: torch.dtype) -> float:
    """The distance from 1 to the next number."""
    return torch.finfo(dtype).eps


def of_sums(dtype: torch.dtype) -> float:
    """What sums may lose in that precision, of their size."""
    return (LOOSE if dtype == torch.float32 else COARSE) * eps(dtype)


def of_forward(subject: Subject, point: Point) -> torch.dtype:
    """The precision in which forward computes at a float64 point."""
    return max((_grain(subject.forward, point, name) for name in subject.floats), key=eps)


def of_backward(subject: Subject, point: Point, dy: Tensor, name: str) -> torch.dtype:
    """The precision of the gradient of an input, found by moving dy and every input."""

    def gradient(p: Point) -> Tensor:
        g = subject.backward({other: p[other] for other in point}, p["dy of y"])[name]
        return torch.zeros(()) if g is None else g

    whole = {**point, "dy of y": dy}  # no input has this name
    return max((_grain(gradient, whole, moved) for moved in [*subject.floats, "dy of y"]), key=eps)


def _grain(function: Callable[[Point], Tensor], point: Point, name: str) -> torch.dtype:
    """The precision of a function of one input; float64 where it shows no change at all."""
    x, before = point[name], function(point)
    share = (torch.arange(x.numel()) < MOVED).double().reshape(x.shape).to(x.device)

    def seen(by: float) -> bool:
        try:
            after = function({**point, name: x * (1 + by * share)})
        except Exception:  # noqa: BLE001 - a target that has to be 0 or 1 can't be moved
            return False
        return not torch.equal(after.nan_to_num(), before.nan_to_num())

    for dtype, change in GRAINS:
        if seen(change):
            rounded = {**point, name: x.to(torch.bfloat16).to(x.dtype)}
            is_bfloat16 = dtype == torch.float16 and torch.equal(function(rounded), before)
            return torch.bfloat16 if is_bfloat16 else dtype
    return torch.float64

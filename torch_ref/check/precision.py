"""In which precision a function computes whatever it is given: found by moving its input by ever larger shares of itself."""

import torch
from torch import Tensor

from torch_ref.check.subject import Subject
from torch_ref.check.values import Point

# (dtype, a change that is lost in it, a change that is seen in it), relative; 64 entries are moved
GRAINS = (
    (torch.float32, 2.0**-40, 2.0**-19),
    (torch.float16, 2.0**-19, 2.0**-8),
    (torch.bfloat16, 2.0**-13, 2.0**-5),
)
MOVED = 64
LOOSE = 2.0**6  # eps of the precision: what sums may lose, whatever they sum
LOST = 2.0**16  # eps of float32, 0.8 %: more than rounding of a sum, where float64 has shown what is right
AS_TORCH = 64  # times as far off as torch's own is still rounding


def of_forward(subject: Subject, point: Point) -> torch.dtype:
    """The precision in which forward computes at a float64 point."""
    return _coarsest([_grain(subject.forward, point, name) for name in subject.floats])


def of_backward(subject: Subject, point: Point, dy: Tensor, name: str) -> torch.dtype:
    """The same of the gradient of an input, by moving dy and every input."""

    def gradient(moved: Tensor | None, p: Point) -> Tensor:
        g = subject.backward(p, dy if moved is None else moved)[name]
        return torch.zeros(()) if g is None else g

    by_input = [_grain(lambda p: gradient(None, p), point, other) for other in subject.floats]
    by_dy = _grain(lambda p: gradient(p["dy"], point), {"dy": dy}, "dy")
    return _coarsest([*by_input, by_dy])


def _coarsest(dtypes: list[torch.dtype]) -> torch.dtype:
    return max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)


def _grain(function: object, point: Point, name: str) -> torch.dtype:
    """float64 where the smallest change is seen, or where none is."""
    assert callable(function)
    x = point[name]
    before = function(point)
    where = torch.zeros(x.numel(), dtype=torch.float64)
    where[:MOVED] = 1
    share = where.reshape(x.shape).to(x.device)

    def seen(by: float) -> bool:
        try:
            after = function({**point, name: x * (1 + by * share)})
        except Exception:  # noqa: BLE001 - a target that has to be 0 or 1 can't be moved
            return False
        return not torch.equal(after.nan_to_num(), before.nan_to_num())

    if seen(GRAINS[0][1]):
        return torch.float64
    for dtype, lost, found in GRAINS:
        if not seen(lost) and seen(found):
            return (
                torch.bfloat16
                if dtype == torch.float16 and torch.equal(function({**point, name: _rounded(x)}), before)
                else dtype
            )
        if seen(lost):
            break
    return torch.float64


def _rounded(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16).to(x.dtype)


def word(dtype: torch.dtype) -> str:
    """float32, without torch."""
    return str(dtype).removeprefix("torch.")

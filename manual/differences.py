"""The gradient by finite differences (slide "Gradient": "analytically or by finite differences").

It needs the loss alone, so it tells whether a derivative is right whoever wrote it.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def differences(f: Callable[[], Tensor], x: Tensor, entries: Tensor | None = None) -> Tensor:
    """df/dx at `entries` (n,), indices into x in reading order, or at all of them in the shape of
    x; f () reads x.

    D(h) = (f(x + h) - f(x - h)) / 2h is off by a h^2 + b h^4 + ..., and rounding adds eps f / h; at
    its best step, about eps^(1/3), eps^(2/3) is left. Richardson's extrapolation (4 D(h/2) - D(h))
    / 3 is free of a h^2: its best step is eps^(1/5), and eps^(4/5) is left, 3e-13 in float64 and
    3e-6 in float32, of functions and numbers of the size of 1. An x beyond 1 takes a step as much
    larger. f must be smooth within the step: no kink of an activation may be near. x is changed in
    place and put back as it was.
    """
    every = torch.arange(x.numel()) if entries is None else entries
    result = torch.empty(len(every), dtype=x.dtype, device=x.device)
    for i, entry in enumerate(every):
        place = torch.unravel_index(entry, x.shape)
        value = x[place].clone()
        h = torch.finfo(x.dtype).eps ** 0.2 * value.abs().clamp_min(1)

        def central(h: Tensor, place: tuple[Tensor, ...] = place, value: Tensor = value) -> Tensor:
            """D(h)."""
            x[place] = value + h
            above = f()
            x[place] = value - h
            return (above - f()) / (2 * h)

        try:
            result[i] = (4 * central(h / 2) - central(h)) / 3
        finally:
            x[place] = value
    return result.view(x.shape) if entries is None else result

"""Inputs drawn at random that resemble those a user gave: same shape and dtype, similar values.

Drawn on the CPU in float64, rounded to the input's dtype, so that every precision gets the very same numbers.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

Draw = Callable[[Tensor, Generator], Tensor]


def alike(x: Tensor, generator: Generator) -> Tensor:
    """Within the range of x, and of its kind: labels, zeros and ones, one-hot rows, rows of probabilities stay such.

    A constant c is taken as a hint of scale and sign: from c/2 to 3c/2, or from -1 to 1 if c is 0.
    """
    values = x.detach().cpu().double()
    finite = values[values.isfinite()]
    low, high = (finite.min().item(), finite.max().item()) if len(finite) else (0.0, 0.0)
    if not x.is_floating_point():
        return torch.randint(int(low), int(high) + 1, x.shape, generator=generator).to(x.dtype).to(x.device)
    uniform = torch.rand(x.shape, generator=generator, dtype=torch.float64)
    if low == high:
        low, high = sorted((low / 2, low * 1.5)) if low else (-1.0, 1.0)
        return _as(x, low + (high - low) * uniform)
    binary = bool(((values == 0) | (values == 1)).all())
    rows_of_one = x.ndim > 0 and x.shape[-1] > 1 and low >= 0 and bool(((values.sum(-1) - 1).abs() < 1e-5).all())
    if rows_of_one and binary:
        return _as(x, (uniform == uniform.amax(-1, keepdim=True)).double())
    if rows_of_one:
        return _as(x, uniform / uniform.sum(-1, keepdim=True))
    if binary:
        return _as(x, uniform.round())
    return _as(x, low + (high - low) * uniform)


def wide(x: Tensor, generator: Generator) -> Tensor:
    """Of both signs, and as large as x: N(0, s^2) with s half the largest entry."""
    return _normal(x, _scale(x), generator)


def usual(x: Tensor, generator: Generator) -> Tensor:
    """N(0, 1), or narrower where x is: where most functions are neither flat nor steep, however extreme x is."""
    return _normal(x, min(_scale(x), 1.0), generator)


def round_numbers(x: Tensor, generator: Generator) -> Tensor:
    """As `usual`, with a 0, a 1 and a -1 among them (as many as fit): where functions have their kinks.

    One of each, so that no row gets two equal largest entries: which of them a maximum prefers is nobody's error.
    """
    drawn = usual(x, generator)
    if x.is_floating_point():
        places = torch.randperm(x.numel(), generator=generator)[: max(1, min(3, x.numel() - 1))]
        flat = drawn.reshape(-1)
        flat[places.to(x.device)] = flat.new_tensor([0.0, 1.0, -1.0])[: len(places)]
        drawn = flat.reshape(x.shape)
    return drawn


def between(low: float, high: float) -> Draw:
    """Uniform from low to high."""
    return lambda x, generator: _as(x, low + (high - low) * torch.rand(x.shape, generator=generator, dtype=torch.float64))


def _normal(x: Tensor, scale: float, generator: Generator) -> Tensor:
    if not x.is_floating_point():
        return alike(x, generator)
    return _as(x, scale * torch.randn(x.shape, generator=generator, dtype=torch.float64))


def _scale(x: Tensor) -> float:
    values = x.detach().cpu().double().abs()
    largest = values[values.isfinite()].max().item() if values.isfinite().any() else 0.0
    return largest / 2 or 1.0


def _as(x: Tensor, values: Tensor) -> Tensor:
    return values.to(x.dtype).to(x.device)

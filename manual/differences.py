"""The gradient by finite differences (slide "Gradient": "analytically or by finite differences").

It needs the loss alone, so it tells whether a derivative is right whoever wrote it. Shapes: n entries looked at.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from manual.losses import Loss
from manual.network import Network


def sample(x: Tensor, n: int, generator: Generator) -> Tensor:
    """(n,) different entries of x, drawn at random, as indices into x in reading order; all of them where x has no more."""
    return torch.randperm(x.numel(), generator=generator)[:n]


def differences(f: Callable[[], Tensor], x: Tensor, entries: Tensor | None = None) -> Tensor:
    """df/dx at `entries` (n,), indices into x in reading order, or at all of them in the shape of x; f () reads x.

    D(h) = (f(x + h) - f(x - h)) / 2h is off by a h^2 + b h^4 + ..., and rounding adds eps f / h; at its best step, about
    eps^(1/3), eps^(2/3) is left. Richardson's extrapolation (4 D(h/2) - D(h)) / 3 is free of a h^2: its best step is
    eps^(1/5), and eps^(4/5) is left, 3e-13 in float64 and 3e-6 in float32, of functions and numbers of the size of 1.
    An x beyond 1 takes a step as much larger. f must be smooth within the step: no kink of an activation may be near.
    x is changed in place and put back as it was.
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


def network_differences(
    network: Network, loss: Loss, batch: tuple[Tensor, Tensor], name: str, entries: Tensor | None = None
) -> Tensor:
    """dDiv/d(parameter `name`) of the network in training, on the batch (x, t), as `differences` gives it.

    A few dozen entries drawn by `sample` find a wrong formula in a large network.
    """
    x, t = batch
    kept = {buffer: value.clone() for buffer, value in network.buffers.items()}
    try:
        return differences(lambda: loss(network.forward(x).output, t)[0], network.parameters.values[name], entries)
    finally:
        for buffer, value in kept.items():  # running statistics, which every forward moves
            network.buffers[buffer].copy_(value)

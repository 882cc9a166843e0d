"""What the hardware allows: the matrix products of a step and nothing else.

Shapes: B batch, O_k outputs of layer k.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from scripts.benchmark.case import Case, Step
from scripts.benchmark.engines import ready


@contextmanager
def floor(case: Case) -> Iterator[Step]:
    """The calls to BLAS of the hand-written step, in its order, into buffers that are ready."""
    network, x, _ = ready(case)
    values, gradients = network.parameters.values, network.parameters.gradients
    depth = len(network.layers)
    z = {0: x} | {
        k: x.new_empty(case.batch_size, case.sizes[k]).fill_(0.5) for k in range(1, depth + 1)
    }
    dz = {k: torch.full_like(z[k], 0.5) for k in range(1, depth + 1)}

    calls: list[tuple[Callable[..., object], tuple[object, ...], object]] = [
        (torch.addmm, (values[f"b{k}"], z[k - 1], values[f"w{k}"]), z[k])
        for k in range(1, depth + 1)
    ]
    for k in range(depth, 0, -1):
        calls.append((torch.mm, (z[k - 1].T, dz[k]), gradients[f"w{k}"]))
        if k > 1:
            calls.append((torch.mm, (dz[k], values[f"w{k}"].T), torch.empty_like(z[k - 1])))

    def step() -> None:
        for product, factors, out in calls:
            product(*factors, out=out)

    with torch.inference_mode():
        yield Step(step)

"""The two that the project compares, as they train: the hand-written step, and torch.nn with autograd and torch.optim.

Shapes: B batch, C classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from manual.losses import HalfSquaredError
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD
from scripts.benchmark.case import LEARNING_RATE, Case, Step
from scripts.harness.learners import ManualLearner, TorchLearner


@contextmanager
def manual(case: Case) -> Iterator[Step]:
    """The step of ManualLearner, in inference mode as in training."""
    network, x, t = ready(case)
    learner = ManualLearner(network, HalfSquaredError(), SGD(LEARNING_RATE))
    with torch.inference_mode():
        yield lambda: learner.step(x, t)


@contextmanager
def reference(case: Case) -> Iterator[Step]:
    """The step of TorchLearner: eager, torch.optim's default form."""
    network, x, t = ready(case)
    learner = TorchLearner(network, HalfSquaredError(), SGD(LEARNING_RATE))
    del network  # the model has its own parameters: no other's shall count as its memory
    yield lambda: learner.step(x, t)


def ready(case: Case) -> tuple[Network, Tensor, Tensor]:
    """A network of the case, on its threads and device; a batch of pixels x (B, 784) and one-hot targets t (B, C)."""
    torch.set_num_threads(case.threads)
    device, dtype = torch.device(case.device), getattr(torch, case.dtype)
    spec = NetworkSpec(case.sizes, ("sigmoid",) * (len(case.sizes) - 1), "default")
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(case.batch_size, case.sizes[0], generator=generator, dtype=dtype).to(device)
    labels = torch.randint(case.sizes[-1], (case.batch_size,), generator=generator).to(device)
    return Network(spec, 0, device, dtype), x, HalfSquaredError().targets(labels, case.sizes[-1], dtype)

"""The two that the project compares, by hand and torch.nn with autograd and torch.optim, in each
way that a user would pick.

Shapes: B batch, C classes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from manual.losses import HalfSquaredError
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD
from scripts.benchmark.case import LEARNING_RATE, Case, Step
from scripts.learners.blocks import Blocks
from scripts.learners.by_hand import ManualLearner
from scripts.learners.in_torch import TorchLearner
from scripts.recording.replay import Recording


@contextmanager
def manual(case: Case) -> Iterator[Step]:
    """The step of ManualLearner, in inference mode as in training: on the CPU recorded."""
    if case.device != "cpu":
        with plain(case) as step:
            yield step
        return
    network, x, t = ready(case)
    learner = ManualLearner(network, HalfSquaredError(), SGD(LEARNING_RATE))
    gradient = learner.recorded(x, t, torch.empty_like(t))

    def recorded() -> None:
        gradient()
        learner.update()

    with torch.inference_mode():
        yield Step(recorded)


@contextmanager
def plain(case: Case) -> Iterator[Step]:
    """The same step as it is written, not recorded."""
    network, x, t = ready(case)
    learner = ManualLearner(network, HalfSquaredError(), SGD(LEARNING_RATE))
    with torch.inference_mode():
        yield Step(lambda: learner.step(x, t))


@contextmanager
def loop(case: Case) -> Iterator[Step]:
    """The step of `manual` as the training loop makes it: batches fetched, losses and predicted
    classes found.
    """
    network, x, _ = ready(case)
    images = torch.rand(50_000, case.sizes[0], dtype=x.dtype)  # as many as MNIST has to train on
    labels = torch.arange(len(images)) % case.sizes[-1]
    loss = HalfSquaredError()
    learner = ManualLearner(network, loss, SGD(LEARNING_RATE))
    blocks = Blocks(images, loss.targets(labels, case.sizes[-1], x.dtype), case.batch_size)
    indices = [*torch.randperm(len(images)).split(blocks.size * case.batch_size)][:-1]
    position = 0

    def block() -> None:
        nonlocal position
        position = (position + 1) % len(indices)
        learner.train(blocks.fetch(indices[position]))

    yield Step(block, updates=blocks.size)


@contextmanager
def reference(case: Case) -> Iterator[Step]:
    """The step of TorchLearner: eager, torch.optim's default form."""
    learner, x, t = _reference(case)
    yield Step(lambda: learner.step(x, t))


@contextmanager
def reference_recorded(case: Case) -> Iterator[Step]:
    """The same kernels as `reference`, autograd's among them, recorded and replayed."""
    learner, x, t = _reference(case)
    parameters = list(learner.model.parameters())

    def update(x: Tensor, t: Tensor) -> None:
        gradients = torch.autograd.grad(learner.loss(learner.model(x), t), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.add_(gradient, alpha=-LEARNING_RATE)

    recording = Recording(update, x, t)
    with torch.inference_mode():
        yield Step(recording)


@contextmanager
def reference_compiled(case: Case) -> Iterator[Step]:
    """The step of `reference`, its model and loss by torch.compile."""
    # no more processes, which the others would be measured against
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    learner, x, t = _reference(case)
    compiled = torch.compile(lambda x, t: learner.loss(learner.model(x), t))

    def step() -> None:
        learner.optimizer.zero_grad()
        compiled(x, t).backward()
        learner.optimizer.step()

    yield Step(step)


def _reference(case: Case) -> tuple[TorchLearner, Tensor, Tensor]:
    network, x, t = ready(case)
    return TorchLearner(network, HalfSquaredError(), SGD(LEARNING_RATE)), x, t


def ready(case: Case) -> tuple[Network, Tensor, Tensor]:
    """A network of the case, on its threads and device; a batch of pixels x (B, 784) and one-hot
    targets t (B, C).
    """
    torch.set_num_threads(case.threads)
    device, dtype = torch.device(case.device), getattr(torch, case.dtype)
    spec = NetworkSpec(case.sizes, ("sigmoid",) * (len(case.sizes) - 1), "default")
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(case.batch_size, case.sizes[0], generator=generator, dtype=dtype).to(device)
    labels = torch.randint(case.sizes[-1], (case.batch_size,), generator=generator).to(device)
    return (
        Network(spec, 0, device, dtype),
        x,
        HalfSquaredError().targets(labels, case.sizes[-1], dtype),
    )

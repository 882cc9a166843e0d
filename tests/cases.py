"""What the tests take from the classes: which there are, and how a result is held to its budget."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from manual.activations import Activation
from manual.initializers import Initializer
from manual.layers import Layer
from manual.losses import Loss
from manual.optimizers import Optimizer
from manual.parameters import Parameters
from torch_ref.budgets import ratio
from torch_ref.compare import compare

ACTIVATIONS = Activation.named()
LAYERS = Layer.named()
LOSSES = Loss.named()
INITIALIZERS = Initializer.named()
OPTIMIZERS = Optimizer.named()
DTYPES = (torch.float32, torch.float64)
DEVICES = ("cpu", "cuda")
# Each activation and each loss once: for what does not depend on whom it meets.
EACH = [
    *((name, "half-squared") for name in ACTIVATIONS),
    *(("sigmoid", name) for name in LOSSES if name != "half-squared"),
]

both_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
one_and_two_threads = pytest.mark.parametrize("threads", [1, 2], indirect=True)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
each_device = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])


def batches(
    indices: Tensor, batch_size: int, images: Tensor, targets: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """(x (B, 784), t) for one batch of `indices` after another, as plainly as can be."""
    for rows in indices.split(batch_size):
        yield images[rows], targets[rows]


def assert_within(
    actual: Tensor, expected: Tensor, k: float, terms: Tensor, what: object = ""
) -> None:
    """Equal bits for k = 0, else max |a - e| <= k eps max|terms|."""
    difference = compare(actual, expected)
    if k == 0:
        assert difference.bitwise, f"{what} {difference}"
    else:
        seen = ratio(actual, expected, terms)
        assert seen <= k, f"{what} {difference}: {seen:.1f} eps of the terms, {k} allowed"


def count(parameters: Parameters) -> int:
    """How many parameters there are, the gaps left out."""
    return sum(value.numel() for value in parameters.values.values())


def fits(loss: Loss, activation: str) -> bool:
    """Whether the loss takes the outputs of that activation."""
    return not loss.of_probabilities or ACTIVATIONS[activation].probabilities

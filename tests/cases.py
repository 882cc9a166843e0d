"""The rows of the tests, taken from the classes: which there are, what is equal to the last bit, and the budget of the rest."""

from dataclasses import dataclass

import torch
from torch import Tensor

from manual.activations import Activation, Softmax, Softplus
from manual.initializers import Initializer
from manual.losses import CrossEntropyLoss, Loss
from manual.network import Network, Tape
from manual.operation import Operation
from torch_ref.compare import Difference

ACTIVATIONS = Activation.named()
LOSSES = Loss.named()
INITIALIZERS = Initializer.named()
DTYPES = (torch.float32, torch.float64)


@dataclass(frozen=True)
class Budget:
    """How far an operation's result may be from torch's: k eps times the size of the terms summed in it, and why."""

    k: float
    reason: str


# Whatever is not here is equal to the last bit. Each k is above the worst ratio seen, in brackets, over the shapes of the
# tests, both dtypes, 1 and 2 threads.
BUDGETS: dict[type[Operation], Budget] = {
    Softplus: Budget(2, "torch's softplus kernels have an exp and log1p of their own, unlike torch.exp's (1.0)"),
    Softmax: Budget(4, "torch's softmax kernels have an exp and an order of summation of their own (3.2)"),
    CrossEntropyLoss: Budget(2, "torch's log_softmax kernels have an exp and an order of summation of their own (1.4)"),
}
# Of a whole network with such an operation, by the terms of each parameter's gradient (1.3).
NETWORK_BUDGET = 2.0


def budget(*operations: Operation) -> float:
    """The sum of the budgets, in eps: 0 means equal bits."""
    return sum(BUDGETS[type(operation)].k for operation in operations if type(operation) in BUDGETS)


def assert_within(difference: Difference, k: float, terms: Tensor) -> None:
    """Equal bits for k = 0, else max |a - e| <= k eps max|terms|."""
    if k == 0:
        assert difference.bitwise, difference
    else:
        size = terms.abs().max().item()
        ratio = difference.max_abs / (torch.finfo(terms.dtype).eps * size) if size else difference.max_abs
        assert ratio <= k, f"{difference}: {ratio:.1f} eps of the terms, {k} allowed"


def random(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> Tensor:
    """N(0, 1) numbers from a generator of their own."""
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def random_targets(loss: Loss, batch: int, classes: int, dtype: torch.dtype, seed: int) -> Tensor:
    """Targets for random labels."""
    labels = torch.randint(classes, (batch,), generator=torch.Generator().manual_seed(seed))
    return loss.targets(labels, classes, dtype)


def gradient_terms(network: Network, tape: Tape, dy: Tensor) -> dict[str, Tensor]:
    """For each parameter the size of what its gradient is summed from: the backward pass with |w|, |x| and |dDiv/dy|.

    Cancellation makes a gradient small, not its rounding errors: these are measured against this.
    """
    sizes = {}
    for k in range(len(network.layers), 0, -1):
        f = network.layers[k - 1][1]
        if isinstance(f, Softmax):
            dz = tape.y[k] * (dy + (dy * tape.y[k]).sum(dim=1, keepdim=True))
        else:
            dz = f.backward(dy.clone(), tape.z[k], tape.y[k]).abs()
        (x,) = tape.saved[k]
        sizes[f"w{k}"], sizes[f"b{k}"] = x.abs().T @ dz, dz.sum(dim=0)
        dy = dz @ network.parameters.values[f"w{k}"].abs().T
    return sizes

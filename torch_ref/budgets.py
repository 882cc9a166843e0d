"""How far the hand-written operations may be from torch's: equal bits, or a budget with its reason.

Shapes: B batch, C classes or outputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from manual.activations import Identity, ReLU, Softmax, Softplus
from manual.layers import BatchNorm1d, FrozenBatchNorm1d, Linear
from manual.losses import BinaryCrossEntropy, BinaryCrossEntropyOfLogits, CrossEntropyLoss, Loss
from manual.network import Network, Tape
from manual.operation import Operation
from torch_ref.compare import compare


@dataclass(frozen=True)
class Budget:
    """How far a result may be from torch's: k eps times the size of the terms summed in it, and
    why.
    """

    k: float
    reason: str


EXACT = Budget(0, "the same kernels in the same order")
# Whatever is not here is equal to the last bit on the CPU. A result is the output (y, div, z) or
# the gradient of an input. Each k is above the worst ratio seen, in brackets, over the shapes of
# the tests, both dtypes, 1 and 2 threads.
BUDGETS: dict[tuple[type[Operation], str], Budget] = {
    (Softplus, "y"): Budget(
        2, "torch's softplus kernels have an exp and log1p of their own, unlike torch.exp's (1.0)"
    ),
    (Softplus, "z"): Budget(2, "as y (1.0)"),
    (Softmax, "y"): Budget(
        4, "torch's softmax kernels have an exp and an order of summation of their own (3.2)"
    ),
    (Softmax, "z"): Budget(4, "as y (3.2)"),
    (CrossEntropyLoss, "div"): Budget(
        2, "torch's log_softmax kernels have an exp and an order of summation of their own (1.4)"
    ),
    (CrossEntropyLoss, "y"): Budget(4, "as div, by 1/B (3.1)"),
    (BinaryCrossEntropy, "div"): Budget(
        2, "torch's kernel takes one logarithm at a time, torch.log many (1.8)"
    ),
    (BinaryCrossEntropyOfLogits, "div"): Budget(
        2, "torch's log_sigmoid kernel has an exp of its own (1.5)"
    ),
    (BatchNorm1d, "z"): Budget(3, "torch's kernels sum in an order of their own (1.5)"),
    (BatchNorm1d, "x"): Budget(2, "as z (0.6)"),
    (BatchNorm1d, "weight"): Budget(2, "as z (0.9)"),
    (BatchNorm1d, "bias"): Budget(2, "as z (0.9)"),
    (FrozenBatchNorm1d, "z"): Budget(
        2,
        "torch folds gamma / sigma into one factor and beta - mu gamma / sigma into one term (0.7)",
    ),
    (FrozenBatchNorm1d, "x"): Budget(2, "as z (0.3)"),
    (FrozenBatchNorm1d, "weight"): Budget(2, "torch's kernels sum in an order of their own (0.6)"),
    (FrozenBatchNorm1d, "bias"): Budget(2, "as weight (0.9)"),
}
# In one layout of x alone, those of torch_ref/cases.py.
LAYOUT_BUDGETS: dict[tuple[type[Operation], str, str], Budget] = {
    (Linear, "x", "transposed"): Budget(
        2, "autograd lays dx out as x and calls BLAS for its transpose (1.5)"
    ),
    (Linear, "weight", "strided"): Budget(
        2, "autograd calls BLAS for dw transposed, which copies x in another order (1.4)"
    ),
    (Linear, "weight", "expanded"): Budget(2, "as strided (1.4)"),
}
# Of a whole network with such an operation, by the terms of each parameter's gradient (0.8).
NETWORK_BUDGET = 1.5
# Kernels that contract or sum in another order are no farther apart; beyond is another formula.
ROUNDING = 16.0
# wide, for one GPU alone has been seen
CUDA_BUDGET = Budget(
    ROUNDING, "CUDA's kernels sum in blocks, and contract where the CPU's do not (1.0, on an H100)"
)


def budget(cls: type[Operation], result: str, device: str, layout: str = "contiguous") -> float:
    """The budget k of a result, in eps; 0 means equal bits."""
    row = LAYOUT_BUDGETS.get((cls, result, layout)) or BUDGETS.get((cls, result), EXACT)
    return max(row.k, CUDA_BUDGET.k) if device == "cuda" else row.k


def network_budget(network: Network, loss: Loss, batch: int) -> float:
    """As `budget`, for the gradient of every parameter."""
    if network.parameters.theta.is_cuda:
        return CUDA_BUDGET.k
    # an input of (1, 1), to which LAYOUT_BUDGETS apply
    own_transpose = batch == 1 and 1 in network.spec.sizes[:-1]
    rounding = {operation for operation, _ in BUDGETS}
    return (
        NETWORK_BUDGET
        if own_transpose
        or rounding & {type(loss), *(type(each) for step in network.layers for each in step)}
        else 0
    )


def ratio(actual: Tensor, expected: Tensor, terms: Tensor) -> float:
    """max |a - e| in eps of the largest of the terms; of terms below the normal numbers, in the
    smallest number there is.
    """
    info = torch.finfo(terms.dtype)
    return compare(actual, expected).max_abs / (info.eps * max(terms.abs().max().item(), info.tiny))


def loss_terms(loss: Loss, y: Tensor, size: Tensor) -> Tensor:
    """The size of what dDiv/dy is made of: y and a target of at most 1 by 1/B (under MSELoss less);
    of probabilities, 1/y.
    """
    if loss.of_probabilities:
        return 1 / (len(y) * (y * (1 - y)).clamp_min(torch.finfo(y.dtype).eps))
    return (size + 1) / len(y)


def forward_terms(network: Network, tape: Tape) -> list[Tensor]:
    """The size of what y^(0), ..., y^(N) are made of: the forward pass with |x|, |w|, |b|, and |z|
    + 1 for any |f(z)|.
    """
    (x,) = tape.saved[1]
    sizes, values = [x.abs()], network.parameters.values
    for k, (layer, _) in enumerate(network.layers, start=1):
        if isinstance(layer, BatchNorm1d):
            z = layer.gamma.abs() * _normalized(sizes[-1], *tape.saved[k]) + layer.beta.abs()
        else:
            z = sizes[-1] @ values[f"w{k}"].abs()
            z = z + values[f"b{k}"].abs() if f"b{k}" in values else z
        sizes.append(z + 1)
    return sizes


def _normalized(size: Tensor, x_hat: Tensor, rstd: Tensor) -> Tensor:
    """The size of what xhat is made of: x, mu, and what rounding of x does to sigma."""
    return (size + size.mean(dim=0)) * rstd + x_hat.abs() * (size * x_hat.abs()).mean(dim=0) * rstd


def gradient_terms(network: Network, tape: Tape, dy: Tensor) -> dict[str, Tensor]:
    """For each parameter, and x, the size of what its gradient is summed from: both passes with
    |w|, |b|, |x| and |dDiv/dy|.

    Cancellation makes a gradient small, not its rounding errors: these are measured against this.
    """
    made_of, sizes, values = forward_terms(network, tape), {}, network.parameters.values
    for k in range(len(network.layers), 0, -1):
        (layer, f), y = network.layers[k - 1], tape.y[k]
        dz = f.backward(dy, tape.z[k], y).abs()
        if isinstance(f, Softmax):
            dz = y * (dy + (dy * y).sum(dim=1, keepdim=True))
        if type(f) is not Identity and type(f) is not ReLU:
            # what rounding of z does to f'(z): |f''| is mostly below 1/4
            dz = dz + dy * made_of[k] / 4
        if isinstance(layer, BatchNorm1d):
            _, rstd = tape.saved[k]
            x_hat = _normalized(made_of[k - 1], *tape.saved[k])
            sizes[f"gamma{k}"], sizes[f"beta{k}"] = (dz * x_hat).sum(dim=0), dz.sum(dim=0)
            dy = layer.gamma.abs() * rstd * (dz + dz.mean(dim=0) + x_hat * (dz * x_hat).mean(dim=0))
        else:
            sizes[f"w{k}"], sizes[f"b{k}"] = made_of[k - 1].T @ dz, dz.sum(dim=0)
            dy = dz @ values[f"w{k}"].abs().T
    return sizes | {"x": dy}

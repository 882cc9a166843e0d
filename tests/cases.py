"""The rows of the tests, taken from the classes: which there are, what is equal to the last bit, and the budget of the rest.

Shapes: B batch, C classes or outputs, I inputs, O outputs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from manual.activations import Activation, Identity, ReLU, Softmax, Softplus
from manual.initializers import Initializer
from manual.layers import BatchNorm1d, FrozenBatchNorm1d, Layer, Linear
from manual.losses import BinaryCrossEntropy, BinaryCrossEntropyOfLogits, CrossEntropyLoss, Loss
from manual.network import Network, NetworkSpec, Tape
from manual.operation import Operation
from manual.optimizers import SGD, Adam, Optimizer, RMSprop
from torch_ref.compare import compare
from torch_ref.twins import twin, twin_layer

ACTIVATIONS = Activation.named()
LAYERS = Layer.named()
LOSSES = Loss.named()
INITIALIZERS = Initializer.named()
OPTIMIZERS = Optimizer.named()
DTYPES = (torch.float32, torch.float64)
DEVICES = ("cpu", "cuda")

both_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
one_and_two_threads = pytest.mark.parametrize("threads", [1, 2], indirect=True)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
each_device = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])

# (B, C): a batch of one, a width of one, multiples of a vector register's width and what is left over beside them.
SHAPES = [(1, 1), (1, 10), (2, 3), (7, 1), (7, 30), (10, 10), (128, 1), (128, 100)]
LINEAR_SIZES = [(784, 30), (30, 10), (1, 4), (5, 1), (1, 1), (13, 2), (5, 5)]  # (I, O)
BATCHES = [1, 2, 7, 10, 128]

# The same numbers in another place: (B, C) -> (B, C).
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "strided": lambda x: torch.stack((x, x), dim=2)[..., 0],
    "transposed": lambda x: x.T.contiguous().T,
    "expanded": lambda x: x[:1].expand_as(x),  # other numbers: each row is the first
}

# The settings in which an optimizer is tried: each of its own fields at least once.
OPTIMIZER_FIELDS: list[tuple[type[Optimizer], dict[str, Any]]] = [
    (SGD, {"lr": 0.5}),
    (SGD, {"lr": 0.1, "momentum": 0.9}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (RMSprop, {"lr": 1e-3}),
    (RMSprop, {"lr": 1e-3, "alpha": 0.9, "eps": 1e-6}),
    (RMSprop, {"lr": 1e-3, "momentum": 0.9}),
    (Adam, {"lr": 1e-3}),
    (Adam, {"lr": 1e-3, "betas": (0.8, 0.99), "eps": 1e-6}),
]


@dataclass(frozen=True)
class Budget:
    """How far a result may be from torch's: k eps times the size of the terms summed in it, and why."""

    k: float
    reason: str


EXACT = Budget(0, "the same kernels in the same order")
# Whatever is not here is equal to the last bit on the CPU. A result is the output (y, div, z) or the gradient of an input.
# Each k is above the worst ratio seen, in brackets, over the shapes of the tests, both dtypes, 1 and 2 threads.
BUDGETS: dict[tuple[type[Operation], str], Budget] = {
    (Softplus, "y"): Budget(2, "torch's softplus kernels have an exp and log1p of their own, unlike torch.exp's (1.0)"),
    (Softplus, "z"): Budget(2, "as y (1.0)"),
    (Softmax, "y"): Budget(4, "torch's softmax kernels have an exp and an order of summation of their own (3.2)"),
    (Softmax, "z"): Budget(4, "as y (3.2)"),
    (CrossEntropyLoss, "div"): Budget(
        2, "torch's log_softmax kernels have an exp and an order of summation of their own (1.4)"
    ),
    (CrossEntropyLoss, "y"): Budget(4, "as div, by 1/B (3.1)"),
    (BinaryCrossEntropy, "div"): Budget(2, "torch's kernel takes one logarithm at a time, torch.log many (1.7)"),
    (BinaryCrossEntropyOfLogits, "div"): Budget(2, "torch's log_sigmoid kernel has an exp of its own (1.0)"),
    (BatchNorm1d, "z"): Budget(3, "torch's kernels sum in an order of their own (1.5)"),
    (BatchNorm1d, "x"): Budget(2, "as z (0.6)"),
    (BatchNorm1d, "weight"): Budget(2, "as z (0.9)"),
    (BatchNorm1d, "bias"): Budget(2, "as z (0.9)"),
    (FrozenBatchNorm1d, "z"): Budget(
        2, "torch folds gamma / sigma into one factor and beta - mu gamma / sigma into one term (0.7)"
    ),
    (FrozenBatchNorm1d, "x"): Budget(2, "as z (0.3)"),
    (FrozenBatchNorm1d, "weight"): Budget(2, "torch's kernels sum in an order of their own (0.6)"),
    (FrozenBatchNorm1d, "bias"): Budget(2, "as weight (0.9)"),
}
# In one layout of x alone.
LAYOUT_BUDGETS: dict[tuple[type[Operation], str, str], Budget] = {
    (Linear, "x", "transposed"): Budget(2, "autograd lays dx out as x and calls BLAS for its transpose (1.2)"),
}
# Of a whole network with such an operation, by the terms of each parameter's gradient (0.8).
NETWORK_BUDGET = 1.5
# Not measured yet: a bound on how far kernels that contract and sum in another order can be apart.
CUDA_BUDGET = Budget(16, "CUDA's kernels sum in blocks, and contract where the CPU's do not")


def budget(operation: Operation, result: str, device: str, layout: str = "contiguous") -> float:
    """In eps; 0 means equal bits."""
    cls = type(operation)
    row = LAYOUT_BUDGETS.get((cls, result, layout)) or BUDGETS.get((cls, result), EXACT)
    return max(row.k, CUDA_BUDGET.k) if device == "cuda" else row.k


def network_budget(network: Network, loss: Loss, batch: int) -> float:
    """As `budget`, for the gradient of every parameter."""
    if network.parameters.theta.is_cuda:
        return CUDA_BUDGET.k
    own_transpose = batch == 1 and 1 in network.spec.sizes[:-1]  # an input of (1, 1), to which LAYOUT_BUDGETS apply
    rounding = {operation for operation, _ in BUDGETS}
    return NETWORK_BUDGET if own_transpose or rounding & {type(loss), *(type(f) for _, f in network.layers)} else 0


def assert_within(actual: Tensor, expected: Tensor, k: float, terms: Tensor, what: object = "") -> None:
    """Equal bits for k = 0, else max |a - e| <= k eps max|terms|."""
    difference = compare(actual, expected)
    if k == 0:
        assert difference.bitwise, f"{what} {difference}"
    else:
        size = terms.abs().max().item()
        ratio = difference.max_abs / (torch.finfo(terms.dtype).eps * size) if size else difference.max_abs
        assert ratio <= k, f"{what} {difference}: {ratio:.1f} eps of the terms, {k} allowed"


def random(shape: tuple[int, ...], dtype: torch.dtype, seed: int, device: str = "cpu") -> Tensor:
    """N(0, 1) numbers from a generator of their own, the same on every device."""
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed)).to(device)


def random_targets(
    loss: Loss, batch: int, classes: int, dtype: torch.dtype, seed: int, device: str = "cpu", *, soft: bool = False
) -> Tensor:
    """Targets for random labels; `soft` moves them into (0, 1) where this loss takes such."""
    generator = torch.Generator().manual_seed(seed)
    t = loss.targets(torch.randint(classes, (batch,), generator=generator), classes, dtype)
    return (torch.rand(t.shape, dtype=dtype, generator=generator) if soft and t.ndim == 2 else t).to(device)


def spec_of(sizes: tuple[int, ...], *activations: str, initializer: str = "default") -> NetworkSpec:
    """The activations in turn."""
    layers = len(sizes) - 1
    return NetworkSpec(sizes, (activations * layers)[:layers], initializer)


def fits(loss: Loss, activation: str) -> bool:
    """Whether the loss takes the outputs of that activation."""
    return not loss.of_probabilities or ACTIVATIONS[activation].probabilities


Pullback = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Case:
    """An operation on given inputs, by hand and in torch.

    by_hand: the inputs -> the output, and dDiv/d(output), to overwrite -> dDiv/d(input) by name.
    terms: dDiv/d(output) -> what the output and each gradient are summed from, by name; `output` is the output's name.
    """

    operation: Operation
    output: str
    inputs: dict[str, Tensor]
    by_hand: Callable[[dict[str, Tensor]], tuple[Tensor, Pullback]]
    in_torch: Callable[[dict[str, Tensor]], Tensor]
    terms: Callable[[Tensor], dict[str, Tensor]]


def away_from(kinks: tuple[float, ...], z: Tensor) -> Tensor:
    """z with what is near a kink moved to 0.1 beside it."""
    for kink in kinks:
        z = torch.where((z - kink).abs() < 0.01, kink + 0.1, z)
    return z


def activation_case(f: Activation, z: Tensor) -> Case:
    """y = f(z) for z (B, C)."""
    module = twin(f)

    def by_hand(inputs: dict[str, Tensor]) -> tuple[Tensor, Pullback]:
        z = inputs["z"]
        y = f.forward(z)
        return y, lambda dy: {"z": f.backward(dy, z, y)}

    def in_torch(inputs: dict[str, Tensor]) -> Tensor:
        y: Tensor = module(inputs["z"])
        return y

    return Case(f, "y", {"z": z}, by_hand, in_torch, lambda dy: {"y": module(z), "z": dy})  # |f'| <= 1


def loss_case(loss: Loss, y: Tensor, t: Tensor) -> Case:
    """Div(y, t) for y (B, C), which a loss of probabilities gets through a sigmoid."""
    module = twin(loss)

    def by_hand(inputs: dict[str, Tensor]) -> tuple[Tensor, Pullback]:
        div, dy = loss(inputs["y"], t)
        return div, lambda d: {"y": dy * d}

    def in_torch(inputs: dict[str, Tensor]) -> Tensor:
        div: Tensor = module(inputs["y"], t)
        return div

    y = torch.sigmoid(y) if loss.of_probabilities else y
    # a difference of two numbers up to 1, averaged over the batch
    return Case(loss, "div", {"y": y}, by_hand, in_torch, lambda _: {"div": module(y, t), "y": y.new_ones(1) / len(y)})


def layer_case(layer: Layer, module: nn.Module, x: Tensor, terms: Callable[[Tensor], dict[str, Tensor]]) -> Case:
    """z = layer(x) for x (B, I), with the parameters of `module`, in torch's layout, copied into the layer's."""
    parameters = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    ours = layer.norm if isinstance(layer, FrozenBatchNorm1d) else layer  # whose parameters they are
    names = dict(zip(parameters, ours.shapes(1, 1), strict=True))  # torch's -> ours
    running = {name: buffer.clone() for name, buffer in module.named_buffers()}

    def by_hand(inputs: dict[str, Tensor]) -> tuple[Tensor, Pullback]:
        for torchs, name in names.items():
            getattr(ours, name).copy_(inputs[torchs].t())
        z, saved = layer.forward(inputs["x"])

        def pullback(dz: Tensor) -> dict[str, Tensor]:
            layer.backward(dz, saved)
            gradients = {torchs: getattr(ours, f"d{name}").t() for torchs, name in names.items()}
            return {"x": layer.input_gradient(dz, saved), **gradients}

        return z, pullback

    def in_torch(inputs: dict[str, Tensor]) -> Tensor:
        statistics = {name: buffer.clone() for name, buffer in running.items()}
        z: Tensor = functional_call(module, {name: inputs[name] for name in parameters} | statistics, (inputs["x"],))
        return z

    return Case(layer, "z", {"x": x, **parameters}, by_hand, in_torch, terms)


def linear_cases(dtype: torch.dtype, device: str, layout: str = "contiguous") -> Iterator[Case]:
    """Over LINEAR_SIZES and BATCHES."""
    for inputs, outputs in LINEAR_SIZES:
        ((layer, _),) = Network(spec_of((inputs, outputs), "identity"), device=device, dtype=dtype).layers
        module = twin_layer(layer, inputs, outputs, device=torch.device(device), dtype=dtype)
        for batch in BATCHES:
            x = LAYOUTS[layout](random((batch, inputs), dtype, 1, device))

            def terms(dz: Tensor, x: Tensor = x, module: nn.Module = module) -> dict[str, Tensor]:
                weight, bias = (parameter.detach().abs() for parameter in module.parameters())
                return {
                    "z": x.abs() @ weight.T + bias, "x": dz.abs() @ weight,
                    "weight": dz.abs().T @ x.abs(), "bias": dz.abs().sum(dim=0),
                }  # fmt: skip

            yield layer_case(layer, module, x, terms)


def batch_norm_cases(dtype: torch.dtype, device: str, layout: str = "contiguous", *, frozen: bool = False) -> Iterator[Case]:
    """Over the SHAPES with a variance; with random parameters and running statistics."""
    for batch, features in SHAPES:
        if batch > 1 and layout != "expanded":  # whose variance is 0: the terms of dx are then 1 / sqrt(eps)
            gamma, beta, dgamma, dbeta, mean, var = random((6, features), dtype, 5, device)
            norm = BatchNorm1d(gamma, beta, dgamma, dbeta, mean, var.abs() + 0.1)
            layer = norm.frozen() if frozen else norm
            module = twin_layer(layer, features, features, device=torch.device(device), dtype=dtype)
            module.load_state_dict(
                {"weight": norm.gamma, "bias": norm.beta, "running_mean": norm.mean, "running_var": norm.var}, strict=False
            )
            x = LAYOUTS[layout](2 * random((batch, features), dtype, 1, device) + 1)
            mu, var = (norm.mean.clone(), norm.var.clone()) if frozen else (x.mean(0), x.var(0, correction=0))
            rstd = (var + norm.eps).rsqrt()
            x_hat, lost = ((x - mu) * rstd).abs(), 1 + mu.abs() * rstd  # lost: what subtracting the mean loses

            def terms(
                dz: Tensor, rstd: Tensor = rstd, x_hat: Tensor = x_hat, lost: Tensor = lost, norm: BatchNorm1d = norm
            ) -> dict[str, Tensor]:
                gamma, dz, widest = norm.gamma.abs(), dz.abs(), x_hat.amax(0).clamp_min(1)
                return {
                    "z": gamma * widest * lost + norm.beta.abs(), "x": gamma * rstd * dz.amax(0) * widest * lost,
                    "weight": (dz * x_hat).sum(0) * lost, "bias": dz.sum(0),
                }  # fmt: skip

            yield layer_case(layer, module, x, terms)


# A layer needs a row of its own: how it is made and what its results are summed from the class does not say.
LAYER_CASES: dict[type[Layer], Callable[[torch.dtype, str, str], Iterator[Case]]] = {
    Linear: linear_cases,
    BatchNorm1d: batch_norm_cases,
    FrozenBatchNorm1d: partial(batch_norm_cases, frozen=True),
}


def forward_terms(network: Network, x: Tensor) -> list[Tensor]:
    """The size of what y^(0), ..., y^(N) are made of: the forward pass with |x|, |w|, |b|, and |z| + 1 for any |f(z)|."""
    sizes = [x.abs()]
    for k in range(1, len(network.layers) + 1):
        sizes.append(sizes[-1] @ network.parameters.values[f"w{k}"].abs() + network.parameters.values[f"b{k}"].abs() + 1)
    return sizes


def loss_terms(loss: Loss, y: Tensor, size: Tensor) -> Tensor:
    """The size of what dDiv/dy is made of: y and a target of at most 1 by 1/B (under MSELoss less); of probabilities, 1/y."""
    if loss.of_probabilities:
        return 1 / (len(y) * (y * (1 - y)).clamp_min(torch.finfo(y.dtype).eps))
    return (size + 1) / len(y)


def gradient_terms(network: Network, tape: Tape, dy: Tensor) -> dict[str, Tensor]:
    """For each parameter, and x, the size of what its gradient is summed from: both passes with |w|, |b|, |x| and |dDiv/dy|.

    Cancellation makes a gradient small, not its rounding errors: these are measured against this.
    """
    (x,) = tape.saved[1]
    made_of, sizes = forward_terms(network, x), {}
    for k in range(len(network.layers), 0, -1):
        f, y = network.layers[k - 1][1], tape.y[k]
        if isinstance(f, Softmax):
            dz = y * (dy + (dy * y).sum(dim=1, keepdim=True))
        else:
            dz = f.backward(dy.clone(), tape.z[k], y).abs()
        if type(f) is not Identity and type(f) is not ReLU:
            dz = dz + dy * made_of[k] / 4  # what rounding of z does to f'(z): |f''| is mostly below 1/4
        sizes[f"w{k}"], sizes[f"b{k}"] = made_of[k - 1].T @ dz, dz.sum(dim=0)
        dy = dz @ network.parameters.values[f"w{k}"].abs().T
    return sizes | {"x": dy}

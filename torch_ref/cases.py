"""Cases: every operation by hand and in torch, on inputs of many shapes and layouts, for tests and
comparisons.

Shapes: B batch, C classes or outputs, I inputs, O outputs.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from manual.activations import Activation
from manual.layers import BatchNorm1d, FrozenBatchNorm1d, Layer, Linear
from manual.losses import Loss
from manual.network import Network, NetworkSpec
from manual.operation import Operation
from manual.optimizers import SGD, Adam, Optimizer, RMSprop
from torch_ref.twins import twin, twin_layer

# (B, C): a batch of one, a width of one, multiples of a vector register's width and what is left
# over beside them.
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


def random(shape: tuple[int, ...], dtype: torch.dtype, seed: int, device: str = "cpu") -> Tensor:
    """N(0, 1) numbers from a generator of their own, the same on every device."""
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed)).to(device)


def random_targets(  # noqa: PLR0913
    loss: Loss,
    shape: tuple[int, int],
    dtype: torch.dtype,
    seed: int,
    device: str = "cpu",
    *,
    soft: bool = False,
) -> Tensor:
    """Targets for random labels; `soft` moves them into (0, 1) where this loss takes such."""
    generator = torch.Generator().manual_seed(seed)
    batch, classes = shape
    t = loss.targets(torch.randint(classes, (batch,), generator=generator), classes, dtype)
    return (
        torch.rand(t.shape, dtype=dtype, generator=generator) if soft and t.ndim == 2 else t
    ).to(device)


def spec_of(sizes: tuple[int, ...], *activations: str, initializer: str = "default") -> NetworkSpec:
    """A spec whose layers take these activations in turn."""
    layers = len(sizes) - 1
    return NetworkSpec(sizes, (activations * layers)[:layers], initializer)


Pullback = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Case:
    """An operation on given inputs, by hand and in torch.

    by_hand: the inputs by name -> the output, and the backward pass: dDiv/d(output) ->
    dDiv/d(input) by name. in_torch: the inputs -> the output, for autograd to differentiate.
    terms: dDiv/d(output) -> what the output and each gradient are summed from, by name; `output` is
    the output's name. layout: of x, one of LAYOUTS, where the kernels look at it.
    """

    operation: Operation
    output: str
    inputs: dict[str, Tensor]
    by_hand: Callable[[dict[str, Tensor]], tuple[Tensor, Pullback]]
    in_torch: Callable[[dict[str, Tensor]], Tensor]
    terms: Callable[[Tensor], dict[str, Tensor]]
    layout: str = "contiguous"


def away_from(kinks: tuple[float, ...], z: Tensor) -> Tensor:
    """z, but entries near a kink lie 0.1 above it."""
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

    # |f'| <= 1
    return Case(f, "y", {"z": z}, by_hand, in_torch, lambda dy: {"y": module(z), "z": dy})


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
    return Case(
        loss,
        "div",
        {"y": y},
        by_hand,
        in_torch,
        lambda _: {"div": module(y, t), "y": y.new_ones(1) / len(y)},
    )


def owner(layer: Layer) -> Layer:
    """The layer that has the parameters: of a frozen one that from which it was made."""
    return layer.norm if isinstance(layer, FrozenBatchNorm1d) else layer


def lectures_names(layer: Layer, torchs: Iterable[str]) -> dict[str, str]:
    """Torch's name of each of a layer's parameters -> the lecture's: weight -> w."""
    return dict(zip(torchs, owner(layer).shapes(1, 1), strict=False))


def layer_case(
    layer: Layer,
    module: nn.Module,
    x: Tensor,
    terms: Callable[[Tensor], dict[str, Tensor]],
    layout: str = "contiguous",
) -> Case:
    """z = layer(x) for x (B, I), with the parameters of `module`, in torch's layout, copied into
    the layer's.
    """
    parameters = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    ours = owner(layer)
    names = lectures_names(layer, parameters)
    running = {name: buffer.clone() for name, buffer in module.named_buffers()}

    def load(inputs: dict[str, Tensor]) -> None:
        for torchs, name in names.items():
            getattr(ours, name).copy_(inputs[torchs].t())

    def by_hand(inputs: dict[str, Tensor]) -> tuple[Tensor, Pullback]:
        load(inputs)
        z, saved = layer.forward(inputs["x"])

        def pullback(dz: Tensor) -> dict[str, Tensor]:
            load(inputs)  # there may have been another forward in between
            layer.backward(dz, saved)
            gradients = {torchs: getattr(ours, f"d{name}").t() for torchs, name in names.items()}
            return {"x": layer.input_gradient(dz, saved), **gradients}

        return z, pullback

    def in_torch(inputs: dict[str, Tensor]) -> Tensor:
        statistics = {name: buffer.clone() for name, buffer in running.items()}
        z: Tensor = functional_call(
            module, {name: inputs[name] for name in parameters} | statistics, (inputs["x"],)
        )
        return z

    return Case(layer, "z", {"x": x, **parameters}, by_hand, in_torch, terms, layout)


def linear_cases(dtype: torch.dtype, device: str, layout: str = "contiguous") -> Iterator[Case]:
    """Over LINEAR_SIZES and BATCHES, with a bias and without."""
    for (inputs, outputs), bias in product(LINEAR_SIZES, (True, False)):
        # a network of one layer; or the first of one that normalizes, which has no bias
        sizes = (inputs, outputs) if bias else (inputs, outputs, 1)
        spec = NetworkSpec(sizes, ("identity",) * (len(sizes) - 1), "default", batch_norm=not bias)
        layer, _ = Network(spec, device=device, dtype=dtype).layers[0]
        module = twin_layer(layer, inputs, outputs, device=torch.device(device), dtype=dtype)
        for batch in BATCHES:
            x = LAYOUTS[layout](random((batch, inputs), dtype, 1, device))

            def terms(dz: Tensor, x: Tensor = x, module: nn.Module = module) -> dict[str, Tensor]:
                weight, *others = (parameter.detach().abs() for parameter in module.parameters())
                return {
                    "z": x.abs() @ weight.T + sum(others), "x": dz.abs() @ weight,
                    "weight": dz.abs().T @ x.abs(), "bias": dz.abs().sum(dim=0),
                }  # fmt: skip

            # a single number is its own transpose, and autograd takes it for one
            yield layer_case(
                layer, module, x, terms, "transposed" if x.stride() == (1, batch) else layout
            )


def batch_norm_cases(
    dtype: torch.dtype, device: str, layout: str = "contiguous", *, frozen: bool = False
) -> Iterator[Case]:
    """Over the SHAPES with a variance; with random parameters and running statistics."""
    for batch, features in SHAPES:
        # whose variance is 0: the terms of dx are then 1 / sqrt(eps)
        if batch > 1 and layout != "expanded":
            gamma, beta, dgamma, dbeta, mean, var = random((6, features), dtype, 5, device)
            norm = BatchNorm1d(gamma, beta, dgamma, dbeta, mean, var.abs() + 0.1)
            layer = norm.frozen() if frozen else norm
            module = twin_layer(layer, features, features, device=torch.device(device), dtype=dtype)
            module.load_state_dict(
                {
                    "weight": norm.gamma,
                    "bias": norm.beta,
                    "running_mean": norm.mean,
                    "running_var": norm.var,
                },
                strict=False,
            )
            x = LAYOUTS[layout](2 * random((batch, features), dtype, 1, device) + 1)
            mu, var = (
                (norm.mean.clone(), norm.var.clone())
                if frozen
                else (x.mean(0), x.var(0, correction=0))
            )
            rstd = (var + norm.eps).rsqrt()
            # lost: what subtracting the mean loses
            x_hat, lost = ((x - mu) * rstd).abs(), 1 + mu.abs() * rstd

            def terms(
                dz: Tensor,
                rstd: Tensor = rstd,
                x_hat: Tensor = x_hat,
                lost: Tensor = lost,
                norm: BatchNorm1d = norm,
            ) -> dict[str, Tensor]:
                gamma, dz, widest = norm.gamma.abs(), dz.abs(), x_hat.amax(0).clamp_min(1)
                return {
                    "z": gamma * widest * lost + norm.beta.abs(),
                    "x": gamma * rstd * dz.amax(0) * widest * lost,
                    "weight": (dz * x_hat).sum(0) * lost, "bias": dz.sum(0),
                }  # fmt: skip

            yield layer_case(layer, module, x, terms)


# A layer needs a row of its own: its class does not say how it is made and what its results are
# summed from.
LAYER_CASES: dict[type[Layer], Callable[[torch.dtype, str, str], Iterator[Case]]] = {
    Linear: linear_cases,
    BatchNorm1d: batch_norm_cases,
    FrozenBatchNorm1d: partial(batch_norm_cases, frozen=True),
}


def activation_cases(
    name: str, dtype: torch.dtype, device: str, layout: str = "contiguous"
) -> Iterator[Case]:
    """Over SHAPES, none of them near a kink."""
    f = Activation.named()[name]()
    for shape in SHAPES:
        yield activation_case(
            f, away_from(f.kinks, LAYOUTS[layout](3 * random(shape, dtype, 1, device)))
        )


def loss_cases(
    name: str, dtype: torch.dtype, device: str, layout: str = "contiguous", scale: float = 3
) -> Iterator[Case]:
    """Over SHAPES, for labels and, where the loss takes them, targets between 0 and 1."""
    loss = Loss.named()[name]()
    for shape in SHAPES:
        for soft in (False, True):
            t = random_targets(loss, shape, dtype, 2, device, soft=soft)
            t = LAYOUTS[layout](t) if t.ndim == 2 else t
            yield loss_case(loss, LAYOUTS[layout](scale * random(shape, dtype, 1, device)), t)


def layer_cases(
    name: str, dtype: torch.dtype, device: str, layout: str = "contiguous"
) -> Iterator[Case]:
    """The cases of a layer, as its row in LAYER_CASES makes them."""
    return LAYER_CASES[Layer.named()[name]](dtype, device, layout)

"""The network, its parameters and their initial values."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import manual.parameters
from manual.initializers import Default
from manual.network import Network
from tests.faults.plant import FAULTS, Fault, plant


def backward_over(network: Any, dy: Tensor, tape: Any, skip: int = 0, first: int = 1) -> Tensor:
    """Network._backward without layer `skip` from the end, or stopped before layer `first`."""
    for k in range(len(network.layers), first - 1, -1):
        layer, f = network.layers[k - 1]
        dz = f.backward(dy, tape.z[k], tape.y[k])
        if k != len(network.layers) + 1 - skip:
            layer.backward(dz, tape.saved[k])
        if k > 1:
            dy = layer.input_gradient(dz, tape.saved[k])
    return dz


@plant("network: the last layer's gradient is not filled", Network, "_backward")
def _(self: Any, dy: Tensor, tape: Any) -> Tensor:
    return backward_over(self, dy, tape, skip=1)


@plant("network: stops before the first layer", Network, "_backward")
def _(self: Any, dy: Tensor, tape: Any) -> Tensor:
    return backward_over(self, dy, tape, first=min(2, len(self.layers)))


@plant("network: dDiv/dy for dDiv/dz, the last activation left out", Network, "_backward")
def _(self: Any, dy: Tensor, tape: Any) -> Tensor:
    dz = dy
    for k in range(len(self.layers), 0, -1):
        layer, f = self.layers[k - 1]
        dz = dy if k == len(self.layers) else f.backward(dy, tape.z[k], tape.y[k])
        layer.backward(dz, tape.saved[k])
        if k > 1:
            dy = layer.input_gradient(dz, tape.saved[k])
    return dz


@plant("network: the derivative gets y for z", Network, "_backward")
def _(self: Any, dy: Tensor, tape: Any) -> Tensor:
    for k in range(len(self.layers), 0, -1):
        layer, f = self.layers[k - 1]
        dz = f.backward(dy, tape.y[k], tape.y[k])
        layer.backward(dz, tape.saved[k])
        if k > 1:
            dy = layer.input_gradient(dz, tape.saved[k])
    return dz


@plant("network: dDiv/dz^(1) for dDiv/dx", Network, "input_gradient")
def _(self: Any, dy: Tensor, tape: Any) -> Tensor:
    dz: Tensor = self._backward(dy, tape)
    return dz


def stale_tape(forward: Callable[..., Any]) -> Callable[..., Any]:
    tapes: dict[int, Any] = {}

    def wrong(self: Any, x: Tensor) -> Any:
        return tapes.setdefault(id(self), forward(self, x))

    return wrong


FAULTS.append(Fault("network: one stale tape for all", Network, "forward", stale_tape))


@plant("network: predict leaves the last activation out", Network, "predict")
def _(self: Any, x: Tensor) -> Tensor:
    for k, (layer, f) in enumerate(self.layers, start=1):
        x, _ = layer.frozen().forward(x)
        x = f.forward(x) if k < len(self.layers) else x
    return x


FAULTS.append(
    Fault(
        "parameters: views packed, with hardly a gap", manual.parameters, "ALIGNMENT", lambda _: 8
    )
)
FAULTS.append(
    Fault("parameters: views on 16-byte boundaries", manual.parameters, "ALIGNMENT", lambda _: 16)
)


@plant("default: the bound of Kaiming He, sqrt(6 / I)", Default, "__call__")
def _(self: Any, weight: Tensor, bias: Tensor, generator: torch.Generator) -> None:
    bound = math.sqrt(6 / weight.shape[1])
    weight.uniform_(-bound, bound, generator=generator)
    bias.uniform_(-bound, bound, generator=generator)

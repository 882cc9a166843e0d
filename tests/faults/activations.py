"""Activations: backward(self, dy, z, y) -> dz."""

from typing import Any

import torch
from torch import Tensor

from manual.activations import Identity, ReLU, Sigmoid, Softmax, Softplus, Tanh
from tests.faults.plant import plant


@plant(
    "sigmoid: f(z) (1 - f(z)) of z itself, the pre-activation for the activation",
    Sigmoid,
    "backward",
)
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (1 - z) * z


@plant("sigmoid: f' of y as if it were z, f applied twice", Sigmoid, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * torch.sigmoid(y) * (1 - torch.sigmoid(y))


@plant("sigmoid: f' left out", Sigmoid, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy


@plant("sigmoid: the sign of 1 - f", Sigmoid, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (y - 1) * y


@plant("sigmoid: overwrites y", Sigmoid, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    dz = dy * (1 - y) * y
    y.copy_(dz)
    return dz


@plant("tanh: 1 - f for 1 - f^2", Tanh, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (1 - y)


@plant("tanh: 1 - f^2 of z", Tanh, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (1 - z * z)


@plant("tanh: 1 - f^2 rounded twice", Tanh, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (1 - y * y)


@plant("relu: the mask from y >= 0, which is always so", ReLU, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (y >= 0)


@plant("relu: f'(0) = 1", ReLU, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (z >= 0)


@plant("relu: f'(0) = 1/2", ReLU, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * ((y > 0) + 0.5 * (z == 0))


@plant("relu: a nan does not pass", ReLU, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return torch.where(y > 0, dy, torch.zeros_like(dy))


@plant("softplus: f' = sigmoid(y) for sigmoid(z)", Softplus, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * torch.sigmoid(y)


@plant("softplus: log(1 + e^z) as it stands, which overflows", Softplus, "forward")
def _(self: Any, z: Tensor) -> Tensor:
    return torch.log1p(z.exp())


@plant("softmax: the derivative's diagonal alone", Softmax, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * y * (1 - y)


@plant("softmax: the sum over the batch for that over the row", Softmax, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return y * (dy - (dy * y).sum(dim=0, keepdim=True))


@plant("softmax: the inner sum of dy without y", Softmax, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return y * (dy - dy.sum(dim=1, keepdim=True))


@plant("softmax: e^z without the shift, which overflows", Softmax, "forward")
def _(self: Any, z: Tensor) -> Tensor:
    return z.exp() / z.exp().sum(dim=1, keepdim=True)


@plant("softmax: over the batch", Softmax, "forward")
def _(self: Any, z: Tensor) -> Tensor:
    return z.exp() / z.exp().sum(dim=0, keepdim=True)


@plant("softmax: the shift by the largest of the whole batch", Softmax, "forward")
def _(self: Any, z: Tensor) -> Tensor:
    e = (z - z.max()).exp()
    return e / e.sum(dim=1, keepdim=True)


@plant("identity: a factor of 1 + eps", Identity, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (1 + 2 * torch.finfo(dy.dtype).eps)

"""Activation functions y = f(z) and their derivatives (slide "Activations and their derivatives").

Shapes: B batch, O outputs of the layer. z, y, dy and dz are (B, O).
"""

from abc import abstractmethod
from typing import ClassVar, final

import torch
from torch import Tensor

from manual.operation import Operation


class Activation(Operation):
    """y = f(z), and its part of the chain rule, dDiv/dz = f'(z) dDiv/dy.

    `kinks`: the z at which f has no derivative. `probabilities`: y lies in [0, 1].
    """

    kinks: ClassVar[tuple[float, ...]] = ()
    probabilities: ClassVar[bool] = False

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """y = f(z), (B, O) -> (B, O)."""

    @abstractmethod
    def backward(self, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
        """dDiv/dz = f'(z) dDiv/dy, (B, O) -> (B, O)."""


@final
class Identity(Activation, name="identity"):
    """f(z) = z, f' = 1: the last layer where the loss contains the activation."""

    def forward(self, z: Tensor) -> Tensor:
        return z

    def backward(self, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
        return dy


@final
class Sigmoid(Activation, name="sigmoid", probabilities=True):
    """f(z) = 1 / (1 + e^-z), f' = f (1 - f): the slides' logistic function."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(z)

    def backward(self, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
        return dy * (1 - y) * y  # dDiv/dy (1 - f) f, in autograd's order of factors


@final
class Tanh(Activation, name="tanh"):
    """f(z) = tanh(z), f' = 1 - f^2."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z)

    def backward(self, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
        # 1 - f^2, rounded once as in autograd
        return dy * torch.addcmul(y.new_ones(()), y, y, value=-1)


@final
class ReLU(Activation, name="relu", kinks=(0.0,)):
    """f(z) = 0 for z < 0, z for z >= 0; f' = 0 for z <= 0, as in torch, and 1 above (the slides
    leave f' blank).
    """

    def forward(self, z: Tensor) -> Tensor:
        return z.clamp_min(0)

    def backward(self, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
        return dy.masked_fill(y <= 0, 0)  # y <= 0 where z <= 0; a nan passes, as in torch


@final
class Softplus(Activation, name="softplus"):
    """f(z) = log(1 + e^z), f' = 1 / (1 + e^-z): the slides' SmoothReLU.

    Written as max(z, 0) + log(1 + e^-|z|), whose exponential cannot overflow.
    """

    def forward(self, z: Tensor) -> Tensor:
        return z.clamp_min(0) + torch.log1p(torch.exp(-z.abs()))

    def backward(self, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
        return dy * torch.sigmoid(z)


@final
class Softmax(Activation, name="softmax", probabilities=True):
    """o_i = e^(y_i) / sum_j e^(y_j) over each row (slide "Softmax"; its y is our z, its o our y).

    Every output depends on every input of its row: do_i/dz_i = o_i (1 - o_i), do_i/dz_j = -o_i o_j.
    """

    def forward(self, z: Tensor) -> Tensor:
        # the same quotient for every shift; this one cannot overflow
        e = torch.exp(z - z.amax(dim=1, keepdim=True))
        return e / e.sum(dim=1, keepdim=True)

    def backward(self, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
        # dDiv/dz_j = sum_i do_i/dz_j dDiv/do_i = o_j (dDiv/do_j - sum_i o_i dDiv/do_i)
        return (dy - (dy * y).sum(dim=1, keepdim=True)) * y

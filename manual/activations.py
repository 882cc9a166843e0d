"""Activation functions y = f(z) and their derivatives (slide "Activations and their derivatives").

Shapes: B batch, O outputs of the layer. z, y, dy and dz are (B, O).
"""

from abc import abstractmethod
from typing import ClassVar, final

import torch
from torch import Tensor

from manual.operation import Operation, scalar


class Activation(Operation):
    """y = f(z), and its part of the chain rule, dDiv/dz = f'(z) dDiv/dy.

    `derivative_from_y`: f'(z) is a function of y alone, so that y may be written over z.
    `kinks`: the z at which f has no derivative.
    `probabilities`: y lies in [0, 1].
    """

    derivative_from_y: ClassVar[bool] = False
    kinks: ClassVar[tuple[float, ...]] = ()
    probabilities: ClassVar[bool] = False

    @abstractmethod
    def forward(self, z: Tensor, out: Tensor | None = None) -> Tensor:
        """y = f(z), (B, O) -> (B, O); written to `out` where one is given (z itself may be).

        `out` is a buffer that may be used, not must: the result is what is returned.
        """

    @abstractmethod
    def backward(self, dy: Tensor, z: Tensor, y: Tensor, df: Tensor | None = None) -> Tensor:
        """dDiv/dz = f'(z) dDiv/dy, (B, O) -> (B, O); may overwrite dy, neither z nor y.

        `df` (B, O), where one is given, is a buffer to work in, as for f'(z); not to be returned, since it is used again.
        """


@final
class Identity(Activation):
    """f(z) = z, f' = 1: the last layer where the loss contains the activation."""

    name = "identity"
    derivative_from_y = True

    def forward(self, z: Tensor, out: Tensor | None = None) -> Tensor:
        return z

    def backward(self, dy: Tensor, z: Tensor, y: Tensor, df: Tensor | None = None) -> Tensor:
        return dy


@final
class Sigmoid(Activation):
    """f(z) = 1 / (1 + e^-z), f' = f (1 - f): the slides' logistic function."""

    name = "sigmoid"
    derivative_from_y = True
    probabilities = True

    def forward(self, z: Tensor, out: Tensor | None = None) -> Tensor:
        return z.sigmoid_() if out is z else torch.sigmoid(z, out=out)  # in place is the cheaper call

    def backward(self, dy: Tensor, z: Tensor, y: Tensor, df: Tensor | None = None) -> Tensor:
        # dDiv/dz = dDiv/dy (1 - f) f, in autograd's order of factors
        return dy.mul_(torch.sub(scalar(1, y), y, out=df)).mul_(y)


@final
class Tanh(Activation):
    """f(z) = tanh(z), f' = 1 - f^2."""

    name = "tanh"
    derivative_from_y = True

    def forward(self, z: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.tanh(z, out=out)

    def backward(self, dy: Tensor, z: Tensor, y: Tensor, df: Tensor | None = None) -> Tensor:
        return dy.mul_(torch.addcmul(scalar(1, y), y, y, value=-1, out=df))  # 1 - f^2 rounded once, as autograd does


@final
class ReLU(Activation):
    """f(z) = 0 for z < 0, z for z >= 0; f' = 0 for z <= 0 and 1 above (the slides leave f' blank; at 0 this is torch's)."""

    name = "relu"
    derivative_from_y = True
    kinks = (0.0,)

    def forward(self, z: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.maximum(z, scalar(0, z), out=out)

    def backward(self, dy: Tensor, z: Tensor, y: Tensor, df: Tensor | None = None) -> Tensor:
        return dy.masked_fill_(y <= scalar(0, y), scalar(0, dy))  # y <= 0 where z <= 0; a nan passes, as in torch


@final
class Softplus(Activation):
    """f(z) = log(1 + e^z), f' = 1 / (1 + e^-z): the slides' SmoothReLU.

    Written as max(z, 0) + log(1 + e^-|z|), whose exponential cannot overflow.
    """

    name = "softplus"

    def forward(self, z: Tensor, out: Tensor | None = None) -> Tensor:
        log_term = z.abs().neg_().exp_().log1p_()
        return torch.add(torch.maximum(z, scalar(0, z)), log_term, out=out)

    def backward(self, dy: Tensor, z: Tensor, y: Tensor, df: Tensor | None = None) -> Tensor:
        return dy.mul_(torch.sigmoid(z, out=df))


@final
class Softmax(Activation):
    """o_i = e^(y_i) / sum_j e^(y_j) over each row (slide "Softmax"; there y is what we call z, and o our y).

    Every output depends on every input of its row: do_i/dz_i = o_i (1 - o_i) and do_i/dz_j = -o_i o_j.
    """

    name = "softmax"
    derivative_from_y = True
    probabilities = True

    def forward(self, z: Tensor, out: Tensor | None = None) -> Tensor:
        e = torch.exp(z - z.amax(dim=1, keepdim=True))  # the same quotient for every shift; this one cannot overflow
        return torch.div(e, e.sum(dim=1, keepdim=True), out=out)

    def jacobian(self, y: Tensor) -> Tensor:
        """do_i/dz_j, (B, C) -> (B, C, C): o_i (1 - o_i) on the diagonal, -o_i o_j beside it."""
        return torch.diag_embed(y) - y.unsqueeze(2) * y.unsqueeze(1)

    def backward(self, dy: Tensor, z: Tensor, y: Tensor, df: Tensor | None = None) -> Tensor:
        # dDiv/dz_j = sum_i do_i/dz_j dDiv/do_i = o_j (dDiv/do_j - sum_i o_i dDiv/do_i): the Jacobian, never formed
        return dy.sub_(torch.mul(dy, y, out=df).sum(dim=1, keepdim=True)).mul_(y)

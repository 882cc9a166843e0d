"""Layers with parameters. Shapes: B batch, I inputs, O outputs."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Generator, Tensor

from manual.initializers import Initializer
from manual.operation import Operation

Saved = tuple[Tensor, ...]


class Layer(Operation):
    """z = layer(x). Fields, in this order: the parameters as `shapes` names them, views into the
    network's theta; their gradients, views into its grad; and the buffers. `saved` is what backward
    needs of forward: the tape keeps it.
    """

    @classmethod
    def shapes(cls, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
        """The parameters in torch's order, name -> shape; none by default."""
        return {}

    @classmethod
    def buffers(cls) -> dict[str, float]:
        """Vectors (O,) that training changes beside the parameters, name -> initial value; none by
        default.
        """
        return {}

    def initialize(self, initializer: Initializer, generator: Generator) -> None:
        """Give the parameters their initial values."""

    def frozen(self) -> "Layer":
        """The layer as it is evaluated: itself, unless training does something else."""
        return self

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Saved]:
        """x (B, I) -> (z (B, O), saved)."""

    @abstractmethod
    def backward(self, dz: Tensor, saved: Saved) -> None:
        """Fill the gradients of the parameters, summed over the batch, from dDiv/dz (B, O)."""

    @abstractmethod
    def input_gradient(self, dz: Tensor, saved: Saved) -> Tensor:
        """dDiv/dz (B, O) -> dDiv/dx (B, I)."""


@final
@dataclass(frozen=True, eq=False)
class Linear(Layer, name="linear"):
    """z_j = sum_i w_ij x_i + b_j (slide "Forward Computation"), for every row x of a batch.

    w[i, j] (I, O) joins unit i of layer k-1 to unit j of layer k; b (O,). nn.Linear stores the same
    numbers as [out, in]: w and dw are transposed views of such storage, so both make the same calls
    to BLAS and round alike. There is no b before a batch normalization, which takes the mean of z
    away and with it any bias.
    """

    w: Tensor
    b: Tensor | None
    dw: Tensor
    db: Tensor | None

    @classmethod
    def shapes(cls, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
        return {"w": (inputs, outputs), "b": (outputs,)}

    def initialize(self, initializer: Initializer, generator: Generator) -> None:
        weight = torch.empty(self.w.T.shape, dtype=self.w.dtype, device="cpu")
        bias = torch.empty(len(weight), dtype=self.w.dtype, device="cpu")
        initializer(weight, bias, generator)
        self.w.T.copy_(weight)
        if self.b is not None:
            self.b.copy_(bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Saved]:
        # z_j = sum_i w_ij x_i + b_j
        z = torch.mm(x, self.w) if self.b is None else torch.addmm(self.b, x, self.w)
        return z, (x,)

    def backward(self, dz: Tensor, saved: Saved) -> None:
        (x,) = saved
        torch.mm(x.T, dz, out=self.dw)  # dDiv/dw_ij = x_i dDiv/dz_j, summed over the batch
        if self.db is not None:
            # dDiv/db_j = dDiv/dz_j, as if b were a weight on a constant input 1
            torch.sum(dz, 0, out=self.db)

    def input_gradient(self, dz: Tensor, saved: Saved) -> Tensor:
        return torch.mm(dz, self.w.T)  # dDiv/dx_i = sum_j w_ij dDiv/dz_j


@final
@dataclass(frozen=True, eq=False)
class BatchNorm1d(Layer, name="batch-norm"):
    """z = gamma xhat + beta, xhat = (x - mu) / sqrt(sigma^2 + eps), with mu and sigma^2 of each
    unit over the batch (the lecture's outline, "Batch normalization"; Ioffe and Szegedy, 2015).

    Fields are (O,), and I = O. In forward the running `mean` and `var` go a part `momentum` of the
    way to mu and the unbiased sigma^2 B / (B - 1); `frozen()` normalizes with them. ValueError for
    a batch of 1, an x not (B, O), an eps not above 0. With a gamma of 1 and a beta of 0 that are no
    parameters of a network this is torch's affine=False.
    """

    gamma: Tensor
    beta: Tensor
    dgamma: Tensor
    dbeta: Tensor
    mean: Tensor
    var: Tensor
    momentum: float = 0.1
    eps: float = 1e-5

    def __post_init__(self) -> None:
        if not self.eps > 0:
            raise ValueError(f"eps {self.eps} must be above 0")

    @classmethod
    def shapes(cls, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
        return {"gamma": (outputs,), "beta": (outputs,)}

    @classmethod
    def buffers(cls) -> dict[str, float]:
        return {"mean": 0.0, "var": 1.0}

    def initialize(self, initializer: Initializer, generator: Generator) -> None:
        self.gamma.fill_(1)
        self.beta.zero_()

    def frozen(self) -> Layer:
        return FrozenBatchNorm1d(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Saved]:
        if x.shape[1:] != self.mean.shape:
            raise ValueError(f"input {tuple(x.shape)} must be (B, {len(self.mean)})")
        batch = x.shape[0]
        if batch < 2:
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size {x.shape}"
            )
        mu = x.mean(dim=0)
        centred = x - mu
        squares = centred.square().sum(dim=0)  # sum (x - mu)^2
        rstd = torch.rsqrt(squares / batch + self.eps)  # 1 / sqrt(sigma^2 + eps)
        x_hat = centred * rstd  # xhat = (x - mu) / sqrt(sigma^2 + eps)
        self.mean.mul_(1 - self.momentum).add_(mu, alpha=self.momentum)
        self.var.mul_(1 - self.momentum).add_(squares / (batch - 1), alpha=self.momentum)
        return torch.addcmul(self.beta, x_hat, self.gamma), (x_hat, rstd)  # z = gamma xhat + beta

    def backward(self, dz: Tensor, saved: Saved) -> None:
        x_hat, _ = saved
        # dDiv/dgamma = xhat dDiv/dz, summed over the batch
        torch.sum(dz * x_hat, dim=0, out=self.dgamma)
        torch.sum(dz, dim=0, out=self.dbeta)  # dDiv/dbeta = dDiv/dz, likewise

    def input_gradient(self, dz: Tensor, saved: Saved) -> Tensor:
        # mu and sigma depend on every x of the batch:
        # dDiv/dx = gamma / sigma (dz - mean(dz) - xhat mean(dz xhat))
        x_hat, rstd = saved
        return (dz - dz.mean(dim=0) - x_hat * (dz * x_hat).mean(dim=0)) * (self.gamma * rstd)


@final
@dataclass(frozen=True, eq=False)
class FrozenBatchNorm1d(Layer, name="frozen-batch-norm"):
    """`norm` with its running statistics in place of the batch's, as in torch's eval()."""

    norm: BatchNorm1d

    def forward(self, x: Tensor) -> tuple[Tensor, Saved]:
        if x.shape[1:] != self.norm.mean.shape:
            raise ValueError(f"input {tuple(x.shape)} must be (B, {len(self.norm.mean)})")
        rstd = torch.rsqrt(self.norm.var + self.norm.eps)
        x_hat = (x - self.norm.mean) * rstd
        return torch.addcmul(self.norm.beta, x_hat, self.norm.gamma), (x_hat, rstd)

    def backward(self, dz: Tensor, saved: Saved) -> None:
        self.norm.backward(dz, saved)

    def input_gradient(self, dz: Tensor, saved: Saved) -> Tensor:
        _, rstd = saved
        # mean and var are constants: dDiv/dx = gamma / sigma dDiv/dz
        return dz * (self.norm.gamma * rstd)

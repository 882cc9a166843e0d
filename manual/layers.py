"""Layers with parameters. Shapes: B batch, I inputs, O outputs."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from manual.operation import Operation

Saved = tuple[Tensor, ...]


class Layer(Operation):
    """z = layer(x); its parameters and their gradients are views into the network's theta and grad.

    `saved` is what backward needs of forward: it travels through the tape, never through the layer.
    """

    @abstractmethod
    def forward(self, x: Tensor, out: Tensor | None = None) -> tuple[Tensor, Saved]:
        """x (B, I) -> (z (B, O), saved); z is written to `out` where one is given."""

    @abstractmethod
    def backward(self, dz: Tensor, saved: Saved) -> None:
        """Fill the gradients of the parameters, summed over the batch, from dDiv/dz (B, O)."""

    @abstractmethod
    def input_gradient(self, dz: Tensor, saved: Saved) -> Tensor:
        """dDiv/dz (B, O) -> dDiv/dx (B, I)."""


@final
@dataclass(frozen=True, eq=False)
class Linear(Layer):
    """z_j = sum_i w_ij x_i + b_j (slide "Forward Computation"), for every row x of a batch.

    w[i, j] (I, O) joins unit i of layer k-1 to unit j of layer k; b (O,). nn.Linear stores the same numbers as
    [out, in]: w and dw are transposed views of such storage, so both make the same calls to BLAS and round alike.
    """

    name = "linear"

    w: Tensor
    b: Tensor
    dw: Tensor
    db: Tensor

    def forward(self, x: Tensor, out: Tensor | None = None) -> tuple[Tensor, Saved]:
        return torch.addmm(self.b, x, self.w, out=out), (x,)  # z_j = sum_i w_ij x_i + b_j

    def backward(self, dz: Tensor, saved: Saved) -> None:
        (x,) = saved
        torch.mm(x.T, dz, out=self.dw)  # dDiv/dw_ij = x_i dDiv/dz_j, summed over the batch
        torch.sum(dz, dim=0, out=self.db)  # dDiv/db_j = dDiv/dz_j, as if b were a weight on a constant input 1

    def input_gradient(self, dz: Tensor, saved: Saved) -> Tensor:
        return torch.mm(dz, self.w.T)  # dDiv/dx_i = sum_j w_ij dDiv/dz_j

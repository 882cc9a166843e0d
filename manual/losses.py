"""Losses: the divergence of the network's output from its target, averaged over a batch, and its derivative.

Shapes: B batch, C classes or outputs. y (B, C); the target t is (B, C), or (B,) where it is a class label.
"""

from abc import abstractmethod
from typing import ClassVar, final

import torch
from torch import Tensor

from manual.operation import Operation, scalar


class Loss(Operation):
    """Div(y, t). Value and derivative come from one call, so they cannot belong to different losses.

    `of_logits`: the output's activation is part of the loss, which takes y before it.
    """

    of_logits: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(Div (), dDiv/dy (B, C)); the derivative is the caller's own, to overwrite. ValueError for shapes that differ."""

    def targets(self, labels: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
        """Class labels (n,) as this loss wants its targets: one-hot rows (n, classes) unless it says otherwise."""
        return torch.eye(classes, dtype=dtype, device=labels.device)[labels]


def _difference(y: Tensor, t: Tensor) -> Tensor:
    """y - t for shapes that are equal and hold a sample; torch would broadcast (3, 1) against (3,) and go on."""
    if y.shape != t.shape or y.shape[0] == 0:
        raise ValueError(f"output {tuple(y.shape)} and target {tuple(t.shape)} must have one shape (B, C) with B at least 1")
    return y - t


@final
class HalfSquaredError(Loss):
    """Div = 1/2 sum_i (y_i - d_i)^2 per sample (slide "Example: L2"), averaged over the batch as the lecture's code does.

    Here the target, d on the slides, is t. Twin: MSELoss(reduction="sum") * 1/2 / B.
    """

    name = "half-squared"

    def __call__(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        dy = _difference(y, t)  # dDiv/dy_i = y_i - d_i, of one sample
        div = torch.square(dy).sum().mul_(scalar(0.5 / y.shape[0], dy))  # Div = 1/2 sum (y - d)^2, mean over the batch
        return div, dy.mul_(scalar(1 / y.shape[0], dy))


@final
class MSELoss(Loss):
    """(1/N) sum (y - t)^2 (slide "Loss Functions and total Error") as torch takes it: the mean over all N = B C entries."""

    name = "mse"

    def __call__(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        dy = _difference(y, t)
        div = torch.square(dy).mean()
        return div, dy.mul_(scalar(2 / dy.numel(), dy))  # dDiv/dy = (2/N) (y - t)


@final
class CrossEntropyLoss(Loss):
    """-(1/N) sum_i log p_(i, t_i) with p = softmax(y) inside (slide "Cross-Entropy"): y are logits, t labels (B,).

    Softmax and -t/o together give dDiv/dy = (p - t) / B. Log and exponential are taken of y - max y: finite at any
    finite y. IndexError or RuntimeError from torch for a label outside 0..C-1.
    """

    name = "cross-entropy"
    of_logits = True

    def __call__(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        if y.shape[:1] != t.shape or y.shape[0] == 0:
            raise ValueError(f"logits {tuple(y.shape)} and labels {tuple(t.shape)} must be (B, C) and (B,) with B at least 1")
        t = t.unsqueeze(1)
        shifted = y - y.amax(dim=1, keepdim=True)
        log_p = shifted.sub_(shifted.exp().sum(dim=1, keepdim=True).log_())  # log p_j = y_j - log sum_j e^(y_j)
        div = log_p.gather(1, t).mean().neg_()  # -(1/N) sum_i log p_(i, t_i)
        dy = log_p.exp_()
        dy.scatter_add_(1, t, scalar(-1, dy).expand_as(t))  # dL/dy = o - t
        return div, dy.mul_(scalar(1 / y.shape[0], dy))

    def targets(self, labels: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
        return labels

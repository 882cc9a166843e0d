"""Losses: the divergence of output and target, averaged over a batch, and its derivative.

Shapes: B batch, C classes or outputs. y (B, C); the target t is (B, C), or (B,) for class labels.
"""

import math
from abc import abstractmethod
from typing import ClassVar, final

import torch
from torch import Tensor

from manual.operation import Operation

SMALLEST_SLOPE = 9.999999960041972e-13  # torch's 1e-12, rounded to float32 for either dtype


class Loss(Operation):
    """Div(y, t) and its derivative, from one call, so that they cannot belong to different losses.

    `of_logits`: the output's activation is part of the loss.
    `of_probabilities`: y must lie in [0, 1].
    """

    of_logits: ClassVar[bool] = False
    of_probabilities: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(Div (), dDiv/dy (B, C)). ValueError for a shape or dtype that will not do."""

    def targets(self, labels: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
        """Labels (n,) as this loss takes them: one-hot rows (n, classes) by default. Errors as from
        _check_labels.
        """
        _check_labels(labels, classes)
        return (labels.unsqueeze(1) == torch.arange(classes, device=labels.device)).to(dtype)


def _check(y: Tensor, t: Tensor) -> None:
    """ValueError unless y and t match and hold a sample; torch would broadcast (3, 1) to (3,)."""
    if y.shape != t.shape or y.ndim != 2 or len(y) == 0 or y.dtype != t.dtype:
        given = f"output {tuple(y.shape)} of {y.dtype} and target {tuple(t.shape)} of {t.dtype}"
        raise ValueError(f"{given} must have one shape (B, C), with B at least 1, and one dtype")


def _check_labels(labels: Tensor, classes: int) -> None:
    """ValueError unless they are (n,) of int64, IndexError outside 0..classes-1."""
    if labels.ndim != 1 or labels.dtype != torch.int64:
        raise ValueError(
            f"labels {tuple(labels.shape)} of {labels.dtype} must be (n,) of torch.int64"
        )
    outside = labels[(labels < 0) | (labels >= classes)]
    if len(outside):
        raise IndexError(
            f"label {int(outside[0])} is out of range: with {classes} classes labels are 0 to "
            f"{classes - 1}"
        )


@final
class HalfSquaredError(Loss, name="half-squared"):
    """Div = 1/2 sum_i (y_i - d_i)^2 per sample (slide "Example: L2"), averaged over the batch as
    the lecture's code does.

    Here the target, d on the slides, is t. Twin: MSELoss(reduction="sum") * 1/2 / B.
    """

    def __call__(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        _check(y, t)
        # Div = 1/2 sum (y - d)^2, mean over the batch
        div = (y - t).square().sum() * (0.5 / len(y))
        return div, (y - t) * (1 / len(y))  # dDiv/dy_i = y_i - d_i


@final
class SquaredError(Loss, name="squared"):
    """J_2 = (1/m) sum_i ||yhat_i - y_i||^2 over the m = B samples of a batch (slide "Loss Functions
    and total Error").

    Twin: MSELoss(reduction="sum") / B.
    """

    def __call__(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        _check(y, t)
        # dDiv/dy = (2/m) (y - t)
        return (y - t).square().sum() * (1 / len(y)), (y - t) * (2 / len(y))


@final
class MSELoss(Loss, name="mse"):
    """(1/N) sum (y - t)^2 (slide "Loss Functions and total Error") as torch takes it: the mean over
    all N = B C entries.
    """

    def __call__(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        _check(y, t)
        return (y - t).square().mean(), (y - t) * (2 / y.numel())  # dDiv/dy = (2/N) (y - t)


@final
class CrossEntropyLoss(Loss, name="cross-entropy", of_logits=True):
    """-(1/N) sum_i log p_(i, t_i) with p = softmax(y) inside (slide "Cross-Entropy"): y are logits,
    t labels (B,).

    Softmax and -t/o together give dDiv/dy = (p - t) / B. Log and exponential are taken of y - max
    y: finite at any finite y. IndexError for a label outside 0..C-1 on the CPU, a device-side
    assertion on CUDA.
    """

    def __call__(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        if y.ndim != 2 or y.shape[:1] != t.shape or len(y) == 0 or t.dtype != torch.int64:
            given = f"logits {tuple(y.shape)} and labels {tuple(t.shape)} of {t.dtype}"
            raise ValueError(f"{given} must be (B, C) and (B,) of torch.int64, with B at least 1")
        label = t.unsqueeze(1)
        shifted = y - y.amax(dim=1, keepdim=True)
        # log p_j = y_j - log sum_j e^(y_j)
        log_p = shifted - shifted.exp().sum(dim=1, keepdim=True).log()
        try:
            log_p_t = log_p.gather(1, label)
        except RuntimeError:
            _check_labels(t, y.shape[1])
            raise
        difference = log_p.exp().scatter_add(1, label, -torch.ones_like(log_p_t))  # p - t
        # -(1/N) sum_i log p_(i, t_i)
        return (-log_p_t).mean(), difference * (1 / len(y))

    def targets(self, labels: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
        _check_labels(labels, classes)
        return labels


@final
class CrossEntropyOfProbabilities(
    Loss, name="cross-entropy-of-probabilities", of_probabilities=True
):
    """-(1/N) sum_i sum_j t_ij log o_ij (slide "Cross-Entropy"): y are probabilities o, a softmax's
    output, t any distribution.

    The o are taken as no smaller than the smallest normal number, where log is finite; there and
    below the derivative is 0.
    """

    def __call__(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        _check(y, t)
        smallest, mean = torch.finfo(y.dtype).tiny, 1 / len(y)
        o = y.clamp_min(smallest)
        div = (-t * o.log()).sum() * mean  # -(1/N) sum t log o
        return div, (-t * mean / o).masked_fill(y <= smallest, 0)  # dDiv/do = -t/o


@final
class BinaryCrossEntropy(Loss, name="binary-cross-entropy", of_probabilities=True):
    """-(1/N) sum [t log y + (1 - t) log(1 - y)] (slide "Binary cross-entropy") of a sigmoid's
    outputs y.

    Summed over the outputs, averaged over the N = B samples: with a sigmoid, dDiv/dz = (y - t) / B.
    As in torch, logs are no smaller than -100 and y (1 - y) no smaller than 1e-12. Outside [0, 1],
    where torch raises, both results are nan. Twin: BCELoss(reduction="sum") / B.
    """

    def __call__(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        _check(y, t)
        mean = 1 / len(y)
        log_y, log_not_y = y.log().clamp_min(-100), torch.log1p(-y).clamp_min(-100)
        div = ((t - 1) * log_not_y - t * log_y).sum() * mean
        slope = (1 - y) * y
        floored = slope.clamp_min(SMALLEST_SLOPE).masked_fill(slope < 0, math.nan)
        return div, (y - t) * mean / floored  # dDiv/dy = (y - t) / (y (1 - y))


@final
class BinaryCrossEntropyOfLogits(Loss, name="binary-cross-entropy-of-logits", of_logits=True):
    """Binary cross-entropy with y = sigmoid(z) inside, of logits z: finite at any finite z.

    -t log y - (1 - t) log(1 - y) = (1 - t) z - log y, and log y = min(z, 0) - log(1 + e^-|z|).
    Twin: BCEWithLogitsLoss(reduction="sum") / B.
    """

    def __call__(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        _check(y, t)
        mean = 1 / len(y)
        log_y = y.clamp_max(0) - torch.log1p(torch.exp(-y.abs()))
        div = ((1 - t) * y - log_y).sum() * mean
        return div, (torch.sigmoid(y) - t) * mean  # dDiv/dz = sigmoid(z) - t

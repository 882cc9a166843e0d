"""Losses: (y, t) -> (Div, dDiv/dy)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from manual.losses import (
    BinaryCrossEntropy,
    BinaryCrossEntropyOfLogits,
    CrossEntropyLoss,
    CrossEntropyOfProbabilities,
    HalfSquaredError,
    MSELoss,
    SquaredError,
)
from tests.faults.plant import FAULTS, Fault, plant, scaled

scaled(
    "half-squared: the gradient of (y - d)^2",
    HalfSquaredError,
    "__call__",
    lambda r: (r[0], r[1] * 2),
)
scaled("half-squared: d - y", HalfSquaredError, "__call__", lambda r: (r[0], -r[1]))
scaled(
    "half-squared: the gradient summed over the batch, the value averaged",
    HalfSquaredError,
    "__call__",
    lambda r: (r[0], r[1] * len(r[1])),
)
scaled(
    "half-squared: the value summed over the batch",
    HalfSquaredError,
    "__call__",
    lambda r: (r[0] * len(r[1]), r[1]),
)
scaled(
    "squared: the lecture's 1/2 in the gradient",
    SquaredError,
    "__call__",
    lambda r: (r[0], r[1] / 2),
)
scaled(
    "mse: the gradient of the mean over the batch alone, C times too large",
    MSELoss,
    "__call__",
    lambda r: (r[0], r[1] * r[1].shape[1]),
)
scaled("mse: the gradient without its 2", MSELoss, "__call__", lambda r: (r[0], r[1] / 2))
scaled(
    "cross-entropy: the gradient summed over the batch, B times too large",
    CrossEntropyLoss,
    "__call__",
    lambda r: (r[0], r[1] * len(r[1])),
)
scaled(
    "cross-entropy: the slide's lost minus", CrossEntropyLoss, "__call__", lambda r: (-r[0], r[1])
)


def stale_gradient(call: Callable[..., Any]) -> Callable[..., Any]:
    buffers: dict[object, Tensor] = {}

    def wrong(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        div, dy = call(self, y, t)
        return div, buffers.setdefault((dy.shape, dy.dtype), dy)

    return wrong


FAULTS.append(
    Fault(
        "cross-entropy: a stale buffer, one gradient for all",
        CrossEntropyLoss,
        "__call__",
        stale_gradient,
    )
)


@plant(
    "cross-entropy: log p of softmax as it stands, which underflows", CrossEntropyLoss, "__call__"
)
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    p = torch.softmax(y, dim=1)
    return -p.gather(1, t[:, None]).log().mean(), (
        p - torch.eye(y.shape[1], dtype=y.dtype)[t]
    ) / len(y)


@plant("cross-entropy: o for o - t", CrossEntropyLoss, "__call__")
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    log_p = torch.log_softmax(y, dim=1)
    return -log_p.gather(1, t[:, None]).mean(), log_p.exp() / len(y)


scaled(
    "cross-entropy of probabilities: t/o for -t/o",
    CrossEntropyOfProbabilities,
    "__call__",
    lambda r: (r[0], -r[1]),
)


@plant("cross-entropy of probabilities: log(0)", CrossEntropyOfProbabilities, "__call__")
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return -(t * y.log()).sum() / len(y), (t * (-1 / len(y))) / y


@plant("binary cross-entropy: y - t, without 1 / (y (1 - y))", BinaryCrossEntropy, "__call__")
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    div = torch.nn.functional.binary_cross_entropy(y, t, reduction="sum") / len(y)
    return div, (y - t) / len(y)


@plant("binary cross-entropy: 0 log(0)", BinaryCrossEntropy, "__call__")
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return -(t * y.log() + (1 - t) * (1 - y).log()).sum() / len(y), (y - t) / (y * (1 - y)) / len(y)


scaled(
    "binary cross-entropy of logits: averaged over the outputs too",
    BinaryCrossEntropyOfLogits,
    "__call__",
    lambda r: (r[0] / r[1].shape[1], r[1] / r[1].shape[1]),
)


@plant(
    "binary cross-entropy of logits: log(1 + e^y) as it stands, which overflows",
    BinaryCrossEntropyOfLogits,
    "__call__",
)
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return (torch.log1p(y.exp()) - t * y).sum() / len(y), (torch.sigmoid(y) - t) / len(y)


@plant("losses: (3, 1) is broadcast against (3,)", HalfSquaredError, "__call__")
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    dy = y - t
    return torch.square(dy).sum() * (0.5 / len(y)), dy * (1 / len(y))

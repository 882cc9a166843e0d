"""Backwards of losses, right and wrong."""

# ruff: noqa: ARG005 - a wrong backward overlooks what it is given

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name

from tests.check.mistakes.row import add, normal, sigmoid, softmax, tensor

ONE_HOT = np.eye(4)[[0, 1, 2, 3, 1, 0]]
LABELS = torch.tensor([0, 1, 2, 3, 1, 0])


def cross_entropy(z: Any, t: Any) -> Any:
    return -(t * np.log(softmax(z))).sum() / len(z)


def cross_entropy_backward(dy: Any, z: Any, t: Any) -> Any:
    return dy * (softmax(z) - t) / len(z), None


add(
    "cross-entropy divided twice",
    "1/B, the number of samples",
    cross_entropy,
    cross_entropy_backward,
    lambda dy, z, t: (cross_entropy_backward(dy, z, t)[0] / len(z), None),
    normal(6, 4),
    ONE_HOT,
)
add(
    "cross-entropy the other way round",
    "-1 times",
    cross_entropy,
    cross_entropy_backward,
    lambda dy, z, t: (-cross_entropy_backward(dy, z, t)[0], None),
    normal(6, 4),
    ONE_HOT,
)
add(
    "label smoothing forgotten",
    "t stands where (0.9 * t) + 0.025 belongs",
    lambda z, t: cross_entropy(z, 0.9 * t + 0.025),
    lambda dy, z, t: (dy * (softmax(z) - 0.9 * t - 0.025) / len(z), None),
    cross_entropy_backward,
    normal(6, 4),
    ONE_HOT,
)
add(
    "softmax along the other axis",
    "along axis 0, where it belongs along axis 1",
    F.cross_entropy,
    lambda dy, z, t: (dy * (z.softmax(1) - F.one_hot(t, z.shape[1])) / len(z), None),
    lambda dy, z, t: (dy * (z.softmax(0) - F.one_hot(t, z.shape[1])) / len(z), None),
    tensor(6, 4),
    LABELS,
    torch_=True,
)
add(
    "softmax without the target",
    "only the softmax is there",
    F.cross_entropy,
    lambda dy, z, t: (dy * (z.softmax(1) - F.one_hot(t, z.shape[1])) / len(z), None),
    lambda dy, z, t: (dy * z.softmax(1) / len(z), None),
    tensor(6, 4),
    LABELS,
    torch_=True,
)
add(
    "softmax as if elementwise",
    "only the diagonal of the Jacobian",
    lambda z: torch.softmax(z, 1),
    lambda dy, z: torch.autograd.functional.vjp(lambda z: torch.softmax(z, 1), z, dy)[1],
    lambda dy, z: dy * z.softmax(1) * (1 - z.softmax(1)),
    tensor(5, 4),
    torch_=True,
)
add(
    "temperature forgotten",
    "the division by 2 of z / 2 is missing",
    lambda z: softmax(z / 2),
    lambda dy, z: softmax(z / 2) * (dy - (softmax(z / 2) * dy).sum(-1, keepdims=True)) / 2,
    lambda dy, z: softmax(z / 2) * (dy - (softmax(z / 2) * dy).sum(-1, keepdims=True)),
    normal(5, 4),
)
add(
    "weighted error without its weights",
    "it lacks w",
    lambda y, t, w: (w * (y - t) ** 2).sum(),
    lambda dy, y, t, w: (2 * dy * w * (y - t), -2 * dy * w * (y - t), dy * (y - t) ** 2),
    lambda dy, y, t, w: (2 * dy * (y - t), -2 * dy * w * (y - t), dy * (y - t) ** 2),
    normal(5, 3),
    normal(5, 3, seed=1),
    np.abs(normal(5, 3, seed=2)) + 0.5,
)
add(
    "sigmoid's derivative after p - t",
    "applied besides",
    lambda z, t: -(t * np.log(sigmoid(z)) + (1 - t) * np.log(1 - sigmoid(z))).mean(),
    lambda dy, z, t: (dy * (sigmoid(z) - t) / z.size, None),
    lambda dy, z, t: (dy * (sigmoid(z) - t) * sigmoid(z) * (1 - sigmoid(z)) / z.size, None),
    normal(6, 1),
    (normal(6, 1, seed=1) > 0) * 1.0,
)
add(
    "the 1 - t term with the wrong sign",
    "the gradient of p through 1 - p has the wrong sign",
    lambda p, t: -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(),
    lambda dy, p, t: (-dy * (t / p - (1 - t) / (1 - p)) / p.size, None),
    lambda dy, p, t: (-dy * (t / p + (1 - t) / (1 - p)) / p.size, None),
    sigmoid(normal(6, 2)),
    (normal(6, 2, seed=1) > 0) * 1.0,
)


def hinge(w: Any, x: Any, t: Any) -> Any:
    s = x @ w
    margin = np.maximum(0, s - s[np.arange(len(t)), t][:, None] + 1)
    margin[np.arange(len(t)), t] = 0
    return margin.sum() / len(t)


def hinge_backward(dy: Any, w: Any, x: Any, t: Any, *, own: bool = True) -> Any:
    s, rows = x @ w, np.arange(len(t))
    ds = (s - s[rows, t][:, None] + 1 > 0) * 1.0
    ds[rows, t] = 0
    ds[rows, t] -= own * ds.sum(1)
    ds *= dy / len(t)
    return x.T @ ds, ds @ w.T, None


add(
    "hinge loss without the right class",
    "is taken as a constant",
    hinge,
    hinge_backward,
    lambda dy, w, x, t: hinge_backward(dy, w, x, t, own=False),
    normal(5, 3) / 4,
    normal(8, 5),
    np.array([0, 1, 2, 2, 1, 0, 0, 1]),
)

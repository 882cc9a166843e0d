"""Backwards of functions of two inputs and more, right and wrong."""

# ruff: noqa: ARG005 - a wrong backward overlooks what it is given

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.check.mistakes.row import add, normal, sigmoid, tensor

add(
    "dropout without its scale",
    "the division by 0.5",
    lambda x, m: x * m / 0.5,
    lambda dy, x, m: (dy * m / 0.5, None),
    lambda dy, x, m: (dy * m, None),
    normal(4, 5),
    (normal(4, 5, seed=1) > 0) * 1.0,
)
add(
    "a factor broadcast and not summed",
    "the sum over the batch is missing",
    lambda x, w: x * w,
    lambda dy, x, w: (dy * w, (dy * x).sum(0)),
    lambda dy, x, w: (dy * w, dy * x),
    normal(4, 3),
    normal(3),
)
add(
    "quotient unsquared",
    "-a/b stands where -a/b^2 belongs",
    lambda a, b: a / b,
    lambda dy, a, b: (dy / b, -dy * a / b**2),
    lambda dy, a, b: (dy / b, -dy * a / b),
    normal(4, 3),
    np.abs(normal(4, 3)) + 0.5,
)
add(
    "gate without its derivative",
    "the derivative of sigmoid(b) is missing",
    lambda a, b: a * sigmoid(b),
    lambda dy, a, b: (dy * sigmoid(b), dy * a * sigmoid(b) * (1 - sigmoid(b))),
    lambda dy, a, b: (dy * sigmoid(b), dy * a),
    normal(4, 3),
    normal(4, 3, seed=1),
)
add(
    "gradients exchanged",
    "is the gradient of",
    lambda a, b: a * sigmoid(b),
    lambda dy, a, b: (dy * sigmoid(b), dy * a * sigmoid(b) * (1 - sigmoid(b))),
    lambda dy, a, b: (dy * a * sigmoid(b) * (1 - sigmoid(b)), dy * sigmoid(b)),
    normal(4, 3),
    normal(4, 3, seed=1),
)


def residual(x: Any, w: Any) -> Any:
    return x + np.tanh(x @ w)


def residual_backward(dy: Any, x: Any, w: Any, skip: float = 1) -> Any:
    dz = dy * (1 - np.tanh(x @ w) ** 2)
    return skip * dy + dz @ w.T, x.T @ dz


add(
    "residual without its skip",
    "x + tanh(x @ w) is taken as a constant",
    residual,
    residual_backward,
    lambda dy, x, w: residual_backward(dy, x, w, skip=0),
    normal(5, 4),
    normal(4, 4),
)


def cosine(a: Any, b: Any) -> Any:
    return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))


def cosine_backward(dy: Any, a: Any, b: Any, through: float = 1) -> Any:
    aa, bb = (a * a).sum(1), (b * b).sum(1)
    c = through * (a * b).sum(1)
    return tuple(
        dy[:, None] * (o - s * (c / ss)[:, None]) / np.sqrt(aa * bb)[:, None]
        for s, o, ss in ((a, b, aa), (b, a, bb))
    )


add(
    "cosine with lengths as constants",
    "is taken as a constant",
    cosine,
    cosine_backward,
    lambda dy, a, b: cosine_backward(dy, a, b, through=0),
    normal(4, 3),
    normal(4, 3, seed=1),
)


def two_layers(x: Any, v: Any, w: Any) -> Any:
    return np.tanh(x @ v) @ w


def two_layers_backward(dy: Any, x: Any, v: Any, w: Any, how: str = "") -> Any:
    h = np.tanh(x @ v)
    dh = dy @ (w if how == "not transposed" else w.T)
    dz = dh if how == "f' missing" else dh * (1 - h * h)
    return dz @ v.T, x.T @ dz, (x @ v if how == "z" else h).T @ dy


for how, says in {
    "not transposed": "w is not transposed where it should be",
    "f' missing": "the derivative of tanh(x @ v)",
    "z": "x @ v stands where tanh(x @ v) belongs",
}.items():
    add(
        f"two layers, {how}",
        says,
        two_layers,
        two_layers_backward,
        lambda dy, x, v, w, how=how: two_layers_backward(dy, x, v, w, how),
        normal(6, 3),
        normal(3, 4),
        normal(4, 4),
    )


def recurrent(xs: Any, w: Any, u: Any) -> Any:
    h = np.zeros((xs.shape[1], w.shape[1]))
    for x in xs:
        h = np.tanh(x @ w + h @ u)
    return h


def recurrent_backward(dy: Any, xs: Any, w: Any, u: Any, *, add_up: bool = True) -> Any:
    hs = [np.zeros((xs.shape[1], w.shape[1]))]
    for x in xs:
        hs.append(np.tanh(x @ w + hs[-1] @ u))
    dxs, dw, du = np.zeros_like(xs), np.zeros_like(w), np.zeros_like(u)
    for k in reversed(range(len(xs))):
        dz = dy * (1 - hs[k + 1] ** 2)
        dw = add_up * dw + xs[k].T @ dz
        du += hs[k].T @ dz
        dxs[k], dy = dz @ w.T, dz @ u.T
    return dxs, dw, du


add(
    "recurrent net with = for +=",
    "only the gradient of its first use is there",
    recurrent,
    recurrent_backward,
    lambda dy, xs, w, u: recurrent_backward(dy, xs, w, u, add_up=False),
    normal(4, 3, 2),
    normal(2, 5),
    normal(5, 5) / 2,
)


def convolution(x: Any, w: Any) -> Any:
    return np.stack([(x[:, i : i + 3] * w).sum(1) for i in range(0, x.shape[1] - 2, 2)], 1)


def convolution_backward(dy: Any, x: Any, w: Any, *, add_up: bool = True) -> Any:
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for k, i in enumerate(range(0, x.shape[1] - 2, 2)):
        dx[:, i : i + 3] = add_up * dx[:, i : i + 3] + dy[:, k : k + 1] * w
        dw += (dy[:, k : k + 1] * x[:, i : i + 3]).sum(0)
    return dx, dw


add(
    "convolution whose windows overwrite each other",
    "+= belongs where = stands",
    convolution,
    convolution_backward,
    lambda dy, x, w: convolution_backward(dy, x, w, add_up=False),
    normal(4, 9),
    normal(3),
)


def embedding_backward(dy: Tensor, W: Tensor, i: Tensor, *, add_up: bool = True) -> Any:
    dW = torch.zeros_like(W)
    dW.index_put_((i,), dy, accumulate=add_up)
    return dW, None


add(
    "embedding that counts a repeated word once",
    "occurs more than once",
    lambda W, i: W[i],
    embedding_backward,
    lambda dy, W, i: embedding_backward(dy, W, i, add_up=False),
    tensor(6, 3),
    torch.tensor([0, 2, 2, 5]),
    torch_=True,
)


def prelu(x: Any, a: Any) -> Any:
    return np.where(x > 0, x, a * x)


add(
    "prelu masked by its output",
    "where a < 0",
    prelu,
    lambda dy, x, a: (dy * np.where(x > 0, 1, a), (dy * np.where(x > 0, 0, x)).sum(0)),
    lambda dy, x, a: (dy * np.where(x > 0, 1, a), (dy * np.where(prelu(x, a) > 0, 0, x)).sum(0)),
    normal(6, 3),
    np.full(3, 0.25),
)
add(
    "a weight that gets None",
    "the gradient of w is missing",
    lambda x, w: x * w,
    lambda dy, x, w: (dy * w, (dy * x).sum(0)),
    lambda dy, x, w: (dy * w, None),
    normal(4, 3),
    normal(3),
)
add(
    "dy overwritten before it is used again",
    "dw is made of dx",
    lambda x, w: x * w,
    lambda dy, x, w: (dy * w, dy * x),
    lambda dy, x, w: (dy.mul_(w), dy * x),
    tensor(4, 3),
    tensor(4, 3, seed=1),
)

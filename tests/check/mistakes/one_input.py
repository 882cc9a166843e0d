"""Backwards of functions of one input, right and wrong."""

# ruff: noqa: ARG005 - a wrong backward overlooks what it is given

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name

from tests.check.mistakes.row import add, normal, sigmoid, tensor


def elu(x: Any) -> Any:
    return np.where(x > 0, x, 0.7 * (np.exp(x) - 1))


add(
    "elu with y for y + alpha",
    "exp(x) - 1 stands where e^z belongs",
    elu,
    lambda dy, x: dy * np.where(x > 0, 1, 0.7 * np.exp(x)),
    lambda dy, x: dy * np.where(x > 0, 1, elu(x)),
    normal(4, 5),
)
add(
    "swish without its second term",
    "sigmoid(x) is taken as a constant",
    lambda x: x * sigmoid(x),
    lambda dy, x: dy * (sigmoid(x) + x * sigmoid(x) * (1 - sigmoid(x))),
    lambda dy, x: dy * sigmoid(x),
    normal(4, 5),
)
add(
    "gelu without the density",
    "without the term z phi(z)",
    F.gelu,
    lambda dy, x: torch.autograd.functional.vjp(F.gelu, x, dy)[1],
    lambda dy, x: dy * (1 + torch.erf(x / 2**0.5)) / 2,
    tensor(5, 4),
    torch_=True,
)
add(
    "tanh with missing parentheses",
    "parentheses are missing",
    torch.tanh,
    lambda dy, x: dy * (1 - torch.tanh(x) ** 2),
    lambda dy, x: dy * 1 - torch.tanh(x) ** 2,
    tensor(5, 4),
    torch_=True,
)
add(
    "softplus with tanh's derivative",
    "that of a tanh",
    lambda z: np.log1p(np.exp(z)),
    lambda dy, z: dy * sigmoid(z),
    lambda dy, z: dy * (1 - np.tanh(z) ** 2),
    normal(4, 3),
)
add(
    "sigmoid with the wrong sign inside",
    "y (1 + y) stands where y (1 - y) belongs",
    sigmoid,
    lambda dy, z: dy * sigmoid(z) * (1 - sigmoid(z)),
    lambda dy, z: dy * sigmoid(z) * (1 + sigmoid(z)),
    normal(4, 3),
)
add(
    "power with the old exponent",
    "n z^n stands where n z^(n - 1) belongs",
    lambda x: x**3,
    lambda dy, x: 3 * dy * x**2,
    lambda dy, x: 3 * dy * x**3,
    normal(4, 3),
)
add(
    "power without its factor",
    "the 3 of the derivative of x^3 is missing",
    lambda x: x**3,
    lambda dy, x: 3 * dy * x**2,
    lambda dy, x: dy * x**2,
    normal(4, 3),
)
add(
    "absolute value as a square",
    "z stands where sign z belongs",
    lambda x: np.abs(x).sum(),
    lambda dy, x: dy * np.sign(x),
    lambda dy, x: dy * x,
    normal(4, 3),
)
add(
    "clamp without its mask",
    "the mask is missing",
    lambda x: np.clip(x, -0.5, 0.5),
    lambda dy, x: dy * (np.abs(x) < 0.5),
    lambda dy, x: dy,
    normal(6, 5),
)
add(
    "inverse not transposed",
    "a is not transposed where it should be",
    np.linalg.inv,
    lambda dy, a: -np.linalg.inv(a).T @ dy @ np.linalg.inv(a).T,
    lambda dy, a: -np.linalg.inv(a) @ dy @ np.linalg.inv(a),
    normal(4, 4) + 3 * np.eye(4),
)
add(
    "variance without its 2",
    "2 times too small",
    lambda x: x.var(0),
    lambda dy, x: 2 * dy * (x - x.mean(0)) / len(x),
    lambda dy, x: dy * (x - x.mean(0)) / len(x),
    normal(6, 3),
)
add(
    "mean that forgets how many",
    "B, the number of samples",
    lambda x: x.mean(0),
    lambda dy, x: np.broadcast_to(dy / len(x), x.shape).copy(),
    lambda dy, x: np.broadcast_to(dy, x.shape).copy(),
    normal(6, 3),
)
add(
    "average pooling without 1/4",
    "the 1/n of mean(x) is missing",
    lambda x: x.reshape(2, 3, 2, 3, 2).mean((2, 4)),
    lambda dy, x: dy.repeat(2, 1).repeat(2, 2) / 4,
    lambda dy, x: dy.repeat(2, 1).repeat(2, 2),
    normal(2, 6, 6),
)
add(
    "upsampling that takes one of each four",
    "the sum over them is missing",
    lambda x: x.repeat(2, 1).repeat(2, 2),
    lambda dy, x: dy.reshape(2, 3, 2, 3, 2).sum((2, 4)),
    lambda dy, x: dy[:, ::2, ::2],
    normal(2, 3, 3),
)
add(
    "a reader of memory",
    "contiguous",
    lambda x: x * x,
    lambda dy, x: 2 * x * dy,
    lambda dy, x: 2 * x * torch.as_strided(dy, dy.shape, (dy.shape[1], 1)),
    tensor(4, 3),
)
add(
    "a dy that is overlooked",
    "ignores dy",
    lambda x: x / torch.sqrt(1 + x * x),
    lambda dy, x: dy * (1 + x * x) ** -1.5,
    lambda dy, x: (1 + x * x) ** -1.5,
    tensor(4, 3),
)

add(
    "length of a row of zeros",
    "nan",
    lambda x: np.sqrt((x * x).sum(1)),
    lambda dy, x: x * (dy / np.maximum(np.sqrt((x * x).sum(1)), 1e-300))[:, None],
    lambda dy, x: x * (dy / np.sqrt((x * x).sum(1)))[:, None],
    normal(5, 3),
)
add(
    "product by the quotient",
    "nan",
    lambda x: x[:, 0] * x[:, 1],
    lambda dy, x: dy[:, None] * x[:, ::-1],
    lambda dy, x: (dy * x[:, 0] * x[:, 1])[:, None] / x,
    normal(5, 2),
)

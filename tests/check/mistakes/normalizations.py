"""Backwards of normalizations and attention, right and wrong."""

# ruff: noqa: ARG001 - a wrong backward overlooks what it is given

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name
from torch import Tensor

from tests.check.mistakes.row import add, tensor


def batch_norm(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, w, b, training=True)


def batch_norm_backward(dy: Tensor, x: Tensor, w: Tensor, b: Tensor, how: str = "") -> Any:
    s = torch.sqrt(x.var(0, unbiased=how == "ddof") + 1e-5)
    xhat, d = (x - x.mean(0)) / s, dy if how == "no w" else dy * w
    mean = (lambda part: part.sum(0)) if how == "sums" else (lambda part: part.mean(0))
    dx = d - mean(d) if how == "constant" else d - mean(d) - xhat * mean(d * xhat)
    return dx * s if how == "* s" else dx / s, (dy * (x if how == "x" else xhat)).sum(0), dy.sum(0)


for how, says in {
    "ddof": "by n - 1 in backward",
    "no w": "the factor w",
    "sums": "the 1/n of",
    "constant": "var(x)",
    "* s": "but for a factor",
    "x": "x stands where",
}.items():
    add(
        f"batch norm, {how}",
        says,
        batch_norm,
        batch_norm_backward,
        lambda dy, x, w, b, how=how: batch_norm_backward(dy, x, w, b, how),
        tensor(7, 4),
        tensor(4),
        tensor(4, seed=1),
        torch_=True,
    )


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def attention_backward(dy: Tensor, q: Tensor, k: Tensor, v: Tensor, how: str = "") -> Any:
    z = q @ k.mT / q.shape[-1] ** 0.5
    p = (
        z if how == "no mask" else z.masked_fill(~torch.ones_like(z).tril().bool(), -torch.inf)
    ).softmax(-1)
    dp = dy @ v.mT
    dz = p * dp if how == "no sum" else p * (dp - (p * dp).sum(-1, keepdim=True))
    dz = dz if how == "no root" else dz / q.shape[-1] ** 0.5
    return dz @ k, (dz @ q if how == "not transposed" else dz.mT @ q), p.mT @ dy


for how, says in {
    "no mask": "is forgotten in backward",
    "no sum": "the term -y sum(dy y)",
    "no root": "sqrt(",
    "not transposed": "transposed",
}.items():
    add(
        f"attention, {how}",
        says,
        attention,
        attention_backward,
        lambda dy, q, k, v, how=how: attention_backward(dy, q, k, v, how),
        tensor(5, 4),
        tensor(5, 4, seed=1),
        tensor(5, 4, seed=2),
        torch_=True,
    )

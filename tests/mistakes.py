"""Backwards as people write them, a right and a wrong one of each, with the words that name the
mistake.

They are public bug reports and exercises of courses, written anew: what `check_gradients` is tested
on, and what `python -m tests.checkers` holds other checkers against.
"""

# ruff: noqa: ARG001, ARG005 - a wrong backward overlooks what it is given; letters are those of the
# formulas

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name
from torch import Tensor

Function = Callable[..., Any]


@dataclass(frozen=True)
class Mistake:
    """A forward with a right and a wrong backward. says: what a diagnosis of the wrong one has to
    contain.
    """

    name: str
    says: str
    forward: Function
    right: Function
    wrong: Function
    inputs: tuple[Any, ...]
    reference: Function | None = None


MISTAKES: list[Mistake] = []


def add(
    name: str,
    says: str,
    forward: Function,
    right: Function,
    wrong: Function,
    *inputs: Any,
    torch_: bool = False,
) -> None:
    """torch_: forward is torch's own, and its own reference."""
    MISTAKES.append(Mistake(name, says, forward, right, wrong, inputs, forward if torch_ else None))


def normal(*shape: int, seed: int = 0) -> Any:
    """N(0, 1) in NumPy."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def tensor(*shape: int, seed: int = 0) -> Tensor:
    """N(0, 1) in torch, float64."""
    return torch.from_numpy(normal(*shape, seed=seed))


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def softmax(z: Any, axis: int = -1) -> Any:
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


# -- functions of one input
# -------------------------------------------------------------------------------------------


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

# -- two inputs and more
# ----------------------------------------------------------------------------------------------

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


for how, says in (("not transposed", "w is not transposed where it should be"),
    ("f' missing", "the derivative of tanh(x @ v)"),
                  ("z", "x @ v stands where tanh(x @ v) belongs")):  # fmt: skip
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

# -- losses
# --------------------------------------------------------------------------------------------------

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

# -- normalizations and attention
# -------------------------------------------------------------------------------------


def batch_norm(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, w, b, training=True)


def batch_norm_backward(dy: Tensor, x: Tensor, w: Tensor, b: Tensor, how: str = "") -> Any:
    s = torch.sqrt(x.var(0, unbiased=how == "ddof") + 1e-5)
    xhat, d = (x - x.mean(0)) / s, dy if how == "no w" else dy * w
    mean = (lambda part: part.sum(0)) if how == "sums" else (lambda part: part.mean(0))
    dx = d - mean(d) if how == "constant" else d - mean(d) - xhat * mean(d * xhat)
    return dx * s if how == "* s" else dx / s, (dy * (x if how == "x" else xhat)).sum(0), dy.sum(0)


for how, says in (("ddof", "by n - 1 in backward"), ("no w", "the factor w"),
    ("sums", "the 1/n of"), ("constant", "var(x)"),
                  ("* s", "but for a factor"), ("x", "x stands where")):  # fmt: skip
    add(f"batch norm, {how}", says, batch_norm, batch_norm_backward,
        lambda dy, x, w, b, how=how: batch_norm_backward(dy, x, w, b, how), tensor(7, 4), tensor(4),
        tensor(4, seed=1),
        torch_=True)  # fmt: skip


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


for how, says in (("no mask", "is forgotten in backward"), ("no sum", "the term -y sum(dy y)"),
    ("no root", "sqrt("),
                  ("not transposed", "transposed")):  # fmt: skip
    add(f"attention, {how}", says, attention, attention_backward,
        lambda dy, q, k, v, how=how: attention_backward(dy, q, k, v, how), tensor(5, 4),
        tensor(5, 4, seed=1),
        tensor(5, 4, seed=2), torch_=True)  # fmt: skip

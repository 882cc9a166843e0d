"""Wrong backwards of torch's functions, each with one place changed, or two."""

# ruff: noqa: ARG005 - a wrong backward overlooks what it is given

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

from tests.check.planted.row import Changed
from torch_ref.cases import random


def drawn(*shape: int, seed: int = 1) -> Tensor:
    return random(shape, torch.float64, seed)


A, B, C, S = drawn(4, 3), drawn(4, 3, seed=2), drawn(4, 3, seed=3), drawn(3, 3)
ONES = torch.ones(3, 3, dtype=torch.float64)
MASK = drawn(4, 3, seed=4) > 0
TWICE = torch.tensor([0, 1, 1, 2])


def logsumexp(a: Tensor) -> Tensor:
    largest = a.max(1).values
    return (a - largest[:, None]).exp().sum(1).log() + largest


def logsumexp_with_two_maxima(a: Tensor) -> Tensor:
    return (a - a.amax(1, keepdim=True)).exp().sum(1).log() + a.amax(1)


def two_layers(x: Tensor, w: Tensor) -> Tensor:
    return torch.sin(torch.tanh(x @ w) @ w)


def two_layers_backward(dy: Tensor, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Not transposed in one place, without the cosine in another."""
    y = torch.tanh(x @ w)
    delta = (dy @ w) * (1 - y**2)
    return delta @ w.T, x.T @ delta + y.T @ dy


def used_twice(x: Tensor, w: Tensor) -> Tensor:
    return x.sin() @ w + x.sin() @ w.T


def one_value_used_twice(x: Tensor, w: Tensor) -> Tensor:
    y = x.sin()
    return y @ w + y @ w.T


def of_a_use(
    use: Callable[[Tensor], Tensor],
) -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
    return lambda dy, x, w: (dy @ use(w).T * x.cos(), x.sin().T @ dy + dy.T @ x.sin())


def neighbours(x: Tensor) -> Tensor:
    return x[:, :-1] * x[:, 1:]


def the_last_neighbour(dy: Tensor, x: Tensor) -> Tensor:
    return torch.cat([(dy * x[:, 1:])[:, :1], dy * x[:, :-1]], 1)


def of_a_row(i: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Of the row that is there twice, what comes through its i-th place alone."""

    def backward(dy: Tensor, x: Tensor) -> Tensor:
        return (dy * x[TWICE].cos())[[0, 1 + i, 3]]

    return backward


def filtered(x: Tensor, k: Tensor) -> Tensor:
    return conv1d(x[:, None], k[None, None])[:, 0]


def filtered_backward(dy: Tensor, x: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    dk = torch.stack([(dy * x[:, :-1]).sum(), (dy * x[:, 1:]).sum()])
    return filtered(pad(dy, (1, 1)), k), dk


ROWS = [
    Changed(
        "factor once too often",
        lambda a, b: a * b,
        lambda dy, a, b: (dy * b, dy * a * a * b),
        (A, B),
    ),
    Changed(
        "divided",
        lambda a, b: a * b.sin(),
        lambda dy, a, b: (dy * b.sin(), dy * b.cos() / a),
        (A.abs() + 1, B),
    ),
    Changed(
        "multiplied for divided",
        lambda a, b: a.sin() / b,
        lambda dy, a, b: (dy * a.cos() * b, -dy * a.sin() / b**2),
        (A, B.abs() + 1),
    ),
    Changed(
        "factors of forward, one missing, one twice",
        lambda a, b: 3 * a + 5 * b,
        lambda dy, a, b: (dy, 25 * dy),
        (A, B),
    ),
    Changed(
        "one off, one doubled",
        lambda a, b: a.sin() * b,
        lambda dy, a, b: (dy * a.cos() * b + a, 2 * dy * a.sin()),
        (A, B),
    ),
    Changed(
        "two derivatives missing",
        lambda x, w: (x @ w).tanh().exp(),
        lambda dy, x, w: (dy @ w.T, x.T @ dy),
        (A, S),
    ),
    Changed("transposed, and a derivative missing", two_layers, two_layers_backward, (A, S)),
    Changed(
        "each its own derivative missing",
        lambda a, b: a.sin() * b.exp(),
        lambda dy, a, b: (dy * b.exp(), dy * a.sin()),
        (A, B),
    ),
    Changed(
        "two of three",
        lambda a, b, c: (a.sin() + b).exp() * c,
        lambda dy, a, b, c: (dy * c * a.cos(), dy * c, dy * (a.sin() + b).exp() + c),
        (A, B, C),
    ),
    Changed(
        "a term doubled",
        lambda a, b: a * b + a.sin(),
        lambda dy, a, b: (dy * b + 2 * dy * a.cos(), dy * a),
        (A, B),
    ),
    Changed(
        "two terms tripled",
        lambda a, b: a * b + a.sin() + b.sin(),
        lambda dy, a, b: (dy * b + 3 * dy * a.cos(), dy * a + 3 * dy * b.cos()),
        (A, B),
    ),
    Changed("a term's sign", lambda a: a - a.mean(0), lambda dy, a: dy + dy.mean(0), (A,)),
    Changed(
        "1/n of a term",
        lambda a: a * a.mean(0),
        lambda dy, a: dy * a.mean(0) + (dy * a).sum(0),
        (A,),
    ),
    Changed(
        "a mean as a constant",
        lambda a: (a - a.mean(0)) ** 2,
        lambda dy, a: 2 * dy * (a - a.mean(0)),
        (A,),
    ),
    Changed(
        "a variance by n - 1",
        lambda a, b: a.var(0, unbiased=False) + b.sin(),
        lambda dy, a, b: (dy * 2 * (a - a.mean(0)) / 3, (dy * b.cos())),
        (A, drawn(3)),
    ),
    Changed(
        "a variance by n - 1 as a factor",
        lambda a: a * a.var(0, unbiased=False),
        lambda dy, a: dy * a.var(0) + (dy * a).sum(0) * 2 * (a - a.mean(0)) / 4,
        (A,),
    ),
    Changed(
        "a variance by n as a factor",
        lambda a: a * a.var(0),
        lambda dy, a: dy * a.var(0, unbiased=False) + (dy * a).sum(0) * 2 * (a - a.mean(0)) / 3,
        (A,),
    ),
    Changed(
        "a sigmoid for a softmax, shifted",
        logsumexp_with_two_maxima,
        lambda dy, a: dy[:, None] * torch.sigmoid(a - a.amax(1, keepdim=True)),
        (A,),
    ),
    Changed(
        "a sigmoid for a softmax, shifted by max",
        logsumexp,
        lambda dy, a: dy[:, None] * torch.sigmoid(a - a.amax(1, keepdim=True)),
        (A,),
    ),
    Changed(
        "what is masked, unmasked",
        lambda a, b: torch.where(MASK, a, 0) @ b,
        lambda dy, a, b: ((dy @ b.T) * MASK, a.T @ dy),
        (A, S),
    ),
    Changed(
        "what is masked by another, unmasked",
        lambda a, b: torch.where(b > 0, a, 0) ** 2,
        lambda dy, a, b: (2 * dy * a, None),
        (A, B),
    ),
    Changed(
        "only the true class",
        lambda z, t: -(z.log_softmax(1) * t).sum(),
        lambda dy, z, t: (dy * t * (z.softmax(1) - 1), None),
        (A, ONES.triu().tril()[[0, 2, 1, 2]]),
    ),
    Changed(
        "a triangle, whole",
        lambda a, b: a.tril() @ b,
        lambda dy, a, b: ((dy @ b.T).tril(), a.T @ dy),
        (S, S + 1),
    ),
    Changed(
        "a triangle of ones, whole",
        lambda a: (a + ONES.triu()).tanh(),
        lambda dy, a: dy / (a + 1).cosh() ** 2,
        (S,),
    ),
    Changed(
        "a summand left out",
        lambda a, b: b * (a.square() + 0.5).sqrt(),
        lambda dy, a, b: (dy * b * a / (a.square() + 0.5).sqrt(), dy * a.abs()),
        (A, B),
    ),
    Changed(
        "the other one left out",
        lambda a, b: b * (2 * a.sin() + 1),
        lambda dy, a, b: (2 * dy * b * a.cos(), dy * 2 * a.sin()),
        (A, B),
    ),
    Changed(
        "a minus left out",
        lambda a, b: b * (-a.sin()),
        lambda dy, a, b: (-dy * b * a.cos(), dy * a.sin()),
        (A, B),
    ),
    Changed("the value before a minus", lambda a: (-a).exp(), lambda dy, a: -dy * a.exp(), (A,)),
    Changed(
        "the value before a quotient",
        lambda a: (a / 2).tanh(),
        lambda dy, a: dy / 2 / a.cosh() ** 2,
        (A,),
    ),
    Changed(
        "the value before a difference",
        lambda a: (a - 2).tanh(),
        lambda dy, a: dy / a.cosh() ** 2,
        (A,),
    ),
    Changed(
        "divided by a number of forward",
        lambda a, s: a * s,
        lambda dy, a, s: (dy, (dy * a).sum()),
        (A, torch.tensor(1.7, dtype=torch.float64)),
    ),
    Changed(
        "a factor of 1",
        lambda a, b: b.sin() * a.sin(),
        lambda dy, a, b: (dy * a.cos(), dy * b.cos()),
        (A, B),
    ),
    Changed(
        "sums of dy from the wrong end",
        lambda a: a.cumsum(0).sin(),
        lambda dy, a: (dy * a.cumsum(0).cos()).cumsum(0),
        (A,),
    ),
    Changed("a kernel not turned round", filtered, filtered_backward, (drawn(4, 6), drawn(2))),
    Changed(
        "a row used by all",
        lambda r: (r.expand(4, 3) * A).sin(),
        lambda dy, r: (dy * A * (r.expand(4, 3) * A).cos())[0],
        (drawn(3),),
    ),
    Changed("the last of two uses", one_value_used_twice, of_a_use(lambda w: w.T), (A, S)),
    Changed("the first of two uses", one_value_used_twice, of_a_use(lambda w: w), (A, S)),
    Changed("one of two that are alike", used_twice, of_a_use(lambda w: w), (A, S)),
    Changed("parts that overlap", neighbours, the_last_neighbour, (A,)),
    Changed("the first place of a row", lambda x: x[TWICE].sin(), of_a_row(0), (S,)),
    Changed("the last place of a row", lambda x: x[TWICE].sin(), of_a_row(1), (S,)),
    Changed("an exp's summand", lambda a: a.exp() - 1, lambda dy, a: dy * (a.exp() - 1), (A,)),
    Changed(
        "a power's factor",
        lambda a: (a.abs() + 1) ** 3,
        lambda dy, a: dy * (a.abs() + 1) ** 2 * a.sign(),
        (A,),
    ),
    Changed("y for x", lambda a: 2 * a.sinh(), lambda dy, a: 2 * dy * (2 * a.sinh()).cosh(), (A,)),
]

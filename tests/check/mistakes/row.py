"""A backward as people write it, right and wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
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

"""Gradient updates of all parameters at once: theta and grad are flat vectors (P,)."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

from torch import Tensor

from manual.operation import Operation


@dataclass(eq=False)
class Optimizer(Operation):
    """One update of theta in place, from the gradient of the loss at theta; `lr` is the slides' alpha, gamma or eta."""

    lr: float

    @abstractmethod
    def step(self, theta: Tensor, grad: Tensor) -> None:
        """theta (P,) <- theta + its change for grad (P,)."""


@final
@dataclass(eq=False)
class SGD(Optimizer):
    """w_new = w_prev - eta dJ/dW (slide "Learning rate")."""

    name = "sgd"

    def step(self, theta: Tensor, grad: Tensor) -> None:
        theta.add_(grad, alpha=-self.lr)  # w <- w - eta dJ/dw

"""Optimizers: gradient updates of all parameters at once. theta, grad and what is kept between
steps are flat vectors (P,).
"""

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from manual.operation import Operation

# An optimizer's numbers are at least the first and below the second: torch's bounds, and eps > 0.
BOUNDS = dict.fromkeys(("lr", "weight_decay", "momentum"), (0.0, math.inf)) | dict.fromkeys(
    ("alpha", "betas"), (0.0, 1.0)
)
BOUNDS["eps"] = math.ulp(0.0), math.inf


@dataclass(eq=False)
class Optimizer(Operation):
    """One update of theta in place, from the gradient of the loss at theta; `lr` is the slides'
    alpha, gamma or eta.

    `weight_decay`: lambda of the term (lambda / 2) sum theta^2 in the loss (L2). `weights` (P,), 1
    where theta is a weight and 0 elsewhere, restricts that term to them; without it every parameter
    decays, as in torch. ValueError outside BOUNDS. `steps` and `buffers`: how many updates were
    made, and the vectors that they left for the next, by torch's names.
    """

    lr: float
    weight_decay: float = field(default=0.0, kw_only=True)
    weights: Tensor | None = field(default=None, kw_only=True)
    steps: int = field(default=0, init=False)
    buffers: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name, ())  # () has no number, betas two
            for number in value if isinstance(value, tuple) else (value,):
                if not low <= number < high:
                    raise ValueError(f"{name} {number} must be at least {low} and below {high}")

    @abstractmethod
    def step(self, theta: Tensor, grad: Tensor) -> None:
        """theta (P,) <- theta + its change for grad (P,), which stays as it is. Where both are 0,
        theta stays 0.
        """

    def _with_decay(self, theta: Tensor, grad: Tensor) -> Tensor:
        """The gradient of loss and L2 term: grad itself without decay, else a new vector."""
        if not self.weight_decay:
            return grad
        decaying = theta if self.weights is None else theta * self.weights
        return torch.add(grad, decaying, alpha=self.weight_decay)  # dJ/dw + lambda w

    def _buffer(self, name: str, theta: Tensor) -> Tensor:
        """The vector of that name, zeros before the first step."""
        if name not in self.buffers:
            self.buffers[name] = torch.zeros_like(theta)
        return self.buffers[name]


@final
@dataclass(eq=False, kw_only=True)
class SGD(Optimizer, name="sgd"):
    """w_new = w_prev - eta dJ/dW (slide "Learning rate").

    With momentum m the step follows v <- m v + dJ/dW instead of dJ/dW; Nesterov's looks ahead,
    dJ/dW + m v.
    """

    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")

    def step(self, theta: Tensor, grad: Tensor) -> None:
        self.steps += 1
        g = self._with_decay(theta, grad)
        if self.momentum:
            v = self._buffer("momentum_buffer", theta).mul_(self.momentum).add_(g)  # v <- m v + g
            g = g.add(v, alpha=self.momentum) if self.nesterov else v
        theta.add_(g, alpha=-self.lr)  # w <- w - eta dJ/dw


@final
@dataclass(eq=False, kw_only=True)
class RMSprop(Optimizer, name="rmsprop"):
    """w <- w - eta g / (sqrt(v) + eps) with v, the running mean of g^2 (the outline's "Gradient
    updates: RMSprop").

    `alpha` is what v keeps of itself in a step; eps must be above 0. With momentum m, u <- m u + g
    / (sqrt(v) + eps) is followed instead. Hinton, Neural Networks for Machine Learning, lecture 6e.
    """

    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0

    def step(self, theta: Tensor, grad: Tensor) -> None:
        self.steps += 1
        g = self._with_decay(theta, grad)
        v = self._buffer("square_avg", theta).mul_(self.alpha).addcmul_(g, g, value=1 - self.alpha)
        root = v.sqrt().add_(self.eps)
        if self.momentum:
            # u <- m u + g / (sqrt(v) + eps)
            u = self._buffer("momentum_buffer", theta).mul_(self.momentum).addcdiv_(g, root)
            theta.add_(u, alpha=-self.lr)
        else:
            theta.addcdiv_(g, root, value=-self.lr)  # w <- w - eta g / (sqrt(v) + eps)


@final
@dataclass(eq=False, kw_only=True)
class Adam(Optimizer, name="adam"):
    """w <- w - eta m' / (sqrt(v') + eps): m and v are running means of g and g^2, m' and v' freed
    of their start at 0.

    `betas` are what m and v keep of themselves in a step; eps must be above 0. Kingma and Ba, 2015,
    algorithm 1.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def step(self, theta: Tensor, grad: Tensor) -> None:
        self.steps += 1
        g = self._with_decay(theta, grad)
        b1, b2 = self.betas
        m = self._buffer("exp_avg", theta).lerp_(g, 1 - b1)  # m <- b1 m + (1 - b1) g
        # v <- b2 v + (1 - b2) g^2
        v = self._buffer("exp_avg_sq", theta).mul_(b2).addcmul_(g, g, value=1 - b2)
        # m' = m / (1 - b1^n), v' = v / (1 - b2^n)
        from_zero_m, from_zero_v = 1 - b1**self.steps, 1 - b2**self.steps
        root = (v.sqrt() / math.sqrt(from_zero_v)).add_(self.eps)
        theta.addcdiv_(m, root, value=-self.lr / from_zero_m)

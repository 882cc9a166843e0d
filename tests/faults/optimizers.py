"""Optimizers: step(self, theta, grad)."""

import math
from typing import Any

import torch
from torch import Tensor

from manual.optimizers import SGD, Adam, Optimizer, RMSprop
from tests.faults.plant import plant


@plant("optimizers: L2's term once for each of 10 samples", Optimizer, "_with_decay")
def _(self: Any, theta: Tensor, grad: Tensor) -> Tensor:
    return torch.add(
        grad, theta if self.weights is None else theta * self.weights, alpha=10 * self.weight_decay
    )


@plant("optimizers: biases decay too", Optimizer, "_with_decay")
def _(self: Any, theta: Tensor, grad: Tensor) -> Tensor:
    return torch.add(grad, theta, alpha=self.weight_decay)


@plant("optimizers: decay with the sign of growth", Optimizer, "_with_decay")
def _(self: Any, theta: Tensor, grad: Tensor) -> Tensor:
    return torch.sub(
        grad, theta if self.weights is None else theta * self.weights, alpha=self.weight_decay
    )


@plant("optimizers: decay added into grad itself", Optimizer, "_with_decay")
def _(self: Any, theta: Tensor, grad: Tensor) -> Tensor:
    return grad.add_(
        theta if self.weights is None else theta * self.weights, alpha=self.weight_decay
    )


def sgd(
    self: Any,
    theta: Tensor,
    grad: Tensor,
    *,
    g: Tensor | None = None,
    damped: float = 1.0,
    ahead: bool = True,
) -> None:
    """SGD.step with what can go wrong in it."""
    self.steps += 1
    g = self._with_decay(theta, grad) if g is None else g
    if self.momentum:
        v = self._buffer("momentum_buffer", theta).mul_(self.momentum).add_(g, alpha=damped)
        g = g.add(v, alpha=self.momentum) if self.nesterov and ahead else v
    theta.add_(g, alpha=-self.lr)


@plant("sgd: uphill", SGD, "step")
def _(self: Any, theta: Tensor, grad: Tensor) -> None:
    sgd(self, theta, -grad)


@plant("sgd: momentum before decay, which does not enter it", SGD, "step")
def _(self: Any, theta: Tensor, grad: Tensor) -> None:
    decay = self._with_decay(theta, torch.zeros_like(grad))
    sgd(self, theta, grad, g=grad)
    theta.add_(decay, alpha=-self.lr)


@plant("sgd: Nesterov without looking ahead", SGD, "step")
def _(self: Any, theta: Tensor, grad: Tensor) -> None:
    sgd(self, theta, grad, ahead=False)


@plant("sgd: momentum damped by 1 - m", SGD, "step")
def _(self: Any, theta: Tensor, grad: Tensor) -> None:
    sgd(self, theta, grad, damped=1 - self.momentum)


@plant("rmsprop: eps inside the root", RMSprop, "step")
def _(self: Any, theta: Tensor, grad: Tensor) -> None:
    g = self._with_decay(theta, grad)
    v = self._buffer("square_avg", theta).mul_(self.alpha).addcmul_(g, g, value=1 - self.alpha)
    root = (v + self.eps).sqrt_()
    if self.momentum:
        g, root = (
            self._buffer("momentum_buffer", theta).mul_(self.momentum).addcdiv_(g, root),
            torch.ones_like(root),
        )
    theta.addcdiv_(g, root, value=-self.lr)


@plant("rmsprop: alpha is the part of the new", RMSprop, "step")
def _(self: Any, theta: Tensor, grad: Tensor) -> None:
    g = self._with_decay(theta, grad)
    v = self._buffer("square_avg", theta).mul_(1 - self.alpha).addcmul_(g, g, value=self.alpha)
    theta.addcdiv_(g, v.sqrt().add_(self.eps), value=-self.lr)


def adam(
    self: Any,
    theta: Tensor,
    grad: Tensor,
    *,
    correct: bool = True,
    inside: bool = False,
    late: int = 0,
    beside: bool = False,
) -> None:
    """Adam.step with what can go wrong in it."""
    self.steps += 1
    (b1, b2), n = self.betas, self.steps - late
    g = grad if beside else self._with_decay(theta, grad)
    m = self._buffer("exp_avg", theta).lerp_(g, 1 - b1)
    v = self._buffer("exp_avg_sq", theta).mul_(b2).addcmul_(g, g, value=1 - b2)
    of_m, of_v = (1 - b1**n or 1, 1 - b2**n or 1) if correct else (1, 1)
    root = (v / of_v + self.eps).sqrt() if inside else (v.sqrt() / math.sqrt(of_v)).add_(self.eps)
    if beside:
        theta.sub_(self._with_decay(theta, torch.zeros_like(grad)), alpha=self.lr)
    theta.addcdiv_(m, root, value=-self.lr / of_m)


@plant("adam: bias correction missing", Adam, "step")
def _(self: Any, theta: Tensor, grad: Tensor) -> None:
    adam(self, theta, grad, correct=False)


@plant("adam: eps inside the root", Adam, "step")
def _(self: Any, theta: Tensor, grad: Tensor) -> None:
    adam(self, theta, grad, inside=True)


@plant("adam: steps counted from 0", Adam, "step")
def _(self: Any, theta: Tensor, grad: Tensor) -> None:
    adam(self, theta, grad, late=1)


@plant("adam: decay beside the gradient, as AdamW", Adam, "step")
def _(self: Any, theta: Tensor, grad: Tensor) -> None:
    adam(self, theta, grad, beside=True)

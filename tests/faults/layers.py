"""Layers: linear, and batch normalization."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from manual.layers import BatchNorm1d, FrozenBatchNorm1d, Linear
from tests.faults.plant import FAULTS, Fault, plant


def linear(
    self: Any,
    dz: Tensor,
    saved: Any,
    *,
    dw: Any = lambda dw: dw,
    db: Any = lambda dz: dz.sum(dim=0),
) -> None:
    """Linear.backward with what can go wrong in it: dw changed, db of dz otherwise."""
    self.dw.copy_(dw(saved[0].T @ dz))
    if self.db is not None:
        self.db.copy_(db(dz))


@plant("linear: the bias forgotten in forward", Linear, "forward")
def _(self: Any, x: Tensor) -> tuple[Tensor, Any]:
    return torch.mm(x, self.w), (x,)


@plant("linear: another order of summation", Linear, "forward")
def _(self: Any, x: Tensor) -> tuple[Tensor, Any]:
    return torch.mm(x, self.w.contiguous()) + (0 if self.b is None else self.b), (x,)


def zero_rows(forward: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(self: Any, x: Tensor) -> tuple[Tensor, Any]:
        saved = x.clone()
        saved[-1] = 0  # the last sample does not count
        return forward(self, x)[0], (saved,)

    return wrong


def aliased(forward: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(self: Any, x: Tensor) -> tuple[Tensor, Any]:
        z, _ = forward(self, x)
        return (x.copy_(z) if z.shape == x.shape else z), (x,)

    return wrong


FAULTS.append(
    Fault("linear: saves a copy of x detached to zero rows", Linear, "forward", zero_rows)
)
FAULTS.append(
    Fault("linear: an aliased input, z written into x where it fits", Linear, "forward", aliased)
)


@plant("linear: w transposed where it is square", Linear, "input_gradient")
def _(self: Any, dz: Tensor, saved: Any) -> Tensor:
    return dz @ (self.w if self.w.shape[0] == self.w.shape[1] else self.w.T)


@plant("linear: dw transposed where it is square", Linear, "backward")
def _(self: Any, dz: Tensor, saved: Any) -> None:
    linear(self, dz, saved, dw=lambda dw: dw.T if dw.shape[0] == dw.shape[1] else dw)


@plant("linear: db forgotten", Linear, "backward")
def _(self: Any, dz: Tensor, saved: Any) -> None:
    linear(self, dz, saved, db=lambda _: self.db)


@plant("linear: db of the first sample alone", Linear, "backward")
def _(self: Any, dz: Tensor, saved: Any) -> None:
    linear(self, dz, saved, db=lambda dz: dz[0])


@plant("linear: db averaged over the batch once more", Linear, "backward")
def _(self: Any, dz: Tensor, saved: Any) -> None:
    linear(self, dz, saved, db=lambda dz: dz.mean(dim=0))


@plant("linear: gradients added to the last ones", Linear, "backward")
def _(self: Any, dz: Tensor, saved: Any) -> None:
    linear(
        self,
        dz,
        saved,
        dw=lambda dw: self.dw.nan_to_num() + dw,
        db=lambda dz: self.db.nan_to_num() + dz.sum(dim=0),
    )


@plant("linear: dw averaged over the batch once more", Linear, "backward")
def _(self: Any, dz: Tensor, saved: Any) -> None:
    linear(self, dz, saved, dw=lambda dw: dw / len(dz))


def batch_norm(
    self: Any,
    x: Tensor,
    *,
    running: int = 1,
    eps_inside: bool = True,
    normal: int = 0,
    keep: bool = False,
) -> tuple[Tensor, Any]:
    """BatchNorm1d.forward with what can go wrong in it: the corrections of the running and of the
    normalizing variance, ...
    """
    mu, var = x.mean(dim=0), x.var(dim=0, correction=normal)
    rstd = (var + self.eps).rsqrt() if eps_inside else 1 / (var.sqrt() + self.eps)
    part = 1 - self.momentum if keep else self.momentum
    self.mean.mul_(1 - part).add_(mu, alpha=part)
    self.var.mul_(1 - part).add_(x.var(dim=0, correction=running), alpha=part)
    x_hat = (x - mu) * rstd
    return torch.addcmul(self.beta, x_hat, self.gamma), (x_hat, rstd)


@plant("batch norm: running variance biased", BatchNorm1d, "forward")
def _(self: Any, x: Tensor) -> tuple[Tensor, Any]:
    return batch_norm(self, x, running=0)


@plant("batch norm: normalized by the unbiased variance", BatchNorm1d, "forward")
def _(self: Any, x: Tensor) -> tuple[Tensor, Any]:
    return batch_norm(self, x, normal=1)


@plant("batch norm: momentum is what is kept", BatchNorm1d, "forward")
def _(self: Any, x: Tensor) -> tuple[Tensor, Any]:
    return batch_norm(self, x, keep=True)


@plant("batch norm: eps outside the root", BatchNorm1d, "forward")
def _(self: Any, x: Tensor) -> tuple[Tensor, Any]:
    return batch_norm(self, x, eps_inside=False)


@plant("batch norm: mu and sigma taken for constants", BatchNorm1d, "input_gradient")
def _(self: Any, dz: Tensor, saved: Any) -> Tensor:
    return dz * (self.gamma * saved[1])


@plant("batch norm: sigma taken for a constant", BatchNorm1d, "input_gradient")
def _(self: Any, dz: Tensor, saved: Any) -> Tensor:
    return (dz - dz.mean(dim=0)) * (self.gamma * saved[1])


@plant("batch norm: gamma left out of dx", BatchNorm1d, "input_gradient")
def _(self: Any, dz: Tensor, saved: Any) -> Tensor:
    x_hat, rstd = saved
    return (dz - dz.mean(dim=0) - x_hat * (dz * x_hat).mean(dim=0)) * rstd


@plant("batch norm: dgamma of z for xhat", BatchNorm1d, "backward")
def _(self: Any, dz: Tensor, saved: Any) -> None:
    torch.sum(dz * (self.gamma * saved[0] + self.beta), dim=0, out=self.dgamma)
    torch.sum(dz, dim=0, out=self.dbeta)


@plant("batch norm: evaluated by the batch's own statistics", BatchNorm1d, "frozen")
def _(self: Any) -> Any:
    return self


@plant("frozen batch norm: dx as in training", FrozenBatchNorm1d, "input_gradient")
def _(self: Any, dz: Tensor, saved: Any) -> Tensor:
    return self.norm.input_gradient(dz, saved)

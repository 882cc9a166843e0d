"""Wrong variants of the project's own formulas, one a row: the tests plant each and must notice.

A fault replaces one method or function, `owner.attribute`, by a wrong one. Shapes: B batch, I in, O
out.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

import manual.parameters
from manual.activations import Identity, ReLU, Sigmoid, Softmax, Softplus, Tanh
from manual.initializers import Default
from manual.layers import BatchNorm1d, FrozenBatchNorm1d, Linear
from manual.losses import (
    BinaryCrossEntropy,
    BinaryCrossEntropyOfLogits,
    CrossEntropyLoss,
    CrossEntropyOfProbabilities,
    HalfSquaredError,
    MSELoss,
    SquaredError,
)
from manual.network import Network
from manual.optimizers import SGD, Adam, Optimizer, RMSprop
from scripts.recording import memory, recorder, replay


@dataclass(frozen=True)
class Fault:
    """What is wrong, where, and the wrong variant; `make` gives it the right one."""

    what: str
    owner: Any
    attribute: str
    make: Callable[[Any], Any]


FAULTS: list[Fault] = []


def plant(what: str, owner: Any, attribute: str) -> Callable[[Callable[..., Any]], None]:
    """Adds a row: the decorated function stands in for `owner.attribute`."""

    def add(wrong: Callable[..., Any]) -> None:
        FAULTS.append(Fault(what, owner, attribute, lambda _: wrong))

    return add


def scaled(what: str, owner: Any, attribute: str, change: Callable[[Any], Any]) -> None:
    """Adds a row: what the right method returns, changed."""
    FAULTS.append(
        Fault(
            what,
            owner,
            attribute,
            lambda right: lambda *args, **options: change(right(*args, **options)),
        )
    )


# Activations: backward(self, dy, z, y) -> dz


@plant(
    "sigmoid: f(z) (1 - f(z)) of z itself, the pre-activation for the activation",
    Sigmoid,
    "backward",
)
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (1 - z) * z


@plant("sigmoid: f' of y as if it were z, f applied twice", Sigmoid, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * torch.sigmoid(y) * (1 - torch.sigmoid(y))


@plant("sigmoid: f' left out", Sigmoid, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy


@plant("sigmoid: the sign of 1 - f", Sigmoid, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (y - 1) * y


@plant("sigmoid: overwrites y", Sigmoid, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    dz = dy * (1 - y) * y
    y.copy_(dz)
    return dz


@plant("tanh: 1 - f for 1 - f^2", Tanh, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (1 - y)


@plant("tanh: 1 - f^2 of z", Tanh, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (1 - z * z)


@plant("tanh: 1 - f^2 rounded twice", Tanh, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (1 - y * y)


@plant("relu: the mask from y >= 0, which is always so", ReLU, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (y >= 0)


@plant("relu: f'(0) = 1", ReLU, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (z >= 0)


@plant("relu: f'(0) = 1/2", ReLU, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * ((y > 0) + 0.5 * (z == 0))


@plant("relu: a nan does not pass", ReLU, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return torch.where(y > 0, dy, torch.zeros_like(dy))


@plant("softplus: f' = sigmoid(y) for sigmoid(z)", Softplus, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * torch.sigmoid(y)


@plant("softplus: log(1 + e^z) as it stands, which overflows", Softplus, "forward")
def _(self: Any, z: Tensor) -> Tensor:
    return torch.log1p(z.exp())


@plant("softmax: the derivative's diagonal alone", Softmax, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * y * (1 - y)


@plant("softmax: the sum over the batch for that over the row", Softmax, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return y * (dy - (dy * y).sum(dim=0, keepdim=True))


@plant("softmax: the inner sum of dy without y", Softmax, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return y * (dy - dy.sum(dim=1, keepdim=True))


@plant("softmax: e^z without the shift, which overflows", Softmax, "forward")
def _(self: Any, z: Tensor) -> Tensor:
    return z.exp() / z.exp().sum(dim=1, keepdim=True)


@plant("softmax: over the batch", Softmax, "forward")
def _(self: Any, z: Tensor) -> Tensor:
    return z.exp() / z.exp().sum(dim=0, keepdim=True)


@plant("softmax: the shift by the largest of the whole batch", Softmax, "forward")
def _(self: Any, z: Tensor) -> Tensor:
    e = (z - z.max()).exp()
    return e / e.sum(dim=1, keepdim=True)


@plant("identity: a factor of 1 + eps", Identity, "backward")
def _(self: Any, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
    return dy * (1 + 2 * torch.finfo(dy.dtype).eps)


# Layers


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


# Batch normalization


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


# Losses: (y, t) -> (Div, dDiv/dy)

scaled(
    "half-squared: the gradient of (y - d)^2",
    HalfSquaredError,
    "__call__",
    lambda r: (r[0], r[1] * 2),
)
scaled("half-squared: d - y", HalfSquaredError, "__call__", lambda r: (r[0], -r[1]))
scaled("half-squared: the gradient summed over the batch, the value averaged", HalfSquaredError,
    "__call__",
       lambda r: (r[0], r[1] * len(r[1])))  # fmt: skip
scaled(
    "half-squared: the value summed over the batch",
    HalfSquaredError,
    "__call__",
    lambda r: (r[0] * len(r[1]), r[1]),
)
scaled(
    "squared: the lecture's 1/2 in the gradient",
    SquaredError,
    "__call__",
    lambda r: (r[0], r[1] / 2),
)
scaled("mse: the gradient of the mean over the batch alone, C times too large", MSELoss, "__call__",
       lambda r: (r[0], r[1] * r[1].shape[1]))  # fmt: skip
scaled("mse: the gradient without its 2", MSELoss, "__call__", lambda r: (r[0], r[1] / 2))
scaled("cross-entropy: the gradient summed over the batch, B times too large", CrossEntropyLoss,
    "__call__",
       lambda r: (r[0], r[1] * len(r[1])))  # fmt: skip
scaled(
    "cross-entropy: the slide's lost minus", CrossEntropyLoss, "__call__", lambda r: (-r[0], r[1])
)


def stale_gradient(call: Callable[..., Any]) -> Callable[..., Any]:
    buffers: dict[object, Tensor] = {}

    def wrong(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        div, dy = call(self, y, t)
        return div, buffers.setdefault((dy.shape, dy.dtype), dy)

    return wrong


FAULTS.append(
    Fault(
        "cross-entropy: a stale buffer, one gradient for all",
        CrossEntropyLoss,
        "__call__",
        stale_gradient,
    )
)


@plant(
    "cross-entropy: log p of softmax as it stands, which underflows", CrossEntropyLoss, "__call__"
)
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    p = torch.softmax(y, dim=1)
    return -p.gather(1, t[:, None]).log().mean(), (
        p - torch.eye(y.shape[1], dtype=y.dtype)[t]
    ) / len(y)


@plant("cross-entropy: o for o - t", CrossEntropyLoss, "__call__")
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    log_p = torch.log_softmax(y, dim=1)
    return -log_p.gather(1, t[:, None]).mean(), log_p.exp() / len(y)


scaled(
    "cross-entropy of probabilities: t/o for -t/o",
    CrossEntropyOfProbabilities,
    "__call__",
    lambda r: (r[0], -r[1]),
)


@plant("cross-entropy of probabilities: log(0)", CrossEntropyOfProbabilities, "__call__")
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return -(t * y.log()).sum() / len(y), (t * (-1 / len(y))) / y


@plant("binary cross-entropy: y - t, without 1 / (y (1 - y))", BinaryCrossEntropy, "__call__")
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    div = torch.nn.functional.binary_cross_entropy(y, t, reduction="sum") / len(y)
    return div, (y - t) / len(y)


@plant("binary cross-entropy: 0 log(0)", BinaryCrossEntropy, "__call__")
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return -(t * y.log() + (1 - t) * (1 - y).log()).sum() / len(y), (y - t) / (y * (1 - y)) / len(y)


scaled("binary cross-entropy of logits: averaged over the outputs too", BinaryCrossEntropyOfLogits,
    "__call__",
       lambda r: (r[0] / r[1].shape[1], r[1] / r[1].shape[1]))  # fmt: skip


@plant(
    "binary cross-entropy of logits: log(1 + e^y) as it stands, which overflows",
    BinaryCrossEntropyOfLogits,
    "__call__",
)
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return (torch.log1p(y.exp()) - t * y).sum() / len(y), (torch.sigmoid(y) - t) / len(y)


@plant("losses: (3, 1) is broadcast against (3,)", HalfSquaredError, "__call__")
def _(self: Any, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    dy = y - t
    return torch.square(dy).sum() * (0.5 / len(y)), dy * (1 / len(y))


# Network


def backward_over(network: Any, dy: Tensor, tape: Any, skip: int = 0, first: int = 1) -> Tensor:
    """Network._backward without layer `skip` from the end, or stopped before layer `first`."""
    for k in range(len(network.layers), first - 1, -1):
        layer, f = network.layers[k - 1]
        dz = f.backward(dy, tape.z[k], tape.y[k])
        if k != len(network.layers) + 1 - skip:
            layer.backward(dz, tape.saved[k])
        if k > 1:
            dy = layer.input_gradient(dz, tape.saved[k])
    return dz


@plant("network: the last layer's gradient is not filled", Network, "_backward")
def _(self: Any, dy: Tensor, tape: Any) -> Tensor:
    return backward_over(self, dy, tape, skip=1)


@plant("network: stops before the first layer", Network, "_backward")
def _(self: Any, dy: Tensor, tape: Any) -> Tensor:
    return backward_over(self, dy, tape, first=min(2, len(self.layers)))


@plant("network: dDiv/dy for dDiv/dz, the last activation left out", Network, "_backward")
def _(self: Any, dy: Tensor, tape: Any) -> Tensor:
    dz = dy
    for k in range(len(self.layers), 0, -1):
        layer, f = self.layers[k - 1]
        dz = dy if k == len(self.layers) else f.backward(dy, tape.z[k], tape.y[k])
        layer.backward(dz, tape.saved[k])
        if k > 1:
            dy = layer.input_gradient(dz, tape.saved[k])
    return dz


@plant("network: the derivative gets y for z", Network, "_backward")
def _(self: Any, dy: Tensor, tape: Any) -> Tensor:
    for k in range(len(self.layers), 0, -1):
        layer, f = self.layers[k - 1]
        dz = f.backward(dy, tape.y[k], tape.y[k])
        layer.backward(dz, tape.saved[k])
        if k > 1:
            dy = layer.input_gradient(dz, tape.saved[k])
    return dz


@plant("network: dDiv/dz^(1) for dDiv/dx", Network, "input_gradient")
def _(self: Any, dy: Tensor, tape: Any) -> Tensor:
    dz: Tensor = self._backward(dy, tape)
    return dz


def stale_tape(forward: Callable[..., Any]) -> Callable[..., Any]:
    tapes: dict[int, Any] = {}

    def wrong(self: Any, x: Tensor) -> Any:
        return tapes.setdefault(id(self), forward(self, x))

    return wrong


FAULTS.append(Fault("network: one stale tape for all", Network, "forward", stale_tape))


@plant("network: predict leaves the last activation out", Network, "predict")
def _(self: Any, x: Tensor) -> Tensor:
    for k, (layer, f) in enumerate(self.layers, start=1):
        x, _ = layer.frozen().forward(x)
        x = f.forward(x) if k < len(self.layers) else x
    return x


# Recordings


def wrong_recording(
    what: str, owner: Any, attribute: str
) -> Callable[[Callable[[Any], Any]], None]:
    """Adds a row: the decorated function makes the wrong variant of the right one."""
    return lambda make: FAULTS.append(Fault(f"recording: {what}", owner, attribute, make))


@wrong_recording(
    "a buffer shared too early, while it is still to be read through a view", memory, "buffers"
)
def _(right: Any) -> Any:
    def seen(call: recorder.Call) -> recorder.Call:
        return replace(
            call, args=tuple(each for each in call.args if getattr(each, "found_by", None) is None)
        )

    return lambda line, kept: right([seen(call) for call in line], kept)


@wrong_recording("a result's buffer shared with what is made after it", memory, "buffers")
def _(right: Any) -> Any:
    return lambda line, kept: right(line, kept - kept)


@wrong_recording("a product written over its factor", memory, "may_be_written_over")
def _(_: Any) -> Any:
    return lambda root, _, out: recorder.layout(root) == recorder.layout(out)


@wrong_recording("a result written over what it reads elsewhere too", memory, "may_be_written_over")
def _(_: Any) -> Any:
    return lambda root, call, out: (
        torch.Tag.pointwise in call.func.tags and recorder.layout(root) == recorder.layout(out)
    )


@wrong_recording("a stale input, that of the batch before", replay.Recording, "at")
def _(_: Any) -> Any:
    return lambda self, *_: self


@wrong_recording("a view of the wrong buffer, that of the batch before", replay.Recording, "at")
def _(_: Any) -> Any:
    def wrong(self: Any, *inputs: Tensor) -> Any:
        other = copy.copy(self)
        other._ready = self._tensors
        other._bind(inputs)
        return other

    return wrong


@wrong_recording("a constant frozen, though it is written to", memory, "without_constants")
def _(_: Any) -> Any:
    def wrong(line: list[recorder.Call]) -> Any:
        return [call for call in line if not call.constant], {
            call.outs[0]: call.args[0] for call in line if call.constant
        }

    return wrong


@wrong_recording("an in-place result copied, so that what was to change stays", replay, "_bound")
def _(right: Any) -> Any:
    def wrong(call: recorder.Call, args: Any, kwargs: Any, outs: Any) -> Any:
        return right(
            call,
            (args[0].clone(), *args[1:]) if call.writes and "out" not in kwargs else args,
            kwargs,
            outs,
        )

    return wrong


@wrong_recording("a call dropped that changes only what outlives the step", memory, "needed")
def _(right: Any) -> Any:
    def wrong(calls: list[recorder.Call], wanted: Any) -> Any:
        return [
            call
            for call in right(calls, wanted)
            if any(isinstance(out, recorder.Blank) for out in call.outs)
        ]

    return wrong


@wrong_recording("random numbers drawn once for all", recorder.Call, "random")
def _(_: Any) -> Any:
    return property(lambda _: False)


# Parameters and initial values

FAULTS.append(
    Fault(
        "parameters: views packed, with hardly a gap", manual.parameters, "ALIGNMENT", lambda _: 8
    )
)
FAULTS.append(
    Fault("parameters: views on 16-byte boundaries", manual.parameters, "ALIGNMENT", lambda _: 16)
)


@plant("default: the bound of Kaiming He, sqrt(6 / I)", Default, "__call__")
def _(self: Any, weight: Tensor, bias: Tensor, generator: torch.Generator) -> None:
    bound = math.sqrt(6 / weight.shape[1])
    weight.uniform_(-bound, bound, generator=generator)
    bias.uniform_(-bound, bound, generator=generator)


# Optimizers


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

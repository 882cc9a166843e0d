"""The two that learn, behind one small protocol: the hand-written network, and torch.nn with autograd and torch.optim.

Shapes: B batch, C classes.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor

from manual.losses import Loss
from manual.network import Network, Tape
from manual.optimizers import Optimizer
from scripts.harness.config import DTYPES, Config
from scripts.harness.program import UserError
from torch_ref.model import build
from torch_ref.twins import twin, twin_optimizer

Batch = tuple[Tensor, Tensor]
CHUNK = 1000  # images evaluated at a time


def prepare(config: Config) -> tuple[Network, Loss, Optimizer]:
    """What a learner is made of, from a resolved config. UserError for a network that memory can't hold."""
    try:
        network = Network(config.spec, config.network.seed, torch.device(config.run.device), DTYPES[config.run.dtype])
    except (RuntimeError, TypeError) as error:  # torch's words for more than memory, or 64 bits, can hold
        sizes = " ".join(map(str, config.network.sizes))
        raise UserError(f"--sizes {sizes}: too large for this machine's memory") from error
    return network, Loss.named()[config.training.loss](), config.optimizer(network.parameters.weights())


class Learner(ABC):
    """Trains on batches and keeps what each left, on the device: its loss () and its predicted classes (B,).

    `seconds`: spent in training so far, by a clock that waits for the device.
    """

    name: str

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.losses: list[Tensor] = []
        self._predicted: list[Tensor] = []
        self.seconds = 0.0

    @abstractmethod
    def step(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """One update from a batch: forward, loss, backward, update. Returns the loss () and the output (B, C) before it."""

    @abstractmethod
    def predict(self, x: Tensor) -> Tensor:
        """(B, I) -> output (B, C)."""

    @property
    @abstractmethod
    def learning_rate(self) -> float:
        """Of the next update."""

    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """Views of the parameters, by the lecture's names and in its layout: w1 (O_0, O_1), b1 (O_1,), ..."""

    @abstractmethod
    def gradients(self) -> dict[str, Tensor]:
        """Views of what the last update found for each of `parameters`."""

    @abstractmethod
    def outputs(self, x: Tensor) -> list[Tensor]:
        """(B, I) -> y^(k) (B, O_k) of every layer, k = 1..N, in evaluation."""

    def train(self, batches: Iterable[Batch]) -> None:
        """A step for each batch, under the clock."""
        start = self._clock()
        for x, t in batches:
            div, y = self.step(x, t)
            self.losses.append(div)
            self._predicted.append(y.argmax(dim=1))
        self.seconds += self._clock() - start

    def take(self) -> tuple[Tensor, Tensor]:
        """(losses (batches,), predicted classes (samples,)) since the last call."""
        losses, predicted = torch.stack(self.losses), torch.cat(self._predicted)
        self.losses, self._predicted = [], []
        return losses, predicted

    def _clock(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


@final
class ManualLearner(Learner):
    """The network written by hand."""

    name = "manual"

    def __init__(self, network: Network, loss: Loss, optimizer: Optimizer) -> None:
        super().__init__(network.parameters.theta.device)
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self._tapes: dict[int, Tape] = {}  # by batch size: that of an epoch's last batch may differ

    @torch.inference_mode()
    def train(self, batches: Iterable[Batch]) -> None:
        super().train(batches)

    def step(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        tape = self._tapes.get(x.shape[0]) or self._tapes.setdefault(x.shape[0], self.network.tape(x.shape[0]))
        y = self.network.forward(x, tape).output
        div, dy = self.loss(y, t)
        grad = self.network.backward(dy, tape)
        self.optimizer.step(self.network.parameters.theta, grad)
        return div, y

    def predict(self, x: Tensor) -> Tensor:
        return self.network.predict(x)

    @property
    def learning_rate(self) -> float:
        return self.optimizer.lr

    def parameters(self) -> dict[str, Tensor]:
        return self.network.parameters.values

    def gradients(self) -> dict[str, Tensor]:
        return self.network.parameters.gradients

    def outputs(self, x: Tensor) -> list[Tensor]:
        ys = [x]
        for layer, f in self.network.layers:
            z, _ = layer.frozen().forward(ys[-1])
            ys.append(f.forward(z))
        return ys[1:]


@final
class TorchLearner(Learner):
    """The same network of torch.nn, from the same parameters, with autograd and torch.optim."""

    name = "torch"

    def __init__(self, network: Network, loss: Loss, optimizer: Optimizer) -> None:
        super().__init__(network.parameters.theta.device)
        self.model, self.loss = build(network), twin(loss)
        self.optimizer = twin_optimizer(optimizer, self.model.parameters())
        self._names = tuple(network.parameters.values)

    def step(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        self.optimizer.zero_grad()
        y = self.model(x)
        loss = self.loss(y, t)
        loss.backward()
        self.optimizer.step()
        return loss.detach(), y.detach()

    def predict(self, x: Tensor) -> Tensor:
        self.model.eval()
        y: Tensor = self.model(x)
        self.model.train()
        return y

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def parameters(self) -> dict[str, Tensor]:
        return self._named(parameter.detach() for parameter in self.model.parameters())

    def gradients(self) -> dict[str, Tensor]:
        return self._named(parameter.grad for parameter in self.model.parameters() if parameter.grad is not None)

    def _named(self, tensors: Iterable[Tensor]) -> dict[str, Tensor]:
        return {name: tensor.T if tensor.ndim == 2 else tensor for name, tensor in zip(self._names, tensors, strict=True)}

    def outputs(self, x: Tensor) -> list[Tensor]:
        self.model.eval()
        ys = [x]
        for module in self.model:
            ys.append(module(ys[-1]))
        self.model.train()
        return ys[2::2]  # a layer and an activation take turns

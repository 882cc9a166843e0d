"""The two that learn, behind one small protocol: the hand-written network, and torch.nn with autograd and torch.optim.

Shapes: B batch, C classes.
"""

import string
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, final

import torch
from torch import Tensor

from manual.losses import Loss
from manual.network import Network, Tape
from manual.optimizers import Optimizer
from scripts.harness.config import DTYPES, Config
from scripts.harness.distributed import ALONE, Processes
from scripts.harness.program import room_for, words
from torch_ref.model import build
from torch_ref.twins import twin, twin_optimizer

Batch = tuple[Tensor, Tensor]
CHUNK = 1000  # images evaluated at a time
State = dict[str, Any]  # of tensors, numbers, strings, None, and lists and dicts of these: what a checkpoint may hold


def prepare(config: Config) -> tuple[Network, Loss, Optimizer]:
    """What a learner is made of, from a resolved config. UserError for a network that memory can't hold."""
    with room_for(f"--sizes {words(config.network.sizes)}"):
        network = Network(config.spec, config.network.seed, torch.device(config.run.device), DTYPES[config.run.dtype])
    return network, Loss.named()[config.training.loss](), config.optimizer(network.parameters.weights())


class Learner(ABC):
    """Trains on batches and keeps what each left, on the device: its loss () and its predicted classes (B,).

    `seconds`: spent in training so far, by a clock that waits for the device. `processes`: those whose gradients it averages.
    """

    name: str

    def __init__(self, device: torch.device, processes: Processes) -> None:
        self._device, self.processes = device, processes
        self.losses: list[Tensor] = []
        self._predicted: list[Tensor] = []
        self.seconds = self._taken = 0.0

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

    @abstractmethod
    def trace(self, x: Tensor, t: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The same update as `step`: what it computes and leaves, each tensor with words for it, in the order of the step."""

    @abstractmethod
    def finite(self) -> bool:
        """Whether every parameter is; waits for the device."""

    def state(self) -> State:
        """All that later updates, and their means, depend on."""
        return {
            "losses": self.processes.gather(torch.stack(self.losses)) if self.losses else None,
            "predicted": self.processes.gather(torch.cat(self._predicted)) if self._predicted else None,
            "seconds": self.seconds,
            "taken": self._taken,
        }

    def load(self, state: State) -> None:
        """Become the learner that `state` was taken of. ValueError for shapes or a dtype that are not this one's."""
        losses, predicted = state["losses"], state["predicted"]
        self.losses = [] if losses is None else list(self.processes.own(losses).to(self._device).unbind())
        self._predicted = [] if predicted is None else [self.processes.own(predicted).to(self._device)]
        self.seconds, self._taken = float(state["seconds"]), float(state["taken"])

    def train(self, batches: Iterable[Batch]) -> None:
        """A step for each batch, under the clock."""
        start, outputs = self._clock(), []
        for x, t in batches:
            div, y = self.step(x, t)
            self.losses.append(div)
            outputs.append(y.clone())  # the next step may write over y
        if outputs:
            self._predicted.append(torch.cat(outputs).argmax(dim=1))
        self.seconds += self._clock() - start

    def take(self) -> tuple[Tensor, Tensor, float]:
        """(losses (batches,), predicted classes (samples,), seconds of training) since the last call."""
        losses, predicted, seconds = torch.stack(self.losses), torch.cat(self._predicted), self.seconds - self._taken
        self.losses, self._predicted, self._taken = [], [], self.seconds
        return losses, predicted, seconds

    def _clock(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


@final
class ManualLearner(Learner):
    """The network written by hand."""

    name = "manual"

    def __init__(self, network: Network, loss: Loss, optimizer: Optimizer, processes: Processes = ALONE) -> None:
        super().__init__(network.parameters.theta.device, processes)
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self._tapes: dict[int, Tape] = {}  # by batch size: that of an epoch's last batch may differ

    @torch.inference_mode()
    def train(self, batches: Iterable[Batch]) -> None:
        super().train(batches)

    def step(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        tape = self._tapes.get(x.shape[0]) or self._tapes.setdefault(x.shape[0], self.network.tape(x.shape[0]))
        y = self.network.forward(x, tape).output
        div, dy = self.loss(y, t)
        grad = self.processes.average(self.network.backward(dy, tape))
        self.optimizer.step(self.network.parameters.theta, grad)
        return div, y

    def trace(self, x: Tensor, t: Tensor) -> Iterator[tuple[str, Tensor]]:
        parameters = self.network.parameters
        tape = self.network.forward(x)  # a tape of its own, in which y does not overwrite z
        for k in tape.z:
            yield f"z{k} of layer {k}", tape.z[k]
            yield f"y{k} of layer {k}", tape.y[k]
        div, dy = self.loss(tape.output, t)
        yield "the loss", div
        yield f"dy{len(tape.y)}, the gradient of the loss", dy
        grad = self.network.backward(dy, tape)
        for name, gradient in reversed(parameters.gradients.items()):
            yield f"d{name} of layer {_layer(name)}", gradient
        self.optimizer.step(parameters.theta, grad)
        for name, value in (parameters.values | self.network.buffers).items():
            yield f"{name} of layer {_layer(name)} after the update", value

    def finite(self) -> bool:
        return bool(self.network.parameters.theta.isfinite().all())

    def state(self) -> State:
        return super().state() | {
            "theta": self.network.parameters.theta,
            "buffers": self.network.buffers,
            "optimizer": {"steps": self.optimizer.steps, "buffers": self.optimizer.buffers},
        }

    def load(self, state: State) -> None:
        super().load(state)
        theta, optimizer = self.network.parameters.theta, state["optimizer"]
        _fill(theta, state["theta"])
        for name, buffer in self.network.buffers.items():
            _fill(buffer, state["buffers"][name])
        self.optimizer.steps = int(optimizer["steps"])
        self.optimizer.buffers = {name: torch.zeros_like(theta) for name in optimizer["buffers"]}
        for name, buffer in self.optimizer.buffers.items():
            _fill(buffer, optimizer["buffers"][name])

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

    def __init__(self, network: Network, loss: Loss, optimizer: Optimizer, processes: Processes = ALONE) -> None:
        super().__init__(network.parameters.theta.device, processes)
        self.model, self.loss = build(network), twin(loss)
        self._parallel = processes.parallel(self.model)
        self.optimizer = twin_optimizer(optimizer, self.model.parameters())
        self._names = tuple(network.parameters.values)

    def step(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        self.optimizer.zero_grad()
        y = self._parallel(x)
        loss = self.loss(y, t)
        loss.backward()
        self.optimizer.step()
        return loss.detach(), y.detach()

    def trace(self, x: Tensor, t: Tensor) -> Iterator[tuple[str, Tensor]]:
        self.optimizer.zero_grad()
        y = x
        for name, module in self.model.named_children():
            y = module(y)
            yield f"the output of module {name}, {type(module).__name__}", y.detach()
        loss = self.loss(y, t)
        yield "the loss", loss.detach()
        loss.backward()
        for name, parameter in reversed(list(self.model.named_parameters())):
            assert parameter.grad is not None
            yield f"the gradient of {name}", parameter.grad
        self.optimizer.step()
        for name, value in self.model.state_dict().items():
            yield f"{name} after the update", value

    def finite(self) -> bool:
        return all(bool(parameter.isfinite().all()) for parameter in self.model.parameters())

    def state(self) -> State:
        return super().state() | {"model": dict(self.model.state_dict()), "optimizer": self.optimizer.state_dict()}

    def load(self, state: State) -> None:
        super().load(state)
        for name, value in self.model.state_dict().items():
            _fill(value, state["model"][name])
        self.optimizer.load_state_dict(state["optimizer"])

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


def _fill(tensor: Tensor, values: Tensor) -> None:
    """Copy in place, so that views stay views."""
    if values.shape != tensor.shape or values.dtype != tensor.dtype:
        raise ValueError(f"{tuple(values.shape)} of {values.dtype} where {tuple(tensor.shape)} of {tensor.dtype} belongs")
    tensor.copy_(values)


def _layer(name: str) -> str:
    """Of the parameter w12: 12."""
    return name.lstrip(string.ascii_letters)

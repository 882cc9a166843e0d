"""The two that learn, behind one small protocol: the hand-written network, and torch.nn with
autograd and torch.optim.

Shapes: B batch, C classes.
"""

import copy
import dataclasses
import string
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, final
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from manual.losses import Loss
from manual.network import Network
from manual.optimizers import Optimizer
from manual.schedules import Constant, Schedule
from scripts.common.distributed import ALONE, Processes
from scripts.common.program import room_for, words
from scripts.run.config import Config
from scripts.run.states import match
from scripts.training.blocks import Block
from scripts.training.recording import Recording
from torch_ref.model import build
from torch_ref.twins import twin, twin_optimizer, twin_schedule

CHUNK = 1000  # images evaluated at a time
# of tensors, numbers, strings, None, and lists and dicts of these: what a checkpoint may hold
State = dict[str, Any]


def prepare(config: Config) -> tuple[Network, Loss, Optimizer]:
    """What a learner is made of, from a resolved config. UserError for a network that memory can't
    hold.
    """
    with room_for(f"--sizes {words(config.network.sizes)}"):
        network = Network(
            config.spec,
            config.network.seed,
            torch.device(config.run.device),
            getattr(torch, config.run.dtype),
        )
    return (
        network,
        Loss.named()[config.training.loss](),
        config.optimizer(network.parameters.weights()),
    )


class Learner(ABC):
    """Trains on batches and keeps count on the device: the sum of the losses of all samples, and
    the right answers.

    `seconds`: spent in training so far, by a clock that waits for the device. `processes`: those
    whose gradients it averages.
    """

    name: str
    kernels = "eager"  # how they are called

    def __init__(self, device: torch.device, loss: Loss, processes: Processes) -> None:
        self._device, self._div, self.processes = device, loss, processes
        self._losses = torch.zeros((), dtype=torch.float64, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._last: tuple[Tensor, Block] | None = None
        self.seconds = self._taken = 0.0

    @abstractmethod
    def step(self, x: Tensor, t: Tensor) -> Tensor:
        """One update from a batch: forward, loss, backward, update. Returns the output (B, C)
        before it.
        """

    @abstractmethod
    def predict(self, x: Tensor) -> Tensor:
        """(B, I) -> output (B, C)."""

    @property
    @abstractmethod
    def learning_rate(self) -> float:
        """Of the next update."""

    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """Views of the parameters, by the lecture's names and in its layout: w1 (O_0, O_1), b1
        (O_1,), ...
        """

    @abstractmethod
    def gradients(self) -> dict[str, Tensor]:
        """Views of what the last update found for each of `parameters`."""

    @abstractmethod
    def outputs(self, x: Tensor) -> list[Tensor]:
        """(B, I) -> y^(k) (B, O_k) of every layer, k = 1..N, in evaluation."""

    @abstractmethod
    def trace(self, x: Tensor, t: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The same update as `step`: what it computes and leaves, each tensor with words for it, in
        the order of the step.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and running statistics in torch's layout and by its names, as nn.Sequential
        takes them: 0.weight, 0.bias, 2.weight, ...
        """

    @abstractmethod
    def finite(self) -> bool:
        """Whether every parameter is; waits for the device."""

    def state(self) -> State:
        """All that later updates, and their means, depend on."""
        return {
            "losses": self.processes.gather(self._losses.view(1)),
            "correct": self.processes.gather(self._correct.view(1)),
            "seconds": self.seconds,
            "taken": self._taken,
        }

    def load(self, state: State, updates: int) -> None:
        """Become the learner that `state` was taken of after so many. ValueError, before anything
        takes memory, for numbers, names, shapes or a dtype that cannot be this one's.
        """
        match(state, self.like(updates))
        self._losses.view(1).copy_(self.processes.own(state["losses"]))
        self._correct.view(1).copy_(self.processes.own(state["correct"]))
        self.seconds, self._taken = float(state["seconds"]), float(state["taken"])

    @abstractmethod
    def like(self, updates: int) -> State:
        """A state of this learner after so many updates, but for the values."""

    def train(self, block: Block) -> None:
        """A step for each batch, under the clock; what they came to is counted for all at once,
        from their outputs.
        """
        start = self._clock()
        y = self._train(block)
        self._last = y, block
        self.seconds += self._clock() - start

    def _train(self, block: Block) -> Tensor:
        """The outputs (n, C) of the block's samples, each before the update of its batch."""
        y = torch.cat([self.step(x, t) for x, t in block])
        self.count(y, block.t)
        return y

    def count(self, y: Tensor, t: Tensor) -> None:
        """Add the losses and right answers of samples with outputs y (n, C) and targets t."""
        div, _ = self._div(y, t)
        labels = t if t.ndim == 1 else t.argmax(dim=1)
        self._losses += div.double() * len(y)
        self._correct += (y.argmax(dim=1) == labels).sum()

    def finite_loss(self) -> Tensor:
        """Whether every loss since the last `take` is (), without waiting for the device."""
        return self._losses.isfinite()

    def last_losses(self) -> Tensor:
        """The loss of each batch (batches,) of the last `train`."""
        assert self._last, "no block was trained on"
        y, block = self._last
        outputs = y.split(block.batch_size)
        return torch.stack(
            [self._div(output, t)[0] for output, (_, t) in zip(outputs, block, strict=True)]
        )

    def take(self) -> tuple[Tensor, Tensor, float]:
        """(sum of the losses of all samples (), right answers (), seconds of training) since the
        last call.
        """
        losses, correct, seconds = (
            self._losses.clone(),
            self._correct.clone(),
            self.seconds - self._taken,
        )
        self._losses.zero_()
        self._correct.zero_()
        self._taken = self.seconds
        return losses, correct, seconds

    def _clock(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


class Recorded(NamedTuple):
    """What a block needs: the gradient of each batch, what counts the block, and its outputs y (n,
    C).
    """

    gradients: list[Recording]
    counting: Recording
    y: Tensor


@final
class ManualLearner(Learner):
    """The network written by hand."""

    name = "manual"

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        processes: Processes = ALONE,
        schedule: Schedule | None = None,
    ) -> None:
        super().__init__(network.parameters.theta.device, loss, processes)
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.schedule = schedule or Constant(optimizer.lr)
        self.kernels = "recorded" if self._device.type == "cpu" else "eager"
        # by batch size: that of an epoch's last batch may differ
        self._gradients: dict[int, Recording] = {}
        self._blocks: WeakKeyDictionary[Block, Recorded] = WeakKeyDictionary()

    def step(self, x: Tensor, t: Tensor) -> Tensor:
        y = torch.empty(len(x), self.network.spec.sizes[-1], dtype=x.dtype, device=x.device)
        self.gradient(x, t, y)
        self.update()
        return y

    def gradient(self, x: Tensor, t: Tensor, y: Tensor) -> None:
        """Forward, loss, backward: fills the network's grad, and y (B, C) with the output."""
        tape = self.network.forward(x)
        _, dy = self.loss(tape.output, t)
        self.network.backward(dy, tape)
        y.copy_(tape.output)

    def update(self) -> None:
        """Of the parameters, from the network's grad."""
        parameters = self.network.parameters
        self.optimizer.lr = self.learning_rate
        self.optimizer.step(parameters.theta, self.processes.average(parameters.grad))

    @torch.inference_mode()
    def train(self, block: Block) -> None:
        super().train(block)

    def _train(self, block: Block) -> Tensor:
        """On the CPU by recordings of `gradient` and `count`, made when a block of this size comes
        for the first time.
        """
        if self.kernels == "eager":
            return super()._train(block)
        recorded = self._blocks.get(block) or self._blocks.setdefault(block, self._record(block))
        for gradient in recorded.gradients:
            gradient()
            self.update()
        recorded.counting()
        return recorded.y

    def _record(self, block: Block) -> Recorded:
        y = torch.empty(len(block.x), self.network.spec.sizes[-1], dtype=block.x.dtype)
        outputs = y.split(block.batch_size)
        gradients = [
            self.recorded(x, t, output) for (x, t), output in zip(block, outputs, strict=True)
        ]
        return Recorded(gradients, Recording(self.count, y, block.t), y)

    def recorded(self, x: Tensor, t: Tensor, y: Tensor) -> Recording:
        """`gradient` on what lies in these tensors by the time."""
        if len(x) not in self._gradients:
            parameters = self.network.parameters
            names = parameters.values | {
                f"d{name}": gradient for name, gradient in parameters.gradients.items()
            }
            self._gradients[len(x)] = Recording(
                self.gradient, x, t, y, names=names | self.network.buffers
            )
        return self._gradients[len(x)].at(x, t, y)

    def trace(self, x: Tensor, t: Tensor) -> Iterator[tuple[str, Tensor]]:
        parameters = self.network.parameters
        tape = self.network.forward(x)
        for k in tape.z:
            yield f"z{k} of layer {k}", tape.z[k]
            yield f"y{k} of layer {k}", tape.y[k]
        div, dy = self.loss(tape.output, t)
        yield "the loss", div
        yield f"dy{len(tape.y)}, the gradient of the loss", dy
        self.network.backward(dy, tape)
        for name, gradient in reversed(parameters.gradients.items()):
            yield f"d{name} of layer {_layer(name)}", gradient
        self.update()
        for name, value in (parameters.values | self.network.buffers).items():
            yield f"{name} of layer {_layer(name)} after the update", value

    def state_dict(self) -> dict[str, Tensor]:
        return build(self.network).state_dict()

    def finite(self) -> bool:
        return bool(self.network.parameters.theta.isfinite().all())

    def state(self) -> State:
        return super().state() | {
            "theta": self.network.parameters.theta,
            "buffers": self.network.buffers,
            "optimizer": {"steps": self.optimizer.steps, "buffers": self.optimizer.buffers},
        }

    def like(self, updates: int) -> State:
        fresh = dataclasses.replace(self.optimizer)  # with nothing kept
        if updates:
            fresh.step(
                torch.zeros_like(self.network.parameters.theta),
                torch.zeros_like(self.network.parameters.theta),
            )
        return self.state() | {"optimizer": {"steps": updates, "buffers": fresh.buffers}}

    def load(self, state: State, updates: int) -> None:
        super().load(state, updates)
        theta, optimizer = self.network.parameters.theta, state["optimizer"]
        theta.copy_(state["theta"])
        for name, buffer in self.network.buffers.items():
            buffer.copy_(state["buffers"][name])
        self.optimizer.steps = updates
        self.optimizer.buffers = {name: torch.zeros_like(theta) for name in optimizer["buffers"]}
        for name, buffer in self.optimizer.buffers.items():
            buffer.copy_(optimizer["buffers"][name])

    def predict(self, x: Tensor) -> Tensor:
        return self.network.predict(x)

    @property
    def learning_rate(self) -> float:
        return self.schedule.rate(self.optimizer.steps)

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

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        processes: Processes = ALONE,
        schedule: Schedule | None = None,
    ) -> None:
        super().__init__(network.parameters.theta.device, loss, processes)
        self.model, self.loss = build(network), twin(loss)
        self._parallel = processes.parallel(self.model)
        self.optimizer = twin_optimizer(optimizer, self.model.parameters())
        self.schedule = schedule or Constant(optimizer.lr)
        self.scheduler = twin_schedule(self.schedule, self.optimizer)
        self._names = tuple(network.parameters.values)

    def step(self, x: Tensor, t: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        y: Tensor = self._parallel(x)
        self.loss(y, t).backward()
        self.update()
        return y.detach()

    def update(self) -> None:
        """Of the parameters, from the gradients that autograd left in them."""
        self.optimizer.step()
        if self.scheduler:
            self.scheduler.step()

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
        self.update()
        for name, value in self.model.state_dict().items():
            yield f"{name} after the update", value

    def state_dict(self) -> dict[str, Tensor]:
        return self.model.state_dict()

    def finite(self) -> bool:
        return all(bool(parameter.isfinite().all()) for parameter in self.model.parameters())

    def state(self) -> State:
        return super().state() | {
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
        }

    def like(self, updates: int) -> State:
        fresh = copy.deepcopy(self.optimizer)
        fresh.state.clear()
        if updates:
            for parameter in (each for group in fresh.param_groups for each in group["params"]):
                parameter.grad = torch.zeros_like(parameter)
            fresh.step()
        for group in fresh.param_groups:
            group["lr"] = self.schedule.rate(updates)
        return self.state() | {"optimizer": fresh.state_dict()}

    def load(self, state: State, updates: int) -> None:
        super().load(state, updates)
        for name, value in self.model.state_dict().items():
            value.copy_(state["model"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler:
            self.scheduler.last_epoch = updates

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
        return self._named(
            parameter.grad for parameter in self.model.parameters() if parameter.grad is not None
        )

    def _named(self, tensors: Iterable[Tensor]) -> dict[str, Tensor]:
        return {
            name: tensor.T if tensor.ndim == 2 else tensor
            for name, tensor in zip(self._names, tensors, strict=True)
        }

    def outputs(self, x: Tensor) -> list[Tensor]:
        self.model.eval()
        ys = [x]
        for module in self.model:
            ys.append(module(ys[-1]))
        self.model.train()
        return ys[2::2]  # a layer and an activation take turns


def _layer(name: str) -> str:
    """Of the parameter w12: 12."""
    return name.lstrip(string.ascii_letters)

"""The network written by hand, as a learner: on the CPU its gradient is recorded, then replayed.

Shapes: B batch, C classes, n samples.
"""

import dataclasses
import string
from collections.abc import Iterator
from typing import NamedTuple, final
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from manual.losses import Loss
from manual.network import Network
from manual.optimizers import Optimizer
from manual.schedules import Constant, Schedule
from scripts.common.processes import ALONE, Processes
from scripts.learners.base import Learner
from scripts.learners.blocks import Block
from scripts.recording.replay import Recording
from scripts.run.states import State
from torch_ref.model import build


class Recorded(NamedTuple):
    """The recordings for a block: `gradient` of each batch, `count` of all, and the outputs
    y (n, C).
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
        schedule: Schedule | None = None,
        processes: Processes = ALONE,
    ) -> None:
        super().__init__(network.parameters.theta.device, loss, processes)
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.schedule = schedule or Constant(optimizer.lr)
        self.kernels = "recorded" if self._device.type == "cpu" else "eager"
        # by batch size: that of an epoch's last batch may differ
        self._gradients: dict[int, Recording] = {}
        # each block of samples is written over that of its size before it: recorded once
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
        """Update the parameters by the network's grad."""
        parameters = self.network.parameters
        self.optimizer.lr = self.learning_rate
        self.optimizer.step(parameters.theta, self.processes.all_reduce_mean(parameters.grad))

    @torch.inference_mode()
    def steps(self, block: Block) -> Tensor:
        """On the CPU by recordings of `gradient` and `count`, made when a block of this size comes
        for the first time.
        """
        if self.kernels == "eager":
            return super().steps(block)
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
        """A recording of `gradient` that works on what these tensors hold when it is called."""
        if len(x) not in self._gradients:
            self._gradients[len(x)] = Recording(self.gradient, x, t, y)
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
            yield f"d{name} of layer {_number(name)}", gradient
        self.update()
        for name, value in (parameters.values | self.network.buffers).items():
            yield f"{name} of layer {_number(name)} after the update", value

    def state_dict(self) -> dict[str, Tensor]:
        return build(self.network).state_dict()

    def finite(self) -> bool:
        return bool(self.network.parameters.theta.isfinite().all())

    def own_state(self) -> State:
        return {
            "theta": self.network.parameters.theta,
            "buffers": self.network.buffers,
            "optimizer": {"steps": self.optimizer.steps, "buffers": self.optimizer.buffers},
        }

    def state_after(self, updates: int) -> State:
        fresh = dataclasses.replace(self.optimizer)  # without its buffers
        if updates:
            fresh.step(
                torch.zeros_like(self.network.parameters.theta),
                torch.zeros_like(self.network.parameters.theta),
            )
        return self.own_state() | {"optimizer": {"steps": updates, "buffers": fresh.buffers}}

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


def _number(name: str) -> str:
    """The 12 of the parameter w12."""
    return name.lstrip(string.ascii_letters)

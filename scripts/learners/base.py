"""A learner: a network that trains on blocks of batches, under a clock, and keeps count.

Shapes: B batch, I inputs, C classes, n samples.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from manual.losses import Loss
from scripts.common.processes import Processes
from scripts.learners.blocks import Block
from scripts.run.progress import Score
from scripts.run.states import State, match

CHUNK = 1000  # images evaluated at a time


class Learner(ABC):
    """Trains on batches and keeps count on the device: the sum of the losses of all samples, and
    the right answers.

    `seconds`: spent in training so far, by a clock that waits for the device. `processes`: those
    that share each batch.
    """

    name: str
    kernels = "eager"  # or recorded

    def __init__(self, device: torch.device, loss: Loss, processes: Processes) -> None:
        self._device, self._loss, self.processes = device, loss, processes
        self._losses = torch.zeros((), dtype=torch.float64, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._last: tuple[Tensor, Block] | None = None
        self.seconds = self._taken = 0.0

    def train(self, block: Block) -> None:
        """`steps`, under the clock."""
        start = self._clock()
        self._last = self.steps(block), block
        self.seconds += self._clock() - start

    def steps(self, block: Block) -> Tensor:
        """A step for each batch, then the count of all of them at once. Returns the outputs (n, C),
        each before the update of its batch.
        """
        y = torch.cat([self.step(x, t) for x, t in block])
        self.count(y, block.t)
        return y

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
        """That of the next update."""

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
        """The same update as `step`: every tensor that it computes or changes, in that order, each
        with words for it.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and running statistics in torch's layout and by its names, as nn.Sequential
        takes them: 0.weight, 0.bias, 2.weight, ...
        """

    @abstractmethod
    def finite(self) -> bool:
        """Whether every parameter is finite; waits for the device."""

    def state(self) -> State:
        """All that later updates and scores depend on: asked of all processes at once, since each
        has counted by itself.
        """
        gather = self.processes.all_gather
        counts = self._counts(gather(self._losses.view(1)), gather(self._correct.view(1)))
        return counts | self.own_state()

    def load(self, state: State, updates: int) -> None:
        """Take over a `state` that was saved after so many updates. ValueError, before anything
        takes memory, for numbers, names, shapes or a dtype that cannot be this learner's.
        """
        size = self.processes.size
        counts = self._counts(self._losses.new_empty(size), self._correct.new_empty(size))
        match(state, counts | self.state_after(updates))
        self._losses.view(1).copy_(self.processes.own_part(state["losses"]))
        self._correct.view(1).copy_(self.processes.own_part(state["correct"]))
        self.seconds, self._taken = float(state["seconds"]), float(state["taken"])

    def _counts(self, losses: Tensor, correct: Tensor) -> State:
        return {"losses": losses, "correct": correct, "seconds": self.seconds, "taken": self._taken}

    @abstractmethod
    def own_state(self) -> State:
        """Of the state, what is the same in all processes."""

    @abstractmethod
    def state_after(self, updates: int) -> State:
        """The names, shapes and dtypes of `own_state` after so many updates; not its numbers."""

    def count(self, y: Tensor, t: Tensor) -> None:
        """Add the losses and right answers of samples with outputs y (n, C) and targets t."""
        div, _ = self._loss(y, t)
        labels = t if t.ndim == 1 else t.argmax(dim=1)
        self._losses += div.double() * len(y)
        self._correct += (y.argmax(dim=1) == labels).sum()

    def finite_loss(self) -> Tensor:
        """(), whether every loss since the last `take` is finite; the device is not waited for."""
        return self._losses.isfinite()

    def last_losses(self) -> Tensor:
        """The loss of each batch (batches,) of the last `train`."""
        assert self._last, "no block was trained on"
        y, block = self._last
        outputs = y.split(block.batch_size)
        return torch.stack(
            [self._loss(output, t)[0] for output, (_, t) in zip(outputs, block, strict=True)]
        )

    def take(self) -> tuple[Tensor, Tensor, float]:
        """(sum of the losses of all samples (), right answers (), seconds of training) since the
        last call; the seconds are this process's.
        """
        losses, correct, seconds = (
            self._losses.clone(),
            self._correct.clone(),
            self.seconds - self._taken,
        )
        self._losses.zero_()
        self._correct.zero_()
        self._taken = self.seconds
        all_reduce_sum = self.processes.all_reduce_sum
        return all_reduce_sum(losses), all_reduce_sum(correct), seconds

    @torch.inference_mode()
    def evaluate(self, images: Tensor, labels: Tensor) -> Score:
        """The score on images (n, I) with labels (n,), in chunks that fit into memory."""
        correct = torch.zeros((), dtype=torch.int64, device=labels.device)
        loss = torch.zeros((), dtype=torch.float64, device=labels.device)
        own = slice(self.processes.rank, None, self.processes.size)
        for x, true in zip(images.split(CHUNK)[own], labels.split(CHUNK)[own], strict=True):
            y = self.predict(x)
            div, _ = self._loss(y, self._loss.targets(true, y.shape[1], y.dtype))
            loss += div * len(true)
            correct += (y.argmax(dim=1) == true).sum()
        correct, loss = (self.processes.all_reduce_sum(each) for each in (correct, loss))
        return Score(int(correct), len(labels), float(loss) / len(labels))

    def _clock(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

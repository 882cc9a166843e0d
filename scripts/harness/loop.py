"""The training loop: batches to every learner, comparisons between, evaluation and logs after each epoch.

Shapes: B batch, C classes, n images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from manual.losses import Loss
from scripts.harness.board import Board, by_parameter, figures
from scripts.harness.comparison import Comparison
from scripts.harness.config import Config
from scripts.harness.data import CLASSES, Data, Split, batches, order
from scripts.harness.learners import CHUNK, Batch, Learner
from scripts.harness.program import Stopped
from torch_ref.compare import Difference, largest

BLOCK = 16  # batches fetched at a time: few enough to stay in the cache, enough to make the clock cheap


class Diverged(Stopped):
    """A loss became nan or infinite."""


@dataclass(frozen=True)
class Score:
    """Of one learner on one split: images recognized, out of n, and the mean loss."""

    correct: int
    n: int
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of the images recognized."""
        return self.correct / self.n


@dataclass(frozen=True)
class Epoch:
    """What an epoch ended with: scores on validation by engine, and the largest differences since the epoch before."""

    number: int
    validation: dict[str, Score]
    gradient: Difference
    drift: Difference


class Training:
    """One run of a resolved config. `on_updates` hears of every few updates, `on_epoch` of every epoch.

    `stopped`: why it ended before its last epoch, if it did.
    """

    def __init__(
        self, config: Config, data: Data, learners: Sequence[Learner], comparison: Comparison | None, board: Board
    ) -> None:
        self._config, self._data, self._learners = config, data, learners
        self._comparison, self._board = comparison, board
        self._loss = loss = Loss.named()[config.training.loss]()
        self._targets = loss.targets(data.train.labels, CLASSES, data.train.images.dtype)
        self.updates = 0
        self.stopped: str | None = None

    def run(self, on_updates: Callable[[int], object], on_epoch: Callable[[Epoch], object]) -> dict[str, Score]:
        """Train all epochs, or until the loss stands still, and return the last scores on validation.

        Diverged where a loss becomes nan or infinite; what was logged until then stays.
        """
        below, before = self._config.training.stop_below, None
        for number in range(1, self._config.training.epochs + 1):
            loss = self.train_epoch(number, on_updates)
            validation = {learner.name: self.evaluate(learner, self._data.validation) for learner in self._learners}
            for name, score in validation.items():
                values = {"loss/validation": score.loss, "accuracy/validation": score.accuracy}
                self._board.scalars(name, values, self.updates)
            gradient, drift = Difference(), Difference()
            if self._comparison:
                gradients, drifts = self._comparison.since_last(), self._comparison.drifts()
                gradient, drift = largest(gradients.values()), largest(drifts.values())
                values = {"parameters/max_abs": drift.max_abs} | by_parameter(gradients, drifts)
                self._board.scalars("comparison", values, self.updates)
            self._board.epoch(number, self._learners, self._data.validation.images, self.updates)
            on_epoch(Epoch(number, validation, gradient, drift))
            if below is not None and before is not None and abs(loss - before) <= below:  # |J_k+1 - J_k| <= epsilon
                self.stopped = (
                    f"stopped after epoch {number}: the training loss of {self._learners[0].name} went from {before:.6g} to "
                    f"{loss:.6g}, no further than --stop-below {below:g}"
                )
                break
            before = loss
        return validation

    @torch.inference_mode()
    def evaluate(self, learner: Learner, split: Split) -> Score:
        """Correct answers and mean loss on a split, in chunks of which nothing is kept."""
        correct = torch.zeros((), dtype=torch.int64, device=split.labels.device)
        loss = torch.zeros((), dtype=torch.float64, device=split.labels.device)
        for images, labels in zip(split.images.split(CHUNK), split.labels.split(CHUNK), strict=True):
            y = learner.predict(images)
            div, _ = self._loss(y, self._loss.targets(labels, CLASSES, y.dtype))
            loss += div * len(labels)
            correct += (y.argmax(dim=1) == labels).sum()
        return Score(int(correct), len(split), float(loss) / len(split))

    def train_epoch(self, epoch: int, on_updates: Callable[[int], object]) -> float:
        """One pass over the training images, and its means as trained to the board; returns the first learner's mean loss.

        Diverged as in `run`.
        """
        means = []
        train = self._data.train
        indices = order(self._config.network.seed, epoch, len(train), train.labels.device)
        source = batches(indices, self._config.training.batch_size, train.images, self._targets)
        every, first = self._config.run.compare_every, self.updates
        started = [learner.seconds for learner in self._learners]
        while block := list(islice(source, min(BLOCK, every - self.updates % every))):
            self._update(block)
            if not all(learner.losses[-1].isfinite() for learner in self._learners):
                break
            on_updates(len(block))
        for learner, start in zip(self._learners, started, strict=True):
            losses, predicted = learner.take()
            wrong = losses.isfinite().logical_not().nonzero()
            if len(wrong):
                update = int(wrong[0])
                raise Diverged(
                    f"the loss of {learner.name} is {float(losses[update])} at epoch {epoch}, update {first + update + 1}"
                )
            samples = indices.new_tensor([len(batch) for batch in indices.split(self._config.training.batch_size)])
            values = {
                "loss/train": float((losses.double() * samples).sum()) / len(train),
                "accuracy/train": int((predicted == train.labels[indices]).sum()) / len(train),
                "time/epoch_seconds": learner.seconds - start,
            }
            self._board.scalars(learner.name, values, self.updates)
            means.append(values["loss/train"])
        return means[0]

    def _update(self, block: list[Batch]) -> None:
        """The updates of a block of batches, the last of them compared if its turn has come."""
        self.updates += len(block)
        if self._comparison is None or self.updates % self._config.run.compare_every:
            for learner in self._learners:
                learner.train(block)
            return
        *others, last = block
        for learner in self._learners:
            learner.train(others)
        self._comparison.before_update()
        for learner in self._learners:
            learner.train([last])
        self._board.scalars("comparison", figures(self._comparison.after_update(*last)), self.updates)

"""The training loop: batches to every learner, comparisons between, evaluation and logs after each
epoch.

Shapes: B batch, C classes, n images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from manual.losses import Loss
from scripts.common.program import Stopped, UserError
from scripts.display.board import Board
from scripts.display.tags import by_parameter, figures
from scripts.learners.base import CHUNK, Learner
from scripts.learners.blocks import Block, Blocks
from scripts.learners.comparison import Comparison
from scripts.run.config import CLASSES, Config
from scripts.run.states import State
from scripts.training.data import Data, Split, order
from torch_ref.compare import Difference, largest


class Diverged(Stopped):
    """A loss or a parameter became nan or infinite."""


@dataclass
class Progress:
    """How far a run has come.

    `updates` made, `epochs` behind it with all their logs, `loss`: the first learner's mean
    training loss in the last of them; `stopped`: why the run ended before its last epoch, if it
    did.
    """

    updates: int = 0
    epochs: int = 0
    loss: float | None = None
    stopped: str | None = None

    def finished(self, epochs: int) -> bool:
        """Whether nothing is left to train of that many epochs."""
        return self.stopped is not None or self.epochs >= epochs


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
    """What an epoch ended with: scores on validation by engine, the largest difference of the
    gradients compared in it, None where none were, and that of the parameters, None where one
    engine trains alone.
    """

    number: int
    validation: dict[str, Score]
    gradient: Difference | None
    drift: Difference | None


class Training:
    """One run of a resolved config, or the rest of it.

    `on_updates` hears of every few updates, `on_epoch` of every epoch. `at_rest` is called where
    `progress` and `state()` are all there is to go on from: between the updates of an epoch, and
    after each epoch and its logs.
    """

    def __init__(
        self,
        config: Config,
        data: Data,
        learners: Sequence[Learner],
        comparison: Comparison | None,
        board: Board,
    ) -> None:
        self._config, self._data, self._learners = config, data, learners
        self._comparison, self._board, self._processes = comparison, board, learners[0].processes
        self._loss = loss = Loss.named()[config.training.loss]()
        self._targets = loss.targets(data.train.labels, CLASSES, data.train.images.dtype)
        # of a batch, that one process takes
        self._share = config.training.batch_size // self._processes.size
        self._blocks = Blocks(data.train.images, self._targets, self._share)
        self._updates_per_epoch = config.updates_per_epoch
        self._samples_per_epoch = config.samples_per_epoch
        self.progress = Progress()

    @property
    def fetching_seconds(self) -> float:
        """Spent in fetching batches so far, once for all learners."""
        return self._blocks.seconds

    def state(self) -> State:
        """Of the learners and of what was found in comparing them. Diverged, since nothing good
        comes of it, where a loss of this epoch or a parameter is not finite.
        """
        self._check(self._wrong)
        compared = self._comparison.state() if self._comparison else None
        return {
            "learners": {learner.name: learner.state() for learner in self._learners},
            "comparison": compared,
        }

    def load(self, progress: Progress, state: State) -> None:
        """Go on from there. UserError if it is not from a run of this config."""
        try:
            for learner in self._learners:
                learner.load(state["learners"][learner.name], progress.updates)
            if self._comparison:
                self._comparison.load(state["comparison"])
        except (LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            raise UserError(
                f"the checkpoint of update {progress.updates} is not of a run like this ({error})"
            ) from error
        done = progress.updates - progress.epochs * self._updates_per_epoch
        if progress.epochs < 0 or not 0 <= done < self._updates_per_epoch:
            raise UserError(
                f"the checkpoint of update {progress.updates} is not of a run like this "
                f"({progress.epochs} epochs)"
            )
        self.progress = progress

    def run(
        self,
        on_updates: Callable[[int], object],
        on_epoch: Callable[[Epoch], object],
        at_rest: Callable[[], object],
    ) -> dict[str, Score]:
        """Train all epochs, or until the loss stands still, and return the last scores on
        validation.

        Diverged where a loss becomes nan or infinite; what was logged until then stays.
        """
        below, progress = self._config.training.stop_below, self.progress
        validation: dict[str, Score] = {}
        while not progress.finished(self._config.training.epochs):
            number = progress.epochs + 1
            loss = self.train_epoch(number, on_updates, at_rest)
            validation = self._validate()
            for name, score in validation.items():
                values = {"2-loss/validation": score.loss, "1-accuracy/validation": score.accuracy}
                self._board.scalars(name, values, progress.updates)
            gradient = drift = None
            if self._comparison:
                gradients, drifts = self._comparison.since_last(), self._comparison.drifts()
                gradient, drift = (
                    largest(gradients.values()) if gradients else None,
                    largest(drifts.values()),
                )
                values = figures("5-parameters/difference", drift) | by_parameter(gradients, drifts)
                values["5-parameters/size"] = self._comparison.parameter_size()
                self._board.scalars("comparison", values, progress.updates)
            self._board.epoch(
                number, self._learners, self._data.validation.images, progress.updates
            )
            on_epoch(Epoch(number, validation, gradient, drift))
            before, progress.loss, progress.epochs = progress.loss, loss, number
            # |J_k+1 - J_k| <= epsilon
            if below is not None and before is not None and abs(loss - before) <= below:
                progress.stopped = (
                    f"stopped after epoch {number}: the training loss of {self._learners[0].name} "
                    f"went from {before:.6g} to "
                    f"{loss:.6g}, no further than --stop-below {below:g}"
                )
            at_rest()
        return validation or self._validate()

    def _validate(self) -> dict[str, Score]:
        return {
            learner.name: self.evaluate(learner, self._data.validation)
            for learner in self._learners
        }

    def locate(self, progress: Progress, state: State) -> str:
        """Train the learner that went wrong once more, from there, with an eye on every tensor:
        where it first went wrong.

        Nothing is logged. The run is over: its learners are left at that update. One process does
        it, on whole batches.
        """
        learner, until = self._diverged, self.progress.updates
        self.load(progress, state)
        start = f"replayed from update {progress.updates}"
        size, images, targets = (
            self._config.training.batch_size,
            self._data.train.images,
            self._targets,
        )
        while self.progress.updates < until:
            epoch, done = divmod(self.progress.updates, self._updates_per_epoch)
            for rows in self._order(epoch + 1)[done * size :].split(size):
                self.progress.updates += 1
                for what, tensor in learner.trace(images[rows], targets[rows]):
                    wrong = tensor[tensor.isfinite().logical_not()]
                    if len(wrong):
                        share = f"{len(wrong)} of {tensor.numel()} entries " if tensor.ndim else ""
                        found = f"{what}: {share}{float(wrong[0])}"
                        return (
                            f"{start}, the first to go wrong is, in update "
                            f"{self.progress.updates}, {found}"
                        )
        return f"{start}, it did not come again"

    def _check(self, wrong: Callable[[Learner], str | None]) -> None:
        for learner in self._learners:
            if message := wrong(learner):
                self._diverged = learner
                raise Diverged(message)

    def _wrong_loss(self, learner: Learner) -> str | None:
        """Words for the first loss of the epoch that is not finite, in whichever process."""
        if self._processes.all_agree(bool(learner.finite_loss())):
            return None
        losses = self._processes.all_reduce_mean(learner.last_losses())
        wrong = losses.isfinite().logical_not().nonzero()
        at = int(wrong[0]) if len(wrong) else len(losses) - 1  # their sum alone is too large
        update = self.progress.updates - len(losses) + at + 1
        epoch = (update - 1) // self._updates_per_epoch + 1
        return (
            f"the loss of {learner.name} is {float(losses[at])} at epoch {epoch}, update {update}"
        )

    def _wrong(self, learner: Learner) -> str | None:
        """The same, or for parameters that are not finite."""
        if loss := self._wrong_loss(learner):
            return loss
        if learner.finite():
            return None
        updates = self.progress.updates
        epoch = (updates - 1) // self._updates_per_epoch + 1
        return (
            f"the parameters of {learner.name} are no longer finite at epoch {epoch}, update "
            f"{updates}"
        )

    @torch.inference_mode()
    def evaluate(self, learner: Learner, split: Split) -> Score:
        """Correct answers and mean loss on a split, in chunks of which nothing is kept."""
        correct = torch.zeros((), dtype=torch.int64, device=split.labels.device)
        loss = torch.zeros((), dtype=torch.float64, device=split.labels.device)
        mine = slice(self._processes.rank, None, self._processes.size)
        for images, labels in zip(
            split.images.split(CHUNK)[mine], split.labels.split(CHUNK)[mine], strict=True
        ):
            y = learner.predict(images)
            div, _ = self._loss(y, self._loss.targets(labels, CLASSES, y.dtype))
            loss += div * len(labels)
            correct += (y.argmax(dim=1) == labels).sum()
        correct, loss = (
            self._processes.all_reduce_sum(correct),
            self._processes.all_reduce_sum(loss),
        )
        return Score(int(correct), len(split), float(loss) / len(split))

    def train_epoch(
        self,
        epoch: int,
        on_updates: Callable[[int], object],
        at_rest: Callable[[], object] = lambda: None,
    ) -> float:
        """What is left of a pass over the training images, and its means to the board; returns the
        first learner's mean loss.

        Diverged as in `run`.
        """
        means = []
        here = self._processes.shard(self._order(epoch), self._config.training.batch_size)
        share = self._share
        first, last = (epoch - 1) * self._updates_per_epoch, epoch * self._updates_per_epoch
        while self.progress.updates < last:
            done = self.progress.updates - first
            updates = min(self._until_a_stop(), last - self.progress.updates)
            self._update(here[done * share : (done + updates) * share], updates)
            if not self._processes.all_agree(
                all(learner.finite_loss() for learner in self._learners)
            ):
                break
            on_updates(updates)
            if self.progress.updates < last:
                at_rest()
        self._check(self._wrong_loss)
        for learner in self._learners:
            losses, correct, seconds = learner.take()
            values = {
                "2-loss/train": float(self._processes.all_reduce_sum(losses))
                / self._samples_per_epoch,
                "1-accuracy/train": int(self._processes.all_reduce_sum(correct))
                / self._samples_per_epoch,
                "time/epoch-seconds": seconds,
            }
            self._board.scalars(learner.name, values, self.progress.updates)
            means.append(values["2-loss/train"])
        return means[0]

    def _order(self, epoch: int) -> Tensor:
        """Of the samples (n,) of an epoch."""
        labels = self._data.train.labels
        rows = order(self._config.network.seed, epoch, len(labels), labels.device)
        return rows[: self._samples_per_epoch]

    def _until_a_stop(self) -> int:
        """Updates that may be made in one go: no more than are fetched, nor beyond a comparison or
        a checkpoint.
        """
        stops = (self._config.run.compare_every, self._config.run.checkpoint_every)
        return min(
            self._blocks.size, *(every - self.progress.updates % every for every in stops if every)
        )

    def _update(self, indices: Tensor, updates: int) -> None:
        """So many updates, from these samples (n,); the last of them is compared if its turn has
        come.
        """
        self.progress.updates += updates
        if self._comparison is None or self.progress.updates % self._config.run.compare_every:
            self._train(indices)
            return
        last = (updates - 1) * self._share
        if last:
            self._train(indices[:last])
        self._comparison.before_update()
        block = self._train(indices[last:])
        difference = self._comparison.after_update(block.x, block.t, self.progress.updates)
        values = {"3-gradient/size": self._comparison.gradient_size()} | figures(
            "3-gradient/difference", difference
        )
        self._board.scalars("comparison", values, self.progress.updates)

    def _train(self, indices: Tensor) -> Block:
        block = self._blocks.fetch(indices)
        for learner in self._learners:
            learner.train(block)
        return block

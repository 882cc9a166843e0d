"""The training loop: the epochs, and the one update. What looks on is attached (observers.py)."""

from collections.abc import Callable, Sequence

from scripts.learners.base import Learner
from scripts.learners.blocks import Block
from scripts.run.config import Config
from scripts.run.progress import Epoch, Progress, Score
from scripts.training.batches import Batches
from scripts.training.data import Data


class Loop:
    """The run of a resolved config, or what is left of it after `progress`.

    The functions in `after_updates` are called after every few updates, those in `after_epoch`
    after every epoch, in the order of the lists; an exception in one of them ends the run.
    """

    def __init__(
        self, config: Config, data: Data, learners: Sequence[Learner], progress: Progress
    ) -> None:
        self.config, self.data, self.learners, self.progress = config, data, learners, progress
        self.processes = learners[0].processes
        self.batches = Batches(config, data.train, self.processes)
        self.after_updates: list[Callable[[Progress, Block], None]] = []
        self.after_epoch: list[Callable[[Progress, Epoch], None]] = []

    def run(self) -> None:
        """Train until the last epoch, or until the loss stands still."""
        while not self.progress.finished(self.config.training.epochs):
            for block in self.batches.rest_of_epoch(self.progress.updates):
                self.update(block)
                for observe in self.after_updates:
                    observe(self.progress, block)
            epoch = self.end_epoch()
            for conclude in self.after_epoch:
                conclude(self.progress, epoch)

    def update(self, block: Block) -> None:
        """An update of every learner by each batch of the block."""
        for learner in self.learners:
            learner.train(block)
        self.progress.updates += block.updates

    def end_epoch(self) -> Epoch:
        """The scores of the epoch just trained; `progress` counts it, and stops at --stop-below."""
        progress, n = self.progress, self.config.samples_per_epoch
        epoch = Epoch(progress.epochs + 1)
        for learner in self.learners:
            losses, correct, epoch.seconds[learner.name] = learner.take()
            epoch.training[learner.name] = Score(int(correct), n, float(losses) / n)
        first = self.learners[0].name
        before, progress.loss = progress.loss, epoch.training[first].loss
        progress.epochs, below = epoch.number, self.config.training.stop_below
        # |J_k+1 - J_k| <= epsilon
        if below is not None and before is not None and abs(progress.loss - before) <= below:
            progress.stopped = (
                f"stopped after epoch {epoch.number}: the training loss of {first} went from "
                f"{before:.6g} to {progress.loss:.6g}, no further than --stop-below {below:g}"
            )
        return epoch

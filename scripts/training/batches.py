"""What an epoch trains on: the training images in an order of its own, several batches at a time.

Shapes: n images of 784 pixels, B batch.
"""

from collections.abc import Iterator

from torch import Tensor

from manual.losses import Loss
from scripts.common.processes import Processes
from scripts.learners.blocks import Block, Blocks
from scripts.run.config import CLASSES, Config
from scripts.training.data import Split, order


class Batches:
    """The batches of a run, epoch by epoch; of each, the share of this process."""

    def __init__(self, config: Config, train: Split, processes: Processes) -> None:
        self._config, self._train, self._processes = config, train, processes
        loss = Loss.named()[config.training.loss]()
        self._targets = loss.targets(train.labels, CLASSES, train.images.dtype)
        self._share = config.training.batch_size // processes.size
        self._blocks = Blocks(train.images, self._targets, self._share)

    @property
    def seconds(self) -> float:
        """Spent in fetching blocks so far, once for all learners."""
        return self._blocks.seconds

    def rest_of_epoch(self, updates: int) -> Iterator[Block]:
        """The blocks of the current epoch that are left after so many updates of the run."""
        epoch, done = divmod(updates, self._config.updates_per_epoch)
        order = self._processes.shard(self._order(epoch), self._config.training.batch_size)
        while done < self._config.updates_per_epoch:
            more = self._updates_in_one_go(epoch, done)
            yield self._blocks.fetch(order[done * self._share : (done + more) * self._share])
            done += more

    def undivided(self, updates: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every batch, (x (B, 784), t), after so many updates of the run, not divided between
        processes; without end.
        """
        epoch, done = divmod(updates, self._config.updates_per_epoch)
        while True:
            for rows in self._order(epoch).split(self._config.training.batch_size)[done:]:
                yield self._train.images[rows], self._targets[rows]
            epoch, done = epoch + 1, 0

    def _order(self, epoch: int) -> Tensor:
        """The order of the samples (n,) in an epoch, counted from 0."""
        labels = self._train.labels
        rows = order(self._config.network.seed, epoch + 1, len(labels), labels.device)
        return rows[: self._config.samples_per_epoch]

    def _updates_in_one_go(self, epoch: int, done: int) -> int:
        """How many make the next block: as many as fit or are left, none beyond a checkpoint; an
        update whose gradients are compared is a block of its own.
        """
        updates = epoch * self._config.updates_per_epoch + done
        stops = (self._config.run.compare_every, self._config.run.checkpoint_every)
        most = min(
            self._blocks.size,
            self._config.updates_per_epoch - done,
            *(every - updates % every for every in stops if every),
        )
        return most - 1 if most > 1 and self._config.comparison_due(updates + most) else most

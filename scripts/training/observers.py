"""The observers of a training loop: attached to it here, in the order of their turns."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from scripts.common.command_line import typed
from scripts.common.signals import Signals
from scripts.display.board import Board
from scripts.display.events import EventFiles
from scripts.display.progress_bar import ProgressBar
from scripts.learners.base import Learner
from scripts.learners.comparison import Comparison
from scripts.run.checkpoint import Checkpoint
from scripts.run.progress import Epoch, Progress
from scripts.training.checkpointing import Checkpointing
from scripts.training.data import Split
from scripts.training.divergence import FiniteCheck
from scripts.training.loop import Loop


@contextmanager
def observed(
    loop: Loop, comparison: Comparison | None, out: Path, saved: Checkpoint | None
) -> Iterator[Board | None]:
    """Inside, the loop goes on from `saved`, if there is one, with all observers attached. Yields
    the board of the run in `out`, where this process has one.
    """
    config, validation, updates = loop.config, loop.data.validation, loop.progress.updates
    with ExitStack() as stack:
        signals, events, board = stack.enter_context(Signals()), None, None
        if config.run.board != "off" and loop.processes.is_rank_zero:
            events = stack.enter_context(closing(EventFiles(out, config, updates)))
        checkpointing = Checkpointing(loop, comparison, out, signals, events)
        if saved:
            checkpointing.restore(saved)
        else:
            checkpointing.save()
        if events:
            board = Board(events, config, loop.learners, comparison, validation.images)
            command = typed("scripts.train", *sys.argv[1:], launcher=loop.processes.launcher)
            board.start(command, updates)
        bar = stack.enter_context(closing(ProgressBar(config, comparison, updates)))

        finite = FiniteCheck(loop.learners, config.updates_per_epoch)
        loop.after_epoch.append(Validation(loop.learners, validation).after_epoch)
        if comparison:
            loop.after_updates.append(comparison.after_updates)
            loop.after_epoch.append(comparison.after_epoch)
        if board:
            loop.after_updates.append(board.after_updates)
            loop.after_epoch.append(board.after_epoch)
        loop.after_updates += (finite.after_updates, bar.after_updates, checkpointing.after_updates)
        loop.after_epoch += (bar.after_epoch, checkpointing.after_epoch)
        yield board


class Validation:
    """The scores of the learners on the validation images."""

    def __init__(self, learners: Sequence[Learner], split: Split) -> None:
        self._learners, self._split = learners, split

    def after_epoch(self, _: Progress, epoch: Epoch) -> None:
        """Add their scores."""
        for learner in self._learners:
            epoch.validation[learner.name] = learner.evaluate(
                self._split.images, self._split.labels
            )

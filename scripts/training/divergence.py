"""Divergence: losses or parameters that become nan or infinite, noticed, and traced to where."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from scripts.common import files
from scripts.common.processes import ALONE
from scripts.common.program import Stopped
from scripts.learners.base import Learner
from scripts.learners.blocks import Block
from scripts.learners.comparison import Comparison
from scripts.run import folder
from scripts.run.checkpoint import Checkpoints
from scripts.run.progress import Progress
from scripts.training.loop import Loop


class Diverged(Stopped):
    """A loss or a parameter of the learner of this name became nan or infinite."""

    def __init__(self, message: str, engine: str = "") -> None:
        super().__init__(message)
        self.engine = engine


class FiniteCheck:
    """Raises Diverged where a number of these learners is not finite."""

    def __init__(self, learners: Sequence[Learner], updates_per_epoch: int) -> None:
        self._learners, self._updates_per_epoch = learners, updates_per_epoch
        self._processes = learners[0].processes

    def after_updates(self, progress: Progress, _: Block) -> None:
        """Check the losses of this epoch, those of all processes."""
        if not self._processes.all_agree(all(each.finite_loss() for each in self._learners)):
            for learner in self._learners:
                self._check_losses(learner, progress.updates)

    def before_checkpoint(self, progress: Progress) -> None:
        """Check losses and parameters: a run could not go on from nan."""
        for learner in self._learners:
            self._check_losses(learner, progress.updates)
            if not learner.finite():
                raise Diverged(
                    f"the parameters of {learner.name} are no longer finite at "
                    f"{self._moment(progress.updates)}",
                    learner.name,
                )

    def _check_losses(self, learner: Learner, updates: int) -> None:
        if self._processes.all_agree(bool(learner.finite_loss())):
            return
        losses = self._processes.all_reduce_mean(learner.last_losses())
        wrong = losses.isfinite().logical_not().nonzero()
        at = int(wrong[0]) if len(wrong) else len(losses) - 1  # their sum alone is too large
        raise Diverged(
            f"the loss of {learner.name} is {float(losses[at])} at "
            f"{self._moment(updates - len(losses) + at + 1)}",
            learner.name,
        )

    def _moment(self, update: int) -> str:
        return f"epoch {(update - 1) // self._updates_per_epoch + 1}, update {update}"


@contextmanager
def explained(loop: Loop, comparison: Comparison | None, out: Path) -> Iterator[None]:
    """Inside, Diverged also says where the numbers first went wrong and what may help; the folder
    `out` keeps that in a file.
    """
    try:
        yield
    except Diverged as diverged:
        engine = diverged.engine
        where = loop.processes.rank_zero_only(lambda: locate(loop, engine, out))
        why = "a smaller --lr may help"
        if comparison and comparison.wrong:
            why = f"the gradient by hand was wrong from update {comparison.wrong.update} on"
        message = f"{diverged}; {where}; {why}"
        loop.processes.rank_zero_only(lambda: files.write(out / folder.DIVERGED, message.encode()))
        raise Diverged(message, engine) from None


def locate(loop: Loop, engine: str, out: Path) -> str:
    """Train this learner once more, from the last checkpoint to where the loop is, and say which
    tensor is the first that is not finite.

    The run is over: the learner stays at that update. One process does it, on whole batches.
    """
    saved = Checkpoints(out).latest()
    if saved is None:
        return "it cannot be replayed, for its checkpoints are gone"
    start = saved.progress.updates
    replayed = f"replayed from update {start}"
    learner = next(learner for learner in loop.learners if learner.name == engine)
    learner.load(saved.state["learners"][engine], start)
    learner.processes = ALONE  # the others wait for what this one finds
    batches = islice(loop.batches.undivided(start), loop.progress.updates - start)
    for update, (x, t) in enumerate(batches, start=start + 1):
        for what, tensor in learner.trace(x, t):
            wrong = tensor[tensor.isfinite().logical_not()]
            if len(wrong):
                share = f"{len(wrong)} of {tensor.numel()} entries " if tensor.ndim else ""
                return (
                    f"{replayed}, the first to go wrong is, in update {update}, {what}: {share}"
                    f"{float(wrong[0])}"
                )
    return f"{replayed}, it did not come again"

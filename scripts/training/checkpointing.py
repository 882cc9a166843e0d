"""The checkpoints of a run: when one is written, what is in it, and how a run goes on from it."""

import signal
from pathlib import Path

from scripts.common.command_line import option, typed
from scripts.common.processes import Processes
from scripts.common.program import Interrupted, UserError
from scripts.common.signals import Signals
from scripts.display.events import EventFiles
from scripts.learners.blocks import Block
from scripts.learners.comparison import Comparison
from scripts.run.checkpoint import Checkpoint, Checkpoints
from scripts.run.progress import Epoch, Progress
from scripts.training.divergence import FiniteCheck
from scripts.training.loop import Loop


class Checkpointing:
    """Keeps the state of the run in `out` where that is due, and where a signal ends it.

    `events` are flushed before, for a resumed run does not log again what came before it.
    """

    def __init__(
        self,
        loop: Loop,
        comparison: Comparison | None,
        out: Path,
        signals: Signals,
        events: EventFiles | None,
    ) -> None:
        self._loop, self._comparison, self._out = loop, comparison, out
        self._signals, self._events = signals, events
        self._finite = FiniteCheck(loop.learners, loop.config.updates_per_epoch)

    def after_updates(self, progress: Progress, _: Block) -> None:
        """Within an epoch; its end is kept by `after_epoch`, once all is logged."""
        if progress.updates % self._loop.config.updates_per_epoch:
            self._keep_if_due(progress)

    def after_epoch(self, progress: Progress, _: Epoch) -> None:
        """At the end of an epoch."""
        self._keep_if_due(progress)

    def _keep_if_due(self, progress: Progress) -> None:
        stop = not self._loop.processes.all_agree(self._signals.received is None)
        if self._loop.config.checkpoint_due(progress.updates) or stop:
            if self._events:
                self._events.flush()
            self.save()
        if stop:
            raise Interrupted(
                self._signals.received or signal.SIGTERM,
                f"all is kept after update {progress.updates}; go on with  "
                f"{resume_command(self._out, self._loop.processes)}",
            )

    def save(self) -> None:
        """Write a checkpoint. Raises Diverged instead where a number in it is not finite."""
        loop, comparison = self._loop, self._comparison
        self._finite.before_checkpoint(loop.progress)
        state = {
            "learners": {learner.name: learner.state() for learner in loop.learners},
            "comparison": comparison.state() if comparison else None,
        }
        loop.processes.rank_zero_only(
            lambda: Checkpoints(self._out).save(loop.progress, loop.config.decisive(), state)
        )

    def restore(self, saved: Checkpoint) -> None:
        """Give learners and comparison the state in a checkpoint. UserError where it is not of a
        run of this config.
        """
        loop, progress = self._loop, saved.progress
        wrong = f"the checkpoint of update {progress.updates} is not of a run like this"
        try:
            for learner in loop.learners:
                learner.load(saved.state["learners"][learner.name], progress.updates)
            if self._comparison:
                self._comparison.load(saved.state["comparison"])
        except (LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            raise UserError(f"{wrong} ({error})") from error
        if progress.updates // loop.config.updates_per_epoch != progress.epochs:
            raise UserError(f"{wrong} ({progress.epochs} epochs)")


def resume_command(out: Path, processes: Processes) -> str:
    """The command that goes on with the run in `out`."""
    return typed("scripts.train", *option("--resume", out), launcher=processes.launcher)

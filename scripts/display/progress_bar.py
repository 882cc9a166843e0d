"""The bar that a person sees while a run trains, and the lines that appear above it."""

from typing import NoReturn, final

from tqdm import tqdm

from scripts.display.report import epoch_line
from scripts.learners.blocks import Block
from scripts.learners.comparison import Comparison
from scripts.run.config import Config
from scripts.run.progress import Epoch, Progress


@final
class ProgressBar:
    """A bar on stderr, if that is a terminal, from so many `updates` on; lines go to stdout."""

    def __init__(self, config: Config, comparison: Comparison | None, updates: int) -> None:
        self._epochs, self._comparison = config.training.epochs, comparison
        self._bar: tqdm[NoReturn] = tqdm(
            total=self._epochs * config.updates_per_epoch,
            initial=updates,
            unit=" updates",
            unit_scale=True,
            disable=None,  # where stderr is no terminal
            leave=False,
        )

    def after_updates(self, progress: Progress, block: Block) -> None:
        """Move on; say that a gradient is wrong when that is first seen."""
        self._bar.set_description_str(
            f"epoch {progress.epochs + 1} of {self._epochs}", refresh=False
        )
        self._bar.update(block.updates)
        wrong = self._comparison.wrong if self._comparison else None
        if wrong and wrong.update == progress.updates:
            self._bar.write(str(wrong))

    def after_epoch(self, _: Progress, epoch: Epoch) -> None:
        """Print a line in the lecture's words."""
        self._bar.write(epoch_line(epoch))

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()

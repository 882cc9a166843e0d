"""The event files that TensorBoard reads: those of each engine, and of their comparison."""

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, final

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from scripts.run import naming
from scripts.run.config import Config

COMPARISON = "comparison"
RUNS = {"manual": naming.BY_HAND}  # by engine, the name of its folder where that differs
SETTLING = 1.0  # seconds


@final
class EventFiles:
    """The event files of a run in `out`, of a resolved config; `common` is for what concerns both
    engines.

    Where a run goes on after so many `updates`, TensorBoard drops what was logged of later ones.
    """

    def __init__(self, out: Path, config: Config, updates: int = 0) -> None:
        self.name = out.absolute().name
        engines, purge_step = config.run.engines, updates + 1 if updates else 0
        runs = [*engines, COMPARISON] if len(engines) > 1 else engines
        others = set(threading.enumerate())
        self.writers = {
            run: SummaryWriter(str(out / RUNS.get(run, run)), purge_step=purge_step) for run in runs
        }
        self.common = self.writers[runs[-1]]
        self._threads = set(threading.enumerate()) - others
        # A writer's thread that fails, on a full disk say, leaves its error to the next call of the
        # writer, so once is enough
        self._excepthook, threading.excepthook = threading.excepthook, self._report

    def scalars(self, run: str, values: Mapping[str, float], updates: int) -> None:
        """One point for each tag."""
        for tag, value in values.items():
            self.writers[run].add_scalar(tag, value, updates)

    def hparams(
        self, run: str, options: dict[str, Any], results: dict[str, float], updates: int
    ) -> None:
        """A row of HParams, in the same file: `add_hparams` begins another, and the clock decides
        which of the two is read first.
        """
        file: Any = self.writers[run].file_writer  # torch declares it as None
        for summary in hparams(options, results):
            file.add_summary(summary, updates)
        self.scalars(run, results, updates)

    def flush(self) -> None:
        """Write all so far to the files."""
        for writer in self.writers.values():
            writer.flush()

    def close(self) -> None:
        """Write the rest and end the threads."""
        with ExitStack() as stack:  # where one fails the others are closed too
            stack.callback(self._settle)
            for writer in self.writers.values():
                stack.callback(writer.close)

    def _settle(self) -> None:
        """Wait for threads that failed to report it here, then restore the hook."""
        for thread in self._threads:
            thread.join(SETTLING)
        threading.excepthook = self._excepthook

    def _report(self, failure: threading.ExceptHookArgs) -> None:
        if not isinstance(failure.exc_value, OSError):
            self._excepthook(failure)

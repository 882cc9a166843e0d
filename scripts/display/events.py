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
RUNS = {"manual": naming.BY_HAND}  # what an engine is called that isn't called by its name
SETTLING = 1.0  # seconds


@final
class EventFiles:
    """Those of the run in `out`, of a resolved config; `common` takes what is said once for all.

    Of a run that goes on after so many `updates`, what stands there of later ones is shown no more.
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
        """A row of the table of runs. In the file that is there: `add_hparams` begins another, and
        which of two is read first is for the clock to say.
        """
        file: Any = self.writers[run].file_writer  # declared None in torch, until there is one
        for summary in hparams(options, results):
            file.add_summary(summary, updates)
        self.scalars(run, results, updates)

    def flush(self) -> None:
        """Make all so far readable, whatever happens next."""
        for writer in self.writers.values():
            writer.flush()

    def close(self) -> None:
        """No more comes."""
        with ExitStack() as stack:  # where one fails the others are closed too
            stack.callback(self._settle)
            for writer in self.writers.values():
                stack.callback(writer.close)

    def _settle(self) -> None:
        """Give threads that failed the time to say so, before everyone hears it again."""
        for thread in self._threads:
            thread.join(SETTLING)
        threading.excepthook = self._excepthook

    def _report(self, failure: threading.ExceptHookArgs) -> None:
        if not isinstance(failure.exc_value, OSError):
            self._excepthook(failure)

"""What TensorBoard shows: the same tags in manual/ and torch/, so that their curves overlay, and comparison/ beside them."""

from pathlib import Path
from types import TracebackType
from typing import Self, final

from torch.utils.tensorboard import SummaryWriter

from torch_ref.compare import Difference


class Board:
    """Scalars of a run in `out`; the step of each is the number of updates so far."""

    def __init__(self, out: Path, engines: tuple[str, ...]) -> None:
        runs = [*engines, "comparison"] if len(engines) > 1 else engines
        self._writers = {run: SummaryWriter(str(out / run), purge_step=0) for run in runs}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for writer in self._writers.values():
            writer.close()

    def scalars(self, run: str, values: dict[str, float], updates: int) -> None:
        """One point for each tag, written through to the file."""
        for tag, value in values.items():
            self._writers[run].add_scalar(tag, value, updates)

    def gradient(self, difference: Difference, updates: int) -> None:
        """How far the two gradients are apart."""
        figures = {f"gradient/{figure}": getattr(difference, figure) for figure in ("max_abs", "max_ulp", "max_rel")}
        self.scalars("comparison", figures, updates)

    def flush(self) -> None:
        """Make everything readable so far."""
        for writer in self._writers.values():
            writer.flush()


@final
class NoBoard(Board):
    """Takes everything and shows nothing, for runs that nobody watches."""

    def __init__(self) -> None:
        super().__init__(Path(), ())

    def scalars(self, run: str, values: dict[str, float], updates: int) -> None:
        """Nothing."""

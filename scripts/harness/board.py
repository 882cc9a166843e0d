"""What TensorBoard shows: the same tags in manual/ and torch/, so that their curves overlay, and comparison/ beside them."""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, final

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from manual.losses import Loss
from scripts.harness import insight, pictures
from scripts.harness.config import CLASSES, Config
from scripts.harness.data import Split
from scripts.harness.learners import Learner
from torch_ref.compare import Difference

FIGURES = ("max_abs", "max_rel", "max_ulp")
SAMPLE = 500  # images on which outputs that stand still are counted
PICTURES = 10  # as many as TensorBoard keeps of a tag
A_MOMENT = 1.0  # seconds
BINS = 64  # of a histogram; the page draws 30
LAYOUT = {
    "by hand and torch.nn": {
        "accuracy of both": ["Multiline", ["accuracy/train", "accuracy/validation"]],
        "loss of both": ["Multiline", ["loss/train", "loss/validation"]],
        "gradient difference": ["Multiline", ["gradient/max_abs"]],
    }
}


def figures(difference: Difference) -> dict[str, float]:
    """How far the gradients of one update are apart, by tag."""
    return {f"gradient/{figure}": getattr(difference, figure) for figure in FIGURES}


def by_parameter(gradient: Mapping[str, Difference], drift: Mapping[str, Difference]) -> dict[str, float]:
    """How far apart are an epoch's gradients at most, and the parameters after it, by tag."""
    return {
        f"{what}/{name}/{figure}": getattr(difference, figure)
        for what, named in (("gradient", gradient), ("parameters", drift))
        for name, difference in named.items()
        for figure in FIGURES
    }


class Board(ABC):
    """Hears how a run goes; `updates` so far is the step of all it shows."""

    @abstractmethod
    def start(self, command: str, learners: Sequence[Learner], updates: int) -> None:
        """What was asked for, and what the learners are before they go on."""

    @abstractmethod
    def scalars(self, run: str, values: Mapping[str, float], updates: int) -> None:
        """One point for each tag."""

    @abstractmethod
    def wrong(self, what: str, updates: int) -> None:
        """A gradient that is wrong, in words."""

    @abstractmethod
    def epoch(self, number: int, learners: Sequence[Learner], images: Tensor, updates: int) -> None:
        """What the learners have become, by some of `images` (n, 784); all so far is readable afterwards."""

    @abstractmethod
    def end(
        self, learners: Sequence[Learner], test: Split, results: Mapping[str, dict[str, float]], summary: str, updates: int
    ) -> None:
        """What the learners came to: where they fail on the test images, results by engine, and a summary for a person."""

    @abstractmethod
    def flush(self) -> None:
        """Make all so far readable, whatever happens next."""

    @abstractmethod
    def close(self) -> None:
        """No more comes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@final
class NoBoard(Board):
    """Shows nothing, for runs that nobody watches."""

    def start(self, command: str, learners: Sequence[Learner], updates: int) -> None:
        """Nothing."""

    def scalars(self, run: str, values: Mapping[str, float], updates: int) -> None:
        """Nothing."""

    def wrong(self, what: str, updates: int) -> None:
        """Nothing."""

    def epoch(self, number: int, learners: Sequence[Learner], images: Tensor, updates: int) -> None:
        """Nothing."""

    def end(
        self, learners: Sequence[Learner], test: Split, results: Mapping[str, dict[str, float]], summary: str, updates: int
    ) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@final
class EventBoard(Board):
    """Event files for TensorBoard in `out`, a run for each engine and one for their comparison, for a resolved config.

    Of a run that goes on, what stands there from update `purge_step` on is not shown again.
    """

    def __init__(self, out: Path, config: Config, purge_step: int = 0) -> None:
        engines = config.run.engines
        runs = [*engines, "comparison"] if len(engines) > 1 else engines
        self._config, self._full = config, config.run.board == "full"
        self._pictured = landmarks(config.training.epochs)
        others = set(threading.enumerate())
        self._writers = {run: SummaryWriter(str(out / run), purge_step=purge_step) for run in runs}
        self._threads = set(threading.enumerate()) - others
        self._common = self._writers[runs[-1]]  # takes what is said once for all
        # a writer's thread that fails, on a full disk say, leaves its error to the next call of the writer: once is enough
        self._excepthook, threading.excepthook = threading.excepthook, self._report

    def start(self, command: str, learners: Sequence[Learner], updates: int) -> None:
        self._common.add_custom_scalars(LAYOUT)
        self._common.add_text("command", _verbatim(command), updates)
        self._common.add_text("config", _verbatim(json.dumps(self._config.to_dict(), indent=2)), updates)
        if self._full and not updates:
            self._picture(learners, updates)

    def scalars(self, run: str, values: Mapping[str, float], updates: int) -> None:
        for tag, value in values.items():
            self._writers[run].add_scalar(tag, value, updates)

    def wrong(self, what: str, updates: int) -> None:
        self._common.add_text("WRONG", _verbatim(what), updates)
        self._common.flush()

    def epoch(self, number: int, learners: Sequence[Learner], images: Tensor, updates: int) -> None:
        for learner in learners:
            still = insight.stillness(learner, self._config.spec, images[:SAMPLE])
            self.scalars(learner.name, {"learning_rate": learner.learning_rate} | insight.norms(learner) | still, updates)
            if self._full:
                self._histograms(learner, updates)
        if self._full and number in self._pictured:
            self._picture(learners, updates)
        self.flush()

    def end(
        self, learners: Sequence[Learner], test: Split, results: Mapping[str, dict[str, float]], summary: str, updates: int
    ) -> None:
        self._common.add_text("summary", _verbatim(summary), updates)
        options = _options(self._config)
        for learner in learners:
            metrics = {f"result/{name}": value for name, value in results[learner.name].items()}
            writer = self._writers[learner.name]
            writer.add_hparams({"engine": learner.name} | options, metrics, run_name=".", global_step=updates)
            if self._full:
                answers = insight.answers(learner, Loss.named()[self._config.training.loss](), test)
                writer.add_figure("test/mistakes", pictures.worst_mistakes(test.images, answers), updates)
                writer.add_figure("test/confusion", pictures.confusion(answers, CLASSES), updates)

    def flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        with ExitStack() as stack:  # where one fails the others are closed too
            stack.callback(self._settle)
            for writer in self._writers.values():
                stack.callback(writer.close)

    def _settle(self) -> None:
        """Give threads that failed the time to say so, before everyone hears it again."""
        for thread in self._threads:
            thread.join(A_MOMENT)
        threading.excepthook = self._excepthook

    def _report(self, failure: threading.ExceptHookArgs) -> None:
        if not isinstance(failure.exc_value, OSError):
            self._excepthook(failure)

    def _histograms(self, learner: Learner, updates: int) -> None:
        for what, named in (("weights", learner.parameters()), ("gradients", learner.gradients())):
            for name, tensor in named.items():
                finite = tensor[tensor.isfinite()]
                if len(finite):  # add_histogram refuses an empty one
                    self._writers[learner.name].add_histogram(f"{what}/{name}", finite, updates, bins=BINS)

    def _picture(self, learners: Sequence[Learner], updates: int) -> None:
        for learner in learners:
            self._writers[learner.name].add_image("first_layer/w1", pictures.first_layer(learner.parameters()["w1"]), updates)


def open_board(out: Path, config: Config, purge_step: int = 0) -> Board:
    """The board that a resolved config asks for."""
    return NoBoard() if config.run.board == "off" else EventBoard(out, config, purge_step)


def landmarks(epochs: int) -> set[int]:
    """The epochs after which pictures are drawn, most of them early, where most is learned; PICTURES with the start."""
    return {round(epochs ** (i / (PICTURES - 2))) for i in range(PICTURES - 1)}


def _verbatim(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())  # a code block to Markdown


def _options(config: Config) -> dict[str, str | float | bool]:
    """What distinguishes runs, as one types it."""
    groups = config.to_dict()
    named = {
        **groups["network"],
        **groups["training"],
        **groups["data"],
        **{key: groups["run"][key] for key in ("dtype", "threads")},
    }
    named.pop("data_dir")
    return {
        name: " ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in named.items()
        if value is not None
    }

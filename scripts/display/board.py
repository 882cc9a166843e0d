"""What TensorBoard shows: the same tags in by-hand/ and torch/, so that their curves overlay, and
comparison/ beside them.
"""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, final

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from manual.losses import Loss
from manual.network import Network
from scripts.display import insight, pictures
from scripts.display.tags import CHARTS
from scripts.learners.base import Learner
from scripts.run import naming
from scripts.run.config import CLASSES, Config
from scripts.training.data import Split

RUNS = {"manual": naming.BY_HAND}  # what an engine is called that isn't called by its name
SAMPLE = 500  # images on which outputs that stand still are counted
PICTURES = 10  # as many as TensorBoard keeps of a tag
A_MOMENT = 1.0  # seconds
BINS = 64  # of a histogram; the page draws 30
# Of the options in HParams, after the engine: with a fifth its table has no room for the accuracy;
# names of runs say the rest.
SHOWN = ("lr", "loss", "batch_size")


class Verdict(NamedTuple):
    """What a run came to, for a person: in a few words, empty where one engine trained alone, and
    as a table in Markdown.
    """

    sentence: str
    table: str


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
        """What the learners have become, by some of `images` (n, 784); all so far is readable
        afterwards.
        """

    @abstractmethod
    def end(
        self,
        learners: Sequence[Learner],
        test: Split,
        results: Mapping[str, dict[str, float]],
        verdict: Verdict,
        updates: int,
    ) -> None:
        """What the learners came to: where they fail on the test images, results by engine, and in
        words.
        """

    @abstractmethod
    def flush(self) -> None:
        """Make all so far readable, whatever happens next."""

    @abstractmethod
    def close(self) -> None:
        """No more comes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
        self,
        learners: Sequence[Learner],
        test: Split,
        results: Mapping[str, dict[str, float]],
        verdict: Verdict,
        updates: int,
    ) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@final
class EventBoard(Board):
    """Event files for TensorBoard in `out`, a run for each engine and one for their comparison, for
    a resolved config.

    Of a run that goes on, what stands there from update `purge_step` on is not shown again.
    """

    def __init__(self, out: Path, config: Config, purge_step: int = 0) -> None:
        engines = config.run.engines
        runs = [*engines, "comparison"] if len(engines) > 1 else engines
        self._name, self._config, self._full = (
            out.absolute().name,
            config,
            config.run.board == "full",
        )
        self._pictured = landmarks(config.training.epochs)
        others = set(threading.enumerate())
        self._writers = {
            run: SummaryWriter(str(out / RUNS.get(run, run)), purge_step=purge_step) for run in runs
        }
        self._threads = set(threading.enumerate()) - others
        self._common = self._writers[runs[-1]]  # takes what is said once for all
        # A writer's thread that fails, on a full disk say, leaves its error to the next call of the
        # writer, so once is enough
        self._excepthook, threading.excepthook = threading.excepthook, self._report

    def start(self, command: str, learners: Sequence[Learner], updates: int) -> None:
        self._charts()
        self._common.add_text("2-command", _verbatim(command), updates)
        self._common.add_text(
            "3-config", _verbatim(json.dumps(self._config.to_dict(), indent=2)), updates
        )
        if self._full and not updates:
            self._picture(learners, updates)

    def scalars(self, run: str, values: Mapping[str, float], updates: int) -> None:
        for tag, value in values.items():
            self._writers[run].add_scalar(tag, value, updates)

    def wrong(self, what: str, updates: int) -> None:
        self._common.add_text("0-WRONG", _verbatim(what), updates)
        self._common.flush()

    def epoch(self, number: int, learners: Sequence[Learner], images: Tensor, updates: int) -> None:
        for learner in learners:
            still = insight.stillness(learner, self._config.spec, images[:SAMPLE])
            self.scalars(
                learner.name,
                {"time/learning-rate": learner.learning_rate} | insight.norms(learner) | still,
                updates,
            )
            if self._full:
                self._histograms(learner, updates)
        if self._full and number in self._pictured:
            self._picture(learners, updates)
        self.flush()

    def end(
        self,
        learners: Sequence[Learner],
        test: Split,
        results: Mapping[str, dict[str, float]],
        verdict: Verdict,
        updates: int,
    ) -> None:
        self._common.add_text("1-verdict", verdict.table, updates)
        self._charts(verdict.sentence)
        options = naming.options(self._config)
        shown = {
            f"{place} {name.replace('_', ' ')}": options[name]
            for place, name in enumerate(SHOWN, start=2)
        }
        for learner in learners:
            metrics = {
                f"result/{name.replace('_', '-')}": value
                for name, value in results[learner.name].items()
            }
            engine = {"1 engine": RUNS.get(learner.name, learner.name)}
            self._writers[learner.name].add_hparams(
                engine | shown, metrics, run_name=".", global_step=updates
            )
        if self._full:
            self._mistakes(learners, test, updates)

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
                    self._writers[learner.name].add_histogram(
                        f"{what}/{name}", finite, updates, bins=BINS
                    )

    def _picture(self, learners: Sequence[Learner], updates: int) -> None:
        """The first layer; of networks that have the same one, once."""
        spec, seed, dtype = (
            self._config.spec,
            self._config.network.seed,
            getattr(torch, self._config.run.dtype),
        )
        start = Network(spec, seed, dtype=dtype).parameters.values["w1"]
        for learner, w in _distinct(
            [(learner, learner.parameters()["w1"]) for learner in learners]
        ):
            writer, change = self._writers[learner.name], w.cpu() - start
            writer.add_image("pictures/1-weights-of-layer-1", pictures.first_layer(w), updates)
            if updates:
                writer.add_image(
                    "pictures/2-weights-minus-start", pictures.first_layer(change), updates
                )

    def _mistakes(self, learners: Sequence[Learner], test: Split, updates: int) -> None:
        """On the test images; of networks that give the same answers, once."""
        loss = Loss.named()[self._config.training.loss]()
        answers = {learner: insight.answers(learner, loss, test) for learner in learners}
        for learner, _ in _distinct(
            [(learner, torch.stack(answers[learner][:2])) for learner in learners]
        ):
            writer, given = self._writers[learner.name], answers[learner]
            writer.add_figure(
                "pictures/3-mistakes", pictures.worst_mistakes(test.images, given), updates
            )
            writer.add_figure("pictures/4-taken-for", pictures.confusion(given, CLASSES), updates)

    def _charts(self, verdict: str = "") -> None:
        """Under a title with the verdict once there is one; TensorBoard shows the last that were
        given.
        """
        title = ": ".join(filter(None, (self._name, verdict)))
        self._common.add_custom_scalars(
            {title: {chart: ["Multiline", tags] for chart, tags in CHARTS.items()}}
        )


def _distinct(pairs: Sequence[tuple[Learner, Tensor]]) -> list[tuple[Learner, Tensor]]:
    """The first, and those whose tensor is not the same."""
    first, *others = pairs
    return [first, *(pair for pair in others if not torch.equal(pair[1], first[1]))]


def open_board(out: Path, config: Config, purge_step: int = 0) -> Board:
    """The board that a resolved config asks for."""
    return NoBoard() if config.run.board == "off" else EventBoard(out, config, purge_step)


def landmarks(epochs: int) -> set[int]:
    """The epochs after which pictures are drawn, most of them early, where most is learned;
    PICTURES with the start.
    """
    return {round(epochs ** (i / (PICTURES - 2))) for i in range(PICTURES - 1)}


def _verbatim(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())  # a code block to Markdown

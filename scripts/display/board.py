"""What TensorBoard shows: the same tags in by-hand/ and torch/, so that their curves overlay, and
comparison/ beside them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor

from manual.losses import Loss
from manual.network import Network
from scripts.display import insight, pictures, tags
from scripts.display.events import COMPARISON, RUNS, EventFiles
from scripts.learners.base import Learner
from scripts.learners.blocks import Block
from scripts.learners.comparison import Comparison
from scripts.run import naming
from scripts.run.config import CLASSES, Config
from scripts.run.progress import Epoch, Progress

SAMPLE = 500  # images on which saturated outputs are counted
PICTURES = 10  # as many as TensorBoard keeps of a tag
BINS = 64  # of a histogram; the page draws 30
# Of the options in HParams, after the engine: with a fifth its table has no room for the accuracy;
# names of runs say the rest.
HPARAMS = ("lr", "loss", "batch_size")


class Verdict(NamedTuple):
    """The results of a run for a person: in a few words, none where one engine trained alone, and
    as a table in Markdown.
    """

    sentence: str
    table: str


@final
class Board:
    """Writes what a run of a resolved config shows into its `files`, with the number of updates as
    TensorBoard's step; saturation is measured on the first of `images` (n, 784).
    """

    def __init__(
        self,
        files: EventFiles,
        config: Config,
        learners: Sequence[Learner],
        comparison: Comparison | None,
        images: Tensor,
    ) -> None:
        self._files, self._config, self._learners = files, config, learners
        self._comparison, self._sample = comparison, images[:SAMPLE]
        self._full = config.run.board == "full"
        self._pictured = landmarks(config.training.epochs)

    def start(self, command: str, updates: int) -> None:
        """The command, the config, and the first layer before any training."""
        self._charts()
        self._files.common.add_text("2-command", _verbatim(command), updates)
        self._files.common.add_text(
            "3-config", _verbatim(json.dumps(self._config.to_dict(), indent=2)), updates
        )
        if self._full and not updates:
            self._picture(updates)

    def after_updates(self, progress: Progress, _: Block) -> None:
        """The difference of the gradients, if they were compared, and what is wrong with them, if
        that was first seen now.
        """
        comparison, updates = self._comparison, progress.updates
        if not comparison or not self._config.comparison_due(updates):
            return
        size = {"3-gradient/size": comparison.gradient_size()}
        difference = tags.figures("3-gradient/difference", comparison.latest)
        self._files.scalars(COMPARISON, size | difference, updates)
        if comparison.wrong and comparison.wrong.update == updates:
            self._files.common.add_text("0-WRONG", _verbatim(str(comparison.wrong)), updates)
            self._files.common.flush()

    def after_epoch(self, progress: Progress, epoch: Epoch) -> None:
        """The results of the epoch and the state of the learners; flushes all files."""
        updates = progress.updates
        for learner in self._learners:
            values = tags.by_engine(epoch, learner.name)
            values |= {"time/learning-rate": learner.learning_rate} | insight.norms(learner)
            values |= insight.saturation(learner, self._config.spec, self._sample)
            self._files.scalars(learner.name, values, updates)
            if self._full:
                self._histograms(learner, updates)
        if self._comparison:
            size = {"5-parameters/size": self._comparison.parameter_size()}
            self._files.scalars(COMPARISON, tags.of_both(epoch) | size, updates)
        if self._full and epoch.number in self._pictured:
            self._picture(updates)
        self._files.flush()

    def end(
        self,
        images: Tensor,
        labels: Tensor,
        results: Mapping[str, dict[str, float]],
        verdict: Verdict,
        updates: int,
    ) -> None:
        """The verdict, the results by engine, and the mistakes on the test images (n, 784) with
        labels (n,).
        """
        self._files.common.add_text("1-verdict", verdict.table, updates)
        self._charts(verdict.sentence)
        options = naming.options(self._config)
        shown = {
            f"{place} {name.replace('_', ' ')}": options[name]
            for place, name in enumerate(HPARAMS, start=2)
        }
        for learner in self._learners:
            metrics = {
                f"result/{name.replace('_', '-')}": value
                for name, value in results[learner.name].items()
            }
            engine = {"1 engine": RUNS.get(learner.name, learner.name)}
            self._files.hparams(learner.name, engine | shown, metrics, updates)
        if self._full:
            self._mistakes(images, labels, updates)

    def _histograms(self, learner: Learner, updates: int) -> None:
        for what, named in (("weights", learner.parameters()), ("gradients", learner.gradients())):
            for name, tensor in named.items():
                finite = tensor[tensor.isfinite()]
                if len(finite):  # add_histogram refuses an empty one
                    self._files.writers[learner.name].add_histogram(
                        f"{what}/{name}", finite, updates, bins=BINS
                    )

    def _picture(self, updates: int) -> None:
        """The first layer, once where both networks have the same."""
        spec, seed, dtype = (
            self._config.spec,
            self._config.network.seed,
            getattr(torch, self._config.run.dtype),
        )
        start = Network(spec, seed, dtype=dtype).parameters.values["w1"]
        for learner, w in _distinct(
            [(learner, learner.parameters()["w1"]) for learner in self._learners]
        ):
            writer, change = self._files.writers[learner.name], w.cpu() - start
            picture = pictures.first_layer(w, "Weights from the pixels into each unit")
            writer.add_figure("pictures/1-weights-of-layer-1", picture, updates)
            if updates:
                picture = pictures.first_layer(change, "What training changed of them")
                writer.add_figure("pictures/2-weights-minus-start", picture, updates)

    def _mistakes(self, images: Tensor, labels: Tensor, updates: int) -> None:
        """The mistakes on the test images, once where both networks make the same."""
        loss = Loss.named()[self._config.training.loss]()
        answers = {
            learner: insight.answers(learner, loss, images, labels) for learner in self._learners
        }
        for learner, _ in _distinct(
            [(learner, torch.stack(answers[learner][:2])) for learner in self._learners]
        ):
            writer, given = self._files.writers[learner.name], answers[learner]
            writer.add_figure(
                "pictures/3-mistakes", pictures.worst_mistakes(images, given), updates
            )
            writer.add_figure("pictures/4-taken-for", pictures.confusion(given, CLASSES), updates)

    def _charts(self, verdict: str = "") -> None:
        """The charts of Custom Scalars under a title, which has the verdict in the end; TensorBoard
        shows the last title given.
        """
        title = ": ".join(filter(None, (self._files.name, verdict)))
        self._files.common.add_custom_scalars(
            {title: {chart: ["Multiline", names] for chart, names in tags.CHARTS.items()}}
        )


def _distinct(pairs: Sequence[tuple[Learner, Tensor]]) -> list[tuple[Learner, Tensor]]:
    """The first pair, and those whose tensor differs from its own."""
    first, *others = pairs
    return [first, *(pair for pair in others if not torch.equal(pair[1], first[1]))]


def landmarks(epochs: int) -> set[int]:
    """The epochs after which pictures are drawn, most of them early, where most is learned;
    PICTURES with the start.
    """
    return {round(epochs ** (i / (PICTURES - 2))) for i in range(PICTURES - 1)}


def _verbatim(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())  # a code block to Markdown

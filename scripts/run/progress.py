"""How far a run has come, and what each of its epochs came to."""

from dataclasses import dataclass, field

from torch_ref.compare import Difference, largest


@dataclass
class Progress:
    """How far a run has come.

    `updates` made, `epochs` finished, `loss`: the first learner's mean training loss in the last
    epoch; `stopped`: why the run ended before its last epoch, if it did.
    """

    updates: int = 0
    epochs: int = 0
    loss: float | None = None
    stopped: str | None = None

    def finished(self, epochs: int) -> bool:
        """Whether nothing is left to train of that many epochs."""
        return self.stopped is not None or self.epochs >= epochs


@dataclass(frozen=True)
class Score:
    """How one learner does on one split: images recognized, out of n, and the mean loss."""

    correct: int
    n: int
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of the images recognized."""
        return self.correct / self.n


@dataclass
class Epoch:
    """The results of an epoch. By engine: `training`, the scores on the training images, each taken
    before the update of its batch, and `seconds`.

    Observers add, by engine, the scores on `validation` and, by parameter, the largest difference
    of the `gradients` compared in it, and that of the parameters after it, `drifts`.
    """

    number: int
    training: dict[str, Score] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    validation: dict[str, Score] = field(default_factory=dict)
    gradients: dict[str, Difference] = field(default_factory=dict)
    drifts: dict[str, Difference] = field(default_factory=dict)

    @property
    def gradient(self) -> Difference | None:
        """The largest of `gradients`, None where none were compared."""
        return largest(self.gradients.values()) if self.gradients else None

    @property
    def drift(self) -> Difference | None:
        """The largest of `drifts`, None where one engine trains alone."""
        return largest(self.drifts.values()) if self.drifts else None

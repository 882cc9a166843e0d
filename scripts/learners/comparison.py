"""The two learners held against each other while they train."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from torch import Tensor

from manual.network import Network
from scripts.learners.blocks import Block
from scripts.learners.by_hand import ManualLearner
from scripts.learners.in_torch import TorchLearner
from scripts.run.progress import Epoch, Progress
from scripts.run.states import State
from torch_ref import blame
from torch_ref.compare import Difference, compare, compare_gradients, compare_parameters, largest
from torch_ref.model import build, copy_to_model, copy_to_network

ROUNDING_ULP = 16  # ulp: a difference that needs no explanation
FAULT_OF_THE_TRAINER = (
    "the same step in plain code is right: look at learners/by_hand.py and recording/ in scripts"
)


@dataclass(frozen=True)
class Wrong:
    """A gradient by hand that is not autograd's: after how many updates it was seen first, and
    lines that say what is wrong.
    """

    update: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n  ".join(
            [
                f"WRONG: the gradient by hand is not autograd's, as seen at update {self.update}:",
                *self.lines,
            ]
        )


@dataclass(frozen=True)
class _SavedState:
    """The `state` of a comparison, for msgspec to check."""

    overall: Difference
    recent: dict[str, Difference]
    steps: int
    bitwise_steps: int
    wrong: Wrong | None = None


class Comparison:
    """Gradients: autograd's is taken at the parameters of the hand-written network, on the same
    batch, in a third network, so that the drift of the two learners does not blur it. Drift: the
    difference of their parameters.

    `due` says of an update by its number whether its gradient is compared. The differences found:
    `latest` in the last comparison, `overall` the largest of all, `recent` by parameter since the
    last epoch. `wrong`: the first gradient farther from autograd's than rounding can take it.
    """

    def __init__(
        self,
        manual: ManualLearner,
        reference: TorchLearner,
        due: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self._network, self._loss, self._reference = manual.network, manual.loss, reference
        self._model = build(manual.network)
        self._parallel = reference.processes.data_parallel(self._model)
        self._due, self.latest = due, Difference()
        self.overall = Difference()
        self.recent: dict[str, Difference] = {}
        self.steps = self.bitwise_steps = 0
        self.wrong: Wrong | None = None

    def state(self) -> State:
        """All that has been found so far."""
        return {
            "overall": dataclasses.asdict(self.overall),
            "recent": {
                name: dataclasses.asdict(difference) for name, difference in self.recent.items()
            },
            "steps": self.steps,
            "bitwise_steps": self.bitwise_steps,
            "wrong": dataclasses.asdict(self.wrong) if self.wrong else None,
        }

    def load(self, state: State) -> None:
        """Go on from what had been found. ValueError for what is of other networks."""
        found = msgspec.convert(state, _SavedState)
        if (
            not found.recent.keys() <= self._network.parameters.values.keys()
            or min(found.steps, found.bitwise_steps) < 0
        ):
            raise ValueError("its comparison is of other parameters")
        self.overall, self.recent = found.overall, found.recent
        self.steps, self.bitwise_steps, self.wrong = found.steps, found.bitwise_steps, found.wrong
        self.before_update()

    def after_updates(self, progress: Progress, block: Block) -> None:
        """Compare the block's last gradient if it is due, and be ready for the next update."""
        if self._due(progress.updates):
            self.latest = self.after_update(block.x, block.t, progress.updates)
        if self._due(progress.updates + 1):
            self.before_update()

    def after_epoch(self, _: Progress, epoch: Epoch) -> None:
        """Add what was found in the epoch, and how far the parameters are apart after it."""
        epoch.gradients, epoch.drifts = self.since_last(), self.drifts()

    def before_update(self) -> None:
        """Take the parameters at which the coming step will find its gradient."""
        copy_to_model(self._network, self._model)

    def after_update(self, x: Tensor, t: Tensor, update: int) -> Difference:
        """Compare the gradient of the step just made, the `update`-th, on the batch (x, t) with
        autograd's.
        """
        self._model.zero_grad()
        self._reference.loss(self._parallel(x), t).backward()
        differences = compare_gradients(self._network, self._model)
        self.recent = {
            name: each | self.recent.get(name, Difference()) for name, each in differences.items()
        }
        difference = largest(differences.values())
        self.overall |= difference
        self.steps += 1
        self.bitwise_steps += difference.bitwise
        if (
            not self.wrong
            and not difference.max_ulp <= ROUNDING_ULP
            and (lines := self._explained(x, t))
        ):
            self.wrong = Wrong(update, tuple(lines))
        return difference

    def _explained(self, x: Tensor, t: Tensor) -> list[str]:
        """What is wrong with the gradient of the step just made; empty where it is rounding."""
        theta = self._network.parameters.theta
        before = Network(self._network.spec, device=theta.device, dtype=theta.dtype)
        copy_to_network(self._model, before)
        if lines := blame.of_network(before, self._loss, x, t):
            return lines
        if self._reference.processes.size > 1:  # the shares of the others are not here
            return []
        _, dy = self._loss((tape := before.forward(x)).output, t)
        before.backward(dy, tape)
        plain, made = before.parameters.gradients, self._network.parameters.gradients
        if all(
            compare(made[name], gradient).max_ulp <= ROUNDING_ULP
            for name, gradient in plain.items()
        ):
            return []
        return [FAULT_OF_THE_TRAINER]

    def gradient_size(self) -> float:
        """The largest |entry| of the last gradient by hand."""
        return float(self._network.parameters.grad.abs().max())

    def parameter_size(self) -> float:
        """The largest |entry| of the parameters by hand."""
        return float(self._network.parameters.theta.abs().max())

    def since_last(self) -> dict[str, Difference]:
        """By parameter, the largest difference of its gradients since the last call; nothing where
        none was compared.
        """
        recent, self.recent = self.recent, {}
        return recent

    def drifts(self) -> dict[str, Difference]:
        """By parameter, the difference between its values in the two learners."""
        return compare_parameters(self._network, self._reference.model)

    def drift(self) -> Difference:
        """The largest of `drifts`."""
        return largest(self.drifts().values())

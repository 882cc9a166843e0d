"""The two learners held against each other while they train."""

import dataclasses
from dataclasses import dataclass

import msgspec
from torch import Tensor

from scripts.harness.learners import ManualLearner, State, TorchLearner
from torch_ref.compare import Difference, compare_gradients, compare_parameters, largest
from torch_ref.model import build, copy_to_model


@dataclass(frozen=True)
class _Found:
    """What a state of a comparison has in it."""

    overall: Difference
    recent: dict[str, Difference]
    steps: int
    bitwise_steps: int


class Comparison:
    """Gradients: autograd's is taken at the parameters of the hand-written network, on the same batch, in a model of its
    own, so that the drift of the two free runs cannot blur it. Drift: the difference of their parameters.
    """

    def __init__(self, manual: ManualLearner, reference: TorchLearner) -> None:
        self._network, self._reference = manual.network, reference
        self._model = build(manual.network)
        self._parallel = reference.processes.parallel(self._model)
        self.overall = Difference()
        self.recent: dict[str, Difference] = {}
        self.steps = self.bitwise_steps = 0

    def state(self) -> State:
        """All that has been found so far."""
        return {
            "overall": dataclasses.asdict(self.overall),
            "recent": {name: dataclasses.asdict(difference) for name, difference in self.recent.items()},
            "steps": self.steps,
            "bitwise_steps": self.bitwise_steps,
        }

    def load(self, state: State) -> None:
        """Go on from what had been found. ValueError for what no comparison of these networks finds."""
        found = msgspec.convert(state, _Found)
        if not found.recent.keys() <= self._network.parameters.values.keys() or min(found.steps, found.bitwise_steps) < 0:
            raise ValueError("its comparison is of other parameters")
        self.overall, self.recent = found.overall, found.recent
        self.steps, self.bitwise_steps = found.steps, found.bitwise_steps

    def before_update(self) -> None:
        """Take the parameters at which the coming step will find its gradient."""
        copy_to_model(self._network, self._model)

    def after_update(self, x: Tensor, t: Tensor) -> Difference:
        """Compare the gradient of the step just made on the batch (x, t) with autograd's."""
        self._model.zero_grad()
        self._reference.loss(self._parallel(x), t).backward()
        differences = compare_gradients(self._network, self._model)
        self.recent = {name: each | self.recent.get(name, Difference()) for name, each in differences.items()}
        difference = largest(differences.values())
        self.overall |= difference
        self.steps += 1
        self.bitwise_steps += difference.bitwise
        return difference

    def since_last(self) -> dict[str, Difference]:
        """By parameter, the largest difference of its gradients since the last call; nothing where none was compared."""
        recent, self.recent = self.recent, {}
        return recent

    def drifts(self) -> dict[str, Difference]:
        """By parameter, the difference between its values in the two free runs."""
        return compare_parameters(self._network, self._reference.model)

    def drift(self) -> Difference:
        """The largest of `drifts`."""
        return largest(self.drifts().values())

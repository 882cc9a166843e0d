"""The two learners held against each other while they train."""

from torch import Tensor

from scripts.harness.learners import ManualLearner, TorchLearner
from torch_ref.compare import Difference, compare_gradients, compare_parameters, largest
from torch_ref.model import build, copy_to_model


class Comparison:
    """Gradients: autograd's is taken at the parameters of the hand-written network, on the same batch, in a model of its
    own, so that the drift of the two free runs cannot blur it. Drift: the difference of their parameters.
    """

    def __init__(self, manual: ManualLearner, reference: TorchLearner) -> None:
        self._network, self._reference = manual.network, reference
        self._model = build(manual.network)
        self.overall = Difference()
        self.recent = Difference()
        self.steps = self.bitwise_steps = 0

    def before_update(self) -> None:
        """Take the parameters at which the coming step will find its gradient."""
        copy_to_model(self._network, self._model)

    def after_update(self, x: Tensor, t: Tensor) -> Difference:
        """Compare the gradient of the step just made on the batch (x, t) with autograd's."""
        self._model.zero_grad()
        self._reference.loss(self._model(x), t).backward()
        difference = largest(compare_gradients(self._network, self._model).values())
        self.overall |= difference
        self.recent |= difference
        self.steps += 1
        self.bitwise_steps += difference.bitwise
        return difference

    def since_last(self) -> Difference:
        """The largest difference since the last call."""
        recent, self.recent = self.recent, Difference()
        return recent

    def drift(self) -> Difference:
        """The largest difference between the parameters of the two free runs."""
        return largest(compare_parameters(self._network, self._reference.model).values())

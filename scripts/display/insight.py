"""What a learner is asked between updates: the norms of its parameters, the share of its outputs
that are saturated, its answers.

Shapes: n images, k = 1..N layers, O_k outputs, C classes.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from manual.activations import Activation, Sigmoid, Softmax
from manual.losses import BinaryCrossEntropyOfLogits, CrossEntropyLoss, Loss
from manual.network import NetworkSpec
from scripts.learners.base import CHUNK, Learner

CLOSE_TO_LIMIT = 0.01  # an output this close to a limit of its activation is saturated

# What turns the output of a loss of logits into probabilities; any other loss gets the activation's
# output as it is.
_LAST = {CrossEntropyLoss: Softmax, BinaryCrossEntropyOfLogits: Sigmoid}


class Answers(NamedTuple):
    """The answers to n images: the class given, its probability, and the true class; each (n,).

    Under a loss of logits a probability is the softmax or sigmoid that the loss contains. Otherwise
    it is the output itself: squared error and cross-entropy alike are least where that is P(class |
    image), but units with an activation each do not add up to 1, and those of an identity may leave
    [0, 1].
    """

    given: Tensor
    probability: Tensor
    true: Tensor


def norms(learner: Learner) -> dict[str, float]:
    """|w| of every parameter, and |dDiv/dw| in the last update's batch; waits for the device
    once.
    """
    tensors = {
        f"{what}/{name}": tensor
        for what, named in (
            ("6-norm-of-parameter", learner.parameters()),
            ("7-norm-of-gradient", learner.gradients()),
        )
        for name, tensor in named.items()
    }
    values = torch.stack([torch.linalg.vector_norm(tensor) for tensor in tensors.values()]).tolist()
    return dict(zip(tensors, values, strict=True))


@torch.inference_mode()
def saturation(learner: Learner, spec: NetworkSpec, images: Tensor) -> dict[str, float]:
    """For each layer whose activation has limits (an identity has none), on images (n, 784):

    8-saturated: the share of outputs within CLOSE_TO_LIMIT of a limit, where f' is small or, for
    ReLU at 0, nothing; 9-dead: the share of units whose output is so for every image.
    """
    values = {}
    for k, (y, layer) in enumerate(zip(learner.outputs(images), spec.layers, strict=True), start=1):
        ends = limits(Activation.named()[layer.activation]())
        if len(ends):
            saturated = (y.unsqueeze(2) - ends.to(y)).abs().amin(
                dim=2
            ) <= CLOSE_TO_LIMIT  # (n, O_k)
            values[f"8-saturated/layer{k}"] = saturated.double().mean()
            values[f"9-dead/layer{k}"] = saturated.all(dim=0).double().mean()
    return {tag: float(value) for tag, value in values.items()}


def limits(activation: Activation) -> Tensor:
    """The values that f approaches far out, where it approaches any: 0 and 1 of a sigmoid, 0 of
    ReLU.
    """
    far = torch.tensor([[-1e4, 1e4]])
    y = activation.forward(far)
    return y[y == activation.forward(2 * far)]


def probabilities(loss: Loss, y: Tensor) -> Tensor:
    """The probabilities (n, C) in outputs y (n, C) of a network trained under `loss`, as in
    `Answers`.
    """
    last = _LAST.get(type(loss))
    return last().forward(y) if last else y


@torch.inference_mode()
def answers(learner: Learner, loss: Loss, images: Tensor, labels: Tensor) -> Answers:
    """The learner's answers to images (n, 784) with labels (n,)."""
    y = torch.cat([learner.predict(chunk) for chunk in images.split(CHUNK)])
    probability, given = probabilities(loss, y).max(dim=1)
    return Answers(given.cpu(), probability.cpu(), labels.cpu())

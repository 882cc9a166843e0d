"""From the options of a run to what they name in manual/: network, optimizer, schedule."""

import dataclasses
from typing import Any

from torch import Tensor

from manual.activations import Activation
from manual.losses import Loss
from manual.network import NetworkSpec
from manual.optimizers import Optimizer
from manual.schedules import Schedule
from scripts.run.config import MOMENTUM_OPTIONS, Config, TrainingConfig


def spec_for(
    loss: type[Loss],
    sizes: tuple[int, ...],
    activations: tuple[str, ...],
    initializer: str = "normal",
    *,
    batch_norm: bool = False,
) -> NetworkSpec:
    """A spec whose output is what `loss` takes. One activation stands for all layers, but under a
    loss of logits the last is linear; a full list is taken as it is. ValueError for what
    NetworkSpec refuses, or where a loss of probabilities would get others.
    """
    layers = len(sizes) - 1
    if len(activations) == 1 and layers > 0:
        activations *= layers
        if loss.of_logits:
            activations = (*activations[:-1], "identity")
    spec = NetworkSpec(sizes, activations, initializer, batch_norm)
    if loss.of_probabilities and not Activation.named()[activations[-1]].probabilities:
        choices = " or ".join(
            name for name, activation in Activation.named().items() if activation.probabilities
        )
        raise ValueError(
            f"loss {loss.name}: takes outputs between 0 and 1, not of {activations[-1]}; end with "
            f"{choices}"
        )
    return spec


def optimizer_for(training: TrainingConfig, weights: Tensor) -> Optimizer:
    """The optimizer of a config; `weights` (P,) is 1 where a parameter is a weight."""
    fields: dict[str, Any] = {"lr": training.lr}
    if training.weight_decay:
        fields["weight_decay"] = training.weight_decay
        fields["weights"] = weights if training.decay == "weights" else None
    fields |= {
        name: getattr(training, name) for name in MOMENTUM_OPTIONS if getattr(training, name)
    }
    return Optimizer.named()[training.optimizer](**fields)


def schedule_for(config: Config) -> Schedule:
    """The learning rates of a resolved config's updates. ValueError where there is none."""
    training = config.training
    cls = Schedule.named()[training.schedule]
    fields = {
        "lr": training.lr,
        "updates": training.epochs * config.updates_per_epoch,
        "warm_up": training.warm_up,
    }
    return cls(**{field.name: fields[field.name] for field in dataclasses.fields(cls)})

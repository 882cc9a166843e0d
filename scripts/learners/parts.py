"""What a learner is made of: the network, loss and optimizer of a config."""

import torch

from manual.losses import Loss
from manual.network import Network
from manual.optimizers import Optimizer
from scripts.common.program import room_for, words
from scripts.run.config import Config


def prepare(config: Config) -> tuple[Network, Loss, Optimizer]:
    """What a learner is made of, from a resolved config. UserError for a network that memory can't
    hold.
    """
    with room_for(f"--sizes {words(config.network.sizes)}"):
        network = Network(
            config.spec,
            config.network.seed,
            torch.device(config.run.device),
            getattr(torch, config.run.dtype),
        )
    return (
        network,
        Loss.named()[config.training.loss](),
        config.optimizer(network.parameters.weights()),
    )

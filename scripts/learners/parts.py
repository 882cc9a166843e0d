"""The learners of a run and their comparison, made from its config."""

import torch

from manual.losses import Loss
from manual.network import Network
from manual.optimizers import Optimizer
from manual.schedules import Schedule
from scripts.common.processes import ALONE, Processes
from scripts.common.program import as_typed, refuse_out_of_memory
from scripts.learners.base import Learner
from scripts.learners.by_hand import ManualLearner
from scripts.learners.comparison import Comparison
from scripts.learners.in_torch import TorchLearner
from scripts.run.config import Config
from scripts.run.specs import optimizer_for, schedule_for

Parts = tuple[Network, Loss, Optimizer, Schedule]


def prepare(config: Config) -> Parts:
    """What the learners of a resolved config are made of. UserError for a network that memory can't
    hold.
    """
    with refuse_out_of_memory(f"--sizes {as_typed(config.network.sizes)}"):
        network = Network(
            config.spec,
            config.network.seed,
            torch.device(config.run.device),
            getattr(torch, config.run.dtype),
        )
    loss = Loss.named()[config.training.loss]()
    optimizer = optimizer_for(config.training, network.parameters.weights())
    return network, loss, optimizer, schedule_for(config)


def assemble(
    config: Config, parts: Parts, processes: Processes = ALONE
) -> tuple[list[Learner], Comparison | None]:
    """The learners, the one by hand first, and their comparison where there are two."""
    if TorchLearner.name not in config.run.engines:
        return [ManualLearner(*parts, processes)], None
    reference = TorchLearner(*parts, processes)
    if ManualLearner.name not in config.run.engines:
        return [reference], None
    manual = ManualLearner(*parts, processes)
    return [manual, reference], Comparison(manual, reference, config.comparison_due)

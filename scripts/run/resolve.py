"""A run's options checked, and those left open decided for this machine."""

import dataclasses
import math
import os
import sys
from itertools import pairwise
from typing import Literal

import torch

from manual.losses import Loss
from manual.optimizers import Optimizer
from manual.schedules import Constant
from scripts.common.processes import ALONE, Processes
from scripts.common.program import UserError, as_typed, require_whole_number
from scripts.run.config import (
    CLASSES,
    ENGINES,
    MOMENTUM_OPTIONS,
    PIXELS,
    TRAINING_IMAGES,
    Config,
    TrainingConfig,
)
from scripts.run.specs import schedule_for, spec_for

LARGEST_COUNT = 10**9  # epochs, or updates between two of a kind
# multiply-adds: two threads are 0.7 times as fast as one at 2**18, 1.2 to 1.7 times from here on
WORTH_SHARING = 2**21


def resolve(config: Config, processes: Processes = ALONE) -> Config:
    """The same run with nothing left to choose: activations for each layer, the device, the number
    of threads.

    UserError names an option whose value will not do.
    """
    data, network, training, run = config.data, config.network, config.training, config.run
    require_whole_number("--train-size", data.train_size, 1, TRAINING_IMAGES)
    _check_training(training, torch.finfo(getattr(torch, run.dtype)).max)
    _check_updates(config)
    require_whole_number("--compare-every", run.compare_every, 1, LARGEST_COUNT)
    if run.checkpoint_every is not None:
        require_whole_number("--checkpoint-every", run.checkpoint_every, 1, LARGEST_COUNT)
    require_whole_number("--seed", network.seed, 0, 2**63 - 1)
    smallest = config.samples_per_epoch % training.batch_size or training.batch_size
    if network.batch_norm and 1 in {training.batch_size, smallest}:
        raise UserError(
            f"--batch-size {training.batch_size}: --batch-norm needs 2 samples in every batch, and "
            "of --train-size "
            f"{data.train_size} one would be alone; change either"
        )
    if run.resume and run.processes != processes.size:
        raise UserError(
            f"--resume {run.resume}: it is a run of {run.processes} processes, not "
            f"{processes.size}; start as many"
        )
    if processes.size > 1:
        _check_shares(config, processes.size)
    if not run.engines or len(set(run.engines)) < len(run.engines):
        raise UserError(
            f"--engines {as_typed(run.engines)}: name each of {' and '.join(ENGINES)} once at "
            "most, and one at least"
        )
    if run.threads != "auto":
        require_whole_number("--threads", run.threads, 1, os.cpu_count() or 1)

    if network.sizes and (network.sizes[0] != PIXELS or network.sizes[-1] != CLASSES):
        raise UserError(
            f"--sizes {as_typed(network.sizes)}: must begin with {PIXELS} pixels and end with "
            f"{CLASSES} classes, as the data does"
        )
    loss = Loss.named()[training.loss]
    try:
        spec = spec_for(
            loss,
            network.sizes,
            network.activations,
            network.initializer,
            batch_norm=network.batch_norm,
        )
    except ValueError as error:
        raise UserError(f"--{error}") from None

    device = choose_device(run.device)
    shared = choose_threads(
        network.sizes, training.batch_size // processes.size, processes.local_size
    )
    threads = shared if run.threads == "auto" else run.threads
    return dataclasses.replace(
        config,
        network=dataclasses.replace(network, activations=spec.activations),
        run=dataclasses.replace(run, device=device, threads=threads, processes=processes.size),
    )


def _check_training(training: TrainingConfig, largest: float) -> None:
    """UserError for an option that will not do. `largest`: of the parameters' dtype."""
    require_whole_number("--epochs", training.epochs, 1, LARGEST_COUNT)
    require_whole_number("--batch-size", training.batch_size, 1, TRAINING_IMAGES)
    if not 0 < training.lr <= largest:
        raise UserError(
            f"--lr {training.lr}: must be a finite number above 0, such as "
            f"3.0{_at_most(training.lr, largest)}"
        )
    if training.stop_below is not None and not (
        math.isfinite(training.stop_below) and training.stop_below >= 0
    ):
        raise UserError(
            f"--stop-below {training.stop_below}: must be a finite number, at least 0, such as 1e-4"
        )
    _check_optimizer(training, largest)


def _check_updates(config: Config) -> None:
    """UserError where an epoch has no update, or an update no learning rate."""
    training, images = config.training, config.data.train_size
    if not config.updates_per_epoch:
        raise UserError(
            f"--batch-size {training.batch_size}: --drop-last leaves nothing of --train-size "
            f"{images}; change either"
        )
    if training.schedule == Constant.name and training.warm_up != TrainingConfig.warm_up:
        raise UserError(
            f"--warm-up {training.warm_up}: a constant rate has none; use --schedule one-cycle"
        )
    if not 0 <= training.warm_up < 1:
        raise UserError(f"--warm-up {training.warm_up}: must be from 0 to below 1, such as 0.3")
    try:
        schedule_for(config)
    except ValueError as error:
        raise UserError(f"--warm-up {training.warm_up}: {error}") from None


def _at_most(value: float, largest: float) -> str:
    """What to add to an error where a larger dtype would take the value."""
    return f", and at most {largest:.3g} in this dtype" if largest < value < math.inf else ""


def _check_shares(config: Config, processes: int) -> None:
    """UserError for what W processes cannot share: the mean of their gradients must be the
    batch's.
    """
    for option, value, high in (
        ("--batch-size", config.training.batch_size, None),
        ("--train-size", config.data.train_size, TRAINING_IMAGES),
    ):
        if value % processes:
            low = value - value % processes
            fits = [
                size for size in (low, low + processes) if size and (high is None or size <= high)
            ]
            raise UserError(
                f"{option} {value}: {processes} processes cannot share it evenly; use "
                f"{' or '.join(map(str, fits))}"
            )
    if config.network.batch_norm:
        raise UserError(
            "--batch-norm: each process would normalize its share of a batch, not the batch; train "
            "in one process"
        )


def _check_optimizer(training: TrainingConfig, largest: float) -> None:
    """UserError for an option that will not do, or would do nothing."""
    if not 0 <= training.momentum < 1:
        raise UserError(f"--momentum {training.momentum}: must be from 0 to below 1, such as 0.9")
    for option in MOMENTUM_OPTIONS:
        if getattr(training, option):
            able = [
                name
                for name, cls in Optimizer.named().items()
                if option in cls.__dataclass_fields__
            ]
            if training.optimizer not in able:
                raise UserError(
                    f"--{option}: {training.optimizer} has none; use --optimizer "
                    f"{' or '.join(able)}"
                )
    if training.nesterov and not training.momentum:
        raise UserError("--nesterov: needs --momentum above 0, such as 0.9")
    if not 0 <= training.weight_decay <= largest:
        most = _at_most(training.weight_decay, largest)
        raise UserError(
            f"--weight-decay {training.weight_decay}: must be a finite number, at least 0, such as "
            f"1e-4{most}"
        )
    if training.decay != "weights" and not training.weight_decay:
        raise UserError(
            f"--decay {training.decay}: nothing decays without --weight-decay above 0, such as 1e-4"
        )


def choose_device(device: str) -> Literal["cpu", "cuda"]:
    """What `auto` stands for here; UserError for a CUDA device that is not there."""
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise UserError("--device cuda: torch finds no CUDA device here; use --device cpu, or auto")
    return "cuda" if device != "cpu" and available else "cpu"


def cores() -> int:
    """How many cores this process may use: as a job on a shared machine, fewer than there are."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def choose_threads(sizes: tuple[int, ...], batch_size: int, processes: int = 1) -> int:
    """One thread until the largest matrix product of a step is worth sharing, then the cores of one
    of `processes`.
    """
    largest = max(batch_size * inputs * outputs for inputs, outputs in pairwise(sizes))
    return 1 if largest < WORTH_SHARING else max(1, cores() // processes)

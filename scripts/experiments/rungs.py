"""The rungs of the ladder: an idea of the lecture each, and what it changes in the run below.

Epochs are a rung's own choice. The learning rate and whatever else `grid` names were chosen on the
validation images by `python -m scripts.ladder --search`.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from scripts.run.config import Config


@dataclass(frozen=True, eq=False)
class Rung:
    """`slide`: where the lecture has the idea. `change`: the trainer's options that are others than
    on the rung below; `alone`: those of the same idea by itself, put to the lecture's run. `grid`:
    what the search tries on the rung.
    """

    name: str
    slide: str
    change: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    alone: dict[str, Any] = field(default_factory=dict)


RUNGS = (
    Rung("lecture", "A look in the code"),
    Rung(
        "initialization",
        "Weight initialization",
        {"initializer": "scaled-normal", "epochs": 10, "lr": 2.0},
        {"lr": (1.0, 2.0, 3.0)},
        {"initializer": "scaled-normal", "lr": 3.0},
    ),
    Rung(
        "cross-entropy",
        "Cross-Entropy",
        {"loss": "cross-entropy", "lr": 0.2},
        {"lr": (0.1, 0.2, 0.3)},
        {"loss": "cross-entropy", "lr": 0.2},
    ),
    Rung(
        "relu",
        "Activations",
        {"activations": ("relu",), "initializer": "kaiming-normal", "lr": 0.05},
        {"lr": (0.02, 0.05, 0.1)},
        {"activations": ("relu", "sigmoid"), "initializer": "kaiming-normal", "lr": 0.3},
    ),
    Rung(
        "batch size",
        "Hyper parameters: batch size",
        {"batch_size": 64, "drop_last": True, "lr": 0.3},
        {"lr": (0.1, 0.2, 0.3, 0.5)},
        {"batch_size": 64, "drop_last": True, "lr": 15.0},
    ),
    Rung(
        "size",
        "Hyper parameters: number of units",
        {"sizes": (784, 100, 10), "lr": 0.5},
        {"lr": (0.3, 0.5, 0.7, 1.0)},
        {"sizes": (784, 100, 10), "lr": 3.0},
    ),
    Rung(
        "schedule",
        "Hyper parameters: learning rate",
        {"schedule": "one-cycle", "epochs": 5, "lr": 0.7},
        {"lr": (0.5, 0.7, 1.0, 1.5)},
        {"schedule": "one-cycle", "lr": 6.0},
    ),
    Rung(
        "momentum",
        "Gradient updates",
        {"momentum": 0.9, "nesterov": True, "lr": 0.1},
        {"lr": (0.05, 0.07, 0.1, 0.15)},
        {"momentum": 0.9, "nesterov": True, "lr": 0.3},
    ),
    Rung(
        "batch norm",
        "Batch normalization",
        {"batch_norm": True, "lr": 0.5},
        {"lr": (0.2, 0.3, 0.5, 0.7)},
        {"batch_norm": True, "lr": 1.0},
    ),
    Rung(
        "L2",
        "Regularization: L2",
        {"weight_decay": 2e-4, "lr": 0.4},
        {"lr": (0.3, 0.4, 0.5), "weight_decay": (3e-5, 1e-4, 2e-4)},
        {"weight_decay": 1e-5},
    ),
)


def with_options(config: Config, options: dict[str, Any]) -> Config:
    """The config with these options, whichever group has them."""
    for group in ("data", "network", "training"):
        before = getattr(config, group)
        known = {field.name for field in dataclasses.fields(before)}
        mine = {name: value for name, value in options.items() if name in known}
        config = dataclasses.replace(config, **{group: dataclasses.replace(before, **mine)})
    return config


def on_the_ladder(rung: Rung) -> Config:
    """All changes up to this rung."""
    config = Config()
    for each in RUNGS[: RUNGS.index(rung) + 1]:
        config = with_options(config, each.change)
    return config


def by_itself(rung: Rung) -> Config:
    """The lecture's run with this idea alone."""
    return with_options(Config(), rung.alone)

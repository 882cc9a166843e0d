"""The name of a run: how it differs from the lecture's, in few words."""

from typing import Any

from scripts.common.program import as_typed
from scripts.run.config import Config

# By importance: a name has room for the first of them.
OPTIONS = (
    "engines", "dataset", "activations", "loss", "optimizer", "lr", "schedule", "batch_size",
    "sizes", "batch_norm", "initializer",
    "momentum", "nesterov", "weight_decay", "decay", "train_size", "epochs", "warm_up",
    "drop_last", "stop_below", "seed", "dtype",
)  # fmt: skip
# whose value says enough
NAMED_BY_VALUE = {
    "engines", "dataset", "activations", "loss", "optimizer", "schedule", "sizes", "initializer",
    "dtype",
}  # fmt: skip
# as their classes say, but to import these takes torch
OF_LOGITS = {"cross-entropy", "binary-cross-entropy-of-logits"}
BY_HAND = "by-hand"  # what the hand-written network is called beside torch
LONGEST = 24  # characters of a name


def options(config: Config) -> dict[str, str]:
    """The options of a resolved config that its numbers depend on, as one types them, by
    importance; without the identity that a loss of logits brings, and one activation where all are
    the same.
    """
    groups = config.to_dict()
    values = {name: value for options in groups.values() for name, value in options.items()}
    activations = list(values["activations"])
    if config.training.loss in OF_LOGITS and len(activations) > 1 and activations[-1] == "identity":
        activations.pop()
    values["activations"] = (
        list(dict.fromkeys(activations)) if len(set(activations)) == 1 else values["activations"]
    )
    return {name: _typed(values[name]) for name in OPTIONS}


def differing(config: Config) -> dict[str, str]:
    """The options that are not as in the lecture's run."""
    lecture = options(Config())
    return {name: value for name, value in options(config).items() if value != lecture[name]}


def name(config: Config) -> str:
    """For the folder of a resolved config's run: "lecture", or what differs from it, as much as
    there is room for.
    """
    parts = []
    for option, value in differing(config).items():
        plain = value.replace("manual", BY_HAND).replace(" ", "x" if option == "sizes" else "-")
        dashed = option.replace("_", "-")
        parts.append(
            plain if option in NAMED_BY_VALUE else dashed if value == "True" else dashed + plain
        )
    while len("-".join(parts)) > LONGEST and len(parts) > 1:
        parts.pop()
    return "-".join(parts)[:LONGEST] or "lecture"


def _typed(value: Any) -> str:
    if isinstance(value, list):
        return as_typed(value)
    return f"{value:g}" if isinstance(value, float) else str(value)

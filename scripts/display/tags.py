"""What the curves of the board are called, and which of them share a chart.

TensorBoard sorts tags by name: each begins with the number of its place.
"""

from collections.abc import Mapping

from scripts.run.progress import Epoch
from torch_ref.compare import Difference

FIGURES = {"max_abs": "largest", "max_rel": "relative", "max_ulp": "ulp"}
CHARTS = {
    "accuracy on validation images": ["1-accuracy/validation"],
    "loss on validation images": ["2-loss/validation"],
    "gradient: largest entry, largest difference": [
        "3-gradient/size",
        "3-gradient/difference-largest",
    ],
    "parameters: largest entry, largest difference": [
        "5-parameters/size",
        "5-parameters/difference-largest",
    ],
    "accuracy on training images": ["1-accuracy/train"],
    "loss on training images": ["2-loss/train"],
}


def figures(what: str, difference: Difference) -> dict[str, float]:
    """The figures of a difference, by tag."""
    return {f"{what}-{word}": getattr(difference, figure) for figure, word in FIGURES.items()}


def by_engine(epoch: Epoch, engine: str) -> dict[str, float]:
    """The results of an epoch for one of the learners, by tag."""
    training, validation = epoch.training[engine], epoch.validation[engine]
    return {
        "2-loss/train": training.loss,
        "1-accuracy/train": training.accuracy,
        "time/epoch-seconds": epoch.seconds[engine],
        "2-loss/validation": validation.loss,
        "1-accuracy/validation": validation.accuracy,
    }


def of_both(epoch: Epoch) -> dict[str, float]:
    """How far apart both networks are after an epoch, by tag."""
    drift = figures("5-parameters/difference", epoch.drift) if epoch.drift else {}
    return drift | by_parameter(epoch.gradients, epoch.drifts)


def by_parameter(
    gradient: Mapping[str, Difference], drift: Mapping[str, Difference]
) -> dict[str, float]:
    """The largest differences of an epoch's gradients, and those of the parameters after it, by
    tag; without those that are equal.
    """
    values: dict[str, float] = {}
    for what, named in (("4-gradient-by-name", gradient), ("5-parameters-by-name", drift)):
        for name, difference in named.items():
            values |= {} if difference.bitwise else figures(f"{what}/{name}-difference", difference)
    return values

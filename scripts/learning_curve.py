"""python -m scripts.learning_curve: accuracy by the amount of training data, and whether bias or
variance is in the way.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from scripts.common import command_line
from scripts.common.command_line import option, pasted, shown_as
from scripts.common.program import loading, status
from scripts.run import folder
from scripts.run.config import DatasetName, NetworkConfig, TrainingConfig

EXAMPLES = {
    "a quick look": "--train-sizes 100 1000 10000 --seeds 1 --epochs 1",
    "with another loss, into a folder where it goes on after Ctrl-C": (
        "--loss binary-cross-entropy --lr 0.5 --epochs 5 --out runs/curve"
    ),
}


@dataclass(frozen=True)
class Options:
    """Train on more and more of the images, and say whether bias or variance is in the way.

    Every size sees equally many images: --epochs are passes over all 50,000, smaller sizes pass as
    many times more often (the default, 30, is 1,500,000 / size), so the curve shows what different
    images are worth and not what longer training is.

    Verdict: neither, if --goal percent of the validation images are recognized. Else the larger
    part of the validation error names it: high bias, if it is the error on the training images;
    high variance, if it is the gap between the two.

    The test images are not looked at. All runs are by hand, one a core.
    """

    train_sizes: Annotated[tuple[int, ...], shown_as("INT ...")] = (
        100,
        200,
        500,
        1_000,
        2_000,
        5_000,
        10_000,
        20_000,
        50_000,
    )
    """Train on the first N of the training images, for each N."""
    seeds: int = 3
    """Runs at each size, from --seed on."""
    goal: float = 95.0
    """Validation accuracy, in percent, that is good enough (on other data than MNIST it may be out
    of reach).
    """
    dataset: DatasetName = "mnist"
    """Which of torchvision's data sets."""
    data_dir: Path = Path("data")
    """Folder that holds MNIST/raw/, or FashionMNIST/raw/ and so on; what is missing there is
    downloaded.
    """
    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    out: Annotated[Path | None, shown_as("PATH")] = None
    """Folder for results: a new one, by default under runs/, or one to go on in where it was
    interrupted.
    """


def main() -> int:
    """Status 0 with a curve, 1 if a run diverged, 2 for what the user can mend, 130 after
    Ctrl-C.
    """
    options = command_line.parse(Options, "scripts.learning_curve", EXAMPLES)
    with loading():
        from scripts.experiments.curve import learning_curve
    out = options.out or folder.fresh("learning-curve")
    return status(
        lambda: learning_curve(options, out),
        f"what is done is kept; go on with {pasted(*option('--out', out))}",
    )


if __name__ == "__main__":
    sys.exit(main())

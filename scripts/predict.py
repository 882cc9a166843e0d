"""python -m scripts.predict: which digits are in pictures of your own, as a run has learned
them.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from scripts.common import command_line
from scripts.common.command_line import shown_as
from scripts.common.program import loading, status

EXAMPLES = {
    "one picture": "runs/lecture seven.png",
    "all pictures in a folder, with what was done to each": "runs/lecture digits --verbose",
}


@dataclass(frozen=True)
class Options:
    """Read the digits in pictures: of any size, dark on bright or bright on dark, one digit in
    each.

    A picture is first brought to the form of MNIST's: white on black, as its border shows; cropped;
    scaled to 20 x 20; and put in the middle of 28 x 28 by its centre of mass. RUN/seen.png shows
    what the network saw.
    """

    run: Annotated[Path, tyro.conf.Positional, shown_as("RUN")]
    """Folder of a run of scripts.train."""
    pictures: Annotated[tuple[Path, ...], tyro.conf.Positional, shown_as("PICTURE ...")]
    """Files, or folders of them."""
    verbose: bool = False
    """Say what was done to each picture, and how probable the other digits are."""
    json: bool = False
    """The same for programs."""


def main() -> int:
    """Status 0, or 2 for what the user can mend."""
    options = command_line.parse(Options, "scripts.predict", EXAMPLES)
    with loading():
        from scripts.reading.prediction import predict
    return status(lambda: predict(options))


if __name__ == "__main__":
    sys.exit(main())

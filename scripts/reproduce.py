"""python -m scripts.reproduce: the published figures of the lecture's network and its relatives,
over several seeds.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.common import command_line
from scripts.common.command_line import one_of, option, pasted, shown_as
from scripts.common.program import loading, status
from scripts.presets import PRESETS
from scripts.run import folder

EXAMPLES = {
    "the most telling ones, in some minutes": "--quick",
    "one figure, twice": "--only lecture --seeds 2",
    "everything, into a folder where it goes on after Ctrl-C": "--out runs/published",
}


@dataclass(frozen=True)
class Options:
    """Run the published figures again and print them beside ours.

    As its sources did, and unlike every other script here, this one looks at the test images after
    each epoch (500 times, evenly, where there are more). The column "by validation" is without that
    advantage: the accuracy on the test images after the epoch that is best on the validation
    images. All runs are by hand, one a core.
    """

    only: Annotated[
        tuple[Annotated[str, *one_of(PRESETS)], ...], shown_as("NAME ...", PRESETS)
    ] = ()
    """These alone; by default all."""
    quick: bool = False
    """A subset that takes less than 5 minutes on 2 cores."""
    seeds: int = 5
    """Runs of each, from seed 0 on."""
    data_dir: Path = Path("data")
    """Folder that holds MNIST/raw/; what is missing there is downloaded."""
    out: Annotated[Path | None, shown_as("PATH")] = None
    """Folder for results and table: a new one, by default under runs/, or one to go on in where it
    was interrupted.
    """


def main() -> int:
    """Status 0 with a table, 1 if a run diverged, 2 for what the user can mend, 130 after
    Ctrl-C.
    """
    options = command_line.parse(Options, "scripts.reproduce", EXAMPLES)
    with loading():
        from scripts.experiments.published import reproduce
    out = options.out or folder.fresh("reproduce")
    return status(
        lambda: reproduce(options, out),
        f"what is done is kept; go on with {pasted(*option('--out', out))}",
    )


if __name__ == "__main__":
    sys.exit(main())

"""python -m scripts.ladder: what each idea of the lecture is worth, in points and in seconds."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.common import command_line
from scripts.common.command_line import one_of, option, pasted, shown_as
from scripts.common.program import loading, status
from scripts.experiments.rungs import RUNGS
from scripts.run import folder

RUNG_NAMES = tuple(rung.name for rung in RUNGS)
EXAMPLES = {
    "a first look": "--quick",
    "the last rung, a hundred times": f"--only {RUNGS[-1].name} --seeds 100",
    "how a rung's learning rate was found": f"--search --only {RUNGS[-1].name}",
}


@dataclass(frozen=True)
class Options:
    """From the lecture's run, one of its ideas a rung, to 98 percent in seconds.

    Each rung is trained by hand once a seed, one run a core, and then, one run at a time, beside
    torch.nn on the same batches with the gradients compared: the seconds are those of these runs,
    of training alone. The test images are read once a run, at its end; settings were chosen on the
    validation images (--search), with other seeds.
    """

    only: Annotated[
        tuple[Annotated[str, *one_of(RUNG_NAMES)], ...], shown_as("NAME ...", RUNG_NAMES)
    ] = ()
    """These rungs; by default all."""
    seeds: int = 100
    """Runs of each, from seed 0 on."""
    quick: bool = False
    """Two seeds, and only the last rung beside torch.nn: less than 3 minutes on 2 cores."""
    search: bool = False
    """Try each rung's choices on the validation images instead, with seeds of their own."""
    data_dir: Path = Path("data")
    """Folder that holds MNIST/raw/; what is missing there is downloaded."""
    out: Annotated[Path | None, shown_as("PATH")] = None
    """Folder for results: a new one, by default under runs/, or one to go on in where it was
    interrupted.
    """


def main() -> int:
    """Status 0 with a table, 1 if a run diverged or a gradient was wrong, 2 for what the user can
    mend, 130 after Ctrl-C.
    """
    options = command_line.parse(Options, "scripts.ladder", EXAMPLES)
    with loading():
        from scripts.experiments import ladder, search
    out = options.out or folder.fresh("search" if options.search else "ladder")
    work = search.search if options.search else ladder.climb
    return status(
        lambda: work(options, out),
        f"what is done is kept; go on with {pasted(*option('--out', out))}",
    )


if __name__ == "__main__":
    sys.exit(main())

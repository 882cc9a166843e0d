"""python -m scripts.bench: what a training step costs by hand, in torch.nn, in NumPy, and at the
least.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

from scripts.common import command_line
from scripts.common.command_line import shown_as
from scripts.common.program import loading, status
from scripts.run.config import Device

EXAMPLES = {
    "two minutes": "--quick",
    "the whole grid, with all figures and a plot": "--json bench.json --plot bench.png",
}


@dataclass(frozen=True)
class Options:
    """Measure a training step by hand, in torch.nn, in NumPy, and its matrix products alone.

    Let nothing else run meanwhile.
    """

    quick: bool = False
    """A few small networks on one thread and a short epoch, two minutes; the whole grid takes half
    an hour.
    """
    device: Annotated[Device, shown_as("NAME", get_args(Device))] = "auto"
    """The CPU alone, a GPU alone, or both where there is one."""
    markdown: bool = False
    """Print the table in Markdown."""
    json: Annotated[str | None, shown_as("PATH")] = None
    """Write everything as JSON to this file too; - prints it in place of the table."""
    plot: Annotated[Path | None, shown_as("PATH")] = None
    """Draw the ratio over the batch size into this .png file."""
    data_dir: Path = Path("data")
    """Folder that holds MNIST/raw/, for the epochs of the lecture's run; what is missing there is
    downloaded.
    """


def main() -> int:
    """Status 0 with a whole report, 1 if a contender failed, 2 for what the user can mend."""
    options = command_line.parse(Options, "scripts.bench", EXAMPLES)
    with loading():
        from scripts.benchmark.run import bench
    return status(lambda: bench(options))


if __name__ == "__main__":
    sys.exit(main())

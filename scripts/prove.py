"""python -m scripts.prove: the functions of manual/ run on symbols, and proven."""

import sys
from dataclasses import dataclass
from typing import Annotated

import tyro

from scripts.common import command_line
from scripts.common.program import loading, status

EXAMPLES = {
    "everything in manual/": "",
    'an operation of your own, such as a class Swish(Activation, name="swish")': (
        "--operation mine.py::Swish"
    ),
}


@dataclass(frozen=True)
class Options:
    """Run manual/ on symbols: prove that each operation is its formula, and backward its
    derivative.

    Proven: for all numbers, in exact arithmetic, at the shapes named. Open: not decided. Refuted:
    with numbers at which it fails, and status 1. Rounding, overflow and layout are the tests'
    business.
    """

    operation: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FILE::CLASS")
    ] = ()
    """path/to/file.py::Class, an Activation, Loss or Layer of your own, instead of manual/'s; once
    for each.
    """


def main() -> int:
    """Status 0, 1 where something is refuted, 2 for what the user can mend."""
    options = command_line.parse(Options, "scripts.prove", EXAMPLES)
    with loading():
        from scripts.proving.everything import prove
    return status(lambda: prove(options))


if __name__ == "__main__":
    sys.exit(main())

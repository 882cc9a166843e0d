"""python -m scripts.compare: how far each operation, or one network, is from torch, by hand against
autograd.
"""

import sys
from dataclasses import dataclass
from typing import Annotated, get_args

from scripts.common import command_line
from scripts.common.command_line import shown_as
from scripts.common.program import loading, status
from scripts.run.config import DTYPES, ActivationNames, Device, DtypeNames, LossName

EXAMPLES = {
    "every operation, in float32 and float64": "",
    "each parameter of the lecture's network": "--network 784 30 10",
    "a network of your own, in float64": (
        "--network 4 8 3 --activations relu --loss cross-entropy --dtype float64"
    ),
}


@dataclass(frozen=True)
class Options:
    """Compare by hand with autograd: every operation, or the gradients of one network.

    A row is within its budget where the bits are equal, or max |difference| <= k eps of the size of
    the terms summed, with k as measured and explained in torch_ref/budgets.py, beside a bound
    derived in torch_ref/rounding.py. Status 1 where one is not.
    """

    network: Annotated[tuple[int, ...], shown_as("INT ...")] = ()
    """Sizes of a network, inputs first, such as 784 30 10: a row for each of its parameters, at one
    random batch.
    """
    activations: ActivationNames = ("sigmoid",)
    """Of the network, as in scripts.train."""
    loss: LossName = "half-squared"
    """Of the network."""
    batch_size: int = 10
    """Of the network's batch."""
    dtype: DtypeNames = DTYPES
    """In which to compare."""
    device: Annotated[Device, shown_as("NAME", get_args(Device))] = "auto"
    """Where to compare; auto: cuda where there is one."""
    markdown: bool = False
    """A table to paste."""
    json: bool = False
    """All figures, for programs."""


def main() -> int:
    """Status 0 where everything is within its budget, 1 where not, 2 for what the user can mend."""
    options = command_line.parse(Options, "scripts.compare", EXAMPLES)
    with loading():
        from scripts.comparing.table import comparison
    return status(lambda: comparison(options))


if __name__ == "__main__":
    sys.exit(main())

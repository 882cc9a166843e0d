"""python -m scripts.check: your own forward and backward against autograd and finite
differences.
"""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, get_args

import tyro

from scripts.common import command_line
from scripts.common.command_line import shown_as
from scripts.common.program import loading, status
from scripts.run.config import DtypeName

EXAMPLES = {
    "against finite differences": "mine.py::forward mine.py::backward --shape 8 5",
    "against a function of torch": (
        "mine.py::forward mine.py::backward --shape 8 5 --reference torch.sigmoid"
    ),
    "of several inputs, such as x, w and b": (
        "mine.py::forward mine.py::backward --shape 8 5 --shape 5 3 --shape 3"
    ),
    "of a class": "'*.py::forward' '*.py::backward' --shape 8 5 --csv marks.csv --timeout 60",
}
Arrays: TypeAlias = Literal["auto", "numpy", "torch"]


@dataclass(frozen=True)
class Options:
    """Check a backward pass written by hand, at random inputs of the given shapes.

    Without --shape, a function inputs() in FORWARD's file gives them. A pattern before ::, such as
    submissions/*.py::forward, checks each file. Files run in a process of their own.
    """

    forward: Annotated[str, tyro.conf.Positional, shown_as("FORWARD")]
    """path/to/file.py::name of forward(*inputs) -> output, or of a layer, module or Function."""
    backward: Annotated[str | None, tyro.conf.Positional, shown_as("BACKWARD")] = None
    """path/to/file.py::name of backward(dy, *inputs) -> the gradient of each input; none where
    FORWARD has it.
    """
    shape: Annotated[
        tuple[tuple[int, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="INT ...")
    ] = ()
    """Shape of an input, such as 8 5; once for each input, in forward's order."""
    argument: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=VALUE")
    ] = ()
    """An argument of forward that is no array, such as stride=2."""
    reference: Annotated[str | None, shown_as("NAME")] = None
    """A function or module of torch that does the same, or path/to/file.py::name; without: finite
    differences.
    """
    labels: Annotated[int | None, shown_as("INT")] = None
    """Fill the last --shape with class labels below this: --shape 8 5 --shape 8 --labels 5."""
    between: Annotated[tuple[float, float] | None, shown_as("LOW HIGH")] = None
    """Keep the inputs between these numbers, such as 0 1 for probabilities; by default they are
    drawn from N(0, 1).
    """
    data: Annotated[tuple[str, ...], shown_as("NAME ...")] = ()
    """Inputs that have no gradient and stay as they are."""
    arrays: Annotated[Arrays, shown_as("NAME", get_args(Arrays))] = "auto"
    """What the functions take; auto: NumPy arrays, unless forward refuses them."""
    dtype: DtypeName = "float64"
    """Of the inputs."""
    seed: int = 0
    """Of the inputs."""
    no_autograd: bool = False
    """Refuse a backward that calls torch.autograd."""
    json: bool = False
    """Print the report as JSON."""
    csv: Annotated[str | None, shown_as("FILE")] = None
    """Write a line for each submission: points, verdicts, what is wrong."""
    timeout: float = 60.0
    """Seconds after which a submission is ended."""


def main() -> int:
    """Status 0 where all gradients are right, 1 where one is wrong, 2 for what the user can
    mend.
    """
    options = command_line.parse(Options, "scripts.check", EXAMPLES)
    with loading():
        from scripts.checking.verdict import judge
    return status(lambda: judge(options))


if __name__ == "__main__":
    sys.exit(main())

"""The answers of a run to pictures, and a picture of what it saw.

Shapes: n pictures, C classes.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from manual.losses import Loss
from scripts.common import files
from scripts.common.program import UserError
from scripts.display import insight
from scripts.predict import Options
from scripts.reading.form import Form, bring, read
from scripts.run import folder
from scripts.training import learned

SHOWN = 12  # pictures at most in seen.png
ACROSS = 4


class Answer(NamedTuple):
    """To one picture: the digit, and the probability of each (C,)."""

    path: Path
    form: Form
    digit: int
    probabilities: list[float]

    def __str__(self) -> str:
        return f"{self.path}: {self.digit} ({self.probabilities[self.digit]:.2f})"

    def rest(self) -> str:
        """The other digits, the most probable first."""
        others = sorted(
            (p, digit) for digit, p in enumerate(self.probabilities) if digit != self.digit
        )
        return "  ".join(f"{digit} ({p:.2f})" for p, digit in reversed(others))


def predict(options: Options) -> None:
    """Print a line for each picture, and leave seen.png in the run's folder."""
    found = answers(options.run, list(paths(options.pictures)))
    seen = options.run / "seen.png"
    if options.json:
        print(json.dumps([as_dict(answer) for answer in found], indent=2))
    else:
        for answer in found:
            print(answer)
            if options.verbose:
                print(f"    {answer.form.words}", f"    {answer.rest()}", sep="\n")
    with files.results(seen):
        draw(found[:SHOWN]).savefig(seen)
    if not options.json:
        of = f" of the first {SHOWN}" if len(found) > SHOWN else ""
        print(f"what the network saw{of}: {seen}")


def answers(run: Path, pictures: Sequence[Path]) -> list[Answer]:
    """The answer to each picture. UserError for a run that has learned no digits, or a picture that
    shows none.
    """
    config = folder.config_of(run, "RUN")
    if config.data.dataset != "mnist":
        raise UserError(
            f"RUN {run}: has learned {config.data.dataset}, and pictures are brought to the form "
            "of mnist alone"
        )
    network = learned.load(run, config)
    forms = []
    for path in pictures:
        try:
            forms.append(bring(read(path)))
        except ValueError as error:
            raise UserError(
                f"{path}: {error}; it should show one digit, written on it with a margin"
            ) from error
    x = torch.from_numpy(np.stack([form.seen.reshape(-1) for form in forms])).to(
        network.parameters.theta.dtype
    )
    probabilities = insight.probabilities(Loss.named()[config.training.loss](), network.predict(x))
    digits = probabilities.argmax(dim=1).tolist()
    return [
        Answer(*each) for each in zip(pictures, forms, digits, probabilities.tolist(), strict=True)
    ]


def paths(pictures: Sequence[Path]) -> Iterator[Path]:
    """The files, and in place of a folder the pictures in it by name. UserError where there are
    none.
    """
    if not pictures:
        raise UserError("PICTURE: name one at least, or a folder of them")
    known = Image.registered_extensions()
    for path in pictures:
        inside = (
            sorted(each for each in path.iterdir() if each.suffix.lower() in known)
            if path.is_dir()
            else [path]
        )
        if not inside:
            raise UserError(f"{path}: no picture is in this folder")
        yield from inside


def as_dict(answer: Answer) -> dict[str, object]:
    """The answer for JSON, without the pixels."""
    return {
        "picture": str(answer.path),
        "digit": answer.digit,
        "probability": answer.probabilities[answer.digit],
        "probabilities": answer.probabilities,
        "form": answer.form.words,
    }


def draw(found: Sequence[Answer]) -> Figure:
    """Each picture as it was given, with the digit framed, beside what the network saw of it."""
    columns = min(ACROSS, len(found))
    rows = math.ceil(len(found) / columns)
    figure = Figure(figsize=(3.2 * columns, 1.9 * rows), dpi=100)
    axes = figure.subplots(rows, 2 * columns, squeeze=False).flat
    figure.subplots_adjust(
        left=0.01, right=0.99, bottom=0.05 / rows, top=1 - 0.15 / rows, wspace=0.04, hspace=0.2
    )
    for ax in axes:
        ax.set_axis_off()
    for left, right, answer in zip(axes[::2], axes[1::2], found, strict=False):
        left.imshow(answer.form.given, cmap="gray", vmin=0, vmax=255)
        x, y, x_end, y_end = answer.form.box
        left.add_patch(
            Rectangle((x - 0.5, y - 0.5), x_end - x, y_end - y, fill=False, color="tab:red")
        )
        left.set_title(answer.path.name[-24:], fontsize=8)
        right.imshow(answer.form.seen, cmap="gray", vmin=0, vmax=1)
        right.set_title(
            f"seen: {answer.digit} ({answer.probabilities[answer.digit]:.2f})", fontsize=8
        )
    return figure

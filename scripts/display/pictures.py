"""Pictures of what a network has learned and of where it fails.

Shapes: O outputs of the first layer, n images of 28 x 28 = 784 pixels, C classes.
"""

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.utils import make_grid

from scripts.display.insight import Answers

SIDE = 28
MOST_UNITS, UNITS_ACROSS = 100, 10
ROWS, COLUMNS = 3, 4  # of mistakes shown
# A card of TensorBoard's is 350 pixels wide, and leaves out pixels of what is wider.
DPI, WIDTH = 100, 3.5  # inches


def first_layer(w: Tensor, title: str) -> Figure:
    """w (784, O) -> the weights into each of the first 100 units, as its pixels lie, under a title.

    Red is positive, blue negative, white 0; the largest hundredth has the strongest colour.
    """
    units = w.T[:MOST_UNITS].reshape(-1, SIDE, SIDE).float().cpu()
    scaled = (units / units.abs().quantile(0.99).clamp(min=torch.finfo(units.dtype).tiny)).clamp(
        -1, 1
    )
    colours = torch.from_numpy(mpl.colormaps["RdBu_r"]((scaled.numpy() + 1) / 2, bytes=True))
    grid = make_grid(colours.permute(0, 3, 1, 2), nrow=UNITS_ACROSS, padding=6, pad_value=255)
    height, heading = grid.shape[1] / DPI, 0.5  # inches
    figure = Figure(figsize=(WIDTH, height + heading), dpi=DPI)
    figure.figimage(grid.permute(1, 2, 0).numpy())
    top = height / (height + heading)
    figure.text(0.5, top, f"{title}\nred: above 0, blue: below", ha="center", fontsize=9)
    return figure


def worst_mistakes(images: Tensor, answers: Answers) -> Figure:
    """images (n, 784) -> the mistakes of which the network was surest."""
    wrong = (answers.given != answers.true).nonzero().squeeze(1)
    worst = wrong[answers.probability[wrong].argsort(descending=True, stable=True)][
        : ROWS * COLUMNS
    ]
    figure = Figure(figsize=(WIDTH, WIDTH), dpi=DPI, layout="constrained")
    figure.suptitle(
        f"{len(wrong)} of {len(answers.true)} test images are mistaken.\nThe surest, with p of "
        "the prediction:",
        fontsize=9,
    )
    axes = list(figure.subplots(ROWS, COLUMNS).flat)
    for ax in axes:
        ax.set_axis_off()
    for ax, index in zip(axes, worst.tolist(), strict=False):
        ax.imshow(
            images[index].reshape(SIDE, SIDE).float().cpu().numpy(), cmap="gray_r", vmin=0, vmax=1
        )
        given, true = int(answers.given[index]), int(answers.true[index])
        ax.set_title(
            f"{true} taken for {given}\np = {float(answers.probability[index]):.2f}", fontsize=8
        )
    return figure


def confusion(answers: Answers, classes: int) -> Figure:
    """How often each true class was given as each class. Only mistakes are coloured, since the rest
    outnumbers them.
    """
    counts = torch.bincount(answers.true * classes + answers.given, minlength=classes**2).reshape(
        classes, classes
    )
    mistakes = counts.clone().fill_diagonal_(0)
    figure = Figure(figsize=(WIDTH, WIDTH), dpi=DPI, layout="constrained")
    ax = figure.add_subplot()
    darkest = max(1, int(mistakes.max()))
    ax.imshow(mistakes.numpy(), cmap="Reds", vmin=0, vmax=darkest * 1.3)
    for true, row in enumerate(counts.tolist()):
        for given, count in enumerate(row):
            if count:
                on_red = "white" if count > darkest / 2 else "black"
                colour = "grey" if true == given else on_red
                ax.text(given, true, count, ha="center", va="center", color=colour, fontsize=8)
    ax.set(xticks=range(classes), yticks=range(classes), xlabel="predicted", ylabel="true")
    recognized = f"{int(counts.diagonal().sum())} of {len(answers.true)} test images are recognized"
    ax.set_title(f"{recognized}.\nColoured: how many are mistaken", fontsize=9)
    return figure

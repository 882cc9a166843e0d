"""A picture of the ratio to torch over the batch size."""

from itertools import groupby
from pathlib import Path

from matplotlib.figure import Figure

from scripts.benchmark.result import Cell, Report


def draw(report: Report, path: Path) -> None:
    """A PNG with a panel for each place and dtype, in it a line for each network; bars are
    quartiles.
    """
    panels = [(key, list(cells)) for key, cells in groupby(report.cells, _panel)]
    figure = Figure(figsize=(4.5 * len(panels), 4), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for (title, cells), ax in zip(panels, axes, strict=True):
        for network, line in groupby(cells, lambda cell: cell.case.sizes):
            points = list(line)
            ratios = [cell.ratio["torch"] for cell in points]
            ax.errorbar(
                [cell.case.batch_size for cell in points],
                [ratio.median for ratio in ratios],
                yerr=[
                    [ratio.median - ratio.low for ratio in ratios],
                    [ratio.high - ratio.median for ratio in ratios],
                ],
                marker="o",
                capsize=3,
                label=str(list(network)),
            )
        ax.axhline(1, color="grey", linewidth=0.8)
        ax.set(title=title, xscale="log", xlabel="batch size")
    axes[0].set_ylabel("seconds of torch.nn / seconds by hand")
    axes[0].legend()
    figure.suptitle(f"{report.machine['cpu']}\ntorch {report.machine['torch']}", fontsize="medium")
    figure.savefig(path, format="png", dpi=120)


def _panel(cell: Cell) -> str:
    return f"{cell.case.dtype}, {cell.case.where}"

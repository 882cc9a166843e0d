"""A report as text: for a terminal or in Markdown."""

from scripts.benchmark.case import Case
from scripts.benchmark.result import Cell, Report, Spread
from scripts.harness import tables

_HEAD = (
    "network",
    "batch",
    "dtype",
    "where",
    "by hand, us",
    "torch / by hand",
    "NumPy / by hand",
    "of the floor",
    "GFLOP/s",
    "peak MB: by hand, torch, NumPy",
)
_LEGEND = (
    "A step is forward, loss, backward and update, the batch at hand. Medians, in brackets the quartiles. By hand is ahead "
    "where a ratio is above 1. The floor is the step's matrix products alone. Memory is that of the whole process "
    "(on a GPU: what torch has taken there)."
)

_EPOCH = (
    "An epoch of the lecture's run (python -m scripts.train --board scalars, each engine alone; batches, validation and "
    "checkpoints included)"
)


def render(report: Report, *, markdown: bool) -> str:
    """The machine, a row for each case, then epochs and memory as far as they were measured."""
    rows = [_HEAD, *map(_row, report.cells)]
    lines = [
        "; ".join(f"{what} {value}" for what, value in report.machine.items()),
        "",
        tables.markdown(rows) if markdown else tables.columns(rows),
        "",
        _LEGEND,
    ]
    if report.epoch:
        by_hand, reference = report.epoch["manual"], report.epoch["torch"]
        times = reference.median / by_hand.median
        lines += ["", f"{_EPOCH}: by hand {_seconds(by_hand)}, torch {_seconds(reference)}, {times:.2f} times as long."]
    if report.deep:
        where = f"{_network(report.deep_case)}, batch {report.deep_case.batch_size}"
        small, large = report.deep["manual"], report.deep["torch"]
        sizes = f"by hand {_megabytes(small)} MB, torch {_megabytes(large)} MB"
        lines += ["", f"Peak memory at {where}: {sizes}, {small / large:.2f} of torch's."]
    return "\n".join(lines)


def _row(cell: Cell) -> tuple[str, ...]:
    case = cell.case
    return (
        _network(case),
        str(case.batch_size),
        case.dtype,
        case.where,
        _spread(cell.seconds["manual"], 1e6, ".4g"),
        _spread(cell.ratio["torch"], 1, ".2f"),
        _spread(cell.ratio["numpy"], 1, ".2f") if "numpy" in cell.ratio else "-",
        _spread(cell.ratio["floor"], 100, ".0f") + " %",
        f"{cell.gflops:.3g}",
        ", ".join(_megabytes(cell.peak_bytes[name]) for name in ("manual", "torch", "numpy") if name in cell.peak_bytes),
    )


def _network(case: Case) -> str:
    return str(list(case.sizes))


def _spread(spread: Spread, unit: float, form: str) -> str:
    return f"{spread.median * unit:{form}} ({spread.low * unit:{form}} to {spread.high * unit:{form}})"


def _seconds(spread: Spread) -> str:
    return f"{spread.median:.2f} s ({spread.low:.2f} to {spread.high:.2f})"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f}"

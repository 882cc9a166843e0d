"""A report as text: for a terminal or in Markdown."""

from scripts.benchmark.case import Case, compiler
from scripts.benchmark.result import Cell, Report, Spread
from scripts.common import tables

# The others, each by its seconds over those by hand.
_RATIOS = {
    "torch": "torch.nn",
    "torch_compiled": "torch.nn compiled",
    "torch_recorded": "torch.nn recorded",
    "plain": "by hand, plain",
    "numpy": "NumPy",
    "loop": "in the loop",
}
_HEAD = (
    "network",
    "batch",
    "dtype",
    "where",
    "by hand, us",
    *_RATIOS.values(),
    "of the floor",
    "NumPy's floor",
    "GFLOP/s",
    "peak MB: by hand, torch.nn",
)
_LEGEND = (
    "A step is forward, loss, backward and update, the batch at hand; medians of rounds by turns, "
    "in brackets the quartiles. "
    "By hand is recorded on a CPU, plain on a GPU, as it trains. The columns after it are times as "
    "long: torch.nn eager with torch.optim, "
    "under torch.compile, and its own kernels recorded; by hand as it is written, not recorded; "
    "plain NumPy; by hand in the "
    "training loop, which also fetches batches and counts losses and right answers. So torch.nn "
    "recorded is what writing by "
    "hand gains, and torch.nn over it what recording gains. The floor is the step's matrix "
    "products alone, and its share of "
    "the step by hand; NumPy's floor is its products, times as long as the floor. The value of the "
    "loss is in torch's step, "
    "where autograd begins, and in nobody else's: training finds it for a block of batches at "
    "once. Memory is that of the "
    "whole process (on a GPU: what torch has taken there)."
)

_EPOCH = (
    "An epoch of the lecture's run (python -m scripts.train --board scalars, each engine alone; "
    "batches, validation and "
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
    if compiler() is None:
        lines += [
            "",
            (
                "torch.compile: not measured, for it needs a C++ compiler (g++ or what CXX names), "
                "and there is none."
            ),
        ]
    if report.epoch:
        by_hand, reference = report.epoch["manual"], report.epoch["torch"]
        times = reference.median / by_hand.median
        lines += [
            "",
            (
                f"{_EPOCH}: by hand {_seconds(by_hand)}, torch {_seconds(reference)}, {times:.2f} "
                "times as long."
            ),
        ]
    if report.deep:
        where = f"{_network(report.deep_case)}, batch {report.deep_case.batch_size}"
        small, large = report.deep["manual"], report.deep["torch"]
        sizes = f"by hand {_megabytes(small)} MB, torch {_megabytes(large)} MB"
        lines += ["", f"Peak memory at {where}: {sizes}, {small / large:.2f} of torch's."]
    return "\n".join(lines)


def _row(cell: Cell) -> tuple[str, ...]:
    case = cell.case
    floors = (
        cell.seconds["numpy_floor"].median / cell.seconds["floor"].median
        if "numpy_floor" in cell.seconds
        else None
    )
    return (
        _network(case),
        str(case.batch_size),
        case.dtype,
        case.where,
        _spread(cell.seconds["manual"], 1e6, ".4g"),
        _spread(cell.ratio["torch"], 1, ".2f"),
        *(
            f"{cell.ratio[name].median:.2f}" if name in cell.ratio else "-"
            for name in list(_RATIOS)[1:]
        ),
        f"{100 * cell.ratio['floor'].median:.0f} %",
        f"{floors:.2f}" if floors else "-",
        f"{cell.gflops:.3g}",
        ", ".join(_megabytes(cell.peak_bytes[name]) for name in ("manual", "torch")),
    )


def _network(case: Case) -> str:
    return str(list(case.sizes))


def _spread(spread: Spread, unit: float, form: str) -> str:
    return (
        f"{spread.median * unit:{form}} ({spread.low * unit:{form}} to {spread.high * unit:{form}})"
    )


def _seconds(spread: Spread) -> str:
    return f"{spread.median:.2f} s ({spread.low:.2f} to {spread.high:.2f})"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f}"

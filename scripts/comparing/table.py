"""The rows of scripts.compare: what differs between by hand and torch, held to its budget, and
their table.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from manual.activations import Activation
from manual.layers import Layer
from manual.losses import Loss
from manual.network import Network
from scripts.common import tables
from scripts.common.program import UserError, as_typed, refuse_out_of_memory, require_whole_number
from scripts.compare import Options
from scripts.run.config import DTYPES
from scripts.run.resolve import choose_device
from scripts.run.specs import spec_for
from torch_ref import blame
from torch_ref.budgets import budget, network_budget, ratio
from torch_ref.cases import (
    OPTIMIZER_FIELDS,
    Case,
    activation_cases,
    layer_cases,
    loss_cases,
    spec_of,
)
from torch_ref.compare import Difference, compare
from torch_ref.results import Result, of_batch, of_case, of_optimizer, random_batch
from torch_ref.rounding import derived

LEGEND = (
    "in eps of the largest of the terms summed: seen, the difference; k, what it may be; derived, "
    "what counting the roundings bounds it by"
)


@dataclass(frozen=True)
class Row:
    """One operation's result, or one parameter's gradient, in one dtype: its largest difference and
    share of its budget.

    `share` of the budget k is None where bits differ that have to be equal. `derived`: a bound on k
    from the roundings counted. `wrong`, of a row over its budget: what is wrong, nothing where it
    is rounding alone, None where that isn't known.
    """

    what: str
    result: str
    dtype: str
    difference: Difference
    allclose: bool
    share: float | None
    k: float
    derived: float | None = None
    wrong: tuple[str, ...] | None = None

    @property
    def within(self) -> bool:
        """Whether bits are equal, or the difference is within the budget."""
        return self.share is not None and self.share <= 1

    @property
    def verdict(self) -> str:
        """The verdict in a word or two."""
        if self.difference.bitwise:
            return "equal bits"
        return "bits differ" if self.share is None else f"{self.share:.1%} of its budget"


def comparison(options: Options) -> int:
    """Print the table; 1 where a row is over its budget."""
    form, device = form_of(options), choose_device(options.device)
    require_network(options)
    if not options.dtype:
        raise UserError(
            f"--dtype {as_typed(options.dtype)}: name one at least of {' and '.join(DTYPES)}"
        )
    rows = list(
        network_rows(options, device) if options.network else operation_rows(options.dtype, device)
    )
    print(form(rows, notebook=bool(options.network)))
    return 0 if all(row.within for row in rows) else 1


def require_network(options: Options) -> None:
    """UserError for an option of the network, where none is named."""
    for name in ("activations", "loss", "batch_size"):
        value, default = getattr(options, name), getattr(Options, name)
        if value != default and not options.network:
            typed = as_typed(value if isinstance(value, tuple) else [value])
            raise UserError(
                f"--{name.replace('_', '-')} {typed}: is the network's; name its sizes too, such "
                "as --network 784 30 10"
            )


def operation_rows(dtypes: tuple[str, ...], device: str) -> Iterator[Row]:
    """A row for each result of each activation, loss, layer and optimizer, in each dtype: the
    largest over many shapes.
    """
    families = (
        ("activation", Activation, activation_cases),
        ("loss", Loss, loss_cases),
        ("layer", Layer, layer_cases),
    )
    for family, base, cases in families:
        for name, operation in base.named().items():
            for dtype in dtypes:
                rows = (
                    row(
                        f"{family} {name}",
                        "value" if result.name == case.output else f"gradient of {result.name}",
                        dtype,
                        result,
                        budget(operation, result.name, device, case.layout),
                        bounds.get(result.name),
                    )
                    for case in cases(name, getattr(torch, dtype), device)
                    for bounds in [bounds_of(case, device)]
                    for result in of_case(case)
                )
                yield from explained(merged(rows), partial(of_cases, cases, name))
    for cls, fields in OPTIMIZER_FIELDS:
        settings = ", ".join(f"{key} {value}" for key, value in fields.items())
        k = 20 * budget(cls, "theta", device)
        for dtype in dtypes:
            network = Network(
                spec_of((6, 5, 1), "sigmoid"), device=device, dtype=getattr(torch, dtype)
            )
            results = of_optimizer(cls(**fields), network, updates=20)
            yield from merged(
                row(f"optimizer {cls.name}", f"20 updates, {settings}", dtype, result, k)
                for result in results
            )


def bounds_of(case: Case, device: str) -> dict[str, float]:
    """The derived bound of each result whose kernels round otherwise than torch's; on CUDA none are
    known.
    """
    names = [
        name
        for name in (case.output, *case.inputs)
        if budget(type(case.operation), name, device, case.layout)
    ]
    if not names or device != "cpu":
        return {}
    try:
        bounds = derived(case)
    except Exception:  # noqa: BLE001
        # a reader's own line in manual/ may call what there is no rule for
        return {}
    return {name: bounds[name] for name in names if name in bounds}


def network_rows(options: Options, device: str) -> Iterator[Row]:
    """A row for the gradient of each parameter, and of x."""
    require_whole_number("--batch-size", options.batch_size, 1)
    loss = Loss.named()[options.loss]
    try:
        spec = spec_for(loss, options.network, options.activations, "default")
    except ValueError as error:
        raise UserError(f"--{error}".replace("--sizes", "--network")) from None
    for dtype in options.dtype:
        with refuse_out_of_memory(
            f"--network {as_typed(options.network)} --batch-size {options.batch_size}"
        ):
            network = Network(spec, device=device, dtype=getattr(torch, dtype))
            batch = random_batch(network, loss(), options.batch_size)
            results = of_batch(network, loss(), *batch)
        k = network_budget(network, loss(), options.batch_size)
        rows = []
        for result in results:
            # the lecture's, not nn.Linear's
            shape = network.parameters.values.get(result.name, result.by_hand).shape
            rows.append(row(result.name, "x".join(map(str, shape)), dtype, result, k))
        yield from explained(rows, partial(blame.of_network, network, loss(), *batch))


def row(  # noqa: PLR0913, PLR0917 - what there is to say
    what: str, title: str, dtype: str, result: Result, k: float, bound: float | None = None
) -> Row:
    """One result held to k eps of its terms."""
    _, by_hand, in_torch, terms = result
    difference = compare(by_hand, in_torch)
    share = 0.0 if difference.bitwise else ratio(by_hand, in_torch, terms) / k if k else None
    return Row(what, title, dtype, difference, torch.allclose(by_hand, in_torch), share, k, bound)


def merged(rows: Iterable[Row]) -> list[Row]:
    """The largest of each figure of the rows that have one name; looked at as they come, before a
    buffer is used again.
    """
    by_name: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        name = (row.what, row.result, row.dtype)
        other = by_name.setdefault(name, row)
        share = None if row.share is None or other.share is None else max(row.share, other.share)
        bound = max(filter(None, (row.derived, other.derived)), default=None)
        allclose, k = row.allclose and other.allclose, max(row.k, other.k)
        by_name[name] = Row(*name, row.difference | other.difference, allclose, share, k, bound)
    return list(by_name.values())


def explained(rows: list[Row], why: Callable[[], list[str]]) -> list[Row]:
    """The rows, those that are over their budget with what is wrong."""
    wrong = () if all(row.within for row in rows) else tuple(why())
    return [row if row.within else dataclasses.replace(row, wrong=wrong) for row in rows]


def of_cases(cases: Callable[..., Iterator[Case]], name: str) -> list[str]:
    """What is wrong with an operation: of its last case that shows it, the last being larger."""
    every = reversed(list(cases(name, torch.float64, "cpu")))
    wrong = next((case for case in every if any(map(blame.is_wrong, of_case(case)))), None)
    return (
        [f"look at {place}: {sentence}" for place, sentence in blame.of_operation(wrong).items()]
        if wrong
        else []
    )


def form_of(options: Options) -> Callable[..., str]:
    """The function that writes the table."""
    if options.markdown and options.json:
        raise UserError("--markdown --json: choose one")
    return as_json if options.json else markdown if options.markdown else text


def cells(rows: list[Row], *, notebook: bool) -> tuple[list[str], list[list[str]]]:
    """Head and body of the table; `notebook`: with the columns of the well-known notebook's cmp,
    exact and approximate.
    """
    head = ["", "shape" if notebook else "result", "dtype", "max abs", "max rel", "ulp", ""]
    body = [
        [
            row.what, row.result, row.dtype,
            *map(tables.figure,
                (row.difference.max_abs, row.difference.max_rel, row.difference.max_ulp)),
            *([] if notebook else budgeted(row)), row.verdict,
        ]
        for row in rows
    ]  # fmt: skip
    if not notebook:
        head[-1:-1] = ["seen", "k", "derived"]
    else:
        head[3:4] = ["exact", "approximate", "maxdiff"]
        for line, row in zip(body, rows, strict=True):
            line[3:3] = [str(row.difference.bitwise), str(row.allclose)]
    return head, body


def budgeted(row: Row) -> list[str]:
    """In eps of the terms: the largest difference, what it may be, and a bound derived from the
    roundings counted.
    """
    seen = "" if row.share is None else f"{row.share * row.k:.1f}"
    return [seen, f"{row.k:g}", "" if row.derived is None else f"{row.derived:.1f}"]


def text(rows: list[Row], *, notebook: bool) -> str:
    """The table for a terminal."""
    head, body = cells(rows, notebook=notebook)
    return "\n".join([tables.columns([head, *body]), *below(rows, notebook=notebook)])


def markdown(rows: list[Row], *, notebook: bool) -> str:
    """The table in Markdown."""
    head, body = cells(rows, notebook=notebook)
    return "\n\n".join([tables.markdown([head, *body]), *below(rows, notebook=notebook)])


# all fields are there either way
def as_json(rows: list[Row], *, notebook: bool) -> str:  # noqa: ARG001
    """Every row with all its figures."""
    fields: list[dict[str, Any]] = [
        dataclasses.asdict(row) | {"within": row.within} for row in rows
    ]
    for row in fields:
        row["difference"] = tables.finite(row["difference"])
    return json.dumps(fields, indent=2)


def below(rows: list[Row], *, notebook: bool) -> list[str]:
    """What stands below a table: what the figures of a budget are, if it has them; the verdicts."""
    return [summary(rows)] if notebook else [LEGEND, summary(rows)]


def summary(rows: list[Row]) -> str:
    """The number of rows by verdict."""
    equal, over = (
        sum(row.difference.bitwise for row in rows),
        [row for row in rows if not row.within],
    )
    within = len(rows) - equal - len(over)
    line = (
        f"{equal} of {len(rows)} rows have equal bits, {within} are within their budget, "
        f"{len(over)} are not"
    )
    lines = [
        f"not within its budget: {row.what} {row.result} {row.dtype}"
        for row in over
        if row.wrong is None
    ]
    lines += [
        f"over its budget by rounding alone: {row.what} {row.result} {row.dtype}"
        for row in over
        if row.wrong == ()
    ]
    wrong = dict.fromkeys("\n".join(row.wrong) for row in over if row.wrong)
    return "\n".join([line, *lines, *(f"WRONG: {each}" for each in wrong)])

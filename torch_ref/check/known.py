"""What is known of a subject before it is checked: its precision, its data, where its inputs lie, what it is held against."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torch_ref.check import points, precision
from torch_ref.check.forms import Form
from torch_ref.check.missing import is_data
from torch_ref.check.points import Domain
from torch_ref.check.reference import Autograd
from torch_ref.check.returned import Gradients
from torch_ref.check.sizes import Groups
from torch_ref.check.slopes import Differences, Source
from torch_ref.check.subject import Subject
from torch_ref.check.traced import torch_version
from torch_ref.check.trials import is_wrong
from torch_ref.check.values import Point, double


class Known:
    """Of one form, with a reference or none."""

    def __init__(  # noqa: PLR0913
        self,
        form: Form,
        reference: Callable[..., Any] | None,
        *,
        data: set[str],
        redraw: set[str],
        domain: dict[str, tuple[float, float]],
        seed: int,
    ) -> None:
        self.subject = Subject(form)
        for what, names in (("data", data), ("redraw", redraw), ("domain", set(domain))):
            if unknown := [name for name in names if name not in self.subject.given and name not in form.arguments.names]:
                raise ValueError(f"{what} names {', '.join(unknown)}; the inputs are {', '.join(self.subject.given)}")
        self._named_data, self._redraw, self._domain, self._seed = data, redraw, domain, seed
        self._of_dy = torch.Generator().manual_seed(seed)
        self.notes: list[str] = []
        self.raised: dict[str, str] = {}
        self.traced: Autograd | None = None
        self.groups = Groups((), frozenset())
        self._tried = False
        self._started = time.perf_counter()
        self.doubles = self.subject.runs_in_float64()
        self.reference = Autograd(reference, form) if reference is not None else None

    # -- what is known of the subject ---------------------------------------------------------------------------------

    def precise(self, point: Point) -> Point:
        """In float64 if the user's functions take it."""
        return double(point) if self.doubles else self.subject.in_own_dtypes(point)

    @property
    def own(self) -> torch.dtype:
        """The coarsest dtype of the float inputs."""
        dtypes = [self.subject.given[name].dtype for name in self.subject.floats]
        return max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)

    def _measure(self, precise: Point) -> None:
        """The precision that forward works in, and the source of right gradients that goes with it."""
        subject = self.subject
        y = subject.forward(precise)
        self.works_in = precision.of_forward(subject, precise) if self.doubles else self.own
        coarsest = max(self.works_in, y.dtype, key=lambda dtype: torch.finfo(dtype).eps)
        self.works_in = coarsest
        if not self.doubles:
            self.notes.append(
                f"forward or backward does not take float64: errors as small as rounding in {precision.word(self.own)} "
                "stay hidden"
            )
        elif torch.finfo(coarsest).eps > torch.finfo(self.own).eps:
            self.notes.append(f"forward computes in {precision.word(coarsest)} whatever it is given: judged by that precision")
        self.differences = Differences(lambda point: subject.forward(self.precise(point)), torch.finfo(coarsest).eps)
        self.differences.seconds = subject.seconds
        self.differences.exact = self._exact
        self.source: Source = self.reference or self.differences
        self.than = "the reference" if self.reference else "the slope of forward"

    def _exact(self, point: Point, dy: Tensor) -> dict[str, Tensor]:
        """The gradients that torch finds in forward's own code; empty where it can't, or computes something else."""
        if not self._tried:
            self._tried = True
            function = torch_version(self.subject.form)
            self.traced = Autograd(function, self.subject.form, whole=True) if function is not None else None
        if self.traced is None or self.works_in != torch.float64:
            return {}
        try:
            y, mine = self.traced.output(point), self.subject.forward(point).double()
            same = y.shape == mine.shape and not is_wrong(y, mine, 1e-7 * mine.abs().max().item()).any()
            return self.traced.all(point, dy) if same else {}
        except Exception:  # noqa: BLE001 - whatever comes of code that was written for NumPy
            self.traced = None
            return {}

    def source_of(self, name: str) -> Source:
        """The reference, or the differences of forward for what the reference is not a function of."""
        return self.source if self.source.covers(name) else self.differences

    def _sort(self, first: Gradients, precise: Point) -> None:
        """Which inputs are data, which are missing, which are checked."""
        subject = self.subject
        named = {leaf for name in self._named_data for leaf in subject.form.arguments.by_argument.get(name, [name])}
        self.data = {name for name in subject.given if name not in subject.floats} | named
        self.missing: list[str] = []
        scalar = subject.output(precise).is_scalar
        for name in subject.floats:
            if first[name] is not None or name in named:
                continue
            number = subject.leaves[name].kind == "number"
            if not number and not is_data(subject.form, name, first, scalar=scalar) and self.differences.moves(precise, name):
                self.missing.append(name)
            self.data.add(name)
        self.checked = [name for name in subject.floats if name not in self.data]
        if not self.checked and not self.missing:
            raise ValueError("every input is data: there is no gradient to check")
        free = [name for name in self.checked if name not in self._domain]
        self.domains = {name: Domain(*ends) for name, ends in self._domain.items()}
        self.domains |= points.domains(subject, precise, free)
        self.differences.positive = frozenset(name for name, domain in self.domains.items() if domain.positive)
        self.fixed = self.data - self._redraw

    def _missing(self, name: str) -> str:
        return (
            f"the gradient of {name} is missing: backward gives None, and forward depends on {name}. Return it, or name {name} "
            f"as data (data={name!r})"
        )

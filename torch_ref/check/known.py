"""What is known of a subject before it is checked: its precision, its inputs, the source of right
gradients.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from torch_ref.check.inputs import Asked, sorted_inputs
from torch_ref.evidence import precision
from torch_ref.evidence.precision import eps
from torch_ref.evidence.reference import Autograd
from torch_ref.evidence.report import BACKWARD, Finding
from torch_ref.evidence.sizes import Groups
from torch_ref.evidence.slopes import Differences, Source
from torch_ref.evidence.trials import is_wrong, largest
from torch_ref.forms.forms import Form
from torch_ref.forms.returned import Gradients
from torch_ref.forms.subject import Subject
from torch_ref.forms.traced import torch_version
from torch_ref.forms.values import Point, double, plain

SAME = 1e-6  # what outputs may be off by, of their size


class Known:
    """What is known of one form, with a reference or none; and what is noticed while it is checked:
    `notes`, and findings that backward `raised`, by input.

    doubles: it takes float64. works_in: the precision of forward. differences: of forward; source:
    of right gradients, these or the reference. inputs: which are checked. groups: axes that have
    one size.
    """

    def __init__(self, form: Form, reference: Callable[..., Any] | None) -> None:
        self.subject = Subject(form)
        self.notes: list[str] = []
        self.raised: dict[str, Finding] = {}
        self.groups = Groups()
        self.doubles = self.subject.runs_in_float64()
        self.reference = Autograd(reference, form) if reference is not None else None

    def precise(self, point: Point) -> Point:
        """The point in float64 if the user's functions take it."""
        return double(point) if self.doubles else self.subject.in_own_dtypes(point)

    @property
    def coarsest(self) -> torch.dtype:
        """The coarsest dtype of the float inputs."""
        return max((self.subject.given[name].dtype for name in self.subject.floats), key=eps)

    def measure(self, precise: Point) -> None:
        """The precision that forward works in, and the source of right gradients that goes with
        it.
        """
        subject = self.subject
        y = subject.forward(precise)
        self.works_in = max(
            precision.of_forward(subject, precise) if self.doubles else self.coarsest,
            y.dtype,
            key=eps,
        )
        word = plain(self.works_in if self.doubles else self.coarsest)
        if not self.doubles:
            self.notes.append(
                f"forward or backward does not take float64: errors as small as rounding in {word} "
                "stay hidden"
            )
        elif eps(self.works_in) > eps(self.coarsest):
            self.notes.append(
                f"forward computes in {word} whatever it is given: judged by that precision"
            )
        self.differences = Differences(
            lambda point: subject.forward(self.precise(point)), eps(self.works_in)
        )
        self.differences.seconds, self.differences.exact = subject.seconds, self._exact
        self.source: Source = self.reference or self.differences

    @property
    def measured_by(self) -> str:
        """The source of right gradients, in words."""
        return "the reference" if self.reference else "the slope of forward"

    @cached_property
    def traced(self) -> Autograd | None:
        """Forward's own code in torch; None where it can't be had."""
        function = torch_version(self.subject.form)
        return Autograd(function, self.subject.form, whole=True) if function is not None else None

    def _exact(self, point: Point, dy: Tensor) -> dict[str, Tensor]:
        """The gradients that torch finds in forward's own code; empty where it can't run it, or
        computes something else.
        """
        if self.traced is None or self.works_in != torch.float64:
            return {}
        try:
            return (
                self.traced.all(point, dy)
                if self.is_traced(point, self.subject.forward(point).double())
                else {}
            )
        except Exception:  # noqa: BLE001 - whatever comes of code that was written for NumPy
            self.traced = None
            return {}

    def is_traced(self, point: Point, y: Tensor) -> bool:
        """Whether forward's own code in torch gives the output y there; it may raise anything."""
        if self.traced is None:
            return False
        mine = self.traced.output(point)
        return mine.shape == y.shape and self.is_the_same(mine, y)

    @property
    def slack(self) -> float:
        """What forward may be off by, of its size, in the precision in which it works."""
        if self.works_in == torch.float64:
            return Autograd.slack
        alone = self.works_in == torch.float32 and not self.doubles
        return precision.of_sums(self.works_in) * (precision.COARSE if alone else 1)

    def slack_of(self, name: str) -> float:
        """What the gradient of an input may be off by, of its size."""
        return max(self.source_of(name).slack, self.slack)

    def is_the_same(self, y: Tensor, expected: Tensor) -> bool:
        """Whether an output is the one expected at one point, where terms may cancel."""
        tolerance = max(SAME, self.slack) * largest([expected])
        return not bool(is_wrong(y, expected, tolerance).any())

    def source_of(self, name: str) -> Source:
        """The reference, or the differences of forward for what the reference is not a function
        of.
        """
        return self.source if self.source.covers(name) else self.differences

    def sort_inputs(self, first: Gradients, asked: Asked) -> None:
        """Which inputs are data, which are missing, which are checked, and where they lie."""
        precise = self.precise(self.subject.given)
        self.inputs = sorted_inputs(self.subject, precise, first, self.differences, asked)
        self.differences.positive = frozenset(
            name for name, domain in self.inputs.domains.items() if domain.positive
        )

    def note_exception(self, error: Exception, where: str) -> None:
        """Note that backward raises an error where it should not."""
        self.raised[BACKWARD] = Finding(
            "exception", f"backward raises {type(error).__name__} ({error}) {where}"
        )

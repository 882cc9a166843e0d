"""What is known of a subject before it is checked: its precision, its data, the domains of its
inputs, the source of right gradients.
"""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torch_ref.evidence import points, precision
from torch_ref.evidence.points import Domain
from torch_ref.evidence.precision import eps
from torch_ref.evidence.reference import Autograd
from torch_ref.evidence.report import BACKWARD, Finding
from torch_ref.evidence.sizes import Groups
from torch_ref.evidence.slopes import Differences, Source
from torch_ref.evidence.structure import structure
from torch_ref.evidence.trials import is_wrong, largest
from torch_ref.forms.forms import Form
from torch_ref.forms.returned import Gradients
from torch_ref.forms.subject import Subject
from torch_ref.forms.traced import torch_version
from torch_ref.forms.values import Point, double, plain

# What authors call what is not trained and what is; asked only where nothing else tells.
TARGETS = re.compile(
    r"^(t|ts|tgt|targets?|labels?|gt|truth|y|Y|ys|y_?true|y_?train|X|data|masks?|\w+_mask|idx|ids|"
    r"ind\w*|noise|eps\w*|adj\w*|len\w*)$"
)
TRAINED = re.compile(
    r"^(w|W|b|B|k|v|U|V|u|theta|Theta|alpha|scale|shift|kernel|emb\w*)_?\w{0,3}$"
    r"|weight|bias|gamma|beta"
)


class Known:
    """What is known of one form, with a reference or none; and what is noticed while it is checked:
    `notes`, and findings that backward `raised`, by input.

    doubles: it takes float64. works_in: the precision of forward. source, differences: of right
    gradients; than: the source in words. Inputs are data, missing (no gradient, though there should
    be one) or checked. fixed: inputs that are not drawn anew, domains: of the others, groups: axes
    that have one size. traced: forward's own code in torch.
    """

    def __init__(self, form: Form, reference: Callable[..., Any] | None) -> None:
        self.subject = Subject(form)
        self.notes: list[str] = []
        self.raised: dict[str, Finding] = {}
        self.groups = Groups()
        self.doubles = self.subject.runs_in_float64()
        self.reference = Autograd(reference, form) if reference is not None else None
        self.traced: Autograd | None = None
        self._tried = False

    def precise(self, point: Point) -> Point:
        """The point in float64 if the user's functions take it."""
        return double(point) if self.doubles else self.subject.in_own_dtypes(point)

    @property
    def own(self) -> torch.dtype:
        """The coarsest dtype of the float inputs."""
        return max((self.subject.given[name].dtype for name in self.subject.floats), key=eps)

    def measure(self, precise: Point) -> None:
        """The precision that forward works in, and the source of right gradients that goes with
        it.
        """
        subject = self.subject
        y = subject.forward(precise)
        self.works_in = max(
            precision.of_forward(subject, precise) if self.doubles else self.own, y.dtype, key=eps
        )
        word = plain(self.works_in if self.doubles else self.own)
        if not self.doubles:
            self.notes.append(
                f"forward or backward does not take float64: errors as small as rounding in {word} "
                "stay hidden"
            )
        elif eps(self.works_in) > eps(self.own):
            self.notes.append(
                f"forward computes in {word} whatever it is given: judged by that precision"
            )
        self.differences = Differences(
            lambda point: subject.forward(self.precise(point)), eps(self.works_in)
        )
        self.differences.seconds, self.differences.exact = subject.seconds, self._exact
        self.source: Source = self.reference or self.differences
        self.than = "the reference" if self.reference else "the slope of forward"

    def _exact(self, point: Point, dy: Tensor) -> dict[str, Tensor]:
        """The gradients that torch finds in forward's own code; empty where it can't run it, or
        computes something else.
        """
        if not self._tried:
            self._tried = True
            function = torch_version(self.subject.form)
            self.traced = (
                Autograd(function, self.subject.form, whole=True) if function is not None else None
            )
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
        return mine.shape == y.shape and not bool(is_wrong(mine, y, 1e-7 * largest([y])).any())

    def source_of(self, name: str) -> Source:
        """The reference, or the differences of forward for what the reference is not a function
        of.
        """
        return self.source if self.source.covers(name) else self.differences

    def sort(
        self,
        first: Gradients,
        data: set[str],
        redraw: set[str],
        domain: dict[str, tuple[float, float]],
    ) -> None:
        """Which inputs are data, which are missing, which are checked, and where they lie."""
        subject, form = self.subject, self.subject.form
        precise = self.precise(subject.given)
        named = {leaf for name in data for leaf in form.arguments.by_argument.get(name, [name])}
        absent = [name for name in subject.floats if first[name] is None and name not in named]
        scalar = subject.output(precise).is_scalar
        self.missing = [
            name for name in absent
            if subject.leaves[name].kind != "number" and not _is_data(form, name, first,
                scalar=scalar)
            and self.differences.moves(precise, name)
        ]  # fmt: skip
        self.data = (
            {name for name in subject.given if name not in subject.floats} | named | set(absent)
        )
        self.checked = [name for name in subject.floats if name not in self.data]
        if not self.checked and not self.missing:
            raise ValueError("every input is data: there is no gradient to check")
        self.domains = {name: Domain(*ends) for name, ends in domain.items()}
        self.domains |= points.domains(
            subject, precise, [name for name in self.checked if name not in domain]
        )
        self.differences.positive = frozenset(
            name for name, domain in self.domains.items() if domain.positive
        )
        self.fixed = self.data - redraw

    def raises(self, error: Exception, where: str) -> None:
        """Note that backward raises an error where it should not."""
        self.raised[BACKWARD] = Finding(
            "exception", f"backward raises {type(error).__name__} ({error}) {where}"
        )


def _is_data(form: Form, name: str, gradients: Gradients, *, scalar: bool) -> bool:
    """Whether an input whose gradient is None is data, which has none, or was forgotten.

    By its structure; then by how it is used: a loss has inputs that nobody trains, a layer has
    targets by name alone.
    """
    if structure(form.arguments.leaves[name].value).is_data:
        return True
    if form.autograd:
        return False
    siblings = next(
        (names for names in form.arguments.by_argument.values() if name in names), [name]
    )
    if any(gradients.get(other) is not None for other in siblings):
        return False  # one of the parameters in a dict, of which others have a gradient
    return not TRAINED.match(name) if scalar else bool(TARGETS.match(name))

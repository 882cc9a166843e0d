"""Which inputs of a subject are checked, which are data, and where their values may lie."""

import re
from typing import NamedTuple

from torch_ref.evidence import points
from torch_ref.evidence.points import Domain
from torch_ref.evidence.slopes import Differences
from torch_ref.evidence.structure import structure
from torch_ref.forms.forms import Form
from torch_ref.forms.returned import Gradients
from torch_ref.forms.subject import Subject
from torch_ref.forms.values import Point

# What authors call what is not trained and what is; asked only where nothing else tells.
TARGETS = re.compile(
    r"^(t|ts|tgt|targets?|labels?|gt|truth|y|Y|ys|y_?true|y_?train|X|data|masks?|\w+_mask|idx|ids|"
    r"ind\w*|noise|eps\w*|adj\w*|len\w*)$"
)
TRAINED = re.compile(
    r"^(w|W|b|B|k|v|U|V|u|theta|Theta|alpha|scale|shift|kernel|emb\w*)_?\w{0,3}$"
    r"|weight|bias|gamma|beta"
)


class Inputs(NamedTuple):
    """Names of inputs: checked have a gradient; missing have none, though there should be one; the
    others are data. fixed are not drawn anew; domains: of those that are.
    """

    checked: list[str]
    missing: list[str]
    fixed: set[str]
    domains: dict[str, Domain]


class Asked(NamedTuple):
    """What the user says of inputs: data need no gradient, domain: between which ends an input
    lies.
    """

    data: set[str]
    domain: dict[str, tuple[float, float]]


def sorted_inputs(
    subject: Subject, precise: Point, first: Gradients, differences: Differences, asked: Asked
) -> Inputs:
    """Which is which, by what the user asks and the gradients that backward gave `first`.
    ValueError where nothing is left to check.
    """
    form = subject.form
    named = {leaf for name in asked.data for leaf in form.arguments.by_argument.get(name, [name])}
    absent = [name for name in subject.floats if first[name] is None and name not in named]
    scalar = subject.output(precise).is_scalar
    missing = [
        name
        for name in absent
        if subject.leaves[name].kind != "number"
        and not _is_data(form, name, first, scalar=scalar)
        and differences.moves(precise, name)
    ]
    data = {name for name in subject.given if name not in subject.floats} | named | set(absent)
    checked = [name for name in subject.floats if name not in data]
    if not checked and not missing:
        raise ValueError("every input is data: there is no gradient to check")
    domains = {name: Domain(*ends) for name, ends in asked.domain.items()}
    domains |= points.domains(
        subject, precise, [name for name in checked if name not in asked.domain]
    )
    return Inputs(checked, missing, data, domains)


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

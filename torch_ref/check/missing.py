"""Whether an input whose gradient is None is data, which has none, or was forgotten."""

import re

from torch_ref.check.forms import Form
from torch_ref.check.returned import Gradients
from torch_ref.check.structure import structure

# What authors call what is not trained and what is; asked only where nothing else tells.
TARGETS = re.compile(
    r"^(t|ts|tgt|targets?|labels?|gt|truth|y|Y|ys|y_?true|y_?train|X|data|masks?|\w+_mask|idx|ids|ind\w*|noise|eps\w*|adj\w*|"
    r"len\w*)$"
)
TRAINED = re.compile(r"^(w|W|b|B|k|v|U|V|u|theta|Theta|alpha|scale|shift|kernel|emb\w*)_?\w{0,3}$|weight|bias|gamma|beta")


def is_data(form: Form, name: str, gradients: Gradients, *, scalar: bool) -> bool:
    """By its structure; then by how it is used: a loss has inputs that nobody trains, a layer has targets by name alone."""
    leaf = form.arguments.leaves[name]
    if structure(leaf.value).is_data:
        return True
    if form.autograd:
        return False
    siblings = next((names for names in form.arguments.by_argument.values() if name in names), [name])
    if len(siblings) > 1 and any(gradients.get(other) is not None for other in siblings):
        return False  # one of the parameters in a dict, of which others have a gradient
    if scalar:
        return not TRAINED.match(name)
    return bool(TARGETS.match(name))

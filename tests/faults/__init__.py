"""Wrong variants of the project's own formulas, one a row: the tests plant each and must notice.

A fault replaces one method or function, `owner.attribute`, by a wrong one. Shapes: B batch, I in, O
out.
"""

from tests.faults import activations, layers, losses, network, optimizers, recordings  # noqa: F401
from tests.faults.plant import FAULTS, Fault

__all__ = ["FAULTS", "Fault"]

"""Wrong backwards of the right functions, one a row."""

from tests.check.planted import activations, changed, layers, losses, order
from tests.check.planted.row import Changed, Planted

__all__ = ["CHANGED", "PLANTED", "Changed", "Planted"]

CHANGED = changed.ROWS

PLANTED = [*activations.ROWS, *layers.ROWS, *losses.ROWS, *order.ROWS]

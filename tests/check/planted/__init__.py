"""Wrong backwards of the right functions, one a row."""

from tests.check.planted import activations, layers, losses, order
from tests.check.planted.row import Planted

__all__ = ["PLANTED", "Planted"]

PLANTED = [*activations.ROWS, *layers.ROWS, *losses.ROWS, *order.ROWS]

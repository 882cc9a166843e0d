"""Backwards as people write them, a right and a wrong one of each, with the words that name the
mistake.

They are public bug reports and exercises of courses, written anew: what `check_gradients` is tested
on, and what `python -m tests.checkers` holds other checkers against.
"""

from tests.check.mistakes import losses, more_inputs, normalizations, one_input  # noqa: F401
from tests.check.mistakes.row import MISTAKES, Function, Mistake

__all__ = ["MISTAKES", "Function", "Mistake"]

"""The class of torch that does the same."""

from typing import Any

import pytest

from torch_ref.twins import twin


def test_a_class_that_torch_lacks_is_named() -> None:
    nothing: Any = object()
    says = (
        r"^object has no twin: torch has no class of that name, and torch_ref/twins\.py none either"
    )
    with pytest.raises(LookupError, match=says):
        twin(nothing)

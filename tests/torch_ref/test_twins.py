"""The class of torch that does the same."""

from typing import Any

import pytest
import torch
from torch import nn

from manual.layers import Linear
from manual.network import Network, NetworkSpec
from torch_ref import twins
from torch_ref.twins import twin


def test_a_class_that_torch_lacks_is_named() -> None:
    nothing: Any = object()
    says = (
        r"^object has no twin: torch has no class of that name, and torch_ref/twins\.py none either"
    )
    with pytest.raises(LookupError, match=says):
        twin(nothing)


def test_a_layer_without_a_row_has_the_twin_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    layers: dict[Any, Any] = {**twins._LAYERS}
    del layers[Linear]
    monkeypatch.setattr(twins, "_LAYERS", layers)
    network = Network(NetworkSpec((5, 3), ("tanh",)))
    layer = network.layers[0][0]
    where = {"device": torch.device("cpu"), "dtype": torch.float64}
    found = twins.twin_layer(layer, 5, 3, **where)  # type: ignore[arg-type]
    assert isinstance(found, nn.Linear)
    assert found.weight.shape == (3, 5)
    assert found.weight.dtype == torch.float64

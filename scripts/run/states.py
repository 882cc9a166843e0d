"""The state of a learner in a checkpoint, and whether it can be one of this learner."""

import math
from typing import Any

from torch import Tensor

# tensors, numbers, strings, None, and lists and dicts of these: what torch.load reads safely
State = dict[str, Any]


def match(found: Any, like: Any, name: str = "state") -> None:
    """ValueError unless `found` has the names, shapes, dtypes and types of `like`, all finite.

    Times may differ. All else that is no tensor has to be equal: settings of an optimizer, how many
    updates.
    """
    if isinstance(like, Tensor):
        _match_tensor(found, like, name)
    elif type(found) is not type(like):
        raise ValueError(f"{name} is {type(found).__name__}, not {type(like).__name__}")
    elif isinstance(like, dict):
        if found.keys() != like.keys():
            raise ValueError(f"{name} has other names than {', '.join(map(str, like)) or 'none'}")
        for key in like:
            match(found[key], like[key], str(key))
    elif isinstance(like, list):
        if len(found) != len(like):
            raise ValueError(f"{name} has {len(found)} entries, not {len(like)}")
        for part, other in zip(found, like, strict=True):
            match(part, other, name)
    elif not (0 <= found < math.inf if name in {"seconds", "taken"} else found == like):
        raise ValueError(f"{name} is {found}, not {like}")


def _match_tensor(found: Any, like: Tensor, name: str) -> None:
    if not isinstance(found, Tensor) or found.layout != like.layout:
        raise ValueError(f"{name} is no tensor as it belongs there")
    if found.shape != like.shape or found.dtype != like.dtype:
        raise ValueError(
            f"{name}: {tuple(found.shape)} of {found.dtype} where {tuple(like.shape)} of "
            f"{like.dtype} belongs"
        )
    if not found.isfinite().all():
        raise ValueError(f"{name} is not finite")

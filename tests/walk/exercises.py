"""Exercises of the walkthrough, and the steps of one."""

from typing import Any

import pytest

from manual.activations import Activation
from manual.losses import Loss
from scripts import walkthrough
from scripts.walk import document
from scripts.walk.record import Document


def steps_of(document: Any) -> dict[str, Any]:
    steps = [step for section in document["sections"] for step in section["steps"]]
    names = {step["name"]: step for step in steps}
    assert len(names) == len(steps)
    return names


def solved(activation: str, loss: str, seed: int = 0) -> Document:
    options = walkthrough.Options(sizes=(3, 4, 2), activations=(activation,), loss=loss, seed=seed)
    return document.document(options)


def each_exercise() -> list[Any]:
    """Every activation in the hidden layer and at the end, under every loss that takes such
    outputs.
    """
    return [
        pytest.param(activation, loss, id=f"{activation}-{loss}")
        for loss in Loss.named()
        for activation in Activation.named()
        if activation in {"sigmoid", "softmax"}
        or loss not in {"binary-cross-entropy", "cross-entropy-of-probabilities"}
    ]

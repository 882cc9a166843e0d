"""Every planted fault is noticed by a test, which passes where none is planted."""

from functools import partial
from typing import Any

import pytest
from torch import Tensor

from tests.cases import ACTIVATIONS, DTYPES, INITIALIZERS, LAYERS, LOSSES
from tests.faults import FAULTS, Fault
from tests.manual import test_batchnorm, test_extremes, test_gradients, test_network
from tests.training import test_recording
from torch_ref.cases import OPTIMIZER_FIELDS

F32, F64 = DTYPES
Call = partial[None]


def bench() -> list[Call]:
    """Tests of the other files, one run each."""
    calls: list[Call] = [
        partial(
            test_network.test_parameters_are_aligned_views_of_theta_with_zero_gaps, (5, 4, 3), F32
        ),
        partial(test_batchnorm.test_a_network_trains_and_predicts_as_torchs),
    ]
    for name in ACTIVATIONS:
        calls += [partial(test_network.test_forward_twice_then_backward_on_the_first_tape, name)]
        calls += [partial(test_network.test_gradient_against_autograd, (name,), "mse", F32, "cpu")]
        calls += [
            partial(
                test_gradients.test_activation_against_autograd, name, dtype, "cpu", "contiguous"
            )
            for dtype in DTYPES
        ]
        calls += [
            partial(test_gradients.test_activation_changes_nothing_it_is_given, name, F32, "cpu")
        ]
        calls += [partial(test_extremes.test_activation_as_torch, name, 1.0, F32, "cpu")]
    for name in LOSSES:
        calls += [
            partial(test_gradients.test_loss_against_autograd, name, dtype, "cpu", "contiguous")
            for dtype in DTYPES
        ]
        calls += [partial(test_extremes.test_loss_as_torch, name, F32, "cpu")]
    for loss in test_extremes.ONE_HOT:
        calls += [
            partial(test_extremes.test_loss_refuses_what_does_not_match, loss, *row)
            for row in test_extremes.MISMATCHED
        ]
    for name in LAYERS:
        calls += [
            partial(test_gradients.test_layer_against_autograd, name, dtype, "cpu", "contiguous")
            for dtype in DTYPES
        ]
    calls += [partial(test_batchnorm.test_training_and_evaluation_are_torchs, 10, 0, F64)]
    for cls, fields in OPTIMIZER_FIELDS:
        for decay in ("none", "weights"):
            calls += [
                partial(test_gradients.test_optimizer_against_torch, cls, fields, decay, F32, "cpu")
            ]
    calls += [
        partial(test_recording.test_what_a_newcomer_writes, step, F32)
        for step in test_recording.STEPS
    ]
    calls += [partial(test_recording.test_random_numbers_are_drawn_each_time)]
    calls += [
        partial(
            test_recording.test_replay_has_the_bits_of_the_plain_step,
            "tanh",
            "mse",
            batch_norm=True,
            dtype=F32,
        )
    ]
    calls += [
        partial(test_network.test_initial_values_are_those_of_torch, name, F32)
        for name in INITIALIZERS
    ]
    return calls


def about(call: Call, owner: Any) -> bool:
    """Whether the test has the class, one of its family, or its name as an argument, or is of the
    room of the owner.
    """
    room = getattr(owner, "__module__", None) or owner.__name__
    if "recording" in room:
        return "recording" in call.func.__module__
    return any(
        argument == getattr(owner, "name", None)
        or (isinstance(owner, type) and isinstance(argument, owner))
        or (isinstance(owner, type) and isinstance(argument, type) and issubclass(argument, owner))
        for argument in call.args
        if not isinstance(argument, Tensor)
    )


def caught_by(calls: list[Call]) -> Call | None:
    """The first test that fails: by an assertion, or by what is refused on the way."""
    for call in calls:
        try:
            call()
        except (AssertionError, ValueError, RuntimeError, pytest.fail.Exception):
            return call
    return None


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_fault_is_caught(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        fault.owner, fault.attribute, fault.make(getattr(fault.owner, fault.attribute))
    )
    # what tells soonest first
    calls = sorted(bench(), key=lambda call: not about(call, fault.owner))
    caught = caught_by(calls)
    assert caught is not None, f"{fault.what}: survives"
    monkeypatch.undo()
    assert caught_by([caught]) is None, "fails without a fault as well"


def test_there_are_enough_of_them() -> None:
    assert len({fault.what for fault in FAULTS}) == len(FAULTS) >= 40

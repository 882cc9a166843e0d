"""The learning rate from update to update: by hand, and by torch.optim's own schedulers."""

import dataclasses

import pytest
import torch

from manual.losses import CrossEntropyLoss
from manual.network import Network, NetworkSpec
from manual.optimizers import Optimizer
from manual.schedules import Constant, OneCycle
from scripts.common.program import UserError
from scripts.learners.by_hand import ManualLearner
from scripts.learners.in_torch import TorchLearner
from scripts.run.config import Config, TrainingConfig
from scripts.run.resolve import resolve
from torch_ref.compare import compare_parameters
from torch_ref.twins import twin_schedule

SPEC = NetworkSpec((5, 4, 3), ("relu", "identity"), "default")
CYCLES = [(1, 0.0), (2, 0.3), (7, 0.0), (10, 0.3), (100, 0.25), (1950, 0.3), (1950, 0.99)]


@pytest.mark.parametrize(("updates", "warm_up"), CYCLES)
@pytest.mark.parametrize("lr", [0.3, 1e-3, 3.0])
def test_rates_have_the_bits_of_torchs(lr: float, updates: int, warm_up: float) -> None:
    """Of every update, and of the one after the last, which nobody makes."""
    schedule = OneCycle(lr, updates, warm_up)
    optimizer = torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=lr)
    scheduler = twin_schedule(schedule, optimizer)
    assert scheduler
    for n in range(updates + 1):
        assert schedule.rate(n) == optimizer.param_groups[0]["lr"], n
        if n < updates:
            optimizer.step()
            scheduler.step()


def test_rises_to_lr_and_falls_to_nearly_nothing() -> None:
    rates = [OneCycle(0.5, 100, 0.25).rate(n) for n in range(100)]
    assert rates[0] == pytest.approx(0.5 / 25, rel=1e-12)
    assert max(rates) == rates[24] == 0.5
    assert rates[-1] == pytest.approx(0.5 / 250_000, rel=1e-12)
    assert rates[:25] == sorted(rates[:25])
    assert rates[24:] == sorted(rates[24:], reverse=True)
    assert OneCycle(0.5, 100, 0.0).rate(0) == pytest.approx(0.5, rel=1e-3)


def test_constant_is_constant_and_torch_needs_no_scheduler() -> None:
    assert {Constant(3.0).rate(n) for n in (0, 1, 10**9)} == {3.0}
    optimizer = torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=3.0)
    assert twin_schedule(Constant(3.0), optimizer) is None


@pytest.mark.parametrize(("updates", "warm_up"), [(0, 0.3), (9, 1.0), (9, -0.1), (10, 0.1)])
def test_a_cycle_that_cannot_be_is_refused(updates: int, warm_up: float) -> None:
    """The last has a rise of one update, where torch divides by 0."""
    with pytest.raises(ValueError, match="warm_up"):
        OneCycle(1.0, updates, warm_up)


@pytest.mark.parametrize("name", list(Optimizer.named()))
def test_both_learners_take_the_same_rates_and_go_on_from_a_state(name: str) -> None:
    """By hand and torch.nn from the same start, one of each saved after two of five updates."""

    def learners() -> tuple[ManualLearner, TorchLearner]:
        parts = Network(SPEC, 1), CrossEntropyLoss(), Optimizer.named()[name](lr=0.1)
        schedule = OneCycle(0.1, 5, 0.5)
        return ManualLearner(*parts, schedule=schedule), TorchLearner(*parts, schedule=schedule)

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 8, 5, generator=generator)
    t = torch.randint(3, (5, 8), generator=generator)
    whole, first, rest = learners(), learners(), learners()
    for n in range(5):
        if n == 2:
            for ended, going in zip(first, rest, strict=True):
                going.load(ended.state(), 2)
        for learner in (*whole, *(first if n < 2 else rest)):
            assert learner.learning_rate == OneCycle(0.1, 5, 0.5).rate(n)
            learner.step(x[n], t[n])
    for manual, torchs in (whole, rest):
        assert compare_parameters(manual.network, torchs.model)["w1"].max_ulp <= 4
    for one, other in zip(whole, rest, strict=True):
        for name_, value in one.parameters().items():
            assert torch.equal(value, other.parameters()[name_])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"warm_up": 0.5}, "--warm-up 0.5: a constant rate has none; use --schedule one-cycle"),
        ({"warm_up": 1.0, "schedule": "one-cycle"}, "--warm-up 1.0: must be from 0 to below 1"),
        ({"drop_last": True, "batch_size": 50_000}, "--drop-last leaves nothing of --train-size"),
    ],
)
def test_what_will_not_do_is_refused(options: dict[str, object], said: str) -> None:
    config = Config(training=TrainingConfig(**options))  # type: ignore[arg-type]
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, train_size=100))
    with pytest.raises(UserError) as refused:
        resolve(config)
    assert said in str(refused.value)


def test_drop_last_leaves_out_the_smaller_batch() -> None:
    config = Config(training=TrainingConfig(batch_size=128, drop_last=True))
    assert (config.updates_per_epoch, config.samples_per_epoch) == (390, 49_920)
    whole = Config(training=TrainingConfig(batch_size=128))
    assert (whole.updates_per_epoch, whole.samples_per_epoch) == (391, 50_000)

"""The same network in torch.nn, as a learner: with autograd and torch.optim, eager as it comes.

Shapes: B batch, C classes.
"""

import copy
from collections.abc import Iterable, Iterator
from typing import final

import torch
from torch import Tensor

from manual.losses import Loss
from manual.network import Network
from manual.optimizers import Optimizer
from manual.schedules import Constant, Schedule
from scripts.common.processes import ALONE, Processes
from scripts.learners.base import Learner
from scripts.run.states import State
from torch_ref.model import build
from torch_ref.twins import twin, twin_optimizer, twin_schedule


@final
class TorchLearner(Learner):
    """The same network in torch.nn, from the same parameters, with autograd and torch.optim."""

    name = "torch"

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        schedule: Schedule | None = None,
        processes: Processes = ALONE,
    ) -> None:
        super().__init__(network.parameters.theta.device, loss, processes)
        self.model, self.loss = build(network), twin(loss)
        self._parallel = processes.data_parallel(self.model)
        self.optimizer = twin_optimizer(optimizer, self.model.parameters())
        self.schedule = schedule or Constant(optimizer.lr)
        self.scheduler = twin_schedule(self.schedule, self.optimizer)
        self._names = tuple(network.parameters.values)

    def step(self, x: Tensor, t: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        y: Tensor = self._parallel(x)
        self.loss(y, t).backward()
        self.update()
        return y.detach()

    def update(self) -> None:
        """Update the parameters by the gradients that autograd left in them."""
        self.optimizer.step()
        if self.scheduler:
            self.scheduler.step()

    def trace(self, x: Tensor, t: Tensor) -> Iterator[tuple[str, Tensor]]:
        self.optimizer.zero_grad()
        y = x
        for name, module in self.model.named_children():
            y = module(y)
            yield f"the output of module {name}, {type(module).__name__}", y.detach()
        loss = self.loss(y, t)
        yield "the loss", loss.detach()
        loss.backward()
        for name, parameter in reversed(list(self.model.named_parameters())):
            assert parameter.grad is not None
            yield f"the gradient of {name}", parameter.grad
        self.update()
        for name, value in self.model.state_dict().items():
            yield f"{name} after the update", value

    def state_dict(self) -> dict[str, Tensor]:
        return self.model.state_dict()

    def finite(self) -> bool:
        return all(bool(parameter.isfinite().all()) for parameter in self.model.parameters())

    def own_state(self) -> State:
        return {
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
        }

    def state_after(self, updates: int) -> State:
        fresh = copy.deepcopy(self.optimizer)
        fresh.state.clear()
        if updates:
            for parameter in (each for group in fresh.param_groups for each in group["params"]):
                parameter.grad = torch.zeros_like(parameter)
            fresh.step()
        for group in fresh.param_groups:
            group["lr"] = self.schedule.rate(updates)
        return self.own_state() | {"optimizer": fresh.state_dict()}

    def load(self, state: State, updates: int) -> None:
        super().load(state, updates)
        for name, value in self.model.state_dict().items():
            value.copy_(state["model"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler:
            self.scheduler.last_epoch = updates

    def predict(self, x: Tensor) -> Tensor:
        self.model.eval()
        y: Tensor = self.model(x)
        self.model.train()
        return y

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def parameters(self) -> dict[str, Tensor]:
        return self._named(parameter.detach() for parameter in self.model.parameters())

    def gradients(self) -> dict[str, Tensor]:
        return self._named(
            parameter.grad for parameter in self.model.parameters() if parameter.grad is not None
        )

    def _named(self, tensors: Iterable[Tensor]) -> dict[str, Tensor]:
        return {
            name: tensor.T if tensor.ndim == 2 else tensor
            for name, tensor in zip(self._names, tensors, strict=True)
        }

    def outputs(self, x: Tensor) -> list[Tensor]:
        self.model.eval()
        ys = [x]
        for module in self.model:
            ys.append(module(ys[-1]))
        self.model.train()
        return ys[2::2]  # a layer and an activation take turns

"""What a check takes, from the shell: functions in a user's files, references, inputs."""

import importlib
import importlib.util
import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn

from scripts.common.program import UserError, as_typed, refuse_out_of_memory

# whatever ends a user's code: an exit would be taken for a verdict
FAILURES = (Exception, SystemExit)
FORM = "must be path/to/file.py::name"


class Loader:
    """Loads each file once."""

    def __init__(self) -> None:
        self._loaded: dict[Path, ModuleType] = {}
        self._folder = Path.cwd()  # a file that is loaded may go elsewhere

    def named(self, place: str) -> Any:
        """The function, class or object that path/to/file.py::name names."""
        file, _, name = place.partition("::")
        if not name.isidentifier():
            raise UserError(f"{place}: {FORM}")
        module = self.module(file, place)
        found = getattr(module, name, None)
        if found is None:
            functions = [
                key for key, value in vars(module).items() if isinstance(value, FunctionType)
            ]
            raise UserError(
                f"{place}: {file} has no function {name}; it has {', '.join(functions) or 'none'}"
            )
        return found

    def module(self, file: str, place: str) -> ModuleType:
        """The module in a file, whose neighbours it may import."""
        path = (self._folder / file).resolve()
        if path.suffix != ".py":
            raise UserError(
                f"{place}: {FORM}, and {file or 'what stands before ::'} is no .py file"
            )
        if not os.access(path, os.F_OK) or not path.is_file():
            raise UserError(f"{place}: {FORM}, of a file that exists")
        if path not in self._loaded:
            # no name of another module
            spec = importlib.util.spec_from_file_location(f"{path.stem} of the user", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module  # where dataclasses look for it
            # it may import its neighbours, now or when it is called
            sys.path.insert(0, str(path.parent))
            try:
                spec.loader.exec_module(module)
            except FAILURES as error:
                raise UserError(f"{file}: cannot be loaded: {in_a_line(error)}") from error
            self._loaded[path] = module
        return self._loaded[path]

    def own_inputs(self, place: str) -> Any:
        """What inputs() of the file returns; None where it has no such function."""
        file = place.partition("::")[0]
        function = getattr(self.module(file, place), "inputs", None)
        if not callable(function):
            return None
        try:
            return function()
        except FAILURES as error:
            raise UserError(f"{file}::inputs: {in_a_line(error)}") from error

    def reference(self, name: str) -> Callable[..., Any]:
        """The reference that a dotted name of torch, or path/to/file.py::name, stands for."""
        if "::" not in name:
            return of_torch(name)
        found = self.named(name)
        if not callable(found):
            raise UserError(f"--reference {name}: must be a function of tensors")
        return cast("Callable[..., Any]", found)


def of_torch(name: str) -> Callable[..., Any]:
    """A function that torch itself defines, or a module made without arguments."""
    refused = UserError(
        f"--reference {name}: must be a function or module of torch, such as "
        "torch.nn.functional.softplus"
    )
    first, *rest = name.split(".")
    if first != "torch":
        raise refused
    found: Any = torch
    for i, part in enumerate(rest):
        if not hasattr(found, part) and isinstance(found, ModuleType):
            try:
                importlib.import_module(".".join(["torch", *rest[: i + 1]]))
            except ImportError:
                raise refused from None
        found = getattr(found, part, None)
        home = (
            found.__name__ if isinstance(found, ModuleType) else getattr(found, "__module__", None)
        )
        # torch.os is os: not torch's own
        if not isinstance(home, str) or home.split(".")[0] != "torch":
            raise refused
    if isinstance(found, type) and issubclass(found, nn.Module):
        try:
            found = found()
        except TypeError as error:
            raise UserError(
                f"--reference {name}: needs arguments ({error}); name a function instead"
            ) from error
    if isinstance(found, type | ModuleType) or not callable(found):
        raise refused
    return cast("Callable[..., Any]", found)


def drawn(
    shapes: tuple[tuple[int, ...], ...],
    between: tuple[float, float] | None,
    labels: int | None,
    dtype: torch.dtype,
    seed: int,
) -> list[Tensor]:
    """A tensor of each shape, N(0, 1) or uniform; the last of labels, if a number of those is
    given.
    """
    generator = torch.Generator().manual_seed(seed)
    low, high = between or (0.0, 1.0)
    inputs = []
    for shape in shapes:
        with refuse_out_of_memory(f"--shape {as_typed(shape)}"):
            uniform, normal = (
                draw(shape, generator=generator, dtype=dtype) for draw in (torch.rand, torch.randn)
            )
        inputs.append(normal if between is None else low + (high - low) * uniform)
    if labels is not None:
        inputs[-1] = torch.randint(labels, shapes[-1], generator=generator)
    return inputs


def with_arguments(forward: Any, inputs: list[Any], arguments: tuple[str, ...]) -> tuple[Any, ...]:
    """The inputs, with arguments that are no arrays where forward has their names: eps=1e-5,
    mode=same.
    """
    if not arguments:
        return tuple(inputs)
    named = {}
    for argument in arguments:
        name, sign, value = argument.partition("=")
        if not sign or not name.isidentifier():
            raise UserError(f"--argument {argument}: must be name=value, such as eps=1e-5")
        try:
            named[name] = json.loads(value)
        except json.JSONDecodeError:
            named[name] = value
    function = forward if inspect.isroutine(forward) else getattr(forward, "forward", forward)
    known = [name for name in inspect.signature(function).parameters if name not in {"self", "ctx"}]
    if unknown := [name for name in named if name not in known]:
        raise UserError(
            f"--argument {unknown[0]}: forward has no such parameter; it has "
            f"{', '.join(known) or 'none'}"
        )
    left, found = list(inputs), []
    for name in known:
        if name in named:
            found.append(named[name])
        elif left:
            found.append(left.pop(0))
    return tuple(found)


def takes_arrays(forward: Any, inputs: list[Any]) -> bool:
    """Whether a function takes NumPy arrays: it returns no tensor for them, nor raises; where it
    raises, whether it is of a file that imports NumPy alone.
    """
    if isinstance(forward, nn.Module | type) or not callable(forward):
        return not isinstance(forward, nn.Module) and not (
            isinstance(forward, type) and issubclass(forward, nn.Module | torch.autograd.Function)
        )
    try:
        return not isinstance(
            forward(*(x.numpy().copy() if isinstance(x, Tensor) else x for x in inputs)), Tensor
        )
    except FAILURES:  # if tensors will not do either, the check says why
        scope = getattr(forward, "__globals__", {}).values()
        imported = {each.__name__ for each in scope if isinstance(each, ModuleType)}
        return "numpy" in imported and "torch" not in imported


def in_a_line(error: BaseException) -> str:
    """An exception in a line: its kind, its first line and its notes."""
    message = str(error).splitlines()
    return "; ".join(
        [
            f"{type(error).__name__}: {message[0] if message else ''}",
            *getattr(error, "__notes__", []),
        ]
    )

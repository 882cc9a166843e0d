"""python -m scripts.check: your own forward and backward against autograd and finite differences."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Annotated, Any, Literal, TypeAlias, cast, get_args

import torch
import tyro
from torch import Tensor, nn

from scripts.harness import command_line
from scripts.harness.command_line import shown_as
from scripts.harness.config import DTYPES, DtypeName
from scripts.harness.program import UserError, room_for, status, whole, words
from torch_ref.check import Report, check_gradients

EXAMPLES = {
    "against finite differences": "mine.py::forward mine.py::backward --shape 8 5",
    "against a function of torch": "mine.py::forward mine.py::backward --shape 8 5 --reference torch.sigmoid",
    "of several inputs, such as x, w and b": "mine.py::forward mine.py::backward --shape 8 5 --shape 5 3 --shape 3",
}
Arrays: TypeAlias = Literal["auto", "numpy", "torch"]


@dataclass(frozen=True)
class Options:
    """Check a backward pass written by hand, at random inputs of the given shapes."""

    forward: Annotated[str, tyro.conf.Positional, shown_as("FORWARD")]
    """path/to/file.py::name of forward(*inputs) -> output."""
    backward: Annotated[str, tyro.conf.Positional, shown_as("BACKWARD")]
    """path/to/file.py::name of backward(dy, *inputs) -> the gradient of each input."""
    shape: Annotated[tuple[tuple[int, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="INT ...")]
    """Shape of an input, such as 8 5; once for each input, in forward's order."""
    reference: Annotated[str | None, shown_as("NAME")] = None
    """A function or module of torch that does the same, such as torch.nn.functional.softplus; without: finite differences."""
    labels: Annotated[int | None, shown_as("INT")] = None
    """Fill the last input with class labels below this number."""
    between: Annotated[tuple[float, float] | None, shown_as("LOW HIGH")] = None
    """Keep the inputs between these numbers, such as 0 1 for probabilities; by default they are drawn from N(0, 1)."""
    arrays: Annotated[Arrays, shown_as("NAME", get_args(Arrays))] = "auto"
    """What the functions take; auto: NumPy arrays, unless forward refuses them."""
    dtype: DtypeName = "float64"
    """Of the inputs."""
    seed: int = 0
    """Of the inputs."""


FAILURES = (Exception, SystemExit)  # whatever ends a user's code: an exit would be taken for a verdict


def main() -> int:
    """Status 0 where all gradients are right, 1 where one is wrong, 2 for what the user can mend."""
    options = command_line.parse(Options, "scripts.check", EXAMPLES)
    return status(lambda: verdict(check(options)))


def verdict(report: Report) -> int:
    """Print it; 0 where all is right, else 1."""
    print(report)
    return 0 if report.ok else 1


def check(options: Options) -> Report:
    """The report; UserError for an option that will not do, or a function of the user's that cannot be called."""
    inputs = _inputs(options)
    loaded: dict[Path, ModuleType] = {}
    forward, backward = (_function(place, loaded) for place in (options.forward, options.backward))
    reference = None if options.reference is None else _reference(options.reference)
    if options.arrays == "numpy" or (options.arrays == "auto" and _takes_arrays(forward, inputs)):
        inputs = [value.numpy() for value in inputs]
    try:
        return check_gradients(forward, backward, tuple(inputs), reference, domain=options.between, seed=options.seed)
    except FAILURES as error:
        raise UserError(_in_a_line(error)) from error


def _inputs(options: Options) -> list[Any]:
    if not options.shape:
        raise UserError("--shape: give one for each input of forward, such as --shape 8 5 --shape 5 3")
    for shape in options.shape:
        if any(size < 1 for size in shape):
            raise UserError(f"--shape {words(shape)}: must be whole numbers of at least 1")
    dtype = DTYPES[options.dtype]
    low, high = options.between or (0.0, 1.0)
    if not low < high or max(-low, high, high - low) > torch.finfo(dtype).max:
        raise UserError(f"--between {low} {high}: the first number must be the smaller, both finite in {options.dtype}")
    if options.labels is not None and not 1 <= options.labels < 2**63:
        raise UserError(f"--labels {options.labels}: must be a whole number of at least 1 that fits 64 bits")
    whole("--seed", options.seed, 0, 2**63 - 1)
    generator = torch.Generator().manual_seed(options.seed)
    inputs = []
    for shape in options.shape:
        with room_for(f"--shape {words(shape)}"):
            uniform, normal = (draw(shape, generator=generator, dtype=dtype) for draw in (torch.rand, torch.randn))
        inputs.append(normal if options.between is None else low + (high - low) * uniform)
    if options.labels is not None:
        inputs[-1] = torch.randint(options.labels, options.shape[-1], generator=generator)
    return inputs


def _function(place: str, loaded: dict[Path, ModuleType]) -> Callable[..., Any]:
    """The function that path/to/file.py::name names."""
    file, _, name = place.partition("::")
    path = Path(file).resolve()
    if not name.isidentifier() or path.suffix != ".py" or not os.access(path, os.F_OK):
        raise UserError(f"{place}: must be path/to/file.py::name, of a file that exists")
    if path not in loaded:
        spec = importlib.util.spec_from_file_location(f"{path.stem} of the user", path)  # no name of another module
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # where dataclasses look for it
        sys.path.insert(0, str(path.parent))  # it may import its neighbours, now or when it is called
        try:
            spec.loader.exec_module(module)
        except FAILURES as error:
            raise UserError(f"{file}: cannot be loaded: {_in_a_line(error)}") from error
        loaded[path] = module
    function = getattr(loaded[path], name, None)
    if not callable(function):
        functions = [key for key, value in vars(loaded[path]).items() if isinstance(value, FunctionType)]
        raise UserError(f"{place}: {file} has no function {name}; it has {', '.join(functions) or 'none'}")
    return cast("Callable[..., Any]", function)


def _reference(name: str) -> Callable[..., Any]:
    """What the dotted name stands for: a function that torch itself defines, or a module made without arguments."""
    refused = UserError(f"--reference {name}: must be a function or module of torch, such as torch.nn.functional.softplus")
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
        home = found.__name__ if isinstance(found, ModuleType) else getattr(found, "__module__", None)
        if not isinstance(home, str) or home.split(".")[0] != "torch":  # torch.os is os: not torch's own
            raise refused
    if isinstance(found, type) and issubclass(found, nn.Module):
        try:
            found = found()
        except TypeError as error:
            raise UserError(f"--reference {name}: needs arguments ({error}); name a function instead") from error
    if isinstance(found, type | ModuleType) or not callable(found):
        raise refused
    return cast("Callable[..., Any]", found)


def _takes_arrays(forward: Callable[..., Any], inputs: list[Tensor]) -> bool:
    try:
        return not isinstance(forward(*(value.numpy().copy() for value in inputs)), Tensor)
    except FAILURES:  # if tensors will not do either, the check says why
        return False


def _in_a_line(error: BaseException) -> str:
    message = str(error).splitlines()
    return "; ".join([f"{type(error).__name__}: {message[0] if message else ''}", *getattr(error, "__notes__", [])])


if __name__ == "__main__":
    sys.exit(main())

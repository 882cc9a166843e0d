"""How every program begins: its options from a dataclass, and a help that ends with examples."""

import inspect
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

import tyro

T = TypeVar("T")

WIDEST = 100  # columns of running text


def shown_as(metavar: str, names: Iterable[str] = ()) -> object:
    """For the annotation of an option: what the help writes for its value, and the names to choose from, below its text."""

    def hint(default: str) -> str:
        said = [", ".join(names), "" if default in {"", "None"} else f"default: {default}"]
        return f"({'; '.join(filter(None, said))})" if any(said) else ""

    return tyro.conf.arg(metavar=metavar, help_behavior_hint=hint)


def one_of(names: Iterable[str]) -> Any:
    """The type of an option that takes one of these names."""
    return Annotated[Literal[tuple(names)], shown_as("NAME", names)]


def some_of(names: Iterable[str]) -> Any:
    """The type of an option that takes several of them."""
    name: Any = Literal[tuple(names)]
    return Annotated[tuple[name, ...], shown_as("NAME ...", names)]


def parse(options: type[T], program: str, examples: Mapping[str, str], default: T | None = None) -> T:
    """The options of the command line; what it leaves out is as in `default`, or as the class has it.

    The help is the first paragraph of the class's docstring, the options, the other paragraphs, and the `examples`, each a
    remark -> options. SystemExit with status 0 after a help, with 2 after words on stderr about what can't be read.
    """
    prog = f"python -m {program}"
    title, *notes = inspect.cleandoc(options.__doc__ or "").split("\n\n")
    # tyro asks of stdout alone whether it is a terminal, although errors go to stderr, and doesn't know NO_COLOR
    colours = not os.environ.get("NO_COLOR") and sys.stdout.isatty() and sys.stderr.isatty()
    tyro._experimental_options["ansi_codes"] = colours  # noqa: SLF001 - its variable is read once, at import
    pairs = () if default else (tyro.conf.FlagCreatePairsOff,)  # with --resume, a flag of that run may be typed again
    config = (tyro.conf.OmitArgPrefixes, *pairs)
    try:
        return tyro.cli(options, prog=prog, description=title, default=default or tyro.MISSING_NONPROP, config=config)
    except SystemExit as stop:
        if stop.code == 0:  # tyro has no place for more below the options
            width = min(shutil.get_terminal_size().columns, WIDEST)
            for note in notes:
                print("", textwrap.fill(" ".join(note.split()), width), sep="\n")
            print("", "examples:", sep="\n")
            for remark, line in examples.items():
                print(f"  # {remark}\n  {prog} {line}".rstrip())
        raise

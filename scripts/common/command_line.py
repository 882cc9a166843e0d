"""How every program begins: its options from a dataclass, and a help that ends with examples."""

import dataclasses
import difflib
import inspect
import io
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import tyro
from tyro import _errors, _strings
from tyro.constructors import PrimitiveConstructorSpec

from scripts.common.program import UserError, as_typed, discard, exit_on_user_error

T = TypeVar("T")

IN_WORDS = {
    "INT": "a whole number",
    "INT ...": "whole numbers",
    "FLOAT": "a number",
    "LOW HIGH": "two numbers",
}
WIDEST = 100  # columns of running text


def shown_as(metavar: str, names: Iterable[str] = ()) -> object:
    """For the annotation of an option: what the help writes for its value, and the names to choose
    from, below its text.
    """

    def hint(default: str) -> str:
        remarks = [", ".join(names), "" if default in {"", "None"} else f"default: {default}"]
        return f"({'; '.join(filter(None, remarks))})" if any(remarks) else ""

    return tyro.conf.arg(metavar=metavar, help_behavior_hint=hint)


def one_of(names: Iterable[str]) -> tuple[object, ...]:
    """For Annotated[str, *one_of(names)]: one of these names, on the command line and where msgspec
    reads a file.
    """
    choices = tuple(names)
    choice = PrimitiveConstructorSpec(
        nargs=1,
        metavar="NAME",
        instance_from_str=lambda given: given[0],
        is_instance=lambda value: value in choices,
        str_from_instance=lambda value: [value],
        choices=choices,
    )
    return choice, shown_as("NAME", choices), msgspec.Meta(pattern=f"^({'|'.join(choices)})$")


def typed(program: str, *options: str, launcher: str = "python") -> str:
    """The command line of scripts.NAME as its user types, or pastes, it."""
    start = f"{launcher} -m {program}"
    if Path(sys.argv[0]).name == "backprop":
        start = program.replace("scripts.", "backprop ")
    return " ".join([start, pasted(*options)]).rstrip()


def pasted(*words: str) -> str:
    """Words of a command line, to be pasted into a shell."""
    return " ".join(map(_quoted, words))


def option(name: str, value: object) -> tuple[str, ...]:
    """The words of an option, whatever its value begins with."""
    word = str(value)
    return (f"{name}={word}",) if word.startswith("-") else (name, word)


def _quoted(word: str) -> str:
    """A word for a shell, in one line: control characters as bash, zsh and ksh write them."""
    if word.isprintable():
        return shlex.quote(word)
    letters = (
        each
        if each.isprintable() and each not in "'\\"
        else "".join(f"\\x{byte:02x}" for byte in os.fsencode(each))
        for each in word
    )
    return f"$'{''.join(letters)}'"


def parse(
    options: type[T], program: str, examples: Mapping[str, str], default: T | None = None
) -> T:
    """The options of the command line; those left out are as in `default`, or else as in the class.

    The help is the first paragraph of the class's docstring, the options, the other paragraphs, and
    the `examples`, each a remark -> options. SystemExit with status 0 after a help, with 2 after a
    line on stderr about what can't be read.
    """
    prog = typed(program)
    title, *notes = inspect.cleandoc(options.__doc__ or "").split("\n\n")
    # tyro asks of stdout alone whether it is a terminal, although errors go to stderr, and doesn't
    # know NO_COLOR
    colours = not os.environ.get("NO_COLOR") and sys.stdout.isatty() and sys.stderr.isatty()
    # which tyro reads from its environment variable once, at import
    tyro._experimental_options["ansi_codes"] = colours  # noqa: SLF001
    # with --resume, a flag of that run may be typed again
    pairs = () if default else (tyro.conf.FlagCreatePairsOff,)
    config = (tyro.conf.OmitArgPrefixes, *pairs)
    # tyro keeps indented lines of a docstring apart
    _strings.remove_single_line_breaks = lambda helptext: " ".join(helptext.split())
    shown = _Shown()
    refusing = _errors.on_parse_error(lambda event: refuse(event, list(_names(options))))
    try:
        with exit_on_user_error(), refusing, redirect_stdout(shown):
            return tyro.cli(
                options,
                prog=prog,
                description=title,
                default=default or tyro.MISSING_NONPROP,
                config=config,
            )
    except SystemExit as stop:
        if stop.code:
            raise
        with exit_on_user_error():
            try:
                print(*_help(shown.getvalue(), prog, notes, examples), sep="\n", flush=True)
            except BrokenPipeError:
                discard(sys.stdout)
            except OSError as error:
                discard(sys.stdout)
                raise UserError(str(error.strerror)) from error
        raise


class _Shown(io.StringIO):
    """A buffer for what tyro prints, with the encoding and the colours of stdout."""

    encoding = getattr(sys.__stdout__, "encoding", "ascii")

    def isatty(self) -> bool:
        return sys.__stdout__ is not None and sys.__stdout__.isatty()


def _help(
    shown: str, prog: str, notes: Iterable[str], examples: Mapping[str, str]
) -> Iterator[str]:
    """tyro's help with its running text as wide as the terminal, then the notes and examples."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    above, corner, options = shown.partition("╭")
    yield from (textwrap.fill(line, width) for line in above.splitlines())
    yield corner + options.rstrip()
    for note in notes:
        yield from ("", textwrap.fill(" ".join(note.split()), width))
    yield from ("", "examples:")
    for remark, line in examples.items():
        pieces = textwrap.wrap(
            f"{prog} {line}", width - 4, break_long_words=False, break_on_hyphens=False
        )
        yield from (f"  # {remark}", "  " + " \\\n      ".join(pieces))


def refuse(event: _errors.ParseErrorEvent, known: Sequence[str]) -> None:
    """UserError in the words of this project for what tyro can't read; `known` are all options."""
    match event:
        case _errors.InvalidChoice(argument=argument, value=value, choices=choices):
            raise UserError(f"{_name(argument)} {value}: choose from {', '.join(choices)}")
        case _errors.UnrecognizedArgs(tokens=[first, *_]):
            similar = difflib.get_close_matches(first, known, n=1)
            hint = f"did you mean {similar[0]}?" if similar else f"{event.prog} --help lists all"
            raise UserError(f"{first}: there is no such option; {hint}")
        case _errors.MissingArgs(missing_arguments=[first, *_]):
            raise UserError(f"{_name(first.arg)} is missing; {event.prog} --help has examples")
        case (
            _errors.BadValue(argument=argument) | _errors.InstantiationFailure(argument=argument)
        ) if argument:
            name, wanted = _name(argument), argument.lowered.metavar or "no value"
            names = ", ".join(argument.lowered.choices or ())
            expected = (
                f"choose from {names}" if names else f"must be {IN_WORDS.get(wanted, wanted)}"
            )
            raise UserError(f"{as_typed([name, *_given(name)])}: {expected}")


def _given(option: str) -> Iterator[str]:
    """The words after an option on the command line."""
    spelled = (word.replace("_", "-").partition("=") for word in sys.argv)
    for i, (name, _, value) in enumerate(spelled, start=1):
        if name == option:
            yield from (
                [value]
                if value
                else takewhile(lambda word: not word.startswith("--"), sys.argv[i:])
            )


def _name(argument: Any) -> str:
    """The name of an option, or what the help calls a positional argument."""
    return str(
        argument.lowered.metavar if argument.is_positional() else argument.lowered.name_or_flags[-1]
    )


def _names(options: type) -> Iterator[str]:
    """--help, and every option of a dataclass and of those in it."""
    yield "--help"
    for field in dataclasses.fields(options):
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            yield from _names(field.type)
        else:
            yield f"--{field.name.replace('_', '-')}"

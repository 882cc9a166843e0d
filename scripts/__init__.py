"""The programs. This file sees to it that Ctrl-C or a mistake in the code ends one with a line,
also while it imports what it needs.
"""

import atexit
import os
import signal
import sys
from types import FrameType, TracebackType
from typing import NoReturn


def leave(number: int, _: FrameType | None) -> NoReturn:
    """End this process as the signal would, without a traceback: while a program is imported or
    ends, there is nothing to put in order.
    """
    os.write(2, b"\rinterrupted\n" if os.isatty(2) else b"interrupted\n")
    os._exit(128 + number)


def unforeseen(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print one line for a mistake in the code itself, and write the traceback to a file."""
    import tempfile
    import traceback

    lines = str(error).splitlines() or [""]
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="backprop-", suffix=".txt", encoding="utf-8", delete=False
        ) as file:
            traceback.print_exception(kind, error, trace, file=file)
    except OSError:
        sys.__excepthook__(kind, error, trace)
    else:
        line = (
            f"error: {kind.__name__}: {lines[0]}; that is a mistake of this program: its traceback "
            f"is in {file.name}"
        )
        print(line.encode("unicode_escape").decode(), file=sys.stderr)


# argv[0] is -m until `python -m scripts.X` has found X: a program that only imports a module of
# this package keeps its own Ctrl-C
if os.path.basename(sys.argv[0]) in {"-m", "backprop"}:  # noqa: PTH119
    # in this order: a stream that is closed gets its own number again
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    try:
        here = os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        print("error: the folder that this shell is in is gone: cd to another", file=sys.stderr)
        raise SystemExit(2) from None
    # `python -m` would import a file of the current folder in place of a module of that name
    if sys.path[:1] == [here]:
        sys.path.append(sys.path.pop(0))
    sys.excepthook = unforeseen
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
        # Python restores the system's handler at its end, which would end it without a word
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)

"""The programs. From here on, so also while they import what they need, Ctrl-C or a mistake ends
one with a line.
"""

import atexit
import os
import signal
import sys
from types import FrameType, TracebackType
from typing import NoReturn


def leave(number: int, _: FrameType | None) -> NoReturn:
    """End this process as the signal would, without a traceback: nothing is there yet, or any more,
    to be put in order.
    """
    os.write(2, b"\rinterrupted\n" if os.isatty(2) else b"interrupted\n")
    os._exit(128 + number)


def unforeseen(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """One line for a mistake in the code itself, of which a file keeps the traceback."""
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
        said = (
            f"error: {kind.__name__}: {lines[0]}; that is a mistake of this program: its traceback "
            f"is in {file.name}"
        )
        print(said.encode("unicode_escape").decode(), file=sys.stderr)


# `python -m scripts.X` says -m until X is found; who imports a piece of this for a program of his
# own keeps his Ctrl-C
if os.path.basename(sys.argv[0]) in {"-m", "backprop"}:  # noqa: PTH119
    # in this order: one that is closed gets its own number again
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    try:
        here = os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        print("error: the folder that this shell is in is gone: cd to another", file=sys.stderr)
        raise SystemExit(2) from None
    # `python -m` lets a file of the folder that one is in stand in for a module of that name
    if sys.path[:1] == [here]:
        sys.path.append(sys.path.pop(0))
    sys.excepthook = unforeseen
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
        # at Python's own end it would be the system's again, and end what is done without a word
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)

"""The programs. From here on, so also while they import what they need, Ctrl-C ends one with a line."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def leave(number: int, _: FrameType | None) -> NoReturn:
    """End this process as the signal would, without a traceback: nothing is there yet, or any more, to be put in order."""
    os.write(2, b"\rinterrupted\n" if os.isatty(2) else b"interrupted\n")
    os._exit(128 + number)


# `python -m scripts.X` says -m until X is found; who imports a piece of this for a program of his own keeps his Ctrl-C
if os.path.basename(sys.argv[0]) in {"-m", "backprop"} and signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # noqa: PTH119
    signal.signal(signal.SIGINT, leave)

"""How every program ends: a status, and at most one line on stderr."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """Something that the user can mend: one line that names the value and what would do."""


class Stopped(Exception):  # noqa: N818 - it is what happened
    """The work could not be brought to its end: one line that says why."""


def status(work: Callable[[], int | None], kept: str = "") -> int:
    """Do the work: its own status or 0; 1 where it stopped, 2 for what the user can mend, 130 after Ctrl-C.

    `kept` says what is not lost by a stop.
    """
    try:
        return work() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Stopped as error:
        print("; ".join(filter(None, (f"stopped: {error}", kept))), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(": ".join(filter(None, ("interrupted", kept))), file=sys.stderr)
        return 130

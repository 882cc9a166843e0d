"""A wrong variant of one of the project's own formulas."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """What is wrong, where, and the wrong variant; `make` gives it the right one."""

    what: str
    owner: Any
    attribute: str
    make: Callable[[Any], Any]


FAULTS: list[Fault] = []


def plant(what: str, owner: Any, attribute: str) -> Callable[[Callable[..., Any]], None]:
    """Adds a row: the decorated function stands in for `owner.attribute`."""

    def add(wrong: Callable[..., Any]) -> None:
        FAULTS.append(Fault(what, owner, attribute, lambda _: wrong))

    return add


def scaled(what: str, owner: Any, attribute: str, change: Callable[[Any], Any]) -> None:
    """Adds a row: what the right method returns, changed."""
    FAULTS.append(
        Fault(
            what,
            owner,
            attribute,
            lambda right: lambda *args, **options: change(right(*args, **options)),
        )
    )

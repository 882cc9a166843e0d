"""What every operation of this package has in common: a family, and a name in it."""

from abc import ABC
from typing import ClassVar, Self


class Operation(ABC):
    """A piece of the lecture, described once.

    A family (`Activation`, `Loss`, ...) is abstract; each of its classes is final, sits directly
    under it, and has in its header the name by which the command line, files and tests know it, and
    what else they have to know.
    """

    name: ClassVar[str]

    def __init_subclass__(cls, **facts: object) -> None:
        for fact, value in facts.items():
            setattr(cls, fact, value)

    @classmethod
    def named(cls) -> dict[str, type[Self]]:
        """The classes of this family by name, in the order of their definition."""
        return {operation.name: operation for operation in cls.__subclasses__()}

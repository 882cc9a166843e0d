"""What every operation of this package has in common: a family, and a name in it."""

from abc import ABC
from inspect import get_annotations
from typing import Any, ClassVar, Self


class Operation(ABC):
    """A piece of the lecture, described once.

    A family (`Activation`, `Loss`, ...) is abstract, and each of its classes is final. A class's
    header sets its name, for the command line, files and tests, and other class variables that the
    family declares (`kinks`, `of_logits`, ...). TypeError for a class without a name or with that
    of another, and for a variable that the family doesn't declare.
    """

    name: ClassVar[str]
    _classes: ClassVar[dict[str, Any]]

    def __init_subclass__(cls, **facts: object) -> None:
        for fact, value in facts.items():
            if not any(fact in get_annotations(base) for base in cls.__mro__):
                raise TypeError(f"{cls.__name__}: its family knows no {fact!r}")
            setattr(cls, fact, value)
        if Operation in cls.__bases__:  # a family
            cls._classes = {}
            return
        if not hasattr(cls, "name"):
            family = cls.__bases__[0].__name__
            raise TypeError(
                f'{cls.__name__} needs a name: class {cls.__name__}({family}, name="...")'
            )
        other = cls._classes.get(cls.name, cls)
        if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"{cls.__name__}: {cls.name!r} is the name of {other.__name__} already")
        cls._classes[cls.name] = cls

    @classmethod
    def named(cls) -> dict[str, type[Self]]:
        """The classes of this family by name, in the order of their definition."""
        return dict(cls._classes)

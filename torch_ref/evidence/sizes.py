"""Points of other sizes than those given. Which axes of the inputs must have one size is found by
calling forward.
"""

import itertools
import time
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from torch_ref.evidence.points import Domain, usual
from torch_ref.evidence.structure import structure
from torch_ref.forms.subject import Subject
from torch_ref.forms.values import Point

Axis = tuple[str, int]
SECONDS = 2.0  # that these calls may take
TRIES = 80


@dataclass(frozen=True)
class Groups:
    """Groups of axes that must have one size. `free`: those whose size may change; `sample`: the
    group along which the samples lie.
    """

    free: tuple[frozenset[Axis], ...] = ()
    sample: frozenset[Axis] = frozenset()


class Sizes:
    """Finds the groups of a subject, and draws points of other sizes: float inputs anew, data by
    repeating entries.
    """

    def __init__(
        self, subject: Subject, point: Point, data: set[str], domains: dict[str, Domain]
    ) -> None:
        self._subject, self._point, self._data, self._domains = subject, point, data, domains
        self._generator = Generator().manual_seed(1)
        self._until = time.perf_counter() + SECONDS
        self._tries = TRIES
        self._usual = subject.forward(point)

    def groups(self) -> Groups:
        """Tried one by one: an axis alone, then with others of its size; an axis of data always
        with those it belongs to.
        """
        axes = [axis for name in self._point for axis in self._axes(name)]
        # a size that a permutation or a rotation has stays as it is
        fixed = {
            size
            for name, x in self._point.items()
            for a, size in enumerate(x.shape)
            if (name, a) not in axes
        }
        found: list[frozenset[Axis]] = []
        for size in dict.fromkeys(self._size(axis) for axis in axes):
            same = [axis for axis in axes if self._size(axis) == size]
            groups = self._of_a_size(same) if size not in fixed else []
            # where one axis can't change, others of its size may belong to it, though forward
            # doesn't tell
            if sum(map(len, groups)) == len(same):
                found += groups
        return Groups(tuple(found), self._sample(found))

    def _size(self, axis: Axis) -> int:
        return self._point[axis[0]].shape[axis[1]]

    def _is_data(self, name: str) -> bool:
        return name in self._data or not self._point[name].is_floating_point()

    def _axes(self, name: str) -> list[Axis]:
        x, leaf = self._point[name], self._subject.leaves[name]
        if leaf.kind == "number" or (not x.is_floating_point() and _is_permutation(x)):
            return []
        kind = structure(x) if name in self._data or structure(x).is_fragile else None
        return [
            (name, a)
            for a in range(len(leaf.shape))
            if x.shape[a] > 1 and (kind is None or kind.keeps(a))
        ]

    def _of_a_size(self, same: list[Axis]) -> list[frozenset[Axis]]:
        kept = [axis for axis in same if self._is_data(axis[0])]
        left = [axis for axis in same if axis not in kept]
        found: list[frozenset[Axis]] = []
        if kept:
            groups = [kept, *([axis] for axis in kept)]
            if left:
                pairs = [[axis, one] for axis in left for one in kept] if len(kept) > 1 else []
                groups = [*([axis, *kept] for axis in left), [*left, *kept], *pairs, kept]
            fits = next(filter(self._runs, groups), None)
            if fits is None:
                return []
            found.append(frozenset(fits))
            left = [axis for axis in left if axis not in fits]
        while left:
            axis, *others = left
            together = [
                [axis, *more] for n in (0, 1, 2, 3) for more in itertools.combinations(others, n)
            ]
            group = next(filter(self._runs, [*together[:20], left]), [])
            found += [frozenset(group)] if group else []
            left = [other for other in others if other not in group]
        return found

    def _runs(self, group: list[Axis]) -> bool:
        self._tries -= 1
        if self._tries < 0 or time.perf_counter() > self._until:
            return False
        return self.output(self.point([frozenset(group)])) is not None

    def output(self, point: Point) -> Tensor | None:
        """The output there, None where forward refuses."""
        try:
            y = self._subject.forward(point)
        except Exception:  # noqa: BLE001 - whatever it says of sizes that it does not take
            return None
        usual = self._usual.shape
        return (
            y
            if y.isfinite().all() and y.ndim == len(usual) and (y.numel() > 1 or usual.numel() == 1)
            else None
        )

    def apart(self, groups: list[frozenset[Axis]]) -> tuple[int, ...]:
        """By how much each is to grow: axes of one input by different numbers, those of one size in
        others alike.
        """
        by: list[int] = []
        for k, group in enumerate(groups):
            taken = {by[j] for j in range(k) if _share(groups[j], group)}
            same = [by[j] for j in range(k) if self._size(min(groups[j])) == self._size(min(group))]
            by.append(next((b for b in [*same, *range(1, 9)] if b not in taken), 1))
        return tuple(by)

    def squares(self, groups: list[frozenset[Axis]]) -> list[frozenset[Axis]]:
        """Those that are as large as another axis of the same input, as height and width of a
        square image are.
        """

        def alike(g: frozenset[Axis], h: frozenset[Axis]) -> bool:
            return g != h and self._size(min(g)) == self._size(min(h)) and _share(g, h)

        return [g for g in groups if any(alike(g, h) for h in groups)]

    def point(self, groups: list[frozenset[Axis]], by: tuple[int, ...] = (1,)) -> Point:
        """A point with each group larger by a number of its own; data repeats its entries."""
        point = {}
        for name, x in self._point.items():
            larger = x
            for axis in range(x.ndim):
                size = x.shape[axis] + sum(
                    by[k % len(by)] for k, group in enumerate(groups) if (name, axis) in group
                )
                larger = larger.index_select(
                    axis, torch.arange(size, device=x.device) % x.shape[axis]
                )
            if larger.shape != x.shape and not self._is_data(name) and not structure(x).is_fragile:
                larger = self._domains.get(name, Domain()).draw(usual, larger, self._generator)
            point[name] = larger
        return point

    def _sample(self, found: list[frozenset[Axis]]) -> frozenset[Axis]:
        data = set(filter(self._is_data, self._point))
        with_data = [group for group in found if data and data <= {name for name, _ in group}]
        first = next(iter(self._point))
        return next(
            (g for g in with_data if (first, 0) in g),
            with_data[0] if with_data else frozenset({(first, 0)}),
        )


def _share(one: frozenset[Axis], other: frozenset[Axis]) -> bool:
    """Whether two groups have axes of one input."""
    return bool({name for name, _ in one} & {name for name, _ in other})


def _is_permutation(x: Tensor) -> bool:
    return (
        x.ndim == 1
        and len(x) > 1
        and bool((x.sort().values == torch.arange(len(x), device=x.device)).all())
    )

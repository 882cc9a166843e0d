"""Other sizes than those given: which axes of the inputs go together, found by asking forward, and a point with others."""

import itertools
import time
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from torch_ref.check.points import Domain, usual
from torch_ref.check.structure import structure
from torch_ref.check.subject import Subject
from torch_ref.check.values import Point

Axis = tuple[str, int]
SECONDS = 2.0  # that asking may take
TRIES = 80


@dataclass(frozen=True)
class Groups:
    """Axes that have to be of one size, those that may be of another; `sample`: the group along which the samples lie."""

    free: tuple[frozenset[Axis], ...]
    sample: frozenset[Axis]


class Sizes:
    """Finds the groups of a subject, and draws points of other sizes: float inputs anew, data by repeating entries."""

    def __init__(self, subject: Subject, point: Point, data: set[str], domains: dict[str, Domain]) -> None:
        self._subject, self._point, self._data, self._domains = subject, point, data, domains
        self._generator = Generator().manual_seed(1)
        self._until = time.perf_counter() + SECONDS
        self._tries = TRIES
        self._usual = subject.forward(point)

    def groups(self) -> Groups:
        """Tried one by one: an axis alone, then with others of its size; an axis of data always with those it belongs to."""
        axes = [axis for name in self._point for axis in self._axes(name)]
        by_size: dict[int, list[Axis]] = {}
        # what a permutation or a rotation is of the size of stays, too
        fixed = {size for name, x in self._point.items() for a, size in enumerate(x.shape) if (name, a) not in axes}
        for axis in axes:
            size = self._point[axis[0]].shape[axis[1]]
            if size not in fixed:
                by_size.setdefault(size, []).append(axis)
        found: list[frozenset[Axis]] = []
        for same in by_size.values():
            groups = self._of_a_size(same)
            # where one of them can't be another, those of its size may belong together in a way that forward doesn't ask for
            if sum(map(len, groups)) == len(same):
                found += groups
        return Groups(tuple(found), self._sample(found))

    def _axes(self, name: str) -> list[Axis]:
        x, leaf = self._point[name], self._subject.leaves[name]
        if leaf.kind == "number" or (not x.is_floating_point() and _is_permutation(x)):
            return []
        kind = structure(x) if name in self._data or structure(x).is_fragile else None
        return [(name, a) for a in range(len(leaf.shape)) if x.shape[a] > 1 and (kind is None or kind.keeps(a))]

    def _of_a_size(self, same: list[Axis]) -> list[frozenset[Axis]]:
        kept = [axis for axis in same if axis[0] in self._data or not self._point[axis[0]].is_floating_point()]
        left = [axis for axis in same if axis not in kept]
        found: list[frozenset[Axis]] = []
        if kept:
            groups = [kept, *([[axis, *kept] for axis in left]), [*left, *kept]]
            if len(kept) > 1:
                groups += [[axis, one] for axis in left for one in kept]
            fits = next((group for group in groups[1:] + groups[:1] if self._runs(group)), None) if left else None
            if not left:
                fits = next((g for g in [kept, *([axis] for axis in kept)] if self._runs(g)), None)
            if fits is None:
                return []
            found.append(frozenset(fits))
            left = [axis for axis in left if axis not in fits]
        while left:
            axis, *others = left
            group = next((g for g in self._candidates(axis, others) if self._runs(g)), None)
            if group is not None:
                found.append(frozenset(group))
            left = [other for other in others if group is None or other not in group]
        return found

    def _candidates(self, axis: Axis, others: list[Axis]) -> list[list[Axis]]:
        pairs = [[axis, *more] for n in (0, 1, 2, 3) for more in itertools.combinations(others, n)]
        return [*pairs[:20], [axis, *others]]

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
        return y if y.isfinite().all() and y.ndim == len(usual) and (y.numel() > 1 or usual.numel() == 1) else None

    def apart(self, groups: list[frozenset[Axis]]) -> tuple[int, ...]:
        """By how much each is to grow: axes of one input by different numbers, those of one size in others alike."""
        by: list[int] = []
        for k, group in enumerate(groups):
            taken = {by[j] for j in range(k) if {n for n, _ in groups[j]} & {n for n, _ in group}}
            same = [by[j] for j in range(k) if self._size(groups[j]) == self._size(group)]
            by.append(next((b for b in [*same, *range(1, 9)] if b not in taken), 1))
        return tuple(by)

    def squares(self, groups: list[frozenset[Axis]]) -> list[frozenset[Axis]]:
        """Those that are as large as another axis of the same input, as height and width of a square image are."""
        return [
            g for g in groups
            if any(h != g and self._size(h) == self._size(g) and {n for n, _ in h} & {n for n, _ in g} for h in groups)
        ]  # fmt: skip

    def _size(self, group: frozenset[Axis]) -> int:
        name, axis = min(group)
        return self._point[name].shape[axis]

    def point(self, groups: list[frozenset[Axis]], by: tuple[int, ...] = (1,)) -> Point:
        """Each group larger by a number of its own; data gets its own entries again."""
        point = dict(self._point)
        for name, x in self._point.items():
            shape = list(x.shape)
            for k, group in enumerate(groups):
                for axis in [a for n, a in group if n == name]:
                    shape[axis] += by[k % len(by)]
            if shape == list(x.shape):
                continue
            if name in self._data or not x.is_floating_point() or structure(x).is_fragile:
                for axis, size in enumerate(shape):
                    x = x.index_select(axis, torch.arange(size, device=x.device) % x.shape[axis])  # noqa: PLW2901
                point[name] = x
            else:
                drawn = usual(x, tuple(shape), self._generator)
                domain = self._domains.get(name, Domain())
                if domain.positive:
                    drawn = drawn.abs()
                if domain.high < 1e300 and domain.low > -1e300:
                    drawn = (domain.low + (domain.high - domain.low) * torch.rand(shape, generator=self._generator)).to(x)
                point[name] = drawn.to(x.dtype)
        return point

    def _sample(self, found: list[frozenset[Axis]]) -> frozenset[Axis]:
        data = {name for name in self._point if name in self._data or not self._point[name].is_floating_point()}
        with_data = [group for group in found if data and data <= {name for name, _ in group}]
        first = next(iter(self._point))
        return next((g for g in with_data if (first, 0) in g), with_data[0] if with_data else frozenset({(first, 0)}))


def _is_permutation(x: Tensor) -> bool:
    return x.ndim == 1 and len(x) > 1 and bool((x.sort().values == torch.arange(len(x), device=x.device)).all())

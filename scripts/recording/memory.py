"""The recorded calls that a replay needs, and the memory for their results."""

import torch
from torch import Tensor
from torch.utils._pytree import tree_iter

from scripts.recording.recorder import Call, Placeholder, layout, roots


def needed(calls: list[Call], wanted: set[Placeholder]) -> list[Call]:
    """The calls that change a tensor which outlives the step, or draw random numbers, and those
    that lead to what is wanted.
    """
    line, wanted = [], set(wanted)
    for call in reversed(calls):
        if call.random or any(
            not isinstance(out, Placeholder) or out.root in wanted for out in call.outs
        ):
            line.append(call)
            wanted |= call.roots
    return line[::-1]


def without_constants(line: list[Call]) -> tuple[list[Call], dict[Placeholder, Tensor]]:
    """The calls without copies of constants that nothing writes to, and these constants."""
    written = roots([call.outs for call in line if call.writes])
    constants = {
        call.outs[0]: call.args[0] for call in line if call.constant and call.outs[0] not in written
    }
    return [call for call in line if constants.keys().isdisjoint(call.outs)], constants


def buffers(line: list[Call], kept: set[Placeholder]) -> dict[Placeholder, Tensor]:
    """Memory for each new result: the same for several, where one has been read for the last time
    before the next is made.

    An elementwise result is written over an argument of the same layout that is not read again.
    """
    last = {root: i for i, call in enumerate(line) for root in call.roots} | dict.fromkeys(
        kept, len(line)
    )
    spots: dict[Placeholder, int] = {}
    sizes: list[int] = []  # in bytes, by spot
    free: list[int] = []
    for i, call in enumerate(line):
        ending = {root for root in call.roots & spots.keys() if last[root] == i}
        for out in () if call.writes else call.outs:
            size = out.numel() * out.itemsize
            heirs = [root for root in ending if may_be_written_over(root, call, out)]
            if heirs:
                spots[out] = spots[heirs[0]]
                ending.discard(heirs[0])
            elif free:
                spots[out] = min(
                    free, key=lambda spot: (sizes[spot] < size, abs(sizes[spot] - size))
                )
                free.remove(spots[out])
            else:
                spots[out] = len(sizes)
                sizes.append(0)
            sizes[spots[out]] = max(sizes[spots[out]], size)
        free += [spots[root] for root in ending]
        free += [spots[out] for out in call.outs if not call.writes and last[out] == i]
    memory = {
        spot: torch.empty(sizes[spot], dtype=torch.uint8, device=out.device)
        for out, spot in spots.items()
    }
    return {
        out: memory[spot][: out.numel() * out.itemsize]
        .view(out.dtype)
        .as_strided(out.size(), out.stride())
        for out, spot in spots.items()
    }


def may_be_written_over(root: Placeholder, call: Call, out: Placeholder) -> bool:
    """Whether each entry of `out` is made of the same entry of `root`, and of no other."""
    elementwise = torch.Tag.pointwise in call.func.tags and layout(root) == layout(out)
    return elementwise and all(
        each is root for each in tree_iter((call.args, call.kwargs)) if root in roots(each)
    )

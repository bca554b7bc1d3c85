"""Channels that have to stay or go together: union-find over numbered channels."""

from __future__ import annotations

import torch
from torch import Tensor

NOTHING, PINNED = 0, 1  # a value of no channel; a value that has to stay
_FIRST = 2


class Atoms:
    """Numbers for channels, and which of them are one.

    Example:
        >>> atoms = Atoms()
        >>> first, second = atoms.new(2), atoms.new(2)
        >>> atoms.unite(first[0], second[1])
        >>> [atoms.root(atom) for atom in first + second]
        [2, 3, 4, 2]
    """

    def __init__(self) -> None:
        self._parent = list(range(_FIRST))

    def new(self, count: int) -> list[int]:
        """So many new channels, each of its own."""
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        return list(range(start, start + count))

    def root(self, atom: int) -> int:
        """The smallest number of those that are one with this one."""
        while self._parent[atom] != atom:
            self._parent[atom] = self._parent[self._parent[atom]]
            atom = self._parent[atom]
        return atom

    def unite(self, one: int, other: int) -> None:
        """Make two channels one; a value of no channel binds nobody."""
        if NOTHING in (one, other):
            return
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low

    def pin(self, labels: Tensor) -> None:
        """All channels of a label picture have to stay."""
        for atom in set(labels.flatten().tolist()):
            self.unite(PINNED, atom)

    def unite_places(self, one: Tensor, other: Tensor) -> Tensor:
        """Make the channels of two label pictures one, place by place; returns a picture that labels both."""
        both = (one != NOTHING) & (other != NOTHING) & (one != other)
        for low, high in set(zip(one[both].tolist(), other[both].tolist(), strict=True)):
            self.unite(low, high)
        return torch.where(one != NOTHING, one, other)

    def by_channel(self, labels: Tensor) -> list[int]:
        """One number for each channel of a label picture [N, C, ...]; what is mixed in a channel becomes one."""
        numbers = []
        for channel in labels.movedim(1, 0):
            found = sorted(set(channel.flatten().tolist()) - {NOTHING})
            for atom in found[1:]:
                self.unite(found[0], atom)
            numbers.append(found[0] if found else PINNED)
        return numbers

"""The processors that networks are compiled for, and how each of them adds up products."""

from __future__ import annotations

from dataclasses import dataclass

from sharpline.errors import UsageError


@dataclass(frozen=True)
class Target:
    """A processor.

    Attributes:
        triple: what the linker calls it; with the oldest C library that the result runs with.
        cpu: instructions that may be used.
        header: of the engine's C, with the target's vectors.
        lanes: outputs a vector.
        sums: 16-bit sums an output in which products are added before they go to 32 bits; 0 where the
            processor adds them up in 32 bits right away.
        flip: levels are kept with their highest bit flipped, -128..127, where both factors need one sign.
        tile: pixels and vectors of outputs whose sums fit into the registers.
    """

    triple: str
    cpu: str
    header: str
    lanes: int
    sums: int
    flip: bool
    tile: tuple[int, int]

    @property
    def levels(self) -> tuple[int, int]:
        """The smallest and the largest level as the multiplications see them."""
        return (-128, 127) if self.flip else (0, 255)


_X86, _ARM = "x86_64-linux-gnu.2.17", "aarch64-linux-gnu.2.17"
TARGETS = {
    "x86-64-avx2": Target(_X86, "x86_64_v3", "avx2.h", 8, 2, False, (6, 2)),
    "x86-64-avxvnni": Target(_X86, "x86_64_v3+avxvnni", "avxvnni.h", 8, 0, False, (6, 2)),
    "x86-64-avx512vnni": Target(_X86, "x86_64_v4+avx512vnni", "avx512vnni.h", 16, 0, False, (8, 3)),
    "arm64-neon": Target(_ARM, "generic", "neon.h", 4, 4, True, (4, 2)),
    "arm64-dotprod": Target(_ARM, "generic+dotprod", "dotprod.h", 4, 0, True, (6, 4)),
}


def target_of(name: str) -> Target:
    """The target of a name.

    Raises:
        UsageError: there is none.

    Example:
        >>> target_of("x86-64-avx2").lanes
        8
    """
    if name not in TARGETS:
        raise UsageError(f"no target {name!r}; there are {', '.join(TARGETS)}")
    return TARGETS[name]

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from sharpline.console import shelf
from sharpline.console.messages import Part


def run(work):
    with ThreadPoolExecutor(1) as apart:  # a browser's test leaves a loop running in this thread
        return apart.submit(asyncio.run, work).result()


def part(size: int) -> Part:
    return Part("sr", "image/jpeg", bytes(size))


def test_a_part_is_made_once_for_all_who_ask_at_once_and_after():
    made = []

    def make() -> Part:
        made.append(1)
        return part(3)

    async def ask() -> list[Part]:
        with ThreadPoolExecutor(2) as pool:
            kept = shelf.Shelf(pool)
            both = await asyncio.gather(kept.made("a", make), kept.made("a", make))
            return [*both, await kept.made("a", make)]

    assert run(ask()) == [part(3)] * 3
    assert made == [1]


def test_what_could_not_be_made_is_tried_again():
    def fail() -> Part:
        raise ValueError("no")

    async def ask() -> Part:
        with ThreadPoolExecutor(1) as pool:
            kept = shelf.Shelf(pool)
            with pytest.raises(ValueError, match="no"):
                await kept.made("a", fail)
            return await kept.made("a", lambda: part(1))

    assert run(ask()) == part(1)


@pytest.mark.parametrize(("size", "most"), [(1 << 20, 48 << 20), (8 << 20, 64 << 20), (80 << 20, 80 << 20)])
def test_it_keeps_neither_too_many_parts_nor_too_many_bytes(size: int, most: int):
    async def fill() -> int:
        with ThreadPoolExecutor(1) as pool:
            kept = shelf.Shelf(pool)
            for number in range(60):
                await kept.made(number, lambda: [part(size)])
            return kept.bytes()

    assert run(fill()) == most

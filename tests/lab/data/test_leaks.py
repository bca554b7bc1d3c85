"""The leak check finds copies and leaves different pictures alone."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError
from sharpline.lab.data import cached_leaks, find_leaks, open_cache
from sharpline.lab.data.leaks import THRESHOLD, perceptual_hash, similarities

NAMES = [
    "astronaut",
    "brick",
    "camera",
    "cat",
    "coffee",
    "coins",
    "grass",
    "hubble_deep_field",
    "moon",
    "page",
    "rocket",
]
PICTURES = {name: np.atleast_3d(getattr(skimage.data, name)()) for name in NAMES}


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "jpeg", quality=quality)
    return np.atleast_3d(np.asarray(Image.open(file)))


def shrunk(pixels: np.ndarray, factor: float) -> np.ndarray:
    image = Image.fromarray(pixels.squeeze())
    return np.atleast_3d(np.asarray(image.resize((int(image.width * factor), int(image.height * factor)))))


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    return float(similarities(perceptual_hash(a)[None], perceptual_hash(b)[None])[0, 0])


@settings(deadline=None)
@given(
    name=st.sampled_from(["astronaut", "camera", "cat", "coffee", "rocket"]),
    factor=st.floats(0.2, 1.2),
    quality=st.integers(10, 95),
    turns=st.integers(0, 3),
    flip=st.booleans(),
)
def test_copies_are_found(name: str, factor: float, quality: int, turns: int, flip: bool) -> None:
    original = PICTURES[name]
    copy = np.rot90(jpeg(shrunk(original, factor), quality), turns)
    assert similarity(copy[::-1] if flip else copy, original) > THRESHOLD + 0.05


def test_symmetries_are_exact() -> None:
    cat = PICTURES["cat"]
    for turns in range(4):
        for flipped in (cat, cat[:, ::-1]):
            assert similarity(np.rot90(flipped, turns), cat) == pytest.approx(1, abs=1e-4)


def test_different_pictures_are_not_flagged() -> None:
    hashes = np.stack([perceptual_hash(pixels) for pixels in PICTURES.values()])
    found = similarities(hashes, hashes)
    np.fill_diagonal(found, 0)
    assert found.max() < THRESHOLD - 0.1


def test_uniform_pictures_are_like_nothing() -> None:
    black, grey = (np.full((20, 30, 3), level, np.uint8) for level in (0, 128))
    assert similarity(black, grey) == similarity(black, black) == 0


def write(folder: Path, pictures: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    for name, pixels in pictures.items():
        Image.fromarray(pixels.squeeze()).save(folder / name)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[list[Path], list[Path]]:
    one = write(tmp_path / "one", {"coffee.png": PICTURES["coffee"], "moon.png": PICTURES["moon"]})
    two = write(tmp_path / "two", {"c.jpg": np.rot90(shrunk(PICTURES["cat"], 0.5))})
    test = write(tmp_path / "test", {"cat.png": PICTURES["cat"], "camera.png": PICTURES["camera"]})
    return [one, two], [test]


def test_folders(folders: tuple[list[Path], list[Path]]) -> None:
    train, test = folders
    seen: list[tuple[int, int]] = []
    (leak,) = find_leaks(train, test, progress=lambda done, total: seen.append((done, total)))
    assert (leak.train, leak.test) == (str(train[1] / "c.jpg"), str(test[0] / "cat.png"))
    assert seen[-1] == (5, 5)
    assert find_leaks(train[0], test[0]) == []
    with pytest.raises(UsageError, match="no such folder"):
        find_leaks(train, test[0] / "nowhere")


def test_caches(folders: tuple[list[Path], list[Path]], tmp_path: Path) -> None:
    train, test = (open_cache(places, 4, tmp_path / "cache") for places in folders)
    (leak,) = cached_leaks(train, test)
    assert (leak.train, leak.test) == ("two/c.jpg", "cat.png")


def test_the_standard_sets_do_not_leak(data_dir: Path) -> None:
    tests = [data_dir / "test" / name for name in ("Set5", "Set14")]
    assert find_leaks(data_dir / "train" / "t91", tests) == []
    (itself, *others) = find_leaks(tests[0], tests[0], threshold=0.99)[:6]
    assert len({itself.train, *(leak.train for leak in others)}) == 5

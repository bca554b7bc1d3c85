"""Caches hold what the files hold, are made once, and say what is wrong with a set."""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import ImageError, SharplineError, UsageError
from sharpline.lab.data import Degradation, open_cache, open_lr_cache
from sharpline.pixels.imresize import imresize
from sharpline.pixels.writing import write_image

SOFT = Degradation.model_validate(
    {"name": "soft", "steps": [{"kind": "gaussian-blur", "sigma": [0.5, 3]}, {"kind": "downsample", "method": "area"}]}
)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, pixels)
    return path


def cat(top: int = 0, height: int = 50, width: int = 61) -> np.ndarray:
    return np.ascontiguousarray(skimage.data.chelsea()[top : top + height, 100 : 100 + width])


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    for number, suffix in enumerate(("png", "tiff", "webp")):
        save(tmp_path / "hr" / f"{number}.{suffix}", cat(20 * number))
    return tmp_path / "hr"


def test_hr_only_is_cropped_and_shrunk_by_matlab_bicubic(hr: Path, tmp_path: Path) -> None:
    cache = open_cache(hr, 4, tmp_path / "cache")
    assert cache.names == ["0.png", "1.tiff", "2.webp"]
    for number in range(3):
        expected = cat(20 * number)[:48, :60]
        assert np.array_equal(cache.hr[number], expected)
        assert np.array_equal(cache.lr[number], imresize(np.ascontiguousarray(expected), 1 / 4))


def test_it_is_made_once_and_anew_when_files_or_the_degradation_change(hr: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"

    def caches() -> int:
        return len(list(root.iterdir()))

    first = open_cache(hr, 2, root)
    assert open_cache(hr, 2, root).digest == first.digest
    assert caches() == 1
    soft = open_cache(hr, 2, root, degradation=SOFT)
    open_cache(hr, 2, root, degradation=SOFT, seed=1)
    open_cache(hr, 3, root)
    assert caches() == 4
    assert soft.digest == first.digest
    assert not np.array_equal(soft.lr[0], first.lr[0])
    save(hr / "3.png", cat(100))
    assert open_cache(hr, 2, root).digest != first.digest
    assert caches() == 5


def test_the_index_has_sizes_hashes_and_what_was_drawn(hr: Path, tmp_path: Path) -> None:
    open_cache(hr, 2, tmp_path / "cache", degradation=SOFT, seed=7)
    (place,) = (tmp_path / "cache").iterdir()
    index = json.loads((place / "index.json").read_text())
    assert index["seed"] == 7
    assert index["degradation"]["name"] == "soft"
    for entry in index["pictures"]:
        (file,) = entry["files"]
        content = Path(file["file"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert [step["kind"] for step in entry["drawn"]] == ["gaussian-blur", "downsample"]


def test_several_folders_make_one_set(hr: Path, tmp_path: Path) -> None:
    save(tmp_path / "more" / "0.png", cat(100))
    cache = open_cache([hr, tmp_path / "more"], 2, tmp_path / "cache")
    assert cache.names == ["hr/0.png", "hr/1.tiff", "hr/2.webp", "more/0.png"]
    assert np.array_equal(cache.hr[3], cat(100)[:50, :60])
    twins = [save(tmp_path / side / "x" / "0.png", cat(shift)).parent for side, shift in (("a", 0), ("b", 9))]
    assert len(set(open_cache(twins, 2, tmp_path / "cache").names)) == 2


def test_folders_below_are_optional(hr: Path, tmp_path: Path) -> None:
    save(hr / "sub" / "0.png", cat(90))
    save(hr / ".hidden.png", cat(90))
    assert len(open_cache(hr, 2, tmp_path / "cache")) == 3
    assert open_cache(hr, 2, tmp_path / "cache", recursive=True).names[-1] == "sub/0.png"


def test_grey_and_deep_pictures_become_8_bit_rgb(tmp_path: Path) -> None:
    save(tmp_path / "hr" / "grey.png", skimage.data.camera()[:40, :40])
    save(tmp_path / "hr" / "deep.png", cat(0, 40, 40).astype(np.uint16) * 257)
    cache = open_cache(tmp_path / "hr", 2, tmp_path / "cache")
    assert np.array_equal(cache.hr[0], cat(0, 40, 40))
    assert np.array_equal(cache.hr[1], np.repeat(skimage.data.camera()[:40, :40, None], 3, 2))
    with pytest.raises(ImageError, match=r"grey\.png: is grey"):
        open_cache(tmp_path / "hr", 2, tmp_path / "cache", grey="refuse")


def test_pairs(hr: Path, tmp_path: Path) -> None:
    save(tmp_path / "big" / "a.png", cat(0, 48, 60))
    save(tmp_path / "big" / "b.png", cat(9, 48, 60))
    save(tmp_path / "small" / "a.png", cat(0, 12, 15))
    save(tmp_path / "small" / "bx4.webp", cat(9, 12, 15))
    cache = open_cache(tmp_path / "big", 4, tmp_path / "cache", lr=tmp_path / "small")
    assert cache.names == ["a.png", "b.png"]
    assert np.array_equal(cache.lr[1], cat(9, 12, 15))
    assert np.array_equal(cache.hr[1], cat(9, 48, 60))


@pytest.mark.parametrize(
    ("big", "small", "words"),
    [
        (["a", "b"], ["a"], r"big/b\.png: has no LR picture"),
        (["a"], ["a", "b"], r"small/b\.png: has no HR picture"),
        (["a"], ["a", "a_x4"], "same stem"),
    ],
)
def test_pairs_without_partner(tmp_path: Path, big: list[str], small: list[str], words: str) -> None:
    for folder, stems, side in (("big", big, 16), ("small", small, 4)):
        for stem in stems:
            save(tmp_path / folder / f"{stem}.png", cat(0, side, side))
    with pytest.raises(UsageError, match=words):
        open_cache(tmp_path / "big", 4, tmp_path / "cache", lr=tmp_path / "small")


@pytest.mark.parametrize("shape", [(49, 60), (48, 64), (24, 30)])
def test_pairs_of_wrong_sizes_name_the_file(tmp_path: Path, shape: tuple[int, int]) -> None:
    save(tmp_path / "big" / "a.png", cat(0, *shape))
    save(tmp_path / "small" / "a.png", cat(0, 12, 15))
    with pytest.raises(ImageError, match=r"small/a\.png: 15x12 .* needs exactly 60x48"):
        open_cache(tmp_path / "big", 4, tmp_path / "cache", lr=tmp_path / "small")
    assert not list((tmp_path / "cache").iterdir())


def test_lr_only(hr: Path, tmp_path: Path) -> None:
    cache = open_lr_cache(hr, tmp_path / "cache")
    assert cache.hr == []
    assert [lr.shape for lr in cache.lr] == [(50, 61, 3)] * 3
    assert np.array_equal(cache.lr[0], cat())


def test_sets_that_are_none(hr: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no such folder"):
        open_cache(tmp_path / "nowhere", 2, tmp_path / "cache")
    with pytest.raises(UsageError, match="holds no pictures"):
        open_cache(tmp_path / "empty", 2, tmp_path / "cache")
    with pytest.raises(UsageError, match="needs a folder"):
        open_cache([], 2, tmp_path / "cache")
    save(hr / "tiny.png", cat(0, 3, 3))
    with pytest.raises(ImageError, match=r"tiny\.png: smaller"):
        open_cache(hr, 4, tmp_path / "cache")
    (hr / "tiny.png").write_bytes(b"junk")
    with pytest.raises(ImageError, match=r"tiny\.png"):
        open_cache(hr, 4, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_damaged_cache_says_so(hr: Path, tmp_path: Path) -> None:
    open_cache(hr, 2, tmp_path / "cache")
    (place,) = (tmp_path / "cache").iterdir()
    (place / "lr.bin").write_bytes(b"123")
    with pytest.raises(UsageError, match=r"lr\.bin has 3 bytes.*delete this folder"):
        open_cache(hr, 2, tmp_path / "cache")


FILL = """
import sys
from pathlib import Path
from sharpline.lab.data import open_cache
print("ready", flush=True)
sys.stdin.readline()
print(open_cache(Path(sys.argv[1]), 2, Path(sys.argv[2])).digest)
"""


@pytest.mark.slow  # importing torch twice
def test_processes_that_fill_it_at_once_agree(hr: Path, tmp_path: Path) -> None:
    for number in range(20):  # enough work for them to meet
        save(hr / f"more{number}.png", cat(number, 200, 200))
    command = [sys.executable, "-c", FILL, str(hr), str(tmp_path / "cache")]
    both = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert answers[0][0] == answers[1][0]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_second_takes_what_the_first_made(hr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sharpline.lab.data import cache as module

    root, store = tmp_path / "cache", module._store
    seen = []

    def meanwhile(*arguments):
        monkeypatch.setattr(module, "_store", store)
        seen.append(open_cache(hr, 2, root).digest)  # another process is faster
        return store(*arguments)

    monkeypatch.setattr(module, "_store", meanwhile)
    assert [open_cache(hr, 2, root).digest] == seen
    assert len(list(root.iterdir())) == 1


def test_no_room_is_one_line_and_leaves_nothing(hr: Path, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, limits[1]))  # writing fails as on a full disk
    try:
        with pytest.raises(SharplineError, match="make room") as error:
            open_cache(hr, 2, tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "cache").iterdir())

"""degrade and leaks, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

PRESETS = Path(__file__).parents[2] / "recipes" / "degradations"


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    (tmp_path / "hr" / "below").mkdir(parents=True)
    Image.fromarray(skimage.data.chelsea()[40:140, 100:203]).save(tmp_path / "hr" / "cat.jpg")
    Image.fromarray(skimage.data.camera()[100:180, 200:300]).save(tmp_path / "hr" / "man.png")
    Image.fromarray(skimage.data.coffee()[100:180, 200:300]).save(tmp_path / "hr" / "below" / "cup.png")
    return tmp_path / "hr"


@pytest.mark.parametrize("verb", ["degrade", "leaks"])
def test_help_has_an_example(sharpline, verb: str) -> None:
    result = sharpline(verb, "--help")
    assert result.code == 0
    assert f"Example: sharpline {verb}" in " ".join(result.out.split())


def test_degrade_a_folder(sharpline, hr: Path, tmp_path: Path) -> None:
    recipe = PRESETS / "cheap-camera.yaml"
    result = sharpline("degrade", recipe, hr, "-o", tmp_path / "lr", "--sheet", tmp_path / "sheet.png", "--json", "-r")
    assert result.code == 0, result.err
    said = json.loads(result.out)
    assert [row["name"] for row in said["pictures"]] == ["below/cup.png", "cat.jpg", "man.png"]
    assert [row["lr_size"] for row in said["pictures"]] == [[25, 20], [25, 25], [25, 20]]
    assert said["pictures"][1]["drawn"][-1]["kind"] == "jpeg"
    assert Image.open(tmp_path / "lr" / "cat.png").size == (25, 25)
    assert Image.open(tmp_path / "lr" / "man.png").mode == "L"
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[0] > 3 * 224
    hr_piece = sheet[84 + 240 : 84 + 240 + 100, 16 : 16 + 100]  # the second row is the cat, shown whole
    assert np.array_equal(hr_piece, np.repeat(np.repeat(np.asarray(Image.open(hr / "cat.jpg"))[:50, :50], 2, 0), 2, 1))


def test_degrade_repeats_itself_by_seed(sharpline, hr: Path, tmp_path: Path) -> None:
    recipe = PRESETS / "real-esrgan.yaml"
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert sharpline("degrade", recipe, hr, "-o", tmp_path / folder, "--seed", seed, "--scale", 2).code == 0
    a, b, c = ((tmp_path / folder / "cat.png").read_bytes() for folder in "abc")
    assert a == b != c
    (hr / "cat.jpg").rename(tmp_path / "hr" / "a-first.jpg")  # fewer and other pictures: the man stays the same
    assert sharpline("degrade", recipe, hr, "-o", tmp_path / "d", "--seed", 3, "--scale", 2).code == 0
    assert (tmp_path / "d" / "man.png").read_bytes() == (tmp_path / "a" / "man.png").read_bytes()


def test_degrade_replaces_nothing_unasked(sharpline, hr: Path, tmp_path: Path) -> None:
    command = ["degrade", PRESETS / "bicubic.yaml", hr, "-o", tmp_path / "lr"]
    assert sharpline(*command).code == 0
    before = (tmp_path / "lr" / "cat.png").read_bytes()
    again = sharpline(*command, "--scale", 2)
    assert again.code == 2
    assert "--overwrite" in again.err
    assert (tmp_path / "lr" / "cat.png").read_bytes() == before
    assert sharpline(*command, "--scale", 2, "--overwrite").code == 0
    assert Image.open(tmp_path / "lr" / "cat.png").size == (51, 50)
    inside = sharpline("degrade", PRESETS / "bicubic.yaml", hr, "-o", hr, "--overwrite")
    assert inside.code == 2
    assert "is an input" in inside.err
    Image.new("RGB", (9, 9)).save(hr / "cat.png")
    twins = sharpline("degrade", PRESETS / "bicubic.yaml", hr, "-o", tmp_path / "other")
    assert twins.code == 2
    assert "would both become" in twins.err


def test_degrade_goes_on_after_a_bad_picture(sharpline, hr: Path, tmp_path: Path) -> None:
    (hr / "bad.png").write_bytes(b"junk")
    Image.new("RGBA", (9, 9), (0, 0, 0, 128)).save(hr / "glass.png")
    Image.new("RGB", (3, 3)).save(hr / "tiny.png")
    result = sharpline("degrade", PRESETS / "bicubic.yaml", hr, "-o", tmp_path / "lr")
    assert result.code == 1
    assert [line.startswith("error:") for line in result.err.strip().splitlines()] == [True, True, True, False]
    for words in ("bad.png", "glass.png: has transparent", "tiny.png: smaller", "2 of 5"):
        assert words in result.err
    assert sorted(path.name for path in (tmp_path / "lr").iterdir()) == ["cat.png", "man.png"]


def test_degrade_with_what_cannot_be(sharpline, hr: Path, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("name: r\nsteps: [{kind: jpeg, qualty: 5}]\n")
    (tmp_path / "open.yaml").write_text("name: r\nsteps: [{kind: jpeg, quality: 5}]\n")
    for recipe, words in (
        ("r.yaml", "did you mean 'quality'"),
        ("open.yaml", "downsample"),
        ("none", "cannot be read"),
    ):
        result = sharpline("degrade", tmp_path / recipe, hr, "-o", tmp_path / "lr")
        assert result.code == 2
        assert words in result.err
        assert len(result.err.strip().splitlines()) == 1
        assert not (tmp_path / "lr").exists()
    assert sharpline("degrade", PRESETS / "bicubic.yaml", tmp_path / "gone", "-o", tmp_path / "lr").code == 2


def test_leaks(sharpline, hr: Path, tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    Image.open(hr / "cat.jpg").rotate(90, expand=True).resize((60, 60)).save(tmp_path / "test" / "x.png")
    found = sharpline("leaks", hr, "--test", tmp_path / "test", "--json")
    assert found.code == 1
    (pair,) = json.loads(found.out)
    assert (Path(pair["train"]).name, Path(pair["test"]).name) == ("cat.jpg", "x.png")
    assert "x.png" in sharpline("leaks", hr, "--test", tmp_path / "test").out
    none = sharpline("leaks", hr / "below", "--test", tmp_path / "test")
    assert (none.code, none.out) == (0, "")
    assert sharpline("leaks", tmp_path / "gone", "--test", hr).code == 2

from pathlib import Path

import numpy as np
import pytest

from console.moving_feed import Settings, frame_of
from console.talking import Talker
from patience import eventually
from sharpline.console.server import Server
from sharpline.console.stills import Stills, pictures_at
from sharpline.errors import UsageError
from sharpline.pixels.imresize import imresize
from sharpline.pixels.writing import write_image
from sharpline.runtime.upscaler import Upscaler


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k in range(6):
        write_image(tmp_path / f"p{k}.png", frame_of(k, (20, 30)))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n junk")
    return tmp_path


def ready(stills: Stills, name: str) -> None:
    assert eventually(lambda: stills.latest(name) is not None or stills.trouble(name))


def test_the_pictures_of_a_folder_in_order(folder):
    assert list(pictures_at(folder)) == ["broken.png", *(f"p{k}.png" for k in range(6))]
    assert pictures_at(folder / "p3.png") == {"p3.png": folder / "p3.png"}


@pytest.mark.parametrize("name", ["gone", "empty"])
def test_nothing_to_show_is_said_in_one_line(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=name):
        pictures_at(tmp_path / name)


def test_a_picture_is_enlarged_when_somebody_looks(folder):
    stills = Stills(pictures_at(folder), Upscaler("bicubic", scale=2), "ab" * 32)
    assert stills.latest("p2.png") is None
    woken = []
    stills.subscribe("p2.png", lambda: woken.append(stills.state("p2.png")))
    ready(stills, "p2.png")
    result = stills.latest("p2.png")
    assert np.array_equal(result.sr, imresize(frame_of(2, (20, 30)), 2))
    assert (result.method, result.model_hash, result.scale, result.fallback) == ("bicubic", "ab" * 32, 2, False)
    assert stills.latest("p1.png") is None
    assert eventually(lambda: woken)
    assert woken == ["running"]


def test_few_enlarged_pictures_are_kept(folder):
    stills = Stills(pictures_at(folder), Upscaler("bicubic", scale=2))
    for k in range(6):
        end = stills.subscribe(f"p{k}.png", lambda: None)
        ready(stills, f"p{k}.png")
        end()
        end()
    assert [stills.latest(f"p{k}.png") is not None for k in range(6)] == [False] * 3 + [True] * 3


def test_whatever_goes_wrong_with_a_picture_the_others_are_shown(folder):
    bicubic = Upscaler("bicubic", scale=2)

    class Fragile:
        card, scale, failed = bicubic.card, 2, False

        def __call__(self, image):
            if not self.failed:
                self.failed = True
                raise MemoryError("no room for [this]")
            return bicubic(image)

    stills = Stills(pictures_at(folder), Fragile())
    for name in ("p0.png", "p1.png"):
        stills.subscribe(name, lambda: None)
        ready(stills, name)
    assert stills.trouble("p0.png") == "p0.png: MemoryError: no room for [this]"
    assert stills.state("p0.png") == "closed"
    assert stills.latest("p1.png") is not None


@pytest.mark.parametrize(("dtype", "kept"), [(np.uint16, np.uint16), (np.float32, np.uint16)])
def test_deep_pictures_are_shown_too(tmp_path, dtype, kept):
    top = 65535 if dtype == np.uint16 else 1.0
    write_image(tmp_path / "deep.tiff", (np.linspace(0, top, 200).reshape(10, 20, 1)).astype(dtype))
    stills = Stills(pictures_at(tmp_path), Upscaler("bicubic", scale=2))
    stills.subscribe("deep.tiff", lambda: None)
    ready(stills, "deep.tiff")
    assert stills.latest("deep.tiff").sr.dtype == kept
    assert stills.latest("deep.tiff").sr.max() > 65000


def test_a_browser_leafs_through_a_folder(folder):
    stills = Stills(pictures_at(folder), Upscaler("bicubic", scale=2))
    with Server(stills, Settings()) as server, Talker(server.url) as browser:
        assert browser.hello["stale_after"] is None
        for name in ("p0.png", "p1.png"):
            browser.look(name, camera=True)
            header, parts = browser.picture()
            assert (header["source"], header["age"], set(parts)) == (name, None, {"sr", "camera"})
            browser.ack(header)
        browser.look("broken.png")
        trouble = ""
        while not trouble:
            trouble = browser.message("status")["sources"].get("broken.png", {}).get("trouble", "")
        assert "broken.png" in trouble
        assert len(trouble.splitlines()) == 1
        (folder / "broken.png").unlink()
        write_image(folder / "broken.png", frame_of(0, (20, 30)))
        browser.look("p0.png")
        browser.look("broken.png")  # looked at again: tried again
        while (header := browser.picture()[0])["source"] != "broken.png":
            browser.ack(header)


def test_healthz_of_stills_is_well(folder):
    import requests

    with Server(Stills(pictures_at(folder), Upscaler("bicubic", scale=2)), Settings()) as server:
        assert requests.get(f"{server.url}healthz").json() == {"status": "ok", "reasons": []}
        assert "sharpline_stills_enlarged_total 0" in requests.get(f"{server.url}metrics").text

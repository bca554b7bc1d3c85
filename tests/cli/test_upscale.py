"""``sharpline upscale`` as its users meet it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from sharpline import read_image, write_image


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "cat.png"
    Image.fromarray(skimage.data.chelsea()[100:148, 100:164]).save(path)
    return path


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def leftovers(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.name.startswith(".")]


def test_a_picture_gets_sharper_and_stands_beside_its_source(sharpline, photo: Path) -> None:
    before = photo.read_bytes()
    result = sharpline("upscale", photo)
    assert result.code == 0, result.err
    assert size(photo.with_name("cat_x4.png")) == (256, 192)
    assert photo.read_bytes() == before
    assert "64x48 -> 256x192" in result.err.replace("\n", "")
    assert result.out == ""


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "avif", "tiff"])
def test_every_format(sharpline, photo: Path, format: str) -> None:
    assert sharpline("upscale", photo, "--format", format).code == 0
    with Image.open(photo.with_name(f"cat_x4.{format}")) as picture:
        assert picture.format == {"jpg": "JPEG"}.get(format, format.upper())


@pytest.mark.parametrize("scale", [2, 4])
def test_scale_picks_the_model(sharpline, photo: Path, scale: int) -> None:
    result = sharpline("upscale", photo, "--scale", scale, "--json")
    assert json.loads(result.out)["model"] == f"edge-m-x{scale}"
    assert size(photo.with_name(f"cat_x{scale}.png")) == (64 * scale, 48 * scale)


def test_scale_without_a_model_names_those_there_are(sharpline, photo: Path) -> None:
    result = sharpline("upscale", photo, "--scale", 3)
    assert result.code == 2
    assert "bicubic" in result.err
    assert sharpline("upscale", photo, "--scale", 3, "--model", "bicubic").code == 0


@pytest.mark.parametrize("tile", ["auto", "16", "7", "100000"])
def test_tiles_do_not_change_the_picture(sharpline, photo: Path, tile: str) -> None:
    for name, value in (("whole", 4096), ("tiled", tile)):
        assert sharpline("upscale", photo, "-o", photo.with_name(f"{name}.png"), "--tile", value).code == 0
    whole, tiled = (read_image(photo.with_name(f"{n}.png")).pixels for n in ("whole", "tiled"))
    assert np.array_equal(whole, tiled)


def test_openvino_agrees_with_onnxruntime(sharpline, photo: Path) -> None:
    pytest.importorskip("openvino")
    for engine in ("ort", "openvino"):
        assert sharpline("upscale", photo, "--engine", engine, "-o", photo.with_name(f"{engine}.png")).code == 0
    a, b = (read_image(photo.with_name(f"{e}.png")).pixels.astype(int) for e in ("ort", "openvino"))
    assert np.abs(a - b).max() <= 1


def test_sixteen_bits_stay_sixteen(sharpline, tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 128 * 128).astype(np.uint16).reshape(128, 128, 1), (1, 1, 3))
    write_image(tmp_path / "ramp.png", ramp)
    assert sharpline("upscale", tmp_path / "ramp.png").code == 0
    pixels = read_image(tmp_path / "ramp_x4.png").pixels
    assert pixels.dtype == np.uint16
    assert len(np.unique(pixels[..., 0])) > 4000


def test_grey_stays_grey_and_alpha_stays(sharpline, tmp_path: Path) -> None:
    Image.new("L", (9, 7), 77).save(tmp_path / "grey.png")
    Image.new("RGBA", (9, 7), (255, 0, 0, 128)).save(tmp_path / "clear.png")
    assert sharpline("upscale", tmp_path / "grey.png", tmp_path / "clear.png").code == 0
    assert Image.open(tmp_path / "grey_x4.png").mode == "L"
    clear = np.asarray(Image.open(tmp_path / "clear_x4.png"))
    assert clear.shape == (28, 36, 4)
    assert np.abs(clear[..., 3].astype(int) - 128).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
def test_thin_pictures(sharpline, tmp_path: Path, shape: tuple[int, int]) -> None:
    write_image(tmp_path / "thin.png", np.full((*shape, 3), 100, np.uint8))
    assert sharpline("upscale", tmp_path / "thin.png").code == 0
    assert size(tmp_path / "thin_x4.png") == (shape[1] * 4, shape[0] * 4)


class TestFolders:
    @pytest.fixture
    def folder(self, tmp_path: Path, photo: Path) -> Path:
        folder = tmp_path / "in"
        (folder / "deep").mkdir(parents=True)
        for name in ("a.png", "b.png", "deep/c.png"):
            (folder / name).write_bytes(photo.read_bytes())
        (folder / "notes.txt").write_text("not a picture")
        return folder

    def test_flat_and_recursive(self, sharpline, folder: Path, tmp_path: Path) -> None:
        assert sharpline("upscale", folder, "-o", tmp_path / "flat").code == 0
        assert sorted(p.name for p in (tmp_path / "flat").iterdir()) == ["a_x4.png", "b_x4.png"]
        assert sharpline("upscale", folder, "-r", "-o", tmp_path / "all").code == 0
        assert (tmp_path / "all" / "deep" / "c_x4.png").exists()

    def test_second_run_does_not_take_results_for_sources(self, sharpline, folder: Path) -> None:
        assert sharpline("upscale", folder).code == 0
        again = sharpline("upscale", folder)
        assert again.code == 1
        assert "--overwrite" in again.err
        assert sharpline("upscale", folder, "--overwrite").code == 0
        (folder / "b_x4.png").unlink()
        rest = sharpline("upscale", folder, "--skip-existing", "--json")
        assert [Path(f["input"]).name for f in json.loads(rest.out)["files"]] == ["b.png"]
        assert sorted(p.name for p in folder.glob("*.png")) == ["a.png", "a_x4.png", "b.png", "b_x4.png"]
        assert sharpline("upscale", folder, "--model", "bicubic", "--scale", 2).code == 0
        assert len(list(folder.glob("*.png"))) == 6

    def test_a_file_name_for_many_results_is_refused(self, sharpline, folder: Path, tmp_path: Path) -> None:
        for inputs in ([folder], [folder / "a.png", folder / "b.png"]):
            result = sharpline("upscale", *inputs, "-o", tmp_path / "one.png")
            assert result.code == 2
            assert "give a folder" in result.err
        assert sharpline("upscale", folder / "a.png", "-o", f"{tmp_path}/sharp.v2/").code == 0
        assert (tmp_path / "sharp.v2" / "a_x4.png").exists()

    def test_glob(self, sharpline, folder: Path, tmp_path: Path) -> None:
        assert sharpline("upscale", f"{folder}/[ab].png", "-o", tmp_path / "out").code == 0
        assert len(list((tmp_path / "out").iterdir())) == 2

    def test_one_bad_file_does_not_stop_the_others(self, sharpline, folder: Path) -> None:
        (folder / "aa.png").write_bytes(b"\x89PNG\r\n\x1a\n junk")
        result = sharpline("upscale", folder, "--json")
        assert result.code == 1
        summary = json.loads(result.out)
        assert (summary["done"], summary["failed"]) == (2, 1)
        assert [bool(f["error"]) for f in summary["files"]] == [False, True, False]
        assert not leftovers(folder)

    def test_same_target_twice_is_refused_before_any_work(self, sharpline, folder: Path, tmp_path: Path) -> None:
        result = sharpline("upscale", folder / "a.png", folder / "deep" / ".." / "a.png", "-o", tmp_path / "out")
        assert result.code == 0  # the same file twice is one job
        (folder / "deep" / "a.png").write_bytes((folder / "a.png").read_bytes())
        result = sharpline("upscale", folder / "a.png", folder / "deep" / "a.png", "-o", tmp_path / "two")
        assert result.code == 2
        assert not (tmp_path / "two").exists()

    def test_empty_folder(self, sharpline, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        result = sharpline("upscale", tmp_path / "empty")
        assert result.code == 2
        assert "holds no pictures" in result.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"just words, many of them, no picture at all", ""),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00 cut", ""),
    ],
)
def test_bad_files_give_one_line_and_no_output(sharpline, tmp_path: Path, content: bytes, words: str) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(content)
    result = sharpline("upscale", bad)
    assert result.code == 1
    assert len(result.err.strip().splitlines()) == 1
    assert words in result.err
    assert "bad.jpg" in result.err
    assert [p.name for p in tmp_path.iterdir()] == ["bad.jpg"]


def test_names_of_files_can_do_no_harm(sharpline, photo: Path) -> None:
    odd = photo.with_name("esc\x1b[31m\nred.png")
    photo.rename(odd)
    result = sharpline("upscale", odd)
    assert result.code == 0
    assert "\x1b[31m" not in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert sharpline("upscale", "x" * 300 + ".png").code == 2


def test_what_a_format_cannot_hold_is_said_with_the_name(sharpline, tmp_path: Path) -> None:
    Image.new("RGBA", (9, 7), (255, 0, 0, 128)).save(tmp_path / "clear.png")
    result = sharpline("upscale", tmp_path / "clear.png", "--format", "jpg")
    assert result.code == 1
    assert "clear_x4.jpg" in result.err


@pytest.mark.slow
def test_ctrl_c_tells_what_was_done(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    (tmp_path / "in").mkdir()
    for number in range(12):
        write_image(tmp_path / "in" / f"{number}.png", noise)
    command = [
        sys.executable,
        "-m",
        "sharpline",
        "upscale",
        str(tmp_path / "in"),
        "-o",
        str(tmp_path / "out"),
        "--json",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / "out").glob("[!.]*")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert json.loads(out)["done"] == len(list((tmp_path / "out").glob("[!.]*")))
    assert not leftovers(tmp_path / "out")


def test_max_pixels_is_a_limit(sharpline, photo: Path) -> None:
    result = sharpline("upscale", photo, "--max-pixels", 1000)
    assert result.code == 1
    assert "--max-pixels" in result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.png"], "no such file"),
        (["{photo}", "--tile", "0"], "--tile"),
        (["{photo}", "--model", "edge-m-x5"], "edge-m-x4"),
        (["{photo}", "--format", "bmp"], "bmp"),
        (["{photo}", "-o", "out.xyz"], "xyz"),
        (["{photo}", "-o", "out.png", "--format", "jpg"], "contradict"),
        (["{photo}", "-o", "{photo}", "--overwrite"], "never replaced"),
        ([], "INPUT"),
    ],
)
def test_usage_errors(sharpline, photo: Path, arguments: list[str], words: str) -> None:
    before = photo.read_bytes()
    result = sharpline("upscale", *(a.format(photo=photo) for a in arguments))
    assert result.code in (1, 2)
    assert words in result.err
    assert photo.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; run as an ordinary user")
def test_read_only_folder(sharpline, photo: Path) -> None:
    photo.parent.chmod(0o555)
    try:
        result = sharpline("upscale", photo)
    finally:
        photo.parent.chmod(0o755)
    assert result.code == 1
    assert not photo.with_name("cat_x4.png").exists()


def test_full_disk_leaves_nothing(photo: Path) -> None:
    def no_space() -> None:  # a file-size limit stands for a full disk: the write fails half-way
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    command = [sys.executable, "-m", "sharpline", "upscale", "--engine", "ort", str(photo)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=no_space, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error:")
    assert len(done.stderr.splitlines()) == 1
    assert [p.name for p in photo.parent.iterdir()] == ["cat.png"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_large_picture_needs_little_memory(tmp_path: Path) -> None:
    """3000 x 2250 at x4, 108 MP: less than 1.2 GB over the output's own 324 MB."""
    tile = skimage.data.astronaut()[:450, :500]
    write_image(tmp_path / "large.png", np.tile(tile, (5, 6, 1)))
    command = [sys.executable, "-m", "sharpline", "upscale", str(tmp_path / "large.png"), "--model", "edge-s-x4"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert size(tmp_path / "large_x4.png") == (12000, 9000)
    assert usage.ru_maxrss * 1024 - 12000 * 9000 * 3 < 1.2e9


@pytest.mark.slow
def test_killed_half_way_leaves_no_partial_file(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    for number in range(6):
        write_image(folder / f"{number}.png", noise)
    command = [sys.executable, "-m", "sharpline", "upscale", str(folder), "-o", str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not list((tmp_path / "out").glob("*.png")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    for path in (tmp_path / "out").glob("[!.]*"):
        assert read_image(path).pixels.shape == (1600, 1600, 3)


@pytest.mark.slow
def test_two_processes_on_one_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        write_image(folder / f"{number}.png", np.full((60, 60, 3), number * 50, np.uint8))
    command = [sys.executable, "-m", "sharpline", "upscale", str(folder), "-o", str(tmp_path / "out")]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate()[1] for process in processes]
    assert all("Traceback" not in error for error in errors)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"{n}_x4.png" for n in range(4)]
    for number in range(4):
        assert abs(int(read_image(tmp_path / "out" / f"{number}_x4.png").pixels.mean()) - number * 50) <= 2


@pytest.mark.parametrize("model", ["bicubic", "zssr"])
def test_an_engine_for_what_no_engine_runs_is_a_mistake(sharpline, photo: Path, model: str) -> None:
    result = sharpline("upscale", photo, "--model", model, "--engine", "compiled")
    assert result.code == 2
    assert "leave" in result.err
    assert "--engine" in result.err
    assert not photo.with_name("cat_x4.png").exists()

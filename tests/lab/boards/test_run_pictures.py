"""A board folder's run.py: pictures, cameras, and what it refuses."""

import itertools
import json
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
from PIL import Image

from board_folders import PICTURE, pixels_of, run, save_picture, write_folder
from networks_onnx import random_network
from sharpline.lab.boards.run_parts import camera, folder, pictures
from sharpline.runtime.card import CARD_KEY
from sharpline.runtime.upscaler import Upscaler

# Pictures


def test_grey_alpha_and_luma(tmp_path):
    luma = random_network(scale=2, colour="y", depth=3)
    place = write_folder(tmp_path / "board", luma, {"net-fp32.onnx": (luma.SerializeToString(), None)})
    upscale = Upscaler(luma, engine="ort")
    for name, pixels in (
        ("rgb", PICTURE),
        ("grey", PICTURE[:, :, 0]),
        ("alpha", np.dstack([PICTURE, PICTURE[:, :, 1]])),
        ("grey-alpha", PICTURE[:, :, :2]),
    ):
        assert run(place, save_picture(tmp_path / f"{name}.png", pixels), "-o", tmp_path / "out/") == 0
        sr = pixels_of(tmp_path / "out" / f"{name}_x2.png")
        assert sr.shape == (180, 240, *pixels.shape[2:])
        colours = {"rgb": pixels, "grey": pixels, "alpha": pixels[..., :3], "grey-alpha": pixels[..., 0]}[name]
        ours = sr if name in ("rgb", "grey") else sr[..., :3] if name == "alpha" else sr[..., 0]
        difference = np.abs(ours - upscale(np.ascontiguousarray(colours)))
        assert np.quantile(difference, 0.99) <= 2, name  # the luma was rounded on its way in
        if name == "alpha":
            assert np.abs(sr[..., 3] - Upscaler("bicubic", scale=2)(pixels[..., 3])).max() <= 1


def test_a_folder_of_pictures_twice(any_size_folder, tmp_path, capsys):
    source = tmp_path / "photos"
    source.mkdir()
    save_picture(source / "a.png", PICTURE[:9, :9])
    save_picture(source / "b.jpg", PICTURE[:9, :9])
    (source / "c.png").write_bytes(b"no picture")
    (source / "notes.txt").write_text("not looked at")
    assert run(any_size_folder, source, "--engine", "onnxruntime") == 1
    assert sorted(path.name for path in source.glob("*_x2*")) == ["a_x2.png", "b_x2.jpg"]
    assert "c.png: not a picture" in capsys.readouterr().err
    assert run(any_size_folder, source, "--engine", "onnxruntime", "--json", "--overwrite") == 1
    report = json.loads(capsys.readouterr().out)
    assert [bool(file["error"]) for file in report["files"]] == [False, False, True]
    assert report["network"]["size"] == [9, 9]
    assert report["network"]["p50_ms"] <= report["network"]["p95_ms"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("there.png", "exists already"),
        ("out.gif", "pictures are written as"),
        ("lr.png", "is an input"),
    ],
)
def test_outputs_that_are_refused(any_size_folder, tmp_path, capsys, name, words):
    source = save_picture(tmp_path / "lr.png", PICTURE[:9, :9])
    before = (tmp_path / "there.png").write_text("mine")
    assert run(any_size_folder, source, "-o", tmp_path / name) == 1
    assert words in capsys.readouterr().err
    assert (tmp_path / "there.png").read_text() == "mine"
    assert before == 4
    assert not list(tmp_path.glob(".run-*"))


def test_sixteen_bits_are_refused(any_size_folder, tmp_path, capsys):
    source = save_picture(tmp_path / "deep.png", PICTURE[:, :, 0].astype(np.uint16) * 257)
    assert run(any_size_folder, source) == 1
    assert "more than 8 bits" in capsys.readouterr().err
    assert not (tmp_path / "deep_x2.png").exists()


@pytest.mark.parametrize("library", ["cv2", "nothing"])
def test_without_pillow(monkeypatch, tmp_path, library):
    modules = {"cv2": pytest.importorskip("cv2")} if library == "cv2" else {}
    monkeypatch.setattr(pictures, "library", modules.get)
    suffixes = [".png", ".ppm"] if library == "cv2" else [".ppm", ".pgm"]
    for suffix in suffixes:
        pixels = PICTURE[:, :, :1] if suffix == ".pgm" else PICTURE
        path = str(tmp_path / f"a{suffix}")
        pictures.check_suffix(path)
        pictures.write_picture(path, pictures.Picture(pixels, {}), False)
        assert np.array_equal(pictures.read_picture(path).pixels, pixels)
        assert np.array_equal(np.asarray(Image.open(path)).reshape(pixels.shape), pixels)
    if library == "nothing":
        with pytest.raises(folder.RunError, match="without them only"):
            pictures.check_suffix("a.png")
        (tmp_path / "b.ppm").write_bytes(b"P6 3 3 65535\n")
        with pytest.raises(folder.RunError, match="without them only"):
            pictures.read_picture(str(tmp_path / "b.ppm"))


# The folder


@pytest.mark.parametrize("name", ["net-fp32.onnx", "card.json"])
def test_a_file_that_was_changed_is_not_opened(any_size_folder, tmp_path, capsys, name):
    data = bytearray((any_size_folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (any_size_folder / name).write_bytes(bytes(data))
    assert run(any_size_folder, save_picture(tmp_path / "lr.png", PICTURE), "-o", tmp_path / "sr.png") == 1
    assert f"{name}: is not the file that was exported" in capsys.readouterr().err
    assert not (tmp_path / "sr.png").exists()


def test_without_the_list_nothing_runs(any_size_folder, tmp_path, capsys):
    (any_size_folder / "SHA256SUMS").unlink()
    assert run(any_size_folder, save_picture(tmp_path / "lr.png", PICTURE)) == 1
    assert capsys.readouterr().err.strip() == "error: SHA256SUMS: is missing or damaged; copy the whole folder again"


def test_a_model_that_is_broken_is_one_line(small_network, tmp_path, capsys):
    other = onnx.ModelProto()
    other.CopyFrom(small_network)
    other.graph.node[3].op_type = "NoSuchOperator"
    assert any(entry.key == CARD_KEY for entry in other.metadata_props)
    place = write_folder(tmp_path / "board", small_network, {"net.onnx": (other.SerializeToString(), None)})
    assert run(place, save_picture(tmp_path / "lr.png", PICTURE), "--engine", "onnxruntime") == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "onnxruntime cannot open net.onnx" in lines[0]


def test_it_runs_by_itself_from_anywhere(small_network, any_size_folder, tmp_path):
    source = save_picture(tmp_path / "lr.png", PICTURE)
    command = [
        sys.executable,
        "-I",
        str(any_size_folder / "run.py"),
        "lr.png",
        "--engine",
        "onnxruntime",
        "--threads",
        "1",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "network p50" in done.stderr
    expected = Upscaler(small_network, engine="ort")(np.asarray(Image.open(source)))
    assert np.abs(pixels_of(tmp_path / "lr_x2.png") - expected).max() <= 1


# Cameras


def test_frames_of_a_command(small_network, any_size_folder, tmp_path, capsys):
    (tmp_path / "frame").write_bytes(PICTURE[:20, :30, ::-1].tobytes())
    command = f"cat {tmp_path / 'frame'}"
    options = ["--camera-size", "30x20", "--camera-pixels", "bgr24", "--engine", "onnxruntime"]
    assert run(any_size_folder, "--camera", command, "-o", tmp_path / "out", *options) == 0
    expected = Upscaler(small_network, engine="ort")(np.ascontiguousarray(PICTURE[:20, :30]))
    assert np.abs(pixels_of(tmp_path / "out" / "frame-000001.png") - expected).max() <= 1
    capsys.readouterr()
    assert run(any_size_folder, "--camera", f"{sys.executable} -c pass", *options) == 1
    assert "ended without a frame of 30 x 20 bgr24" in capsys.readouterr().err
    assert run(any_size_folder, "--camera", "no-such-command-anywhere", *options) == 1
    assert "cannot be started" in capsys.readouterr().err


def test_the_newest_frame_is_taken(tmp_path):
    endless = "import sys\nfor i in range(200): sys.stdout.buffer.write(bytes([i]) * 1200)"
    frames = camera.frames(f"{sys.executable} -c '{endless}'", (20, 20), "rgb24")
    first = next(frames)[0, 0, 0]
    time.sleep(0.5)
    rest = [int(frame[0, 0, 0]) for frame in itertools.islice(frames, 5)]
    assert first < 199
    assert rest[-1] == 199  # what came meanwhile was dropped, but for the last
    assert rest == sorted(rest)


def test_planes_of_a_pi(tmp_path):
    av = pytest.importorskip("av")
    rgb = np.ascontiguousarray(PICTURE[:64, :96])
    planes = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p").to_ndarray()
    back = camera.decoded(planes.reshape(-1), (96, 64), "yuv420p")
    smooth = np.abs(back.astype(int) - rgb).mean()
    assert smooth < 6  # colours at half the resolution
    assert np.abs(back.mean((0, 1)) - rgb.mean((0, 1))).max() < 2


@pytest.mark.parametrize("options", [[], ["--camera", "cat", "lr.png"], ["--tile", "0", "a.png"]])
def test_usage(any_size_folder, options):
    with pytest.raises(SystemExit) as stop:
        run(any_size_folder, *options)
    assert stop.value.code == 2

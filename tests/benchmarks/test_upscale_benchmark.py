import io
from collections import Counter

import numpy as np
import pytest
from rich.console import Console
from skimage.data import astronaut

import upscale
from common import machine, read_csv, write_csv
from networks_onnx import random_network, save
from report import TORCH, fastest_layouts, markdown, picture, speed_over_torch
from rivals import save_layers, torch_eager
from sharpline.pixels.writing import write_image
from sharpline.runtime.upscaler import Upscaler
from workers import Worker, WorkerError, interleave


class Clock:
    """A row that answers at once and writes down that it was asked."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def time(self):
        self.log.append(self.name)
        return float(len(self.log))


def line(
    row="Sharpline, ONNX Runtime", engine="onnxruntime", model="edge-m-x4", size="480x270", ms="10.0", psnr="31.0"
):
    values = {"row": row, "engine": engine, "model": model, "input": size, "ms_median": ms, "psnr_y": psnr}
    rest = {"machine": "a board", "commit": "abc", "threads": "2", "repeats": "3", "ms_p95": ms, "fps": "9.0"}
    return {**values, **rest, "peak_memory_mb": "99"}


def lines_of_two_inputs():
    return [
        line(size=size, row=row, engine=engine, model=model, ms=ms, psnr=psnr)
        for size in ("480x270", "640x480")
        for row, engine, model, ms, psnr in (
            ("Sharpline, ONNX Runtime", "onnxruntime", "edge-m-x4", "10.0", "31.0"),
            (TORCH, "torch contiguous", "edge-m-x4", "20.0", "31.0"),
            (TORCH, "torch channels_last", "edge-m-x4", "15.0", "31.0"),
            ("Pillow", "pillow", "Lanczos", "5.0", "28.8"),
        )
    ]


@pytest.fixture
def folder(tmp_path):
    """Data with a two-picture Set5, and a random network of scale 4."""
    pictures = tmp_path / "data" / "test" / "Set5"
    pictures.mkdir(parents=True)
    write_image(pictures / "one.png", astronaut()[:64, 150:230])
    write_image(pictures / "two.png", astronaut()[100:164, 200:280])
    save(random_network(scale=4, name="tiny-x4"), tmp_path / "tiny.onnx")
    return tmp_path


def test_each_round_calls_every_row_once_in_changing_order():
    log = []
    times = interleave([Clock(name, log) for name in "abcd"], 5, pause=0)
    rounds = [log[i : i + 4] for i in range(0, 20, 4)]
    assert all(sorted(names) == list("abcd") for names in rounds)
    assert len({tuple(names) for names in rounds}) > 1
    assert [len(ms) for ms in times] == [5] * 4
    assert [log[int(ms) - 1] for row in times for ms in row] == list("aaaaabbbbbcccccddddd")  # each time at its row


def test_a_worker_calls_saves_and_applies(tmp_path):
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    np.save(tmp_path / "image.npy", image)
    worker = Worker("rivals:pillow", {"scale": 2}, image=tmp_path / "image.npy", threads=1)
    try:
        assert worker.engine.startswith("pillow ")
        assert worker.time() > 0
        assert 10 < worker.peak_memory() < 1000
        worker.save(tmp_path / "sr.npy")
        assert np.load(tmp_path / "sr.npy").shape == (8, 10, 3)
    finally:
        worker.close()


def test_a_row_that_cannot_be_made_says_why(tmp_path):
    np.save(tmp_path / "image.npy", np.zeros((4, 4, 3), np.uint8))
    arguments = {"model": "no-such", "engine": "ort", "threads": 1, "precision": "auto", "scale": 4}
    with pytest.raises(WorkerError, match="unknown model 'no-such'"):
        Worker("rivals:sharpline", arguments, image=tmp_path / "image.npy", threads=1)


def test_rows_of_one_network_have_to_agree_within_a_level(tmp_path):
    rows = [upscale.Row(name, "edge", "4x4", "") for name in ("ours", "theirs")]
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    np.save(paths[0], np.full((4, 4, 3), 100, np.uint8))
    np.save(paths[1], np.full((4, 4, 3), 101, np.uint8))
    upscale.check_equal(rows, paths)
    np.save(paths[1], np.full((4, 4, 3), 98, np.uint8))
    with pytest.raises(WorkerError, match=r"theirs .* differs from ours on edge by 2 levels"):
        upscale.check_equal(rows, paths)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_torch_eager_runs_the_same_network(tmp_path, layout):
    pytest.importorskip("torch")
    model = random_network(scale=4, depth=3, channels=16)
    save_layers(model, tmp_path / "layers.npz")
    eager = torch_eager(str(tmp_path / "layers.npz"), layout, threads=1, scale=4)
    lr = astronaut()[100:130, 200:241]
    ours = Upscaler(save(model, tmp_path / "tiny.onnx"), threads=1)(lr)
    difference = np.abs(eager.call(lr).astype(int) - ours)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


def test_only_the_faster_torch_layout_is_shown_and_compared_with():
    lines = lines_of_two_inputs()
    kept = fastest_layouts(lines)
    assert [o["engine"] for o in kept[:3]] == ["onnxruntime", "torch channels_last", "pillow"]
    assert speed_over_torch(kept[0], kept) == "1.50"
    assert speed_over_torch(kept[2], kept) == ""
    assert speed_over_torch(line(model="edge-m-x4 INT8", ms="5.0"), kept) == "3.00"


def test_the_markdown_table_has_one_line_a_row_and_says_where(tmp_path):
    lines = lines_of_two_inputs()
    text = markdown(lines)
    rows = [row for row in text.splitlines() if row.startswith("|")]
    assert len(rows) == 2 + 3
    assert len({row.count("|") for row in rows}) == 1
    assert "| Sharpline, ONNX Runtime | edge-m-x4 | 31.0 | 10 | 9.0 | 1.50 | 99 | 10 | 9.0 | 1.50 | 99 |" in rows
    assert "a board; 2 threads; median of 3; commit abc; onnxruntime, torch channels_last, pillow." in text


def test_the_picture_is_drawn(tmp_path):
    picture(lines_of_two_inputs(), tmp_path / "upscale.png")
    assert [file.name for file in tmp_path.iterdir()] == ["upscale.png"]


def test_results_survive_a_round_trip(tmp_path):
    write_csv(tmp_path / "new" / "r.csv", ["machine", "ms"], [{"machine": machine(), "ms": "1.5"}])
    assert read_csv(tmp_path / "new" / "r.csv") == [{"machine": machine(), "ms": "1.5"}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "480"], "an input is WIDTHxHEIGHT"),
        (["--model", "bicubic"], "is no network"),
        (["--model", "no-such"], "unknown model"),
    ],
)
def test_mistakes_get_one_line_and_no_result(folder, capsys, arguments, message):
    out = folder / "results"
    code = upscale.main(["--data", str(folder / "data"), "-o", str(out), "--input", "24x16", *arguments])
    assert code in (1, 2)
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_every_row_is_measured_in_one_run(folder, capsys, monkeypatch):
    monkeypatch.setattr(upscale, "screen", Console(file=io.StringIO()))
    out = folder / "results"
    inputs, model = ["40x24", "24x16"], str(folder / "tiny.onnx")
    options = ["--repeats", "2", "--threads", "1", "--data", str(folder / "data"), "-o", str(out)]
    assert upscale.main([*options, "--model", model, "--input", *inputs]) == 0
    lines = read_csv(out / "upscale.csv")
    assert list(lines[0]) == list(upscale.COLUMNS)
    assert Counter(o["input"] for o in lines) == dict.fromkeys(inputs, 6)  # no weights here: OpenCV is left out
    assert {(o["row"], o["model"]) for o in lines} == {
        ("Sharpline, ONNX Runtime", "tiny-x4"),
        ("Sharpline, OpenVINO", "tiny-x4"),
        (TORCH, "tiny-x4"),
        ("Pillow", "Lanczos"),
        ("Sharpline, NumPy", "bicubic"),
    }
    assert all(float(o[name]) > 0 for o in lines for name in ("ms_median", "ms_p95", "fps", "peak_memory_mb", "psnr_y"))
    same = {o["psnr_y"] for o in lines if o["model"] == "tiny-x4"}
    assert max(map(float, same)) - min(map(float, same)) < 0.02
    assert (out / "upscale.png").stat().st_size > 10_000
    assert "tiny-x4" in capsys.readouterr().out
    assert upscale.main(["--markdown", "-o", str(out)]) == 0
    assert "| Sharpline, OpenVINO | tiny-x4 |" in capsys.readouterr().out


def test_opencv_networks_reproduce_the_known_values(data_dir, reference_dir, tmp_path):
    pytest.importorskip("cv2")
    np.save(tmp_path / "image.npy", np.zeros((16, 16, 3), np.uint8))
    for network, known in (("ESPCN", 28.36), ("FSRCNN", 28.39)):
        file = reference_dir / "weights" / f"{network}_x4.pb"
        if not file.is_file():
            pytest.skip(f"{file} is not there")
        arguments = {"weights": str(file), "network": network.lower(), "threads": 1, "scale": 4}
        worker = Worker("rivals:opencv", arguments, image=tmp_path / "image.npy", threads=1)
        try:
            psnr = worker.apply("rivals:psnr_y", folder=str(data_dir / "test" / "Set5"), scale=4)
        finally:
            worker.close()
        assert psnr == pytest.approx(known, abs=0.02)

"""Certificates: what is measured, what a contract says of it, and what verify refuses."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from networks_onnx import random_network
from sharpline.errors import ModelError, UsageError
from sharpline.pixels.writing import write_image
from sharpline.runtime.certificate.certify import certify
from sharpline.runtime.certificate.charts import steps_chart
from sharpline.runtime.certificate.contract import Contract, amount, breaches
from sharpline.runtime.certificate.document import Certificate, Step, read_certificate, write_certificate
from sharpline.runtime.certificate.memory import activation_bytes, deflated_bytes
from sharpline.runtime.certificate.page import write_page
from sharpline.runtime.certificate.scoring import PATCH, compare
from sharpline.runtime.certificate.verify import certificate_of, verify
from sharpline.runtime.upscaler import Upscaler


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    for name in ("astronaut", "coffee"):
        write_image(folder / f"{name}.png", getattr(data, name)()[:144, :160])
    return folder


def model(seed: int = 0, name: str = "tiny") -> onnx.ModelProto:
    return random_network(seed=seed, name=name, scale=2, colour="rgb")


@pytest.mark.parametrize(
    ("text", "quantity", "value"),
    [("0.05dB", "dB", 0.05), ("120 KB", "bytes", 120e3), ("1KiB", "bytes", 1024), ("2s", "ms", 2000), (7, "MACs", 7)],
)
def test_amounts(text: str | float, quantity: str, value: float) -> None:
    assert amount(text, quantity) == value


@pytest.mark.parametrize(("text", "quantity"), [("5 apples", "bytes"), ("-1dB", "dB"), ("", "ms"), ("1e3", "MACs")])
def test_what_is_no_amount(text: str, quantity: str) -> None:
    with pytest.raises(UsageError, match="is no amount of"):
        amount(text, quantity)


@given(st.floats(0, 1e6, allow_nan=False), st.sampled_from(["bytes", "KB", "MB"]))
def test_amounts_scale_with_their_unit(value: float, unit: str) -> None:
    factor = {"bytes": 1, "KB": 1e3, "MB": 1e6}[unit]
    text = f"{value:.6f}{'' if unit == 'bytes' else unit}"
    assert amount(text, "bytes") == pytest.approx(round(value, 6) * factor)


def test_a_model_loses_nothing_against_itself(pictures: Path) -> None:
    upscaler = Upscaler(model())
    scores = compare(upscaler, upscaler, pictures).scores
    assert scores.drop == scores.worst.drop == 0
    assert scores.worst_patches.before == scores.worst_patches.after
    assert scores.pictures == 2


def test_the_worst_patch_is_found(pictures: Path) -> None:
    good = Upscaler(model())
    place = (3 * PATCH + 2, PATCH + 2)

    class Spoilt(Upscaler):
        def __call__(self, image, **more):  # type: ignore[no-untyped-def]
            sr = super().__call__(image, **more)
            if image.mean() < 100:  # one of the two pictures
                sr[place[0] : place[0] + PATCH, place[1] : place[1] + PATCH] ^= 64
            return sr

    means = {path.stem: Upscaler("bicubic", scale=2)(data_of(path)).mean() for path in pictures.iterdir()}
    dark = [name for name, mean in means.items() if mean < 100]
    assert len(dark) == 1
    found = compare(good, Spoilt(model()), pictures)
    assert found.scores.worst.name == found.worst[0].path.stem == dark[0]
    assert (found.worst[0].top, found.worst[0].left) == place
    assert found.scores.worst_patches.after < found.scores.worst_patches.before - 3


def data_of(path: Path) -> np.ndarray:
    return getattr(data, path.stem)()[:144:2, :160:2].copy()


def test_contracts_say_what_is_broken_and_by_how_much(pictures: Path) -> None:
    certified = certify(model(), model(seed=1), {"Two": pictures}, repetitions=1, frame=(32, 24)).certificate
    after, sets = certified.after, certified.sets
    assert breaches(Contract(), after, sets) == []
    everything = Contract(max_drop=0, max_bytes=1, max_macs=0, max_ms=0, max_memory=1, min_consistency=99)
    text = "\n".join(breaches(everything, after, sets))
    assert f"{after.bytes:,} bytes, {after.bytes - 1:,} more than 1" in text
    assert "a frame takes" in text
    assert "Two is consistent with its LR to" in text
    roomy = Contract(max_drop=90, max_bytes="1MB", max_ms="100s", max_memory="1000MB", min_consistency=0)
    assert breaches(roomy, after, sets) == []


def test_memory_follows_the_picture_and_zeros_deflate() -> None:
    network = model()
    assert 3.9 < activation_bytes(network, 128, 128) / activation_bytes(network, 64, 64) < 4.1
    sparse = onnx.ModelProto()
    sparse.CopyFrom(network)
    for tensor in sparse.graph.initializer:
        if len(tensor.dims) == 4:
            kept = onnx.numpy_helper.to_array(tensor) * 0
            tensor.CopyFrom(onnx.numpy_helper.from_array(kept, tensor.name))
    assert deflated_bytes(sparse) < 0.7 * deflated_bytes(network)


def test_document_and_page(pictures: Path, tmp_path: Path) -> None:
    pair = model(), model(seed=1, name="<b>new</b>")
    certified = certify(*pair, {"Two": pictures}, contract=Contract(max_bytes=1), repetitions=1, frame=(32, 24))
    write_certificate(certified.certificate, tmp_path / "c.json")
    assert read_certificate(tmp_path / "c.json") == certified.certificate
    write_page(tmp_path / "c.html", certified.certificate, certified.comparisons, pair)
    page = (tmp_path / "c.html").read_text()
    assert "&lt;b&gt;new&lt;/b&gt;" in page
    assert "<b>new" not in page
    assert page.count("data:image/png;base64,") == 2 * 5  # two pictures, five crops each
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1, "extra": 2}', "nonsense"])
def test_documents_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ModelError, match="is not a certificate"):
        read_certificate(tmp_path / "c.json")


@pytest.fixture
def certified_file(pictures: Path, tmp_path: Path) -> Path:
    file = tmp_path / "tiny.onnx"
    certified = certify(model(), model(seed=1), {"Two": pictures}, repetitions=1, frame=(32, 24))
    file.write_bytes(certified.model.SerializeToString())
    write_certificate(certified.certificate, certificate_of(file))
    return file


def test_what_was_certified_holds(certified_file: Path, pictures: Path) -> None:
    findings = verify(certified_file, sets={"Two": pictures})
    assert all(finding.holds is not False for finding in findings)
    card, after = Upscaler(certified_file).card, read_certificate(certificate_of(certified_file)).sets["Two"].after
    assert card.quality["Two"].psnr_y == pytest.approx(after.psnr_y, abs=6e-4)
    assert {"Two: PSNR, dB", "bytes", "ms a frame, median"} <= {finding.what for finding in findings}


def test_a_figure_that_was_made_up_does_not_hold(certified_file: Path, pictures: Path) -> None:
    document = json.loads(certificate_of(certified_file).read_text())
    document["sets"]["Two"]["after"]["psnr_y"] += 0.1
    write_certificate(Certificate.model_validate(document), certificate_of(certified_file))
    findings = {finding.what: finding.holds for finding in verify(certified_file, sets={"Two": pictures})}
    assert not findings["Two: PSNR, dB"]
    assert findings["Two: SSIM"]


def test_another_file_is_refused(certified_file: Path) -> None:
    certified_file.write_bytes(model(seed=2).SerializeToString())
    with pytest.raises(ModelError, match="is not the certified file"):
        verify(certified_file)


def test_other_pictures_are_refused(certified_file: Path, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    write_image(tmp_path / "others" / "cat.png", data.chelsea()[:96, :96])
    with pytest.raises(ModelError, match="holds other pictures"):
        verify(certified_file, sets={"Two": tmp_path / "others"})
    with pytest.raises(UsageError, match="Three: is not a set of this certificate"):
        verify(certified_file, sets={"Three": tmp_path / "others"})


def test_models_of_different_scales_are_not_compared(pictures: Path) -> None:
    with pytest.raises(UsageError, match="enlarges 2 times"):
        compare(Upscaler(model()), Upscaler("bicubic", scale=3), pictures)


@pytest.mark.parametrize("values", [[30, 29.2], [30, 29, 28.2, 28.1], [28, 29, 30], [30, 28.9, 28.9, 28.2]])
def test_labels_do_not_touch_the_line(values: list[float]) -> None:
    steps = [
        Step(
            kind="thin",
            settings={},
            psnr_before=before,
            psnr_after=after,
            bytes=1,
            bytes_deflated=1,
            macs=1,
            ms=1.0,
            seconds=1.0,
        )
        for before, after in pairwise(values)
    ]
    chart = steps_chart(steps)
    line = [tuple(map(float, p.split(","))) for p in re.search(r'points="([^"]*)"', chart)[1].split()]
    labels = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)">\d+\.\d\d<', chart)
    assert len(labels) == len(values)
    for x, y, anchor in labels:
        left = float(x) - {"start": 0, "middle": 17, "end": 34}[anchor]
        for at in np.linspace(left, left + 34, 12):  # the width of five digits of 13 pixels
            if line[0][0] <= at <= line[-1][0]:
                assert np.interp(at, *zip(*line, strict=True)) > float(y) + 2

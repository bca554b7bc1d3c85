"""The authors' own files, where they are at hand, score what was published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.lab.importing import import_network  # noqa: E402
from sharpline.lab.networks import Network  # noqa: E402
from sharpline.pixels.picture import Array  # noqa: E402
from sharpline.runtime.evaluation import evaluate_model  # noqa: E402


class OnPictures:
    """A network as the evaluator wants it: uint8 to uint8, float to float."""

    def __init__(self, net: Network) -> None:
        self.net, self.scale = net, net.config.scale

    @torch.no_grad()
    def __call__(self, image: Array) -> Array:
        values = image.astype(np.float32) / (255 if image.dtype == np.uint8 else 1)
        sr = self.net(torch.from_numpy(values.transpose(2, 0, 1)[None].copy()))[0]
        sr = sr.permute(1, 2, 0).numpy().clip(0, 1)
        return (sr * 255).round().astype(np.uint8) if image.dtype == np.uint8 else sr


def score(file: Path, data: Path, scale: int) -> float:
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    if not (data / "test" / "Set5").is_dir():
        pytest.skip(f"{data / 'test' / 'Set5'} is not there")
    net = import_network(file, scale=scale).net
    return evaluate_model(OnPictures(net), data / "test" / "Set5", scale, luma_only=net.config.colour == "y").psnr_y


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "published"), [("imdn_ntire2022_x4.pth", 32.23), ("rlfn_ntire2022_x4.pth", 32.07)], ids=["imdn", "rlfn"]
)
def test_challenge_networks_score_their_row(reference_dir: Path, data_dir: Path, name: str, published: float) -> None:
    assert score(reference_dir / "weights" / name, data_dir, 4) == pytest.approx(published, abs=0.03)


@pytest.mark.slow
@pytest.mark.timeout(900)  # twenty layers at the size of the HR pictures
@pytest.mark.parametrize(("scale", "published"), [(2, 37.53), (3, 33.66), (4, 31.35)])
def test_vdsr_scores_its_papers_table(reference_dir: Path, data_dir: Path, scale: int, published: float) -> None:
    file = reference_dir / "weights" / "vdsr_official.mat"
    assert score(file, data_dir, scale) == pytest.approx(published, abs=0.03)


def test_sizes_of_the_published_files(reference_dir: Path) -> None:
    counts = {"vdsr_official.mat": 665_921, "imdn_ntire2022_x4.pth": 893_936, "rlfn_ntire2022_x4.pth": 317_218}
    for name, parameters in counts.items():
        file = reference_dir / "weights" / name
        if not file.is_file():
            pytest.skip(f"{file} is not there")
        assert import_network(file).net.parameter_count() == parameters

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sharpline.errors import ModelError, UsageError
from sharpline.pixels.niqe import niqe

PUBLISHED = {"I03": 15.7536, "I04": 3.6549, "I06": 3.2355, "I08": 3.1840, "I19": 8.6352}


@pytest.fixture(scope="module")
def params(reference_dir: Path) -> Path:
    return reference_dir / "niqe/niqe_pris_params.npz"


@pytest.fixture
def photo(reference_dir: Path) -> np.ndarray:
    return np.asarray(Image.open(reference_dir / "niqe/I04.png"))


@pytest.mark.parametrize(("name", "expected"), PUBLISHED.items())
def test_published_values(reference_dir: Path, params: Path, name: str, expected: float) -> None:
    image = np.asarray(Image.open(reference_dir / f"niqe/{name}.png"))
    assert niqe(image, params) == pytest.approx(expected, rel=0.01)


def test_every_depth_and_grey_score_alike(photo: np.ndarray, params: Path) -> None:
    expected = niqe(photo, params)
    assert niqe(photo.astype(np.uint16) * np.uint16(257), params) == expected
    assert niqe(photo.astype(np.float32) / np.float32(255), params) == expected
    grey = np.floor(photo @ [0.298936021293775, 0.587043074451121, 0.114020904255103] + 0.5).astype(np.uint8)
    assert niqe(grey[..., None], params) == expected


def test_noise_and_flatness_look_less_natural(photo: np.ndarray, params: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 30, photo.shape)
    assert niqe(np.clip(photo + noise, 0, 255).astype(np.uint8), params) > niqe(photo, params) + 2
    half_flat = photo.copy()
    half_flat[:, :200] = 255
    assert niqe(half_flat, params) > niqe(photo, params)


def test_only_whole_blocks_count(photo: np.ndarray, params: Path) -> None:
    cut = photo[:192, :288]
    ragged = np.pad(photo[:192, :288], ((0, 50), (0, 95), (0, 0)))
    assert niqe(ragged, params) == niqe(cut, params)


@pytest.mark.parametrize("shape", [(191, 95, 3), (96, 191, 3), (300, 300), (300, 300, 4)])
def test_what_has_no_blocks_or_is_no_image_is_refused(params: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError):
        niqe(np.zeros(shape, np.uint8), params)


def test_flat_picture_is_refused(params: Path) -> None:
    with pytest.raises(UsageError, match="flat"):
        niqe(np.full((200, 300, 3), 90, np.uint8), params)


def test_parameter_file_that_is_none(tmp_path: Path) -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    with pytest.raises(ModelError, match="no such file"):
        niqe(image, tmp_path / "absent.npz")
    for name, content in {"text.npz": b"hello", "empty.npz": b"", "cut.npz": b"PK\x03\x04cut"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match="not NIQE's"):
            niqe(image, tmp_path / name)
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(ModelError, match="not NIQE's"):
        niqe(image, tmp_path / "other.npz")

"""Folders with a small random network, for tests of what is put into a board's folder."""

import pytest

from board_folders import write_folder
from networks_onnx import random_network
from sharpline.lab.boards.onnx_rewrites import fixed_size, float_ends


@pytest.fixture(scope="module")
def small_network():
    return random_network(scale=2, depth=3)


@pytest.fixture
def any_size_folder(small_network, tmp_path):
    return write_folder(tmp_path / "board", small_network, {"net-fp32.onnx": (small_network.SerializeToString(), None)})


@pytest.fixture
def one_size_folder(small_network, tmp_path):
    """Tiles of 24 x 16 pixels, float ends, as a Jetson Nano takes them."""
    static = fixed_size(float_ends(small_network, 2, rounded=False), (24, 16), 2)
    return write_folder(
        tmp_path / "board", small_network, {"net-fp32.onnx": (static.SerializeToString(), (24, 16))}, "jetson-nano"
    )

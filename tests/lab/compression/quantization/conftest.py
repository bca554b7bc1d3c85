"""A small network, real pictures, and its integer form."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.lab.compression.quantization import QuantizationConfig, calibrate, quantize  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """Real LR pictures, one of which reaches black and white."""
    cat, astronaut = skimage.data.chelsea()[40:120, 90:190], skimage.data.astronaut()[:72, 150:240]
    return [np.ascontiguousarray(cat), np.ascontiguousarray(astronaut)]


def random_edge(seed: int = 0, **settings):
    """An edge network whose details are some levels strong."""
    torch.manual_seed(seed)
    net = build({"family": "edge", "channels": 16, "depth": 2, "scale": 4, "tail_kernel": 1, **settings})
    with torch.no_grad():
        for conv in net.convolutions():
            conv.bias.normal_(0, 0.02)
        for conv in net.body:
            conv.weight.mul_(3)
    return net.eval()


@pytest.fixture
def edge():
    """Makes a random edge network: ``edge(channels=8)``."""
    return random_edge


@pytest.fixture
def simulate(pictures):
    """Quantizes a network on the pictures: ``simulate(net, weights=4)``."""

    def make(net, **settings):
        seen = [p if net.config.colour == "rgb" else p[..., 1:2].copy() for p in pictures]
        return quantize(net, QuantizationConfig(**settings), calibrate(net, seen))

    return make

import subprocess
import sys

import numpy as np
import pytest

from networks_onnx import random_network
from sharpline.errors import ModelError, UsageError
from sharpline.runtime import engines
from sharpline.runtime.engines import available_threads, make_engine


def _lr(height=20, width=30):
    return np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["ort", "openvino"])
def test_engines_agree(name):
    if name == "openvino":
        pytest.importorskip("openvino")
    model = random_network(3, depth=4).SerializeToString()
    sr = make_engine(name, model, 2).run(_lr())
    expected = make_engine("ort", model, 1).run(_lr())
    assert sr.shape == (1, 60, 90, 3)
    difference = np.abs(sr.astype(int) - expected)
    assert difference.max() <= 1, "more than a rounding tie"
    assert (difference > 0).mean() < 1e-3


def test_openvino_missing_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(engines, "_openvino", engines._openvino.__wrapped__)
    with pytest.raises(UsageError, match=r"pip install 'sharpline\[openvino\]'"):
        make_engine("openvino", b"", 1)


@pytest.mark.parametrize("name", ["ort", "openvino"])
def test_a_broken_model_is_one_line(name):
    if name == "openvino":
        pytest.importorskip("openvino")
    with pytest.raises(ModelError) as caught:
        make_engine(name, b"garbage", 1)
    assert "\n" not in str(caught.value)


def test_a_run_that_fails_is_one_line():
    engine = make_engine("ort", random_network().SerializeToString(), 1)
    with pytest.raises(ModelError) as caught:
        engine.run(np.zeros((1, 4, 4, 5), np.uint8))
    assert "\n" not in str(caught.value)


def test_out_of_memory_is_told_apart():
    failure = engines._failure(RuntimeError("... Failed to allocate memory for requested buffer of size 1"), "x")
    assert isinstance(failure, MemoryError)
    assert isinstance(engines._failure(RuntimeError("bad node"), "x"), ModelError)


def test_threads_are_those_of_this_process():
    assert available_threads() >= 1


_SIGNALLED = """
import faulthandler, gc, os, signal
faulthandler.enable()
import numpy as np
from sharpline.runtime.upscaler import Upscaler

signal.signal(signal.SIGTERM, lambda *_: print("handled"))
for _ in range(2):
    upscale = Upscaler("edge-s-x4", engine="openvino")
    upscale(np.zeros((8, 8, 3), np.uint8))
    upscale(np.zeros((8, 8, 3), np.float32))
    del upscale
    gc.collect()
    os.kill(os.getpid(), signal.SIGTERM)
"""


def test_signals_are_survived_after_openvino_has_gone():
    pytest.importorskip("openvino", reason="the engine openvino is not installed")
    found = subprocess.run([sys.executable, "-c", _SIGNALLED], capture_output=True, text=True, check=False)
    assert found.stdout.split() == ["handled", "handled"], found.returncode

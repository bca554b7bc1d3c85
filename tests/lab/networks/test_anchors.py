"""The bicubic anchor is MATLAB's imresize, in torch and in ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.lab.networks.anchors import bicubic  # noqa: E402
from sharpline.pixels.imresize import imresize  # noqa: E402


def reference(lr: np.ndarray, scale: int) -> np.ndarray:
    """[N, C, H, W] through imresize."""
    return np.stack([imresize(image.transpose(1, 2, 0).copy(), scale).transpose(2, 0, 1) for image in lr])


@settings(max_examples=60, deadline=None)
@given(
    scale=st.sampled_from([1, 2, 3, 4, 8]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    colours=st.sampled_from([1, 3]),
    seed=st.integers(0, 999),
)
def test_bicubic_is_imresize(scale: int, size: tuple[int, int], colours: int, seed: int) -> None:
    lr = np.random.default_rng(seed).random((2, colours, *size))
    np.testing.assert_allclose(bicubic(torch.from_numpy(lr), scale).numpy(), reference(lr, scale), rtol=0, atol=1e-14)
    single = lr.astype(np.float32)
    got = bicubic(torch.from_numpy(single), scale)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), reference(single, scale), rtol=0, atol=1e-6)


def test_autocast_does_not_coarsen_the_anchor() -> None:
    lr = torch.rand(1, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = bicubic(lr, 2)
    torch.testing.assert_close(coarse, bicubic(lr, 2), rtol=0, atol=0)


@pytest.mark.slow
def test_exported_bicubic_is_imresize_at_any_size_without_resize(tmp_path: Path) -> None:
    class Anchor(torch.nn.Module):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return bicubic(lr, 3)

    file = tmp_path / "anchor.onnx"
    sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    torch.onnx.export(
        Anchor().eval(),
        (torch.rand(1, 1, 6, 7),),
        file,
        dynamo=True,
        opset_version=18,
        dynamic_shapes=(sides,),
        verbose=False,
    )
    model = onnx.load(file)
    assert [(o.domain, o.version) for o in model.opset_import if o.domain == ""] == [("", 18)]
    assert not {"Resize", "Loop", "If", "ScatterND"} & {node.op_type for node in model.graph.node}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for size in ((1, 1), (2, 5), (11, 8)):
        lr = np.random.default_rng(0).random((1, 1, *size)).astype(np.float32)
        got = session.run(None, {session.get_inputs()[0].name: lr})[0]
        np.testing.assert_allclose(got, reference(lr, 3), rtol=0, atol=1e-6)

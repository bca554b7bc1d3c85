import contextlib

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from networks_onnx import random_card, random_network, save
from sharpline.errors import ModelError
from sharpline.runtime.modelfile import check_io, load_model


def test_a_good_file_opens(model_file):
    assert load_model(model_file()).graph.output[0].name == "sr"


def test_missing_file(tmp_path):
    with pytest.raises(ModelError, match="No such file"):
        load_model(tmp_path / "none.onnx")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors", "weights", "weights.onnx.bak"])
def test_another_suffix_is_never_opened(tmp_path, name):
    with pytest.raises(ModelError, match=r"not an \.onnx file"):
        load_model(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"hello, world\n" * 10, bytes(1000), b"\x80\x04\x95pickle", b"\x08\x0a"])
def test_garbage(tmp_path, content):
    path = tmp_path / "garbage.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not an ONNX model"):
        load_model(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated(tmp_path, share):
    data = random_network().SerializeToString()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError):
        load_model(path)


@settings(deadline=None, max_examples=60)
@given(where=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_flipped_byte_never_ends_in_a_traceback(tmp_path_factory, where, value):
    data = bytearray(random_network().SerializeToString())
    data[where % len(data)] = value
    path = tmp_path_factory.mktemp("flip") / "flip.onnx"
    path.write_bytes(data)
    with contextlib.suppress(ModelError):
        check_io(load_model(path), random_card(), "flip.onnx")


def test_weights_in_another_file_are_refused(tmp_path):
    model = random_network()
    path = tmp_path / "external.onnx"
    onnx.save_model(model, path, save_as_external_data=True, size_threshold=0, location="weights.bin")
    with pytest.raises(ModelError, match="weights are in another file"):
        load_model(path)


def test_weights_in_another_file_are_found_in_attributes(tmp_path):
    tensor = numpy_helper.from_array(np.zeros(4, np.float32))
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    model = random_network()
    model.graph.node.append(helper.make_node("Constant", [], ["secret"], value=tensor))
    with pytest.raises(ModelError, match="weights are in another file"):
        load_model(save(model, tmp_path / "hidden.onnx"))


def test_channels_have_to_fit_the_card():
    with pytest.raises(ModelError, match=r"'lr' has to be uint8, 1 x H x W x 1"):
        check_io(random_network(colour="rgb"), random_card(colour="y"), "file.onnx")


def test_fixed_sizes_are_refused():
    model = random_network()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 64
    with pytest.raises(ModelError, match="are fixed"):
        check_io(model, random_card(), "file.onnx")


def test_float_input_is_refused():
    model = random_network()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    with pytest.raises(ModelError, match="uint8"):
        check_io(model, random_card(), "file.onnx")

import pytest

from networks_onnx import random_network, save
from sharpline.errors import ModelError, UsageError
from sharpline.runtime import catalog
from sharpline.runtime.catalog import card_of, file_of, list_models, model_for, open_model, precisions_of
from sharpline.runtime.certificate.document import read_certificate, sha256_of
from sharpline.runtime.certificate.verify import certificate_of


@pytest.fixture
def embedded(tmp_path, monkeypatch):
    """A folder of two embedded networks in place of the package's own."""
    for scale in (2, 4):
        save(random_network(scale, name=f"edge-m-x{scale}"), tmp_path / f"edge-m-x{scale}.onnx")
    monkeypatch.setattr(catalog, "_FOLDER", tmp_path)


@pytest.mark.usefixtures("embedded")
def test_names_lead_to_embedded_networks():
    assert [card.name for card in list_models()] == ["edge-m-x2", "edge-m-x4", "bicubic", "lanczos"]
    assert open_model("edge-m-x2").card.scale == 2
    assert card_of("edge-m-x4").scale == 4


@pytest.mark.usefixtures("embedded")
def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ModelError, match=r"unknown model 'edge-m-x3'.*edge-m-x"):
        open_model("edge-m-x3")
    with pytest.raises(ModelError, match="did you mean lanczos"):
        open_model("lancsoz")


@pytest.mark.usefixtures("embedded")
def test_another_scale_names_the_models_that_have_it():
    with pytest.raises(UsageError, match=r"4 times, not 2: models for 2 are edge-m-x2, bicubic, lanczos"):
        open_model("edge-m-x4", scale=2)


@pytest.mark.usefixtures("embedded")
def test_the_default_model_follows_the_scale():
    assert model_for(None, None) == ("edge-m-x4", 4)
    assert model_for(None, 2) == ("edge-m-x2", 2)
    assert model_for("bicubic", 3) == ("bicubic", 3)
    with pytest.raises(UsageError, match="no default model for scale 3: name one of bicubic, lanczos"):
        model_for(None, 3)


@pytest.mark.usefixtures("embedded")
def test_integers_are_the_default_where_there_are_some(tmp_path):
    save(random_network(4, name="edge-m-x4", precision="int8"), tmp_path / "edge-m-x4.int8.onnx")
    assert [card.name for card in list_models()] == ["edge-m-x2", "edge-m-x4", "bicubic", "lanczos"]
    assert open_model("edge-m-x4").source.endswith("edge-m-x4.int8.onnx")
    assert open_model("edge-m-x4", precision="int8").card.precision == "int8"
    assert open_model("edge-m-x4", precision="fp32").source.endswith("edge-m-x4.onnx")
    assert precisions_of("edge-m-x4") == ["int8", "fp32"]
    assert precisions_of("edge-m-x2") == ["fp32"]


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize("name", ["edge-m-x2", "bicubic"])
def test_a_precision_that_a_model_has_not(name):
    with pytest.raises(UsageError, match=rf"model '{name}' is fp32, not int8"):
        open_model(name, precision="int8")


def test_every_embedded_file_opens_under_its_own_name():
    for name in catalog._embedded():
        for precision in precisions_of(name):
            card = open_model(name, precision=precision).card
            assert (card.name, card.precision) == (name, precision)


def test_every_embedded_network_is_there_in_integers():
    assert [precisions_of(name) for name in catalog._embedded()] == [["int8", "fp32"]] * 3


def test_every_embedded_network_in_integers_is_the_certified_one():
    for name in catalog._embedded():
        file = file_of(name)
        certified = read_certificate(certificate_of(file)).after
        assert (certified.name, certified.sha256) == (name, sha256_of(file.read_bytes()))


@pytest.mark.parametrize("scale", [0, 17, -1, 2.0, True, "4"])
def test_a_scale_that_is_none(scale):
    with pytest.raises(UsageError, match="not a whole number"):
        open_model("bicubic", scale=scale)


def test_a_file_without_a_card_runs_with_one_that_is_given(tmp_path):
    model = random_network(2, "y", 3)
    del model.metadata_props[:]
    path = save(model, tmp_path / "my net.onnx")
    with pytest.raises(ModelError, match="no model card"):
        open_model(path)
    found = open_model(path, card={"scale": 2, "colour": "y", "receptive_field": 3})
    assert (found.card.name, found.card.scale) == ("my-net", 2)


def test_a_path_is_told_from_a_name(tmp_path):
    with pytest.raises(ModelError, match="cannot read"):
        open_model(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match=r"not an \.onnx file"):
        open_model("model.pth")


def test_a_model_in_memory_is_opened_like_its_file():
    model = random_network(2, "y", 3)
    found = open_model(model, scale=2)
    assert found.graph is model
    assert found.card == card_of(model)
    assert model_for(model, None) == (model, 2)
    with pytest.raises(UsageError, match="2 times, not 3"):
        open_model(model, scale=3)
    model.graph.input[0].type.tensor_type.elem_type = 1
    with pytest.raises(ModelError, match="the model in memory: the input"):
        open_model(model)

import json

import onnx
import pytest

from networks_onnx import random_card, random_network
from sharpline.errors import ModelError
from sharpline.runtime.card import CARD_KEY, embed_card, read_card


def _with_text(text: str) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.metadata_props.add(key=CARD_KEY, value=text)
    return model


def test_a_card_travels_in_the_file():
    card = random_card(3, "y", 5, quality={"Set5": {"psnr_y": 31.1, "ssim_y": 0.88}}, description="déjà vu")
    model = onnx.ModelProto()
    model.metadata_props.add(key="author", value="someone")
    copy = onnx.ModelProto.FromString(embed_card(model, card).SerializeToString())
    assert read_card(copy) == card
    assert {entry.key for entry in copy.metadata_props} == {"author", CARD_KEY}


def test_a_card_of_exact_tiles_has_no_tile_error():
    assert random_card().tile_error is None
    assert read_card(_with_text(random_card(tile_error=0.25).model_dump_json())).tile_error == 0.25


def test_embedding_twice_keeps_the_last():
    model = embed_card(embed_card(onnx.ModelProto(), random_card(2)), random_card(4))
    assert read_card(model).scale == 4


def test_no_card_names_what_is_missing():
    with pytest.raises(ModelError, match=r"no model card.*name, scale, colour, receptive_field"):
        read_card(onnx.ModelProto())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scale": 0}, "scale"),
        ({"scale": 99}, "scale"),
        ({"colour": "cmyk"}, "colour"),
        ({"receptive_field": -1}, "receptive_field"),
        ({"precision": "int3"}, "precision"),
        ({"tile_error": -1.0}, "tile_error"),
        ({"recptive_field": 3}, "recptive_field"),
        ({"name": ""}, "name"),
        ({"quality": {"Set5": {"psnr_y": float("nan"), "ssim_y": 1}}}, "psnr_y"),
    ],
)
def test_bad_fields_are_named_on_one_line(fields, message):
    card = {**random_card().model_dump(), **fields}
    with pytest.raises(ModelError, match=message) as caught:
        read_card(_with_text(json.dumps(card)), source="file.onnx")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("file.onnx: ")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "[" * 100_000])
def test_a_damaged_card_is_refused(text):
    with pytest.raises(ModelError, match="card"):
        read_card(_with_text(text))


def test_given_fields_complete_and_override():
    model = random_network()
    assert read_card(model, given={"licence": "MIT"}).licence == "MIT"
    assert read_card(onnx.ModelProto(), given=random_card(3)).scale == 3

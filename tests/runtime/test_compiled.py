"""The engine ``compiled``: what it computes, on which arrays, and what becomes of libraries that are not right."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiled_c import check_of, compiled_in_c, picture, saved_model, small_model
from networks_onnx import random_network, save
from sharpline import Upscaler
from sharpline.errors import ImageError, ModelError, UsageError
from sharpline.line.flow.reuse import Reuse
from sharpline.runtime import compiled
from sharpline.runtime.integer import IntegerModel, network_digest, upscale_integer
from sharpline.runtime.integer_graph import integer_graph
from sharpline.runtime.libraries import library_of, list_of, write_libraries
from sharpline.runtime.network import _say_once
from sharpline.runtime.processor import fitting_targets


@pytest.fixture
def target() -> str:
    """The best variant for the machine that the tests run on."""
    fitting = fitting_targets()
    if not fitting:
        pytest.skip("no compiled variant is for this processor")
    return fitting[0]


@pytest.fixture
def variant(tmp_path: Path, target: str):
    """Saves a model with a library and its list: ``variant(model, code=0, abi=1, ...)``."""

    def make(model: IntegerModel, **told: Any) -> Path:
        file = saved_model(model, tmp_path / "small.int8.onnx")
        library = compiled_in_c(model, library_of(file, target), target, **told)
        write_libraries(list_of(file), network_digest(model), [(target, library)])
        return file

    return make


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture):
    """The lines that were said, each of which is said once a process."""
    _say_once.cache_clear()
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("sharpline.runtime")]


@pytest.mark.parametrize("colours", [3, 1])
@pytest.mark.parametrize("threads", [1, 3])
def test_it_computes_what_the_judge_computes(variant, said, colours, threads) -> None:
    model = small_model(colours)
    upscale = Upscaler(variant(model), threads=threads)
    assert upscale.engine_name == "compiled"
    for size in ((1, 1), (1, 9), (8, 1), (17, 23)):
        lr = picture(*size, colours)
        np.testing.assert_array_equal(upscale(lr), upscale_integer(model, lr))
    assert not said()


def test_tiles_do_not_change_a_byte(variant) -> None:
    model, lr = small_model(), picture(50, 37)
    np.testing.assert_array_equal(Upscaler(variant(model), engine="compiled", tile=16)(lr), upscale_integer(model, lr))


@pytest.mark.parametrize(
    "view",
    [
        lambda large: large[3:14, 5:18],
        lambda large: large[3:4, 5:18],
        lambda large: large[3:14, 5:6],
        lambda large: large[::2],
        lambda large: large[:, ::2],
        lambda large: large[::-1],
        lambda large: large[:, ::-1],
        lambda large: large[:, :, ::-1],
        lambda large: large.transpose(1, 0, 2),
        lambda large: np.broadcast_to(large[:1], large.shape),
        lambda large: np.asfortranarray(large),
    ],
)
def test_any_view_of_an_array_will_do(variant, view) -> None:
    model, large = small_model(), picture(20, 30)
    large.flags.writeable = False
    lr = view(large)
    np.testing.assert_array_equal(Upscaler(variant(model), engine="compiled")(lr), upscale_integer(model, lr))


def test_views_with_packed_pixels_are_not_copied() -> None:
    large = picture(20, 30)
    assert np.shares_memory(compiled._packed(large[2:9, 3:11]), large)
    assert np.shares_memory(compiled._packed(large[::3, :7]), large)
    assert not np.shares_memory(compiled._packed(large[:, ::2]), large)


def test_scratch_is_kept_from_frame_to_frame(variant) -> None:
    file = variant(small_model())
    engine = compiled.compiled_engine(Upscaler(file).card, integer_graph(small_model()), 1, str(file))
    engine.run(picture(20, 30)[None])
    kept = engine._idle.get()
    engine._idle.put(kept)
    for height in (20, 10, 1):
        engine.run(picture(height, 30)[None])
    assert engine._idle.get() is kept
    assert engine._idle.empty()


def test_a_hundred_calls_at_once(variant) -> None:
    model = small_model()
    upscale = Upscaler(variant(model), engine="compiled", threads=2)
    pictures = [picture(9 + n % 7, 11 + n % 5, seed=n) for n in range(100)]
    with ThreadPoolExecutor(16) as pool:
        for lr, sr in zip(pictures, pool.map(upscale, pictures), strict=True):
            np.testing.assert_array_equal(sr, upscale_integer(model, lr))


@pytest.mark.parametrize(("colours", "channels"), [(3, 3), (3, 1), (1, 3), (1, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_other_pictures_are_as_in_onnx_runtime(variant, colours, channels, dtype) -> None:
    file, lr = variant(small_model(colours)), picture(12, 14, channels)
    image = lr.astype(np.uint16) * 257 if dtype == np.uint16 else lr / np.float32(255) if dtype == np.float32 else lr
    by_library, by_graph = (Upscaler(file, engine=engine)(image) for engine in ("compiled", "ort"))
    np.testing.assert_array_equal(by_library, by_graph)


def test_what_has_not_changed_is_reused(variant) -> None:
    model = small_model()
    upscale = Upscaler(variant(model), engine="compiled")
    reuse = Reuse(upscale, scale=2, halo=2, tile=8)
    lr = picture(40, 40)
    reuse(lr)
    changed = lr.copy()
    changed[20, 20] ^= 255
    sr, reused = reuse(changed)
    assert reused > 0.5
    np.testing.assert_array_equal(sr, upscale_integer(model, changed))


def test_memory_is_estimated_by_what_the_library_needs(variant) -> None:
    file = variant(small_model())
    by_library, by_graph = (Upscaler(file, engine=engine)._network for engine in ("compiled", "ort"))
    assert by_library is not None
    assert by_graph is not None
    lr = picture(4, 4)
    assert by_library.bytes_per_pixel(lr) < by_graph.bytes_per_pixel(lr)
    assert by_library.bytes_per_pixel(lr / np.float32(255)) == by_graph.bytes_per_pixel(lr)


def test_too_little_memory_is_an_error_for_people(variant) -> None:
    upscale = Upscaler(variant(small_model(), more=2**58), engine="compiled", threads=1, tile=64)
    with pytest.raises(ImageError, match="not enough memory"):
        upscale(picture(20, 20))


def test_a_run_that_is_refused_is_one_line(variant) -> None:
    file = variant(small_model())
    engine = compiled.compiled_engine(Upscaler(file).card, integer_graph(small_model()), 1, str(file))
    with pytest.raises(ModelError, match="enlarges uint8 of 3 colours"):
        engine.run(picture(4, 4, 1)[None])
    engine.library._upscale = lambda *arguments: 5
    with pytest.raises(ModelError, match=r"could not enlarge 4 x 3 pixels \(code 5\)"):
        engine.run(picture(3, 4)[None])


def truncate(library: Path) -> None:
    library.write_bytes(library.read_bytes()[:-4096])


def relisted(change):
    """A change to the library's bytes that the list knows of."""

    def damage(library: Path) -> None:
        data = bytearray(library.read_bytes())
        change(data)
        library.unlink()
        library.write_bytes(data)
        model = next(library.parent.glob("*.onnx"))
        listed = json.loads(list_of(model).read_text())
        write_libraries(list_of(model), listed["network"], [(next(iter(listed["libraries"])), library)])

    return damage


DAMAGES = {
    "is damaged or was replaced": truncate,
    "cannot be read": lambda library: library.unlink(),
    "is no shared library for": relisted(lambda data: data.__setitem__(slice(18, 20), b"\xf3\x00")),
    r"is no shared library for .*;": relisted(lambda data: data.__setitem__(slice(0, 4), b"text")),
    "cannot be opened": relisted(
        lambda data: data.__setitem__(slice(0, len(data)), data.replace(b"_upscale", b"_upscalf"))
    ),
}


def refused(file: Path, words: str, said) -> None:
    """Asked for, an error; else ONNX Runtime and one line about it, however many ask."""
    with pytest.raises(ModelError, match=words) as caught:
        Upscaler(file, engine="compiled")
    assert "\n" not in str(caught.value)
    for _ in range(3):
        assert Upscaler(file).engine_name == "ort"
    lines = said()
    assert len(lines) == 1
    assert lines[0].endswith("it runs in ONNX Runtime")


@pytest.mark.parametrize("words", DAMAGES)
def test_damaged_libraries_are_never_run(variant, said, words) -> None:
    file = variant(small_model())
    DAMAGES[words](next(file.parent.glob("*.so")))
    refused(file, words, said)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"abi": 2}, "is for another version"),
        ({"network": "0" * 64}, "is for another network"),
        ({"target": "arm64-sve"}, "is for arm64-sve"),
        ({"check": {"cases": []}}, "does not say what it is"),
        ({"scale": "two"}, "does not say what it is"),
    ],
)
def test_libraries_that_say_another_thing_are_refused(variant, said, told, words) -> None:
    refused(variant(small_model(), **told), words, said)


def test_a_library_that_computes_something_else_is_refused(variant, said) -> None:
    model, other = small_model(), small_model(seed=1)
    file = variant(other, network=network_digest(model), check=check_of(model))
    saved_model(model, file)
    listed = json.loads(list_of(file).read_text()) | {"network": network_digest(model)}
    list_of(file).write_text(json.dumps(listed))
    refused(file, "does not compute", said)


def test_a_library_whose_runs_fail_is_refused(variant, said) -> None:
    refused(variant(small_model(), code=3), r"code 3", said)


def test_a_model_that_was_changed_since_is_told(variant, said) -> None:
    file = variant(small_model())
    model = small_model()
    changed = replace(model.layers[0], bias=model.layers[0].bias + 1)
    saved_model(replace(model, layers=(changed, model.layers[1])), file)
    refused(file, "lists libraries of another network", said)


@pytest.mark.parametrize("text", ["", "[]", '{"abi": 9, "network": "", "libraries": {}}', "\x00"])
def test_a_damaged_list_is_told(variant, said, text) -> None:
    file = variant(small_model())
    list_of(file).write_text(text)
    refused(file, "is no list of compiled libraries", said)


def test_a_list_cannot_point_out_of_its_folder(variant, said) -> None:
    file = variant(small_model())
    text = list_of(file).read_text()
    name = next(file.parent.glob("*.so")).name
    list_of(file).write_text(text.replace(name, f"../{name}"))
    refused(file, "is no list of compiled libraries", said)


def test_without_a_variant_it_says_how_to_make_one(tmp_path, target, said) -> None:
    refused(
        saved_model(small_model(), tmp_path / "small.onnx"), rf"\({target}\).*'sharpline compile .*small\.onnx'", said
    )


def test_networks_that_no_variant_is_made_for_are_run_in_silence(tmp_path, said) -> None:
    floats = save(random_network(), tmp_path / "floats.onnx")
    foreign = save(random_network(precision="int8"), tmp_path / "foreign.onnx")
    in_memory = integer_graph(small_model())
    card = {"name": "x", "scale": 2, "colour": "rgb", "receptive_field": 2, "precision": "int8"}
    for model, words in ((floats, "this one is fp32"), (foreign, "not an integer network"), (in_memory, "save it")):
        given = card if model is in_memory else None
        assert Upscaler(model, card=given).engine_name == "ort"
        with pytest.raises(ModelError, match=words):
            Upscaler(model, card=given, engine="compiled")
    assert not said()


def test_one_variant_can_be_asked_for(variant, monkeypatch, target) -> None:
    file = variant(small_model())
    monkeypatch.setenv("SHARPLINE_TARGET", target)
    assert Upscaler(file, engine="compiled").engine_name == "compiled"
    monkeypatch.setenv("SHARPLINE_TARGET", "riscv")
    with pytest.raises(UsageError, match="unknown target 'riscv'"):
        Upscaler(file)
    monkeypatch.setenv("SHARPLINE_TARGET", "arm64-neon" if target.startswith("x86") else "x86-64-avx2")
    with pytest.raises(ModelError, match=r"no compiled variant is for this processor \(SHARPLINE_TARGET is"):
        Upscaler(file, engine="compiled")

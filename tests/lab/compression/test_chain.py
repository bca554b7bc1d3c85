"""Chains: steps follow each other, are not done twice, and nothing is shipped that breaks the contract."""

from __future__ import annotations

import json
import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from skimage import data as pictures

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import ModelError, SharplineError, UsageError  # noqa: E402
from sharpline.lab.compression import chain as chains  # noqa: E402
from sharpline.lab.compression import steps as single_steps  # noqa: E402
from sharpline.lab.compression.chain import compress  # noqa: E402
from sharpline.lab.compression.layers import kernels  # noqa: E402
from sharpline.lab.compression.quantization import traced  # noqa: E402
from sharpline.lab.compression.recipe import load_chain  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.networks.integer import Integer  # noqa: E402
from sharpline.lab.training.checkpoint import load_network, save_network  # noqa: E402
from sharpline.lab.training.validate import upscale  # noqa: E402
from sharpline.runtime.certificate.verify import verify  # noqa: E402
from sharpline.runtime.upscaler import Upscaler  # noqa: E402

CARD = {"version": "1", "description": "test", "licence": "CC0", "training_data": "noise"}
PRUNE = {"kind": "prune", "pruning": {"layers": {"body.*": 0.5}}}
THIN = {"kind": "thin", "thinning": {"layers": {"head": 0.5}}}
GRADUAL = {"kind": "agp", "end": 3, "every": 1}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A data folder with train, valid and test pictures, and a checkpoint."""
    for folder, name in (("train", "astronaut"), ("valid", "coffee"), ("test", "chelsea")):
        (tmp_path / folder).mkdir()
        Image.fromarray(getattr(pictures, name)()[100:196, 100:228]).save(tmp_path / folder / f"{name}.png")
    torch.manual_seed(0)
    net = build({"family": "edge", "channels": 8, "depth": 2, "scale": 2})
    save_network(tmp_path / "source.safetensors", net, {"name": "source", "card": CARD})
    return tmp_path


def recipe(place: Path, steps: list[dict[str, Any]], **more: Any) -> Path:
    content = {
        "name": "small",
        "model": str(place / "source.safetensors"),
        "data": {"train": "train", "valid": "valid", "patch": 8, "batch": 2},
        "sets": {"Cat": "test"},
        "training": {"optimiser": {"kind": "adam", "rate": 1e-4}, "schedule": {"warmup": 0}, "validate_every": 2},
        "chain": steps,
        "card": CARD,
        **more,
    }
    (place / "chain.yaml").write_text(yaml.safe_dump(content))
    return place / "chain.yaml"


def run(place: Path, steps: list[dict[str, Any]], **more: Any) -> chains.Result:
    return compress(load_chain(recipe(place, steps, **more)), place, place / "runs" / "small", tell=lambda *_: None)


def test_a_whole_chain(place: Path) -> None:
    steps = [
        {**PRUNE, "pruning": {**PRUNE["pruning"], "schedule": GRADUAL}, "steps": 5},
        {**THIN, "steps": 2},
        {"kind": "quantize", "steps": 2},
    ]
    result = run(place, steps)
    names = [path.name for path in result.files]
    assert names == ["small.onnx", "small.safetensors", "small.certificate.json", "small.certificate.html"]
    done = result.certificate.steps
    assert [step.kind for step in done] == ["prune", "thin", "quantize"]
    assert "25.8%" in done[0].notes[0]  # half of the body, which is half of the kernels
    assert done[1].macs < 0.9 * done[0].macs
    for before, after in pairwise(done):
        assert after.psnr_before == before.psnr_after
    net, about = load_network(place / "runs" / "small" / "small.safetensors")
    assert isinstance(net, Integer)
    assert about["name"] == "small"
    card = Upscaler(place / "runs" / "small" / "small.onnx").card
    assert card.precision == "int8"
    assert card.quality["Cat"].psnr_y == pytest.approx(result.certificate.sets["Cat"].after.psnr_y, abs=6e-4)
    assert all(
        finding.holds is not False
        for finding in verify(place / "runs" / "small" / "small.onnx", sets={"Cat": place / "test"})
    )


def test_one_shot_pruning(place: Path) -> None:
    run(place, [PRUNE])
    net, _ = load_network(place / "runs" / "small" / "small.safetensors")
    assert [(layer.weight == 0).float().mean().item() for layer in net.body] == [0.5, 0.5]


def test_what_is_done_is_not_done_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(place, [PRUNE, THIN])
    (place / "runs" / "small" / "2-thin" / "done.json").unlink()  # as if it had been stopped there
    taken = []
    real = chains.take
    monkeypatch.setattr(chains, "take", lambda chain, step, *more: taken.append(step.kind) or real(chain, step, *more))
    again = run(place, [PRUNE, THIN])
    assert taken == ["thin"]
    assert again.certificate.after.sha256 == first.certificate.after.sha256
    assert again.certificate.steps[0].seconds == pytest.approx(first.certificate.steps[0].seconds, abs=0.06)
    with pytest.raises(UsageError, match="holds a run of another chain"):
        run(place, [THIN])


def test_the_time_of_a_training_is_not_forgotten(place: Path) -> None:
    steps = [{"kind": "quantize", "steps": 2}]
    first = run(place, steps).certificate.steps[0].seconds
    done = place / "runs" / "small" / "1-quantize" / "done.json"
    done.write_text(json.dumps({k: v for k, v in json.loads(done.read_text()).items() if k != "seconds"}))  # as of old
    assert 0 < run(place, steps).certificate.steps[0].seconds <= first + 0.06


def test_a_broken_contract_ships_nothing_and_names_the_step(place: Path) -> None:
    assert (place / "runs" / "small" / "small.onnx") in run(place, [PRUNE, THIN]).files
    result = run(place, [PRUNE, THIN], contract={"max_drop": "0.01dB", "max_bytes": "1KB"})
    assert [path.name for path in result.files] == ["small.refused.json", "small.refused.html"]
    assert not (place / "runs" / "small" / "small.onnx").exists()
    text = "\n".join(result.certificate.breaches)
    assert "Cat lost" in text
    assert "more than 1,000" in text
    assert "Cat: after step" in text


@pytest.mark.parametrize("steps", [0, 1])
def test_thinning_by_what_the_loss_would_feel(place: Path, steps: int) -> None:
    thin = {"kind": "thin", "thinning": {"layers": {"head": 0.5}, "criterion": "taylor"}, "steps": steps}
    result = run(place, [thin])
    assert "head" in "\n".join(result.certificate.steps[0].notes)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([{"kind": "prune", "pruning": {"layers": {"bodi.*": 0.5}}}], "bodi"),
        ([{"kind": "prune", "pruning": {"layers": {"body.*": 1.0}}}], "sparsity of 1.0"),
        ([{"kind": "quantize", "quantization": {"weights": 3}}], "1, 2, 4 or 8"),
        ([{"kind": "quantize", "calibration": "empty"}], "empty"),
        ([{"kind": "quantise"}], "chain.0: kind 'quantise' is not known: did you mean quantize?"),
        ([{"kind": "xyz"}], "did you mean prune or thin or distil or quantize"),
        ([{"steps": 5}], "chain.0: has no 'kind'"),
        ([{**PRUNE, "stepz": 5}], "chain.0.stepz': did you mean 'steps'"),
        ([{"kind": "thin", "budget": {"max_mac": 5}}], "did you mean 'max_macs'"),
        ([{"kind": "quantize"}, PRUNE], "nothing can be done after"),
        ([{"kind": "distil", "steps": 1, "teacher": {"checkpoint": "TEACHER"}}], "cannot teach"),
        ([{**PRUNE, "steps": 1, "training": {"losss": "l1"}}], "losss"),
        ([{**PRUNE, "pruning": {**PRUNE["pruning"], "schedule": GRADUAL}, "steps": 2}], "end it earlier"),
    ],
)
def test_mistakes_are_found_before_any_work(place: Path, steps: list[dict[str, Any]], words: str) -> None:
    (place / "empty").mkdir()
    teacher = build({"family": "edge", "channels": 4, "depth": 1, "scale": 3})
    save_network(place / "teacher.safetensors", teacher, {"name": "t"})
    text = json.dumps(steps).replace("TEACHER", str(place / "teacher.safetensors"))
    with pytest.raises(UsageError, match=words):
        run(place, json.loads(text))
    assert not (place / "runs").exists()


def test_a_certificate_is_measured_on_pictures_that_nothing_was_chosen_by(place: Path) -> None:
    with pytest.raises(UsageError, match="learns from or chooses by"):
        run(place, [PRUNE], sets={"Valid": "valid"})


def test_shares_that_are_measured_and_a_budget_that_is_searched(place: Path) -> None:
    pruning = {"kind": "prune", "pruning": {"layers": {"auto": 0.4}}}
    result = run(place, [pruning, {"kind": "thin", "budget": {"max_macs": 2000, "multiple": 2}}])
    first, second = result.certificate.steps
    assert "40.0%" in first.notes[0]
    assert second.macs <= 2000
    assert any("of its channels" in note for note in second.notes)


def test_thinning_says_what_the_cut_left_before_it_trains(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    chain = load_chain(recipe(place, [THIN]))
    compress(chain, place, place / "runs" / "alive", tell=lambda what, _: told.append(what))
    fate = next(what for what in told if "before the cut" in what)
    assert "comes back" not in fate
    monkeypatch.setattr(single_steps, "_DEADLY", -100.0)
    notes = compress(chain, place, place / "runs" / "dead", tell=lambda *_: None).certificate.steps[0].notes
    assert "by criterion taylor" in notes[-1]


def test_gradual_thinning_says_what_it_cut(place: Path) -> None:
    thin = {"kind": "thin", "thinning": {"layers": {"head": 0.5}, "schedule": {**GRADUAL, "begin": 1}}, "steps": 5}
    step = run(place, [thin]).certificate.steps[0]
    assert any(note.startswith("head") and "8 -> 4" in note for note in step.notes)


def test_zeros_stay_through_a_distillation(place: Path) -> None:
    teacher = {"checkpoint": str(place / "source.safetensors"), "weight": 0.5}
    run(place, [THIN, PRUNE, {"kind": "distil", "steps": 2, "teacher": teacher}])
    net, _ = load_network(place / "runs" / "small" / "small.safetensors")
    assert [(layer.weight == 0).float().mean().item() for layer in net.body] == [0.5, 0.5]


def test_zeros_stay_through_quantization(place: Path) -> None:
    run(place, [PRUNE, {"kind": "quantize", "steps": 3}])
    pruned, _ = load_network(place / "runs" / "small" / "1-prune" / "network.safetensors")
    learnt, _ = load_network(place / "runs" / "small" / "2-quantize" / "network.safetensors")
    for layer, conv in zip(pruned.convolutions(), learnt.convolutions(), strict=True):
        zero = layer.collapsed() == 0
        assert not conv.weight[zero].any()
        assert conv.weight[~zero].any()


def test_stopped_in_a_training_it_goes_on_there(place: Path) -> None:
    steps = [{"kind": "distil", "steps": 6, "teacher": {"checkpoint": str(place / "source.safetensors")}}]
    chain = load_chain(recipe(place, steps))
    seen = []

    def stop(what: str, training: Any) -> None:
        if training is not None:
            seen.append(training.step)
            if len(seen) == 3:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SharplineError, match="stopped at step 3 of 6; the same command goes on"):
        compress(chain, place, place / "runs" / "small", tell=stop)
    assert compress(chain, place, place / "runs" / "small", tell=stop).files
    assert seen == [1, 2, 3, 4, 5, 6]


def other(place: Path, settings: dict[str, Any]) -> str:
    """A checkpoint of another family, whose pictures are neither black nor white."""
    torch.manual_seed(0)
    net = build({"scale": 2, **settings}).eval()
    with torch.no_grad():
        bias = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)][-1].bias
        if settings["family"] != "vdsr":  # its picture is there from the start
            bias.add_(0.4)
    save_network(place / "other.safetensors", net, {"name": "other", "card": CARD})
    return str(place / "other.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "layers"),
    [
        ({"family": "rrdb", "blocks": 2, "channels": 8, "growth": 4}, "body.*"),
        ({"family": "srresnet", "blocks": 1, "channels": 8}, "body.*"),
        ({"family": "vdsr", "channels": 8, "depth": 3}, "layers.0"),
    ],
    ids=lambda value: value["family"] if isinstance(value, dict) else "",
)
def test_every_family_is_thinned_and_becomes_integers(place: Path, settings: dict[str, Any], layers: str) -> None:
    thin = {"kind": "thin", "thinning": {"layers": {layers: 0.5}}}
    result = run(place, [thin, {"kind": "quantize"}], model=other(place, settings), frame=[48, 32])
    thinned, integers = result.certificate.steps
    before, after = result.certificate.before, result.certificate.after
    assert thinned.macs < before.macs
    assert (before.precision, after.precision) == ("fp32", "int8")
    assert after.parameters < before.parameters
    assert result.certificate.frame == (48, 32)
    shipped = place / "runs" / "small" / "small.onnx"
    floats, _ = load_network(place / "runs" / "small" / "small.safetensors")  # what the integers were made from
    lr = pictures.astronaut()[:40, :56]
    lr = lr if floats.config.colour == "rgb" else lr[..., :1].copy()
    assert abs(Upscaler(shipped)(lr).astype(int) - upscale(floats, lr)).mean() < 3
    assert all(finding.holds is not False for finding in verify(shipped, sets={"Cat": place / "test"}))
    assert integers.notes[0].startswith(f"{len(kernels(floats))} convolutions in integers, W7A8")


def test_integers_that_are_there_are_not_made_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = other(place, {"family": "vdsr", "channels": 4, "depth": 2})
    first = run(place, [{"kind": "quantize"}], model=model, frame=[48, 32])
    monkeypatch.setattr(chains, "take", lambda *_: pytest.fail("was done already"))
    again = run(place, [{"kind": "quantize"}], model=model, frame=[48, 32])
    assert again.certificate.after.sha256 == first.certificate.after.sha256


def test_integers_that_are_not_their_floats_are_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = traced._ranges
    halved = lambda *given: {name: (low / 2, high / 2) for name, (low, high) in real(*given).items()}  # noqa: E731
    monkeypatch.setattr(traced, "_ranges", halved)
    with pytest.raises(ModelError, match=r"agrees with its floats to \d+\.\d dB .* 35 are the least"):
        run(place, [{"kind": "quantize"}], model=other(place, {"family": "srcnn", "channels": 8, "inner": 8}))
    assert not list(place.rglob("*.onnx"))


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"quantization": {"weights": 4}}, "INT8 form only"),
        ({"steps": 5}, "learn none of them"),
        ({"bits": "auto", "candidates": [4], "tolerance": 1}, "leave 'steps' and 'bits' out"),
    ],
)
def test_other_families_have_8_bits_and_no_training_with_them(place: Path, step: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run(place, [{"kind": "quantize", **step}], model=other(place, {"family": "srcnn", "channels": 8, "inner": 8}))
    assert not (place / "runs").exists()


def test_a_chain_may_start_from_random_weights(place: Path) -> None:
    block = {"family": "edge", "channels": 8, "depth": 1, "scale": 2, "plain": True}
    first = run(place, [PRUNE], model=block)
    assert first.certificate.before.name == "edge-of-random-weights"
    assert run(place, [PRUNE], model=block).certificate.after.sha256 == first.certificate.after.sha256
    with pytest.raises(UsageError, match=r"chain.yaml, line \d+: network edge: unknown key 'deep'"):
        run(place, [PRUNE], model={"family": "edge", "deep": 1})


def test_a_run_of_before_there_were_other_keys_is_gone_on_with(place: Path) -> None:
    run(place, [PRUNE])
    kept = place / "runs" / "small" / "chain.json"
    old = json.loads(kept.read_text())
    del old["frame"]
    kept.write_text(json.dumps(old))
    assert run(place, [PRUNE]).files
    old["name"] = "else"
    kept.write_text(json.dumps(old))
    with pytest.raises(UsageError, match="another chain"):
        run(place, [PRUNE])


def test_bits_that_are_measured(place: Path) -> None:
    auto = {"kind": "quantize", "bits": "auto", "candidates": [4, 2]}
    result = run(place, [{**auto, "tolerance": "100dB"}])
    bits, words = result.certificate.steps[0].notes
    assert bits == "head W8A8, body.0 W2A8, body.1 W2A8, tail W8A8"
    assert "100 dB were allowed" in words
    net, _ = load_network(place / "runs" / "small" / "1-quantize" / "network.safetensors")
    assert [layer.weights for layer in net.config.layers] == [8, 2, 2, 8]
    nothing = compress(
        load_chain(recipe(place, [{**auto, "tolerance": 0}])), place, place / "runs" / "none", tell=lambda *_: None
    )
    assert nothing.certificate.steps[0].notes[0] != bits


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"bits": "auto"}, "takes 'candidates', such as"),
        ({"tolerance": 0.1}, "'bits: auto' takes"),
        ({"bits": "auto", "candidates": [3], "tolerance": 0.1}, "4, 2 or 1"),
        ({"bits": "auto", "candidates": [4], "tolerance": 0.1, "quantization": {"weights": 4}}, "leave quantization"),
    ],
)
def test_bits_that_cannot_be_chosen(place: Path, step: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run(place, [{"kind": "quantize", **step}])


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[3] / "recipes" / "compress").glob("*.yaml")), ids=lambda p: p.stem
)
def test_the_chains_of_the_project_can_be_read(path: Path) -> None:
    assert load_chain(path).chain

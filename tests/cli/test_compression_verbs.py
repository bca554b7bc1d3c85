"""compress, verify and sensitivity, as a user meets them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import skimage.data
import yaml
from PIL import Image

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.training.checkpoint import save_network  # noqa: E402

CARD = {"version": "1", "description": "test", "licence": "CC0", "training_data": "none"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures, a checkpoint and a chain for it; the commands run there."""
    for folder, name in (("train", "astronaut"), ("valid", "coffee"), ("test", "chelsea")):
        (tmp_path / folder).mkdir()
        Image.fromarray(getattr(skimage.data, name)()[100:180, 100:196]).save(tmp_path / folder / f"{name}.png")
    torch.manual_seed(0)
    net = build({"family": "edge", "channels": 4, "depth": 1, "scale": 2})
    save_network(tmp_path / "net.safetensors", net, {"name": "net", "card": CARD})
    chain = {
        "name": "light",
        "model": "net.safetensors",
        "data": {"train": "train", "valid": "valid", "patch": 8, "batch": 2},
        "sets": {"Cat": "test"},
        "frame": [48, 32],
        "chain": [{"kind": "prune", "pruning": {"layers": {"body.*": 0.5}}}, {"kind": "quantize"}],
        "card": CARD,
    }
    (tmp_path / "chain.yaml").write_text(yaml.safe_dump(chain))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHARPLINE_DATA", str(tmp_path))
    return tmp_path


def test_what_is_certified_verifies_and_nothing_else(sharpline, place: Path) -> None:
    result = sharpline("compress", "chain.yaml", "--max-drop", "90dB", "--max-bytes", "100KB", "--threads", 1)
    assert result.code == 0, result.err
    assert [line.split(":")[0] for line in result.out.splitlines()[:3]] == ["prune", "quantize", "Cat"]
    made = place / "runs" / "chain"
    files = [f"light.{end}" for end in ("certificate.html", "certificate.json", "onnx", "safetensors")]
    assert sorted(path.name for path in made.glob("light.*")) == files
    page = (made / "light.certificate.html").read_text()
    assert "<svg" in page  # charts
    assert "data:image/" in page  # crops
    verified = sharpline("verify", made / "light.onnx", "--hr", "Cat=test", "--json")
    assert verified.code == 0, verified.err
    assert {finding["holds"] for finding in json.loads(verified.out)} == {True, None}

    assert "DOES NOT HOLD" not in sharpline("verify", made / "light.onnx").out
    wrong = sharpline("verify", made / "light.onnx", "--hr", "Cat=valid")
    assert (wrong.code, "holds other pictures than the certified Cat" in wrong.err) == (1, True)
    card = json.loads((made / "light.certificate.json").read_text())
    card["after"]["bytes"] += 1
    (place / "forged.json").write_text(json.dumps(card))
    forged = sharpline("verify", made / "light.onnx", "--certificate", "forged.json")
    assert forged.code == 1
    assert "1 of 4 figures do not hold: bytes" in forged.err
    (made / "light.onnx").write_bytes((made / "light.onnx").read_bytes() + b"\x92\x01\x00")
    changed = sharpline("verify", made / "light.onnx")
    assert changed.code == 1
    assert "is not the certified file" in changed.err
    assert len(changed.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.onnx"], "none.onnx: no such file"),
        (["net.safetensors"], "net.certificate.json: no such certificate of net.safetensors; name its own"),
        (["net.safetensors", "--certificate", "none.json"], "none.json: no such certificate"),
        (["net.safetensors", "--certificate", "test"], "test: no such certificate"),
        (["net.safetensors", "--hr", "test"], "write NAME=FOLDER"),
    ],
)
def test_verify_with_what_is_not_there(sharpline, place: Path, arguments: list[str], words: str) -> None:
    result = sharpline("verify", *arguments)
    assert result.code == 2
    assert words in result.err
    assert len(result.err.splitlines()) == 1


def test_a_broken_contract_is_told_and_ships_nothing(sharpline, place: Path) -> None:
    result = sharpline("compress", "chain.yaml", "-o", "out", "--max-bytes", "1KB", "--max-macs", 1, "--json")
    assert result.code == 1
    assert len(json.loads(result.out)["breaches"]) == 2
    *breaches, last = [line for line in result.err.splitlines() if line.startswith("error:")]
    assert len(breaches) == 2
    assert all(" more than 1" in line for line in breaches)
    assert last == "error: light: the contract is broken, no model is shipped; see out/light.refused.html"
    assert sorted(path.name for path in Path("out").glob("light.*")) == ["light.refused.html", "light.refused.json"]


def test_sensitivity_is_a_table_and_a_plot(sharpline, place: Path) -> None:
    command = ["sensitivity", "net.safetensors", "--hr", "valid", "--kind", "sparsity", "--kind", "bits"]
    result = sharpline(*command, "-o", "s.csv", "--json")
    assert result.code == 0, result.err
    points = json.loads(result.out)
    rows = list(csv.DictReader((place / "s.csv").open()))
    assert [(row["layer"], row["kind"], float(row["amount"])) for row in rows] == [
        (point["layer"], point["kind"], point["amount"]) for point in points
    ]
    assert {(row["layer"], row["kind"]) for row in rows} == {
        (layer, kind) for layer in ("head", "body.0", "tail") for kind in ("sparsity", "bits")
    }
    with Image.open(place / "s.png") as plot:
        assert plot.width > plot.height > 300
    before = (place / "s.csv").read_bytes()
    again = sharpline(*command, "-o", "s.csv")
    assert again.code == 2
    assert again.err == "error: s.csv: exists already; --overwrite replaces it\n"
    assert (place / "s.csv").read_bytes() == before
    assert sharpline(*command[:5], "sparsity", "-o", "s.csv", "--overwrite").code == 0
    assert (place / "s.csv").read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "s.txt"], "name a .csv file"),
        (["-o", "none/s.csv"], "no such folder"),
        (["--kind", "speed"], "choose from sparsity, thinning, bits"),
        (["--hr", "none"], "none is not a folder"),
    ],
)
def test_sensitivity_with_what_cannot_be(sharpline, place: Path, arguments: list[str], words: str) -> None:
    result = sharpline("sensitivity", "net.safetensors", "--hr", "valid", *arguments)
    assert result.code == 2
    assert words in result.err
    assert not list(place.glob("s*.csv"))

"""sharpline import."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from published_networks import compact  # noqa: E402
from sharpline.lab.training.checkpoint import load_network  # noqa: E402

STATE = compact(nf=8, convs=2, scale=2).state


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save({"params": STATE}, tmp_path / "small.pth")
    return tmp_path / "small.pth"


def test_writes_a_checkpoint_and_says_what_it_is(sharpline, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    done = sharpline("import", weights, "-o", out, "--name", "mine", "--licence", "MIT", "--scale", 2)
    assert done.code == 0
    assert "compact, x2, rgb" in done.err
    net, about = load_network(out)
    assert (about["name"], about["card"]["licence"]) == ("mine", "MIT")
    torch.testing.assert_close(net.tail.weight, STATE["body.6.weight"])


def test_existing_file_is_kept_unless_told(sharpline, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"mine")
    refused = sharpline("import", weights, "-o", out)
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert out.read_bytes() == b"mine"
    assert sharpline("import", weights, "-o", out, "--overwrite").code == 0
    assert load_network(out)[0].config.family == "compact"


@pytest.mark.parametrize("arguments", [["--arch", "rrdb"], ["--arch", "compakt"], ["--scale", "4"], ["--name", "a b"]])
def test_refusals_are_one_line_and_leave_nothing(sharpline, weights: Path, tmp_path: Path, arguments: list) -> None:
    out = tmp_path / "out.safetensors"
    refused = sharpline("import", weights, "-o", out, *arguments)
    assert refused.code in (1, 2)
    assert len(refused.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == [weights]


def test_help_has_an_example(sharpline) -> None:
    assert "Example: sharpline import" in " ".join(sharpline("import", "--help").out.split())

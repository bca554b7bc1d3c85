"""What cannot be imported is refused in one line, without running anything and without a file."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from safetensors.torch import save_file  # noqa: E402
from scipy.io import savemat  # noqa: E402

from published_networks import State, compact, imdn, rlfn, rrdb  # noqa: E402
from sharpline.errors import ModelError, SharplineError, UsageError  # noqa: E402
from sharpline.lab.importing import import_file, import_network  # noqa: E402

RLFN = rlfn("ntire", nf=10, mf=12, esa=4, blocks=2, scale=4).state
RRDB = rrdb("new", nf=8, gc=4, nb=2).state
COMPACT = compact(nf=8, convs=2, scale=2).state
IMDN = imdn("paper", nf=16, blocks=2, scale=4).state


def refused(tmp_path: Path, content: object, **how: object) -> str:
    """The message of the refusal of a .pth file; there is no output."""
    file, out = tmp_path / "net.pth", tmp_path / "out.safetensors"
    torch.save(content, file)
    with pytest.raises(SharplineError) as caught:
        import_file(file, out, **how)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 700
    assert not out.exists()
    return message


def one_of_every_kind(state: State) -> list[str]:
    """The last key of those that differ in their numbers alone."""
    return list({re.sub(r"\d+", "#", key): key for key in state}.values())


class Evil:
    """Its pickle calls a function when it is loaded."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.canary),)


@pytest.mark.parametrize("form", ["zip", "legacy", "bare pickle", "inside a state"])
def test_code_in_a_file_is_not_run(tmp_path: Path, form: str) -> None:
    canary, file = tmp_path / "canary", tmp_path / "net.pth"
    evil = {**COMPACT, "extra": Evil(canary)} if form == "inside a state" else Evil(canary)
    if form == "bare pickle":
        file.write_bytes(pickle.dumps(evil, protocol=2))
    else:
        torch.save(evil, file, _use_new_zipfile_serialization=form != "legacy")
    with pytest.raises(ModelError, match=r"net\.pth: holds more than tensors \(\w+\.mkdir\)") as caught:
        import_network(file)
    assert len(str(caught.value).splitlines()) == 1
    assert not canary.exists()
    torch.load(file, weights_only=False) if form != "bare pickle" else pickle.loads(file.read_bytes())
    assert canary.exists()  # the test would have seen it


def test_whole_module_is_refused_by_name(tmp_path: Path) -> None:
    assert "torch.nn.modules.conv.Conv2d" in refused(tmp_path, torch.nn.Conv2d(1, 1, 1))


@pytest.mark.parametrize(
    ("state", "arch", "words"),
    [
        (RLFN, "rrdb", "its keys are those of rlfn (NTIRE 2022), not of rrdb"),
        (COMPACT, "vdsr", "its keys are those of compact (Real-ESRGAN), not of vdsr"),
        ({"features.0.weight": torch.ones(1)}, "rlfn", "the nearest is rlfn"),
    ],
)
def test_wrong_architecture(tmp_path: Path, state: State, arch: str, words: str) -> None:
    assert words in refused(tmp_path, state, arch=arch)


def test_unknown_architecture_gives_the_nearest_name(tmp_path: Path) -> None:
    assert "did you mean rrdb?" in refused(tmp_path, RRDB, arch="rrbd")
    assert "vdsr" in refused(tmp_path, RRDB, arch="qqqqqq")


@pytest.mark.parametrize(
    ("state", "nearest"),
    [
        ({k.replace("conv_first", "first"): v for k, v in RRDB.items()}, "rrdb (Real-ESRGAN)"),
        ({k.replace("c1_r", "conv_1r"): v for k, v in RLFN.items()}, "rlfn (NTIRE 2022)"),
        ({f"net_g.{k}": v for k, v in IMDN.items()}, "imdn (paper repository)"),
        ({f"model.{k}": v for k, v in COMPACT.items()}, "compact (Real-ESRGAN)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unknown_keys_give_the_nearest_architecture_and_the_first_that_differ(
    tmp_path: Path, state: State, nearest: str
) -> None:
    message = refused(tmp_path, state)
    assert f"the nearest is {nearest}" in message
    odd = next(key for key in state if key not in {*RRDB, *RLFN, *IMDN, *COMPACT})
    assert odd in message


@pytest.mark.parametrize("state", [RLFN, RRDB, COMPACT, IMDN], ids=["rlfn", "rrdb", "compact", "imdn"])
def test_missing_key_of_every_kind_is_named(tmp_path: Path, state: State) -> None:
    for gone in one_of_every_kind(state):
        message = refused(tmp_path, {key: value for key, value in state.items() if key != gone})
        assert gone in message or "unknown" in message, gone  # a missing end looks like a smaller network


@pytest.mark.parametrize("state", [RLFN, RRDB, COMPACT, IMDN], ids=["rlfn", "rrdb", "compact", "imdn"])
def test_extra_key_and_wrong_shape_are_named(tmp_path: Path, state: State) -> None:
    assert "has the unknown conv1x1.weight" in refused(tmp_path, {**state, "conv1x1.weight": torch.ones(1)})
    for key in one_of_every_kind(state):
        message = refused(tmp_path, {**state, key: torch.zeros(7, *state[key].shape[1:])})
        assert any(word in message for word in (" x ", "7", "lacks")), key


def test_activation_that_is_not_in_the_file_is_not_guessed(tmp_path: Path) -> None:
    assert "PReLU" in refused(
        tmp_path, {key: value for key, value in COMPACT.items() if value.ndim != 1 or "bias" in key}
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**COMPACT, "body.0.bias": torch.full((8,), torch.nan)}, "body.0.bias has values that are not finite"),
        ({**COMPACT, "body.0.weight": torch.ones(8, 3, 3, 3, dtype=torch.int64)}, "torch.int64"),
        ({**COMPACT, "body.0.weight": 5}, "body.0.weight is a int"),
        ({**COMPACT, "body.0.weight": torch.empty(8, 3, 3, 3, device="meta")}, "meta"),
        ({**COMPACT, "body.0.weight": torch.ones(8, 3).to_sparse()}, "body.0.weight"),
        ({**COMPACT, "body.0.weight": torch.tensor(1.0)}, "body.0.weight"),
        ({**COMPACT, "body.0.weight": torch.ones(8, 0, 3, 3)}, "body.0.weight"),
        ({**COMPACT, "body.0.weight": torch.ones(8, 4, 3, 3)}, "4 channels"),
        ({**COMPACT, "body.6.weight": torch.ones(13, 8, 3, 3)}, "13 channels"),
        ({**COMPACT, f"body.{10**30}.weight": torch.ones(3, 8, 3, 3)}, "depth"),
        ({}, "0 values"),
        ([torch.ones(3)], "a list"),
        (torch.ones(3), "a Tensor"),
    ],
)
def test_contents_that_are_no_network(tmp_path: Path, content: object, words: str) -> None:
    assert words in refused(tmp_path, content)


def test_dictionary_that_holds_itself_ends(tmp_path: Path) -> None:
    loop: dict[str, object] = {}
    loop["params"] = loop
    assert "not tensors by name" in refused(tmp_path, loop)


def test_few_bytes_that_claim_a_huge_network_take_no_memory(tmp_path: Path) -> None:
    wide = torch.ones(1).expand(100_000, 100_000, 3, 3)
    assert "values; a network has" in refused(tmp_path, {**RRDB, "body.0.rdb1.conv1.weight": wide})
    assert (tmp_path / "net.pth").stat().st_size < 1e6
    many = {f"body.{i}.rdb1.conv1.weight": torch.ones(4, 8, 3, 3) for i in (0, 10**9)}
    assert "blocks" in refused(tmp_path, {**RRDB, **many})
    growing = {**RRDB, "body.0.rdb1.conv1.weight": torch.ones(1).expand(1000, 8, 3, 3)}
    assert "growth" in refused(tmp_path, growing)


def test_scale_that_the_file_does_not_have(tmp_path: Path) -> None:
    assert "upscales by 2, not by 4" in refused(tmp_path, COMPACT, scale=4)
    torch.save(COMPACT, tmp_path / "good.pth")
    assert import_network(tmp_path / "good.pth", scale=2).net.config.scale == 2


@pytest.mark.parametrize("name", ["two words", "x" * 101])
def test_name_that_no_card_takes(tmp_path: Path, name: str) -> None:
    assert "name" in refused(tmp_path, COMPACT, name=name)


def good_file(path: Path) -> None:
    if path.suffix == ".pth":
        torch.save(COMPACT, path)
    elif path.suffix == ".safetensors":
        save_file(COMPACT, path)
    else:
        cells = np.empty((1, 2), object)
        cells[0] = [np.ones((3, 3, 1, 4), np.float32), np.ones((3, 3, 4), np.float32)]
        biases = np.empty((1, 2), object)
        biases[0] = [np.ones((4, 1), np.float32), np.ones((1, 1), np.float32)]
        savemat(path, {"model": {"weight": cells, "bias": biases}}, do_compression=path.stem == "packed")


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors", "net.mat", "packed.mat"])
def test_damaged_files_never_end_in_a_traceback(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    good_file(file)
    import_network(file)
    whole = np.frombuffer(file.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    messages = []
    for trial in range(60):
        harmed = whole.copy()
        if trial % 3 == 0:
            harmed = harmed[: rng.integers(0, len(whole))]
        else:  # mostly where the structure is: at both ends
            reach = len(whole) if trial % 3 == 1 else min(600, len(whole))
            places = rng.integers(0, reach, 6) * rng.choice([1, -1])
            harmed[places] = rng.integers(0, 256, 6)
        file.write_bytes(harmed.tobytes())
        try:
            import_network(file)
        except ModelError as error:
            messages.append(str(error))
    assert len(messages) >= 20
    assert all(len(message.splitlines()) == 1 for message in messages)


def test_files_of_other_kinds(tmp_path: Path) -> None:
    torch.save(COMPACT, tmp_path / "net.pth")
    import_file(tmp_path / "net.pth", tmp_path / "ours.safetensors")
    (tmp_path / "text.pth").write_text("cposix\nsystem\n(S'true'\ntR.")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512))
    savemat(tmp_path / "other.mat", {"x": np.ones(3)})
    savemat(tmp_path / "numbers.mat", {"model": np.ones(3)})
    words = {
        "ours.safetensors": "already",
        "text.pth": "neither",
        "empty.pth": "neither",
        "new.mat": "-v7",
        "other.mat": "neither MatConvNet's",
        "numbers.mat": "neither MatConvNet's",
        "none.pth": "no such file",
        ".": "no such file",
    }
    for name, expected in words.items():
        with pytest.raises(ModelError, match=expected):
            import_network(tmp_path / name)


def test_vdsr_of_a_scale_that_it_does_not_serve(tmp_path: Path) -> None:
    good_file(tmp_path / "net.mat")
    with pytest.raises(UsageError, match=r"--scale 7: .* 2, 3 or 4"):
        import_network(tmp_path / "net.mat", scale=7)


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    torch.save(COMPACT, tmp_path / "net.pth")
    with pytest.raises(ModelError, match="cannot be written"):
        import_file(tmp_path / "net.pth", tmp_path / "no" / "folder.safetensors")
    with pytest.raises(UsageError, match="did you mean"):
        import_file(tmp_path / "net.pth", tmp_path / "out.safetensors", arch="compct")

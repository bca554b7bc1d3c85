"""What is minimised: levels, scales, luma, the teacher's share."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.lab.data.patches import Batch  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.training.losses import distance, pixel_loss, to_luma  # noqa: E402
from sharpline.lab.training.objective import Objective  # noqa: E402
from sharpline.lab.training.recipe import Recipe  # noqa: E402

CARD = {"version": "1", "description": "test", "licence": "CC0", "training_data": "noise"}


def recipe(**settings: object) -> Recipe:
    data = {"train": "a", "valid": "b", **settings.pop("data", {})}
    return Recipe(name="t", network={"family": "edge"}, data=data, steps=1, card=CARD, **settings)


def batch(scale: int, taught: bool = False) -> Batch:
    torch.manual_seed(0)
    hr = torch.rand(2, 3, 8 * scale, 8 * scale)
    return Batch(torch.rand(2, 3, 8, 8), hr, torch.rand_like(hr) if taught else None, scale, ["x"])


def test_teacher_takes_its_share() -> None:
    net = build({"family": "edge", "channels": 4, "depth": 1, "scale": 2})
    given = batch(2, taught=True)
    loss = Objective(net, recipe(teacher={"checkpoint": "t", "weight": 0.25}, luma_weight=1.0))(given)
    sr = net(given.lr)
    expected = 0.75 * pixel_loss(sr, given.hr, "l1", 1.0) + 0.25 * pixel_loss(sr, given.taught, "l1", 1.0)
    torch.testing.assert_close(loss, expected)


def test_every_level_of_a_pyramid_is_compared() -> None:
    net = build({"family": "lapsrn", "channels": 4, "depth": 1, "scale": 4})
    given = batch(4)
    small, large = net.levels(to_luma(given.lr))
    hr = to_luma(given.hr)
    half = torch.nn.functional.interpolate(hr, small.shape[-2:], mode="bicubic", antialias=True)
    expected = distance(small, half, "charbonnier") + distance(large, hr, "charbonnier")
    torch.testing.assert_close(Objective(net, recipe(loss="charbonnier"))(given), expected)


def test_one_network_learns_several_scales() -> None:
    net = build({"family": "vdsr", "channels": 4, "depth": 3, "scale": 4})
    objective = Objective(net, recipe(data={"scales": [2, 4]}))
    assert len(list(objective.parameters())) == len(list(net.parameters()))
    for scale in (2, 4):
        given = batch(scale)
        other = build({**net.config.model_dump(), "scale": scale})
        other.load_state_dict(net.state_dict())
        expected = distance(other(to_luma(given.lr)), to_luma(given.hr), "l1")
        torch.testing.assert_close(objective(given), expected)
    objective(batch(2)).backward()
    assert all(p.grad is not None for p in net.parameters())


def test_luma_is_the_one_that_is_scored() -> None:
    rgb = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    from sharpline.pixels.colour import rgb_to_ycbcr

    expected = rgb_to_ycbcr(rgb[0].permute(1, 2, 0).numpy().astype("float32"))[:, :, 0]
    torch.testing.assert_close(to_luma(rgb)[0, 0].float(), torch.from_numpy(expected.copy()), atol=1e-5, rtol=0)

"""Networks as their authors wrote them: the keys and shapes of their files, and what they compute.

Written on ``torch.nn.functional`` alone and from the papers, so that nothing is shared with the code under test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]


@dataclass(frozen=True)
class Published:
    """A network of a size: its random weights in the published layout, its function, and what we should find."""

    name: str
    state: State
    run: Callable[[State, Tensor], Tensor]
    config: dict[str, Any]


def conv(state: State, name: str, x: Tensor, **options: Any) -> Tensor:
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, state[f"{name}.bias"], **{"padding": weight.shape[-1] // 2, **options})


def random_state(kernels: dict[str, tuple[int, int, int]], seed: int = 0) -> State:
    """Weights and biases for layers of (outputs, inputs, side) that keep the size of the values."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for name, (outputs, inputs, side) in kernels.items():
        spread = (inputs * side * side) ** -0.5
        state[f"{name}.weight"] = torch.randn(outputs, inputs, side, side, generator=generator) * spread
        state[f"{name}.bias"] = torch.randn(outputs, generator=generator) * 0.1
    return state


# ---- ESRGAN ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RrdbNames:
    head: str
    dense: str  # block, dense block, convolution
    trunk: str
    up: list[str]
    hr: str
    last: str


def rrdb_names(layout: str, blocks: int, stages: int) -> RrdbNames:
    if layout == "old":
        up = {0: [], 1: ["model.3"], 2: ["model.3", "model.6"], 3: ["model.3", "model.6", "model.9"]}[stages]
        hr, last = {0: (2, 4), 1: (5, 7), 2: (8, 10), 3: (11, 13)}[stages]
        dense = "model.1.sub.{}.RDB{}.conv{}.0"
        return RrdbNames("model.0", dense, f"model.1.sub.{blocks}", up, f"model.{hr}", f"model.{last}")
    if layout == "trunk":
        up = ["upconv1", "upconv2", "upconv3"][:stages]
        return RrdbNames("conv_first", "RRDB_trunk.{}.RDB{}.conv{}", "trunk_conv", up, "HRconv", "conv_last")
    up = ["conv_up1", "conv_up2", "conv_up3"][:stages]
    return RrdbNames("conv_first", "body.{}.rdb{}.conv{}", "conv_body", up, "conv_hr", "conv_last")


def rrdb(layout: str, *, nf: int, gc: int, nb: int, colours: int = 3, fold: int = 1, stages: int = 2) -> Published:
    n = rrdb_names(layout, nb, stages)
    kernels = {n.head: (nf, colours * fold * fold, 3)}
    for b in range(nb):
        for d in (1, 2, 3):
            for c in (1, 2, 3, 4, 5):
                kernels[n.dense.format(b, d, c)] = (nf if c == 5 else gc, nf + (c - 1) * gc, 3)
    kernels |= {n.trunk: (nf, nf, 3), **dict.fromkeys(n.up, (nf, nf, 3))}
    kernels |= {n.hr: (nf, nf, 3), n.last: (colours, nf, 3)}

    def lrelu(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    def dense_block(state: State, b: int, d: int, x: Tensor) -> Tensor:
        x1 = lrelu(conv(state, n.dense.format(b, d, 1), x))
        x2 = lrelu(conv(state, n.dense.format(b, d, 2), torch.cat((x, x1), 1)))
        x3 = lrelu(conv(state, n.dense.format(b, d, 3), torch.cat((x, x1, x2), 1)))
        x4 = lrelu(conv(state, n.dense.format(b, d, 4), torch.cat((x, x1, x2, x3), 1)))
        return conv(state, n.dense.format(b, d, 5), torch.cat((x, x1, x2, x3, x4), 1)) * 0.2 + x

    def run(state: State, x: Tensor) -> Tensor:
        count, channels, h, w = x.shape
        if fold > 1:
            x = x.view(count, channels, h // fold, fold, w // fold, fold).permute(0, 1, 3, 5, 2, 4)
            x = x.reshape(count, channels * fold**2, h // fold, w // fold)
        features = conv(state, n.head, x)
        deep = features
        for b in range(nb):
            inner = deep
            for d in (1, 2, 3):
                inner = dense_block(state, b, d, inner)
            deep = inner * 0.2 + deep
        features = features + conv(state, n.trunk, deep)
        for name in n.up:
            features = lrelu(conv(state, name, features.repeat_interleave(2, 2).repeat_interleave(2, 3)))
        return conv(state, n.last, lrelu(conv(state, n.hr, features)))

    config = {"family": "rrdb", "channels": nf, "growth": gc, "blocks": nb, "stages": stages}
    config |= {"scale": 2**stages // fold, "colour": "rgb" if colours == 3 else "y"}
    return Published(f"rrdb-{layout}-{nf}-{gc}-{nb}-x{config['scale']}", random_state(kernels), run, config)


# ---- Real-ESRGAN's SRVGGNetCompact -------------------------------------------------------------------------------


def compact(*, nf: int, convs: int, scale: int, colours: int = 3) -> Published:
    last = 2 * convs + 2
    kernels = {"body.0": (nf, colours, 3)} | {f"body.{2 * i}": (nf, nf, 3) for i in range(1, convs + 1)}
    state = random_state({**kernels, f"body.{last}": (colours * scale * scale, nf, 3)})
    generator = torch.Generator().manual_seed(5)
    for i in range(1, last, 2):
        state[f"body.{i}.weight"] = torch.rand(nf, generator=generator)

    def run(state: State, x: Tensor) -> Tensor:
        out = x
        for i in range(last):
            if i % 2:
                slope = state[f"body.{i}.weight"].view(1, -1, 1, 1)
                out = out.clamp(min=0) + slope * out.clamp(max=0)
            else:
                out = conv(state, f"body.{i}", out)
        return shuffled(conv(state, f"body.{last}", out), scale) + x.repeat_interleave(scale, 2).repeat_interleave(
            scale, 3
        )

    config = {"family": "compact", "channels": nf, "depth": convs, "scale": scale}
    config |= {"colour": "rgb" if colours == 3 else "y"}
    return Published(f"compact-{nf}-{convs}-x{scale}", state, run, config)


def shuffled(x: Tensor, r: int) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, c // r**2, r, r, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // r**2, h * r, w * r)


# ---- RLFN --------------------------------------------------------------------------------------------------------


def rlfn(layout: str, *, nf: int, mf: int, esa: int, blocks: int, scale: int) -> Published:
    head, block, after = ("fea_conv", "B", "LR_conv") if layout == "ntire" else ("conv_1", "block_", "conv_2")
    kernels = {head: (nf, 3, 3)}
    for i in range(1, blocks + 1):
        b = f"{block}{i}"
        kernels |= {
            f"{b}.c1_r": (mf, nf, 3),
            f"{b}.c2_r": (mf, mf, 3),
            f"{b}.c3_r": (nf, mf, 3),
            f"{b}.c5": (nf, nf, 1),
        }
        kernels |= {f"{b}.esa.conv1": (esa, nf, 1), f"{b}.esa.conv_f": (esa, esa, 1), f"{b}.esa.conv4": (nf, esa, 1)}
        kernels |= {f"{b}.esa.conv2": (esa, esa, 3), f"{b}.esa.conv3": (esa, esa, 3)}
    kernels |= {after: (nf, nf, 3), "upsampler.0": (3 * scale * scale, nf, 3)}
    state = random_state(kernels)
    state[f"{head}.weight"] /= 255  # the network sees 0..255 and answers in it

    def lrelu(x: Tensor) -> Tensor:
        return torch.maximum(x, 0.05 * x)

    def attention(state: State, name: str, x: Tensor) -> Tensor:
        small = conv(state, f"{name}.conv1", x)
        pooled = F.max_pool2d(conv(state, f"{name}.conv2", small, stride=2, padding=0), 7, 3)
        seen = conv(state, f"{name}.conv3", pooled)
        seen = F.interpolate(seen, (x.size(2), x.size(3)), mode="bilinear", align_corners=False)
        return x * torch.sigmoid(conv(state, f"{name}.conv4", seen + conv(state, f"{name}.conv_f", small)))

    def run(state: State, x: Tensor) -> Tensor:
        first = deep = conv(state, head, x * 255)
        for i in range(1, blocks + 1):
            b, y = f"{block}{i}", deep
            for layer in ("c1_r", "c2_r", "c3_r"):
                y = lrelu(conv(state, f"{b}.{layer}", y))
            deep = attention(state, f"{b}.esa", conv(state, f"{b}.c5", y + deep))
        return shuffled(conv(state, "upsampler.0", conv(state, after, deep) + first), scale) / 255

    config = {"family": "rlfn", "channels": nf, "inner": mf, "blocks": blocks, "attention": esa, "white": 255}
    return Published(f"rlfn-{layout}-{nf}-{mf}-{blocks}-x{scale}", state, run, config | {"scale": scale})


# ---- IMDN --------------------------------------------------------------------------------------------------------


def imdn(layout: str, *, nf: int, blocks: int, scale: int) -> Published:
    rest, kept = nf - nf // 4, nf // 4
    paper = layout == "paper"
    kernels = {"fea_conv" if paper else "model.0": (nf, 3, 3)}
    for i in range(blocks):
        b = f"IMDB{i + 1}.c{{}}" if paper else f"model.1.sub.{i}.conv{{}}"
        inner = "" if paper else ".0"
        kernels |= {b.format(1) + inner: (nf, nf, 3), b.format(2) + inner: (nf, rest, 3)}
        kernels |= {b.format(3) + inner: (nf, rest, 3), b.format(4): (kept, rest, 3)}
        kernels |= {b.format("5" if paper else "1x1"): (nf, nf, 1)}
        if paper:
            squeezed = max(nf // 16, 1)
            kernels |= {
                f"IMDB{i + 1}.cca.conv_du.0": (squeezed, nf, 1),
                f"IMDB{i + 1}.cca.conv_du.2": (nf, squeezed, 1),
            }
    if paper:
        kernels |= {"c.0": (nf, nf * blocks, 1), "LR_conv": (nf, nf, 3), "upsampler.0": (3 * scale * scale, nf, 3)}
    else:
        kernels |= {f"model.1.sub.{blocks}": (nf, nf, 3), "model.2": (3 * scale * scale, nf, 3)}

    def lrelu(x: Tensor) -> Tensor:
        return torch.maximum(x, 0.05 * x)

    def block(state: State, i: int, x: Tensor) -> Tensor:
        name = f"IMDB{i + 1}.c{{}}" if paper else f"model.1.sub.{i}.conv{{}}"
        inner = "" if paper else ".0"
        d1, r1 = torch.split(lrelu(conv(state, name.format(1) + inner, x)), (kept, rest), 1)
        d2, r2 = torch.split(lrelu(conv(state, name.format(2) + inner, r1)), (kept, rest), 1)
        d3, r3 = torch.split(lrelu(conv(state, name.format(3) + inner, r2)), (kept, rest), 1)
        out = torch.cat((d1, d2, d3, conv(state, name.format(4), r3)), 1)
        if paper:
            y = out.std((2, 3), correction=0, keepdim=True) + out.mean((2, 3), keepdim=True)
            y = conv(state, f"IMDB{i + 1}.cca.conv_du.0", y).clamp(min=0)
            out = out * torch.sigmoid(conv(state, f"IMDB{i + 1}.cca.conv_du.2", y))
        return conv(state, name.format("5" if paper else "1x1"), out) + x

    def run(state: State, x: Tensor) -> Tensor:
        first = deep = conv(state, "fea_conv" if paper else "model.0", x)
        outputs = []
        for i in range(blocks):
            deep = block(state, i, deep)
            outputs.append(deep)
        if paper:
            deep = lrelu(conv(state, "c.0", torch.cat(outputs, 1)))
        low = conv(state, "LR_conv" if paper else f"model.1.sub.{blocks}", deep) + first
        return shuffled(conv(state, "upsampler.0" if paper else "model.2", low), scale)

    config = {"family": "imdn", "channels": nf, "blocks": blocks, "scale": scale}
    config |= {"form": "paper" if paper else "ntire"}
    return Published(f"imdn-{layout}-{nf}-{blocks}-x{scale}", random_state(kernels), run, config)


EVERY = [
    rrdb("old", nf=8, gc=4, nb=2),
    rrdb("old", nf=6, gc=5, nb=1, stages=1),
    rrdb("old", nf=6, gc=3, nb=1, stages=0),
    rrdb("old", nf=4, gc=3, nb=1, stages=3, colours=1),
    rrdb("trunk", nf=8, gc=4, nb=3),
    rrdb("trunk", nf=6, gc=4, nb=1, stages=1, colours=1),
    rrdb("new", nf=8, gc=4, nb=2),
    rrdb("new", nf=8, gc=4, nb=1, fold=2),
    rrdb("new", nf=8, gc=4, nb=1, fold=4),
    rrdb("new", nf=8, gc=4, nb=12, colours=1),
    compact(nf=12, convs=3, scale=4),
    compact(nf=8, convs=0, scale=1),
    compact(nf=8, convs=11, scale=2, colours=1),
    rlfn("ntire", nf=10, mf=12, esa=4, blocks=2, scale=4),
    rlfn("ntire", nf=8, mf=8, esa=3, blocks=4, scale=2),
    rlfn("paper", nf=10, mf=10, esa=4, blocks=6, scale=3),
    rlfn("paper", nf=8, mf=6, esa=5, blocks=1, scale=2),
    imdn("paper", nf=16, blocks=3, scale=4),
    imdn("paper", nf=32, blocks=6, scale=2),
    imdn("kair", nf=12, blocks=8, scale=4),
    imdn("kair", nf=16, blocks=1, scale=3),
]

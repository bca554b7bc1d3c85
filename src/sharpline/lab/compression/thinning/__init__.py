"""Thinning: whole channels are removed, with all that belongs to them. It buys bytes and speed."""

from sharpline.lab.compression.thinning.config import ThinningConfig
from sharpline.lab.compression.thinning.cutlist import CutList, LayerCut
from sharpline.lab.compression.thinning.cutting import cut, cut_moments, masked
from sharpline.lab.compression.thinning.planning import idle, plan
from sharpline.lab.compression.thinning.thinner import Thinner

__all__ = ["CutList", "LayerCut", "Thinner", "ThinningConfig", "cut", "cut_moments", "idle", "masked", "plan"]

"""Training pictures: decoded caches on disk, degradations, a seeded sampler of patches, a check for leaks."""

from sharpline.lab.data.cache import PictureCache, open_cache, open_lr_cache
from sharpline.lab.data.degradation import Degradation, load_degradation
from sharpline.lab.data.leaks import cached_leaks, find_leaks
from sharpline.lab.data.patches import PatchSampler

__all__ = [
    "Degradation",
    "PatchSampler",
    "PictureCache",
    "cached_leaks",
    "find_leaks",
    "load_degradation",
    "open_cache",
    "open_lr_cache",
]

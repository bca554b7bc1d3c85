"""Training pictures: a decoded cache on disk and a seeded sampler of patches."""

from sharpline.lab.data.cache import PictureCache, open_cache
from sharpline.lab.data.patches import PatchSampler

__all__ = ["PatchSampler", "PictureCache", "open_cache"]

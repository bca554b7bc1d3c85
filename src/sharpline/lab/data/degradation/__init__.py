"""Degradations, from HR to LR: ``lr = D(hr) + noise`` as recipes of small seeded steps."""

from sharpline.lab.data.degradation.recipe import BICUBIC, Degradation, Degraded, degrade, load_degradation

__all__ = ["BICUBIC", "Degradation", "Degraded", "degrade", "load_degradation"]

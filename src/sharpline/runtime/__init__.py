"""Runs a model file on pixels: cards, engines, exact tiling, whole batches of files. Knows no torch."""

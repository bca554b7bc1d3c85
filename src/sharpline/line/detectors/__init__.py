"""Fault detectors: they look at an enlarged frame and answer with boxes."""

"""Boards: what each one runs, and whether a model file will run on it. No torch."""

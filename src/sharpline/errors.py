"""Errors that are meant for people: one line, what was wrong, with which file or value, what to do."""


class SharplineError(Exception):
    """Base of every error that Sharpline raises on purpose. ``str(error)`` is one line for the user."""


class ImageError(SharplineError):
    """A picture that cannot be read, understood or written."""


class ModelError(SharplineError):
    """A model file or name that cannot be used."""


class UsageError(SharplineError):
    """A request that cannot be meant: contradicting options, a value out of range."""

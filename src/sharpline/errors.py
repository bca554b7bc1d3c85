"""Errors that are meant for people: one line, what was wrong, with which file or value, what to do."""


class SharplineError(Exception):
    """Base of every error that Sharpline raises on purpose. ``str(error)`` is one line for the user."""


class ImageError(SharplineError):
    """A picture that cannot be read, understood or written."""


class ModelError(SharplineError):
    """A model file or name that cannot be used."""


class UsageError(SharplineError):
    """A request that cannot be meant: contradicting options, a value out of range."""


class AbsentModelError(ModelError, UsageError):
    """A model that was asked for and is not there: an unknown name, a file that does not exist."""


class Stopped(SharplineError):  # noqa: N818  nothing went wrong
    """Work that was asked to stop (Ctrl-C, SIGTERM). The message says what is kept and how to go on."""

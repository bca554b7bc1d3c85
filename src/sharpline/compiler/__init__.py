"""Integer networks to machine code: used when the package or a model is built; needs the extra ``compile``."""

from sharpline.compiler.build import compile_model
from sharpline.compiler.schedule import Schedule
from sharpline.compiler.targets import TARGETS

__all__ = ["TARGETS", "Schedule", "compile_model"]

"""Pruning: single weights become zero and stay so. It buys bytes, not speed."""

from sharpline.lab.compression.pruning.config import PruningConfig
from sharpline.lab.compression.pruning.criteria import pruned
from sharpline.lab.compression.pruning.packing import pack, unpack
from sharpline.lab.compression.pruning.pruner import Pruner
from sharpline.lab.compression.pruning.report import LayerSparsity, SparsityReport, report

__all__ = ["LayerSparsity", "Pruner", "PruningConfig", "SparsityReport", "pack", "pruned", "report", "unpack"]

"""Super-resolution networks: one file a family, all built through the registry."""

from sharpline.lab.networks import edge as edge
from sharpline.lab.networks.registry import Network, NetworkConfig, build, families, parse

__all__ = ["Network", "NetworkConfig", "build", "families", "parse"]

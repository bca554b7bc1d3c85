"""Super-resolution networks: one file a family, all built through the registry."""

from sharpline.lab.networks import compact as compact
from sharpline.lab.networks import edge as edge
from sharpline.lab.networks import edsr as edsr
from sharpline.lab.networks import espcn as espcn
from sharpline.lab.networks import fsrcnn as fsrcnn
from sharpline.lab.networks import imdn as imdn
from sharpline.lab.networks import integer as integer
from sharpline.lab.networks import lapsrn as lapsrn
from sharpline.lab.networks import rlfn as rlfn
from sharpline.lab.networks import rrdb as rrdb
from sharpline.lab.networks import srcnn as srcnn
from sharpline.lab.networks import srresnet as srresnet
from sharpline.lab.networks import vdsr as vdsr
from sharpline.lab.networks.registry import Network, NetworkConfig, build, families, parse

__all__ = ["Network", "NetworkConfig", "build", "families", "parse"]

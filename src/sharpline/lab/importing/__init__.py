"""Weights from elsewhere: one file an architecture says how its published layouts map to our networks."""

from sharpline.lab.importing.importer import Imported, import_file, import_network

__all__ = ["Imported", "import_file", "import_network"]

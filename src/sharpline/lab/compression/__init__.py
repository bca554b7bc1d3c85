"""Compression: heavy networks become light ones, and what it costs is measured."""

"""Distributions with a storage each, as installed ones look: a folder for Python's path."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["make_distributions"]

PLUGIN = """
from flowhold import hookimpl
from flowhold.plugins import StorageInfo

@hookimpl
def flowhold_storages():
    return [StorageInfo("bench{number}", "A storage.", "bench_plugin_{number}:Bench{number}")]

def __getattr__(name):
    from flowhold import Storage
    return type(name, (Storage,), {{}})
"""
METADATA = "Metadata-Version: 2.1\nName: bench-plugin-{number}\nVersion: 1.0\n"
POINTS = "[flowhold.storage.v1]\nbench{number} = bench_plugin_{number}\n"


@contextlib.contextmanager
def make_distributions(count: int) -> Iterator[Path]:
    """Give a folder with so many distributions; their storages are `bench0` and so on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(count):
            info = folder / f"bench_plugin_{number}-1.0.dist-info"
            info.mkdir()
            (folder / f"bench_plugin_{number}.py").write_text(PLUGIN.format(number=number))
            (info / "METADATA").write_text(METADATA.format(number=number))
            (info / "entry_points.txt").write_text(POINTS.format(number=number))
        yield folder

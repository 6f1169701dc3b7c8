"""Resolving a storage's name

Fresh processes that turn one name into its class, among 50 installed plugins: beside pluggy,
`entry_points()` and an import of that plugin, by importlib-metadata, as Flowhold does, and by the
one of Python.
"""

from __future__ import annotations

from collections.abc import Iterator

from distributions import make_distributions
from peers import interpreter
from rows import Row
from turns import in_processes

OURS = "from flowhold import plugins; plugins.storage_class('bench25')"
THEIRS = """
import pluggy
from {metadata} import entry_points
manager = pluggy.PluginManager("flowhold")
point, = entry_points(group="flowhold.storage.v1", name="bench25")
plugin = point.load()
manager.register(plugin)
plugin.Bench25
"""


def rows(size) -> Iterator[Row]:
    """Yield the one measure."""
    core = interpreter("core")
    assert not core.missing, core.missing
    with make_distributions(50) as folder:
        begin = f"import sys; sys.path.append({str(folder)!r})\n"
        times = in_processes(
            {
                "flowhold": [core.path, "-c", begin + OURS],
                "pluggy, importlib_metadata": [
                    *(core.path, "-c", begin + THEIRS.format(metadata="importlib_metadata"))
                ],
                "pluggy, importlib.metadata": [
                    *(core.path, "-c", begin + THEIRS.format(metadata="importlib.metadata"))
                ],
                "bare Python": [core.path, "-c", begin],
            },
            size(20, 0),
        )
    yield Row("one name among 50", times, {"pluggy, importlib_metadata": 1.3})

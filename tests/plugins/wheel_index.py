"""An index of packages with wheels that a test writes: what pip asks instead of PyPI."""

from __future__ import annotations

import contextlib
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from packaging.utils import canonicalize_name

__all__ = ["WheelIndex", "serving_index"]


@dataclass(frozen=True)
class WheelIndex:
    """A server of a folder of wheels, by the simple protocol of PEP 503."""

    url: str
    """What `--index-url` has to be."""
    folder: Path
    """Has a folder for each project, whose listing is the page of the project."""

    def add(
        self,
        name: str,
        version: str,
        *,
        requires: Sequence[str] = (),
        extras: Mapping[str, Sequence[str]] | None = None,
        module_text: str | None = None,
    ) -> Path:
        """Write a wheel with one module, and return its path.

        Args:
            name: Of the project. The module has the same name, with underscores.
            version: Of the project.
            requires: What it requires, which may have markers.
            extras: What it requires for each extra.
            module_text: The source of the module; by default it sets `__version__`.
        """
        module = canonicalize_name(name).replace("-", "_")
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {it}" for it in requires]
        for extra, needs in (extras or {}).items():
            lines.append(f"Provides-Extra: {extra}")
            for need in needs:
                words, _, marker = need.partition(";")
                condition = f"({marker.strip()}) and " if marker else ""
                lines.append(f'Requires-Dist: {words}; {condition}extra == "{extra}"')
        text = f"__version__ = {version!r}\n" if module_text is None else module_text
        about = f"{module}-{version}.dist-info"
        files = {
            f"{module}.py": text,
            f"{about}/METADATA": "\n".join(lines) + "\n",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files[f"{about}/RECORD"] = "".join(f"{it},,\n" for it in [*files, f"{about}/RECORD"])
        path = self.folder / canonicalize_name(name) / f"{module}-{version}-py3-none-any.whl"
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w") as wheel:
            for place, content in files.items():
                wheel.writestr(place, content)
        return path


class Handler(SimpleHTTPRequestHandler):
    """Says nothing of what it is asked."""

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving_index(folder: Path) -> Iterator[WheelIndex]:
    """Serve a folder, which wheels may be added to at any time."""
    handler = partial(Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield WheelIndex(f"http://127.0.0.1:{server.server_port}", folder)
        finally:
            server.shutdown()
            thread.join()

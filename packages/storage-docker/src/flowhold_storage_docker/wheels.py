"""The Flowhold that runs here as wheels, to be installed in an image.

Taken from where it is imported from, so that a development version is the same in the image.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from flowhold.errors import ConfigurationError

__all__ = ["wheel_of"]

_TIME = (1980, 1, 1, 0, 0, 0)
_WHEEL = "Wheel-Version: 1.0\nGenerator: flowhold\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@lru_cache(maxsize=8)
def wheel_of(distribution: str) -> tuple[str, bytes]:
    """Return name and bytes of a wheel of an installed distribution of pure Python.

    Its one package must be called as the distribution, with underscores. The same files give the
    same bytes.

    Raises:
        ConfigurationError: It is not installed, or its files are not there.
    """
    import importlib_metadata as metadata

    package = distribution.replace("-", "_")
    spec = find_spec(package)
    try:
        found = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        found = None
    root = Path(spec.origin).parent if spec and spec.origin else None
    if found is None or root is None or not root.is_dir():
        raise ConfigurationError(
            f"{distribution} is not installed here as a distribution, so no image can get it",
            hint="install it with pip, or give flowhold_version=",
        )
    info = f"{package}-{found.version}.dist-info"
    files = {
        f"{package}/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    files[f"{info}/METADATA"] = (found.read_text("METADATA") or "").encode()
    files[f"{info}/entry_points.txt"] = (found.read_text("entry_points.txt") or "").encode()
    files[f"{info}/WHEEL"] = _WHEEL.encode()
    return f"{package}-{found.version}-py3-none-any.whl", _zipped(files, f"{info}/RECORD")


def _zipped(files: dict[str, bytes], record: str) -> bytes:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    for name, data in sorted(files.items()):
        writer.writerow([name, f"sha256={_digest(data)}", len(data)])
    writer.writerow([record, "", ""])
    listed = {**files, record: table.getvalue().encode()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        # As pip wants it, what describes the wheel comes last.
        for name, data in sorted(listed.items(), key=lambda item: (".dist-info/" in item[0], item)):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()

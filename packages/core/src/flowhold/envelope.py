"""The container of stored pickles and bundles: it says what it holds without running anything.

Layout: the magic ``FLOWHOLD``, a format version (2 bytes), the length of the header (4 bytes, both
big endian), the header (JSON), then the body. The body is ``header["pickle"]`` bytes of cloudpickle
output where there are any, then one zstd frame of the files of ``header["files"]``, one after
another, where there are any.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from flowhold.errors import SerializationError

__all__ = ["MAGIC", "Envelope", "is_envelope", "open_envelope", "seal"]

MAGIC = b"FLOWHOLD"
FORMAT = 1
MAX_HEADER = 64 << 20
_KINDS = ("pickle", "bundle")
_HEAD = struct.Struct(">8sHI")
_decoder = json.JSONDecoder()
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Envelope(NamedTuple):
    """An opened container."""

    header: dict[str, Any]
    kind: str
    """``pickle`` or ``bundle``."""
    pickle: memoryview
    """The cloudpickle bytes."""
    files: memoryview
    """The zstd frame."""


def seal(header: Mapping[str, Any]) -> bytes:
    """Return the bytes that go before a body."""
    text = _encoder.encode(header).encode()
    if len(text) > MAX_HEADER:
        raise SerializationError(
            f"the list of files takes {len(text):,} bytes, more than {MAX_HEADER:,}",
            hint="include fewer files",
        )
    return _HEAD.pack(MAGIC, FORMAT, len(text)) + text


def is_envelope(data: bytes | memoryview) -> bool:
    """Whether ``data`` begins as a container does."""
    return data[: len(MAGIC)] == MAGIC


def open_envelope(data: bytes | memoryview) -> Envelope:
    """Read a container without running anything of it.

    Raises:
        SerializationError: It is not one, is cut off, or a newer Flowhold wrote it.
    """
    view = memoryview(data)
    magic, version, length = _HEAD.unpack_from(view) if len(view) >= _HEAD.size else (b"", 0, 0)
    if magic != MAGIC:
        raise SerializationError("this is not a stored flow, or it is cut off")
    if version != FORMAT:
        raise SerializationError(
            f"this stored flow has format {version}, this Flowhold reads format {FORMAT}",
            hint="upgrade flowhold",
        )
    begin = _HEAD.size + length
    if length > MAX_HEADER or begin > len(view):
        raise SerializationError("the header of this stored flow is damaged or cut off")
    try:
        text = str(view[_HEAD.size : begin], "utf-8")
        # As json.loads, which looks for other encodings first, and for space around.
        header, end = _decoder.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise SerializationError("the header of this stored flow is damaged") from error
    if end == len(text) and isinstance(header, dict):
        kind, size, files = header.get("kind"), header.get("pickle", 0), header.get("files")
        has_files = isinstance(files, list) or (kind == "pickle" and "files" not in header)
        if kind in _KINDS and type(size) is int and 0 <= size <= len(view) - begin and has_files:
            split = begin + size
            return Envelope(header, kind, view[begin:split], view[split:])
    raise SerializationError("the header of this stored flow is damaged")

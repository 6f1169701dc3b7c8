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
_HEAD = struct.Struct(">8sHI")
_decoder = json.JSONDecoder()
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Envelope(NamedTuple):
    """An opened container: its ``header``, and its ``body`` as a view of the bytes behind it."""

    header: dict[str, Any]
    body: memoryview

    @property
    def kind(self) -> str:
        """``pickle`` or ``bundle``."""
        return str(self.header["kind"])

    @property
    def pickle(self) -> memoryview:
        """The cloudpickle bytes."""
        return self.body[: self.header.get("pickle", 0)]

    @property
    def files(self) -> memoryview:
        """The zstd frame."""
        return self.body[self.header.get("pickle", 0) :]


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
    return bytes(data[: len(MAGIC)]) == MAGIC


def open_envelope(data: bytes | memoryview) -> Envelope:
    """Read a container without running anything of it.

    Raises:
        SerializationError: It is not one, is cut off, or a newer Flowhold wrote it.
    """
    view = memoryview(data)
    if not is_envelope(view) or len(view) < _HEAD.size:
        raise SerializationError("this is not a stored flow, or it is cut off")
    _, version, length = _HEAD.unpack(view[: _HEAD.size])
    if version != FORMAT:
        raise SerializationError(
            f"this stored flow has format {version}, this Flowhold reads format {FORMAT}",
            hint="upgrade flowhold",
        )
    if length > MAX_HEADER or _HEAD.size + length > len(view):
        raise SerializationError("the header of this stored flow is damaged or cut off")
    try:
        # As json.loads, which looks for other encodings first.
        header = _decoder.decode(str(view[_HEAD.size : _HEAD.size + length], "utf-8"))
    except (ValueError, RecursionError) as error:
        raise SerializationError("the header of this stored flow is damaged") from error
    body = view[_HEAD.size + length :]
    if (
        not isinstance(header, dict)
        or header.get("kind") not in ("pickle", "bundle")
        or type(header.get("pickle", 0)) is not int
        or not 0 <= header.get("pickle", 0) <= len(body)
        or not isinstance(header.get("files", [] if header["kind"] == "pickle" else None), list)
    ):
        raise SerializationError("the header of this stored flow is damaged")
    return Envelope(header, body)

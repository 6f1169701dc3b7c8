"""How values become bytes: ``pickle`` or ``json``, alone or followed by ``+zstd`` or ``+gzip``."""

from __future__ import annotations

import io
import json
import pickle
from typing import Any, Protocol

from flowhold.errors import ConfigurationError, SerializationError

__all__ = ["Serializer", "get_serializer"]


class Serializer(Protocol):
    """Writes values and reads them back; any object with these two methods is one."""

    def dumps(self, value: Any) -> bytes:
        """Return a value as bytes; raise SerializationError if it cannot be written."""

    def loads(self, data: bytes) -> Any:
        """Return the value of bytes; raise SerializationError if they cannot be read."""


def get_serializer(name: str, most: int | None = None) -> Serializer:
    """Return the serializer of a name such as ``json`` or ``pickle+zstd``.

    Args:
        name: What it is called.
        most: How many bytes it decompresses at most; None does not limit them.

    Raises:
        ConfigurationError: There is none of that name.
    """
    form, plus, compression = name.partition("+")
    if form not in ("pickle", "json") or compression not in (("zstd", "gzip") if plus else ("",)):
        raise ConfigurationError(
            f"there is no serializer {name!r}",
            hint="use pickle or json, or one of them with +zstd or +gzip",
        )
    return _Named(form, compression, most)


class _Named:
    def __init__(self, form: str, compression: str, most: int | None) -> None:
        self.form = form
        self.compression = compression
        self.most = most

    def dumps(self, value: Any) -> bytes:
        import cloudpickle

        try:
            if self.form == "json":
                data = json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")
            else:
                data = cloudpickle.dumps(value)
        except Exception as error:
            raise SerializationError(
                f"a {type(value).__qualname__} cannot be written as {self.form}: {error}",
                hint="give a simpler value, or use another serializer",
            ) from error
        if self.compression == "zstd":
            import zstandard

            return zstandard.compress(data)
        if self.compression == "gzip":
            import gzip

            return gzip.compress(data, mtime=0)
        return bytes(data)

    def loads(self, data: bytes) -> Any:
        try:
            if self.compression == "zstd":
                import zstandard

                # What does not tell its size is not of ours, and does not fit either.
                self._check(zstandard.frame_content_size(data) % 2**64)
                data = zstandard.decompress(data)
            elif self.compression == "gzip":
                import gzip

                with gzip.open(io.BytesIO(data)) as file:
                    data = file.read(-1 if self.most is None else self.most + 1)
                self._check(len(data))
            return json.loads(data) if self.form == "json" else pickle.loads(data)
        except Exception as error:
            raise SerializationError(f"these bytes are not {self.form}: {error}") from error

    def _check(self, size: int) -> None:
        if self.most is not None and size > self.most:
            raise ValueError(f"they decompress to more than {self.most} bytes")

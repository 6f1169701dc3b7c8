"""A good store, and stores that are each broken in one way."""

from __future__ import annotations

import gzip
import io
import logging
import time
from dataclasses import replace

from flowhold import Capability, ObjectInfo
from flowhold.errors import AccessDeniedError, ObjectExistsError, ObjectNotFoundError
from flowhold.storage.inline import DictStore
from flowhold.store import check_key, iter_parts

PASSWORD = "hunter2-canary"


class Good(DictStore):
    def __init__(self, objects=None, password=PASSWORD):
        super().__init__({} if objects is None else objects)
        self.password = password

    def put(self, key, parts, *, if_absent=False):
        self._admit()
        return super().put(check_key(key), parts, if_absent=if_absent)

    def open(self, key):
        self._admit()
        return super().open(key)

    def list(self, prefix="", start_after=None):
        self._admit()
        for key in sorted(self.objects, key=str.encode):
            if key.startswith(prefix) and key.encode() > (start_after or "").encode():
                try:
                    yield self.head(key)
                except ObjectNotFoundError:
                    continue

    def delete(self, key):
        self._admit()
        super().delete(key)

    def _admit(self):
        if self.password != PASSWORD:
            raise AccessDeniedError("the password is wrong")


class LostWrite(Good):
    def put(self, key, parts, *, if_absent=False):
        return ObjectInfo(key, len(b"".join(iter_parts(parts))))


class LostUpdate(Good):
    def put(self, key, parts, *, if_absent=False):
        copy = Good(dict(self.objects))
        info = copy.put(key, parts, if_absent=if_absent)
        time.sleep(0.005)
        self.objects = copy.objects
        return info


class TornWrite(Good):
    def put(self, key, parts, *, if_absent=False):
        super().put(key, b"", if_absent=if_absent)
        for part in iter_parts(parts):
            self.objects[key] += part
        return self.head(key)


class TornReplace(Good):
    def put(self, key, parts, *, if_absent=False):
        written = b""
        for part in iter_parts(parts):
            written += part
            super().put(key, written, if_absent=if_absent)
        return super().put(key, written)


class WrongBytes(Good):
    def put(self, key, parts, *, if_absent=False):
        data = b"".join(iter_parts(parts)).replace(b"\r\n", b"\n")
        return super().put(key, data, if_absent=if_absent)


class Decompressed(Good):
    def get(self, key):
        data = super().get(key)
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


class WrongLength(Good):
    def head(self, key):
        info = super().head(key)
        return replace(info, size=len(self.objects[key].decode(errors="replace")))


class IgnoredCondition(Good):
    def put(self, key, parts, *, if_absent=False):
        return super().put(key, parts)


class RacyCondition(Good):
    def put(self, key, parts, *, if_absent=False):
        if if_absent and key in self.objects:
            raise ObjectExistsError(f"{key} exists", location=key)
        time.sleep(0.005)
        return super().put(key, parts)


class WrittenThenRefused(Good):
    def put(self, key, parts, *, if_absent=False):
        there = key in self.objects
        info = super().put(key, parts)
        if if_absent and there:
            raise ObjectExistsError(f"{key} exists", location=key)
        return info


class EmptyIsAbsent(Good):
    def put(self, key, parts, *, if_absent=False):
        return super().put(key, parts, if_absent=if_absent and bool(self.objects.get(key)))


class StaleRead(Good):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.seen = {}

    def get(self, key):
        if key not in self.seen:
            self.seen[key] = super().get(key)
        return self.seen[key]


class ListOmits(Good):
    def list(self, prefix="", start_after=None):
        yield from [*super().list(prefix, start_after)][:1000]


class ListOutOfOrder(Good):
    def list(self, prefix="", start_after=None):
        found = super().list(prefix, start_after)
        yield from sorted(found, key=lambda info: info.key.encode("utf-16-be"))


class ListStopsWhereObjectsVanish(Good):
    def list(self, prefix="", start_after=None):
        for key in [info.key for info in super().list(prefix, start_after)]:
            yield self.head(key)


class PrefixIsFolder(Good):
    def list(self, prefix="", start_after=None):
        folder = prefix.rstrip("/") + "/" if prefix else ""
        yield from super().list(folder, start_after)


class PrefixIgnored(Good):
    def list(self, prefix="", start_after=None):
        yield from super().list("", start_after)


class StartAfterIncluded(Good):
    def list(self, prefix="", start_after=None):
        for info in super().list(prefix):
            if info.key.encode() >= (start_after or "").encode():
                yield info


class FoldersListed(Good):
    def list(self, prefix="", start_after=None):
        for info in super().list(prefix, start_after):
            if "/" in info.key:
                yield ObjectInfo(info.key.rpartition("/")[0], 0)
            yield info


class TemporaryListed(Good):
    def put(self, key, parts, *, if_absent=False):
        self.objects[f"{key}.tmp"] = b""
        info = super().put(key, parts, if_absent=if_absent)
        del self.objects[f"{key}.tmp"]
        return info


class DeniedIsMissing(Good):
    def open(self, key):
        if self.password != PASSWORD:
            raise ObjectNotFoundError(f"no {key}", location=key)
        return super().open(key)


class DeniedIsSuccess(Good):
    def delete(self, key):
        if self.password == PASSWORD:
            super().delete(key)


class SecretInRepr(Good):
    def __repr__(self):
        return f"SecretInRepr(password={self.password!r})"


class SecretInError(Good):
    def open(self, key):
        if key not in self.objects:
            raise ObjectNotFoundError(f"no {key} with {self.password}", location=key)
        return super().open(key)


class SecretInLog(Good):
    def open(self, key):
        logging.getLogger("acme").debug("signing with %s", self.password)
        return super().open(key)


class DeleteNotIdempotent(Good):
    def delete(self, key):
        if key not in self.objects:
            raise ObjectNotFoundError(f"no {key}", location=key)
        super().delete(key)


class DeleteByPrefix(Good):
    def delete(self, key):
        for each in [each for each in self.objects if each.startswith(key)]:
            super().delete(each)


class _Short(io.BytesIO):
    def read(self, size=-1, /):
        return super().read(4096 if size is None or size < 0 else min(size, 4096))


class PartialRead(Good):
    def open(self, key):
        return _Short(super().open(key).getvalue())


class OpensLate(Good):
    def open(self, key):
        return super().open(key) if key in self.objects else _Late()


class _Late(io.BytesIO):
    def read(self, size=-1, /):
        raise ObjectNotFoundError("no such object")


class KeyNormalised(Good):
    def put(self, key, parts, *, if_absent=False):
        return super().put(key.lower(), parts, if_absent=if_absent)

    def open(self, key):
        return super().open(key.lower())


class KeyUnquoted(Good):
    def put(self, key, parts, *, if_absent=False):
        return super().put(key.replace("%2F", "/"), parts, if_absent=if_absent)

    def open(self, key):
        return super().open(key.replace("%2F", "/"))


class AnyKey(Good):
    def put(self, key, parts, *, if_absent=False):
        return DictStore.put(self, key, parts, if_absent=if_absent)


class RawError(Good):
    def open(self, key):
        return io.BytesIO(self.objects[key])


class WrongError(Good):
    def open(self, key):
        try:
            return super().open(key)
        except ObjectNotFoundError as error:
            raise AccessDeniedError(str(error)) from None


class _Fragile(ObjectNotFoundError):
    def __init__(self, key, response):
        super().__init__(f"no {key} in {response}", location=key)

    def __reduce__(self):
        return type(self), (self.location,)


class ErrorDoesNotPickle(Good):
    def open(self, key):
        if key not in self.objects:
            raise _Fragile(key, "the store")
        return super().open(key)


class ConstantEtag(Good):
    def head(self, key):
        return replace(super().head(key), etag="1")


class Milliseconds(Good):
    def head(self, key):
        return replace(super().head(key), modified=time.time() * 1000)


class FileFromItsBeginning(Good):
    def put(self, key, parts, *, if_absent=False):
        if hasattr(parts, "seek"):
            parts.seek(0)
        return super().put(key, parts, if_absent=if_absent)


class ClosesFile(Good):
    def put(self, key, parts, *, if_absent=False):
        info = super().put(key, parts, if_absent=if_absent)
        getattr(parts, "close", lambda: None)()
        return info


class BytesOnly(Good):
    def put(self, key, parts, *, if_absent=False):
        return super().put(key, bytes(parts), if_absent=if_absent)


class LeavesParts(Good):
    def put(self, key, parts, *, if_absent=False):
        written = []
        try:
            written.extend(iter_parts(parts))
        finally:
            info = super().put(key, b"".join(written), if_absent=if_absent)
        return info


class ListNotDeclared(Good):
    capabilities = frozenset(
        {Capability.OVERWRITE, Capability.CONDITIONAL_CREATE, Capability.DELETE}
    )


class RefusesRaw(Good):
    capabilities = frozenset({Capability.OVERWRITE, Capability.LIST, Capability.DELETE})

    def put(self, key, parts, *, if_absent=False):
        if if_absent:
            raise NotImplementedError
        return super().put(key, parts)

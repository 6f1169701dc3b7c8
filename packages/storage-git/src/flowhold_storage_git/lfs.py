"""The files that LFS keeps beside a repository, in place of the pointers to them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import requests

from flowhold import settings
from flowhold.errors import ConfigurationError, IntegrityError, StorageError
from flowhold.web import origin_of, parts_of
from flowhold.writing import unused_name
from flowhold_storage_git.address import Address
from flowhold_storage_git.dulwich_clients import login_of
from flowhold_storage_git.failures import Refused, ours
from flowhold_storage_git.ssh import Ssh, agent_with
from flowhold_storage_git.tries import tried
from flowhold_storage_git.web import ask

__all__ = ["fetch_files"]

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n?"
)
_LONGEST = 1024
_BATCH = 100
_CHUNK = 1 << 20
_ANSWER = 16 << 20
_KIND = "application/vnd.git-lfs+json"
_GONE = (404, 410)
# Of the connection, or an answer that is none; not that a disk is full.


class _Pointer(NamedTuple):
    path: str
    oid: str
    size: int


class _Place(NamedTuple):
    url: str
    headers: Mapping[str, str]


def fetch_files(
    address: Address, folder: Path, digests: dict[str, str], timeout: float, retries: int
) -> None:
    """Replace the pointers among written files by what they point to.

    Args:
        address: Of the repository.
        folder: With the files.
        digests: sha256 (hex) by path of those that are the repository's; changed.
        timeout: Seconds without an answer after which a request has failed.
        retries: How often a request is tried again where that can help.

    Raises:
        IntegrityError: What arrived is not what a pointer says, or more than the settings allow.
        StorageError: The server does not have it.
    """
    found = [*_pointers(folder, digests)]
    if sum(pointer.size for pointer in found) > settings.current().max_tree_bytes:
        raise IntegrityError(
            f"the LFS files of {address.url} are larger than allowed",
            hint="fetch only the folders that are needed (directories=), or allow more: the "
            "setting max_tree_bytes",
        )
    if not found:
        return
    if address.scheme == "file":
        for pointer in found:
            _replace(folder / pointer.path, pointer, _of_folder(address.path, pointer))
    else:
        _fetch(address, folder, found, timeout, retries)
    digests.update((pointer.path, pointer.oid) for pointer in found)


def _fetch(
    address: Address, folder: Path, pointers: list[_Pointer], timeout: float, retries: int
) -> None:
    def download(pointer: _Pointer, place: _Place) -> None:
        response = ask("GET", place.url, login=place.headers, origin=place.url, timeout=timeout)
        with response:
            if response.status_code in _GONE:
                raise _missing(pointer)
            _check(response)
            _replace(folder / pointer.path, pointer, parts_of(response, timeout))

    try:
        server = tried(lambda: _server(address, timeout), address, retries)
        for start in range(0, len(pointers), _BATCH):
            batch = pointers[start : start + _BATCH]
            places = tried(partial(_places, address, server, batch, timeout), address, retries)
            for each in batch:
                tried(partial(download, each, places[each.oid]), address, retries)
    except StorageError as error:
        error.hint = error.hint or "check that the server has LFS"
        raise


def _pointers(folder: Path, paths: Iterable[str]) -> Iterator[_Pointer]:
    for path in list(paths):
        file = folder / path
        if file.stat().st_size <= _LONGEST and (match := _POINTER.fullmatch(file.read_bytes())):
            yield _Pointer(path, match[1].decode(), int(match[2]))


def _replace(file: Path, pointer: _Pointer, chunks: Iterable[bytes]) -> None:
    digest, size = hashlib.sha256(), 0
    partly = file.with_name(f".{unused_name()}")
    try:
        with open(partly, "xb") as out:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                if size > pointer.size:
                    break
                out.write(chunk)
        if size != pointer.size or digest.hexdigest() != pointer.oid:
            raise IntegrityError(
                f"the LFS file {pointer.path} that arrived is not the one that the commit names",
                location=pointer.path,
            )
        partly.chmod(file.stat().st_mode & 0o777)
        os.replace(partly, file)
    finally:
        partly.unlink(missing_ok=True)


def _of_folder(path: str, pointer: _Pointer) -> Iterator[bytes]:
    oid = pointer.oid
    for home in (".git/lfs", "lfs"):
        file = Path(path, home, "objects", oid[:2], oid[2:4], oid)
        if file.is_file():
            with open(file, "rb") as stream:
                while chunk := stream.read(_CHUNK):
                    yield chunk
            return
    raise _missing(pointer)


def _server(address: Address, timeout: float) -> _Place:
    """Return where the LFS server of a repository is, and the login for it."""
    if address.scheme in ("http", "https"):
        url = address.url if address.url.endswith(".git") else f"{address.url}.git"
        return _Place(f"{url}/info/lfs", login_of(address))
    if address.scheme != "ssh":
        raise ConfigurationError(f"{address.url} has no LFS: that needs https, ssh or a folder")
    command = f"git-lfs-authenticate {shlex.quote(address.path.lstrip('/'))} download"
    agent = agent_with(address.ssh_key) if address.ssh_key else nullcontext(None)
    with agent as socket:
        ssh = Ssh(timeout, socket)
        process = ssh.run_command(
            address.host, command.encode(), address.username or "git", address.port
        )
        try:
            answer = _whole(iter(lambda: process.read(_CHUNK), b""), address)
        finally:
            process.close()
    if not answer:
        raise ours(EOFError("nothing was answered"), address, ssh.said())
    found = _document(answer)
    url = _checked(str(found["href"]), address)
    return _Place(url.rstrip("/"), dict(found.get("header") or {}))


def _places(
    address: Address, server: _Place, pointers: list[_Pointer], timeout: float
) -> dict[str, _Place]:
    """Ask where the contents are."""
    body = {
        "operation": "download",
        "transfers": ["basic"],
        "hash_algo": "sha256",
        "objects": [{"oid": pointer.oid, "size": pointer.size} for pointer in pointers],
    }
    response = ask(
        "POST",
        f"{server.url}/objects/batch",
        login=server.headers,
        origin=server.url,
        timeout=timeout,
        headers={"Accept": _KIND, "Content-Type": _KIND},
        data=json.dumps(body).encode(),
    )
    with response:
        if response.status_code in _GONE:
            raise StorageError(
                f"{address.url} has no LFS, or not for this login",
                storage="git",
                location=address.url,
                hint="check that LFS is enabled for the repository",
            )
        _check(response)
        document = _document(_whole(parts_of(response, timeout), address))
    answers: dict[str, Any] = {each["oid"]: each for each in document["objects"]}
    places = {}
    for pointer in pointers:
        answer = answers.get(pointer.oid, {})
        error = answer.get("error") or {}
        if int(error.get("code", 404)) not in _GONE:
            raise Refused(int(error["code"]), f"{error.get('message', '')} of LFS")
        download = (answer.get("actions") or {}).get("download")
        if download is None:
            raise _missing(pointer)
        url = _checked(str(download["href"]), address)
        headers = dict(download.get("header") or {})
        if not answer.get("authenticated") and origin_of(url) == origin_of(server.url):
            headers = {**server.headers, **headers}
        places[pointer.oid] = _Place(url, headers)
    return places


def _whole(chunks: Iterable[bytes], address: Address) -> bytes:
    """Return an answer that is no file, unless it is larger than any such has to be."""
    gathered = bytearray()
    for chunk in chunks:
        gathered += chunk
        if len(gathered) > _ANSWER:
            raise IntegrityError(
                f"the LFS server of {address.url} answers with more than {_ANSWER:,} bytes",
                storage="git",
                location=address.url,
                hint="check what the server is",
            )
    return bytes(gathered)


def _document(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except RecursionError:
        raise ValueError("LFS answers with what is nested too deeply") from None


def _checked(url: str, address: Address) -> str:
    """Return a URL that a server leads to, if what is sent there is encrypted."""
    if not url.startswith(("https://", "http://")):
        raise ValueError("LFS leads to no URL")
    if address.scheme != "http" and not url.startswith("https://"):
        raise StorageError(
            f"the LFS server of {address.url} leads to a connection in clear text",
            storage="git",
            location=address.url,
        )
    return url


def _check(response: requests.Response) -> None:
    if response.status_code != 200:
        raise Refused(response.status_code, f"{response.reason} of LFS")


def _missing(pointer: _Pointer) -> StorageError:
    return StorageError(
        f"the LFS server does not have {pointer.path}",
        storage="git",
        location=pointer.path,
        hint="push it: `git lfs push --all origin`",
    )

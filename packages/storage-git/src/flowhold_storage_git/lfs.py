"""The files that LFS keeps beside a repository, in place of the pointers to them."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import requests

from flowhold import settings
from flowhold.errors import ConfigurationError, FlowholdError, IntegrityError, StorageError
from flowhold_storage_git.address import Address
from flowhold_storage_git.failures import Refused, ours
from flowhold_storage_git.ssh import Ssh, agent_with
from flowhold_storage_git.transport import login_of
from flowhold_storage_git.web import ask

__all__ = ["fetch_files"]

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n?"
)
_LONGEST = 1024
_BATCH = 100
_CHUNK = 1 << 20
_KIND = "application/vnd.git-lfs+json"


class _Pointer(NamedTuple):
    path: str
    oid: str
    size: int


class _Place(NamedTuple):
    url: str
    headers: Mapping[str, str]


def fetch_files(address: Address, folder: Path, digests: dict[str, str], timeout: float) -> None:
    """Replace the pointers among written files by what they point to.

    Args:
        address: Of the repository.
        folder: With the files.
        digests: sha256 (hex) by path of those that are the repository's; changed.
        timeout: Seconds without an answer after which a request has failed.

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
    try:
        problem = None
        for pointer, chunks in _contents(address, found, timeout):
            _replace(folder / pointer.path, pointer, chunks)
            digests[pointer.path] = pointer.oid
    except FlowholdError:
        raise
    except (OSError, Refused, ValueError, LookupError, TypeError) as error:
        problem = ours(error, address)
    if problem is not None:
        problem.hint = problem.hint or "check that the server has LFS"
        raise problem


def _pointers(folder: Path, paths: Iterable[str]) -> Iterator[_Pointer]:
    for path in list(paths):
        file = folder / path
        if file.stat().st_size <= _LONGEST and (match := _POINTER.fullmatch(file.read_bytes())):
            yield _Pointer(path, match[1].decode(), int(match[2]))


def _replace(file: Path, pointer: _Pointer, chunks: Iterable[bytes]) -> None:
    mode = file.stat().st_mode
    file.unlink()
    digest, size = hashlib.sha256(), 0
    with open(file, "xb") as out:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            if size > pointer.size:
                break
            out.write(chunk)
    file.chmod(mode & 0o777)
    if size != pointer.size or digest.hexdigest() != pointer.oid:
        raise IntegrityError(
            f"the LFS file {pointer.path} that arrived is not the one that the commit names",
            location=pointer.path,
        )


def _contents(
    address: Address, pointers: list[_Pointer], timeout: float
) -> Iterator[tuple[_Pointer, Iterable[bytes]]]:
    if address.scheme == "file":
        for pointer in pointers:
            yield pointer, _of_folder(address.path, pointer)
        return
    server = _server(address, timeout)
    for start in range(0, len(pointers), _BATCH):
        batch = pointers[start : start + _BATCH]
        places = _places(address, server, batch, timeout)
        for pointer in batch:
            place = places[pointer.oid]
            login = place.headers or server.headers
            origin = place.url if place.headers else server.url
            response = ask("GET", place.url, login=login, origin=origin, timeout=timeout)
            with response:
                _check(response)
                yield pointer, response.iter_content(_CHUNK)


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
            answer = b"".join(iter(lambda: process.read(_CHUNK), b""))
        finally:
            process.close()
    if not answer:
        raise ours(EOFError("nothing was answered"), address, ssh.said())
    found = json.loads(answer)
    return _Place(str(found["href"]).rstrip("/"), dict(found.get("header") or {}))


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
        _check(response)
        answers: dict[str, Any] = {each["oid"]: each for each in response.json()["objects"]}
    places = {}
    for pointer in pointers:
        download = (answers.get(pointer.oid, {}).get("actions") or {}).get("download")
        if download is None:
            raise _missing(pointer)
        url = str(download["href"])
        if address.scheme != "http" and not url.startswith("https://"):
            raise StorageError("the LFS server leads to a connection in clear text")
        places[pointer.oid] = _Place(url, dict(download.get("header") or {}))
    return places


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

"""How a file that is written gets its name, so that nobody sees the half of it: by protocol."""

from __future__ import annotations

from typing import Any

from flowhold import Capability


def lacking(url: str) -> set[Capability]:
    """Return what the protocol of a URL cannot do."""
    protocol = url.partition("://")[0]
    if protocol == "smb":
        return {Capability.OVERWRITE}
    return set() if protocol in ("file", "memory", "sftp") else {Capability.CONDITIONAL_CREATE}


def create(fs: Any, written: str, name: str) -> None:
    """Give what is written a name, in one step that fails where a file has it."""
    if "sftp" in fs.protocol:
        try:
            fs.ftp.rename(written, name)  # which replaces nothing, unlike the posix_rename of mv
        except OSError as error:
            raise FileExistsError(name) if fs.exists(name) else error from None
    elif "memory" in fs.protocol:
        if fs.store.setdefault(name, fs.store[written]) is not fs.store[written]:
            raise FileExistsError(name)
    else:
        (fs.link if "file" in fs.protocol else fs.mv)(written, name)


def replace(fs: Any, written: str, name: str) -> None:
    """Give what is written a name, in one step that replaces the file that has it."""
    (fs.cp_file if "memory" in fs.protocol else fs.mv)(written, name)

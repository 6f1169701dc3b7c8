"""Flows as files of this machine, or scripts that run where they are."""

from __future__ import annotations

import hashlib
import os
import socket
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flowhold import settings
from flowhold.errors import ConfigurationError, ObjectNotFoundError, StorageError
from flowhold.filestore import FileStore
from flowhold.selection import split_target
from flowhold.storage.modules import (
    check_module,
    extract_module,
    flow_of_module,
    module_fingerprint,
)
from flowhold.storage.objects import ObjectStorage
from flowhold.storage.records import Record
from flowhold.store import ObjectStore
from flowhold.trees import open_folder
from flowhold.unpacking import flow_from_script

if TYPE_CHECKING:
    from flowhold.results import Result

__all__ = ["Local"]


class Local(ObjectStorage):
    """Keeps flows in a folder of this machine.

    The host name is a default label: only this machine is known to have the folder. Opt out with
    ``add_default_labels=False`` where the folder is shared.

    Args:
        directory: Folder of the flows, made when first written to; default: ``flows`` in the data
            directory.
        validate: Expand ``~`` and make ``directory`` absolute; False keeps the string as it is.
        path: Explicit file. With ``stored_as_script`` and neither ``local_script_path`` nor
            ``include``: the script to run in place, or ``pkg.mod`` or ``pkg.mod:attr``; it floats,
            edits take effect.
        stored_as_script: Keep scripts instead of pickles.
        **options: See :class:`~flowhold.storage.objects.ObjectStorage`.

    Raises:
        ConfigurationError: ``path`` and ``key`` are both given; when a flow is added,
            ``stored_as_script`` without any script.
    """

    shown: ClassVar[tuple[str, ...]] = ("directory", "path")

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        validate: bool = True,
        path: str | os.PathLike[str] | None = None,
        stored_as_script: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(stored_as_script=stored_as_script, **options)
        if path is not None and self.key is not None:
            raise ConfigurationError("path= and key= exclude each other", storage="Local")
        folder = os.fspath(
            settings.current().data_dir / "flows" if directory is None else directory
        )
        self.directory = os.path.abspath(os.path.expanduser(folder)) if validate else folder
        self.validate = validate
        self.path = None if path is None else os.fspath(path)

    @classmethod
    def _from_options(cls, options: dict[str, Any]) -> Local:
        # The folder is another machine's: its string is kept as it is.
        storage = cls(**{**options, "validate": False})
        storage.validate = options.get("validate", True)
        return storage

    @property
    def default_labels(self) -> list[str]:
        """The name of the host that stored the flows."""
        return [socket.gethostname()] if self._recorded_labels is None else self._recorded_labels

    def _default_result(self) -> Result | None:
        folder = self.directory
        return (_result_in if os.path.isabs(folder) else _result_in.__wrapped__)(folder)

    def open_store(self) -> ObjectStore:
        """Return the file store of the directory."""
        return _store_in(self.directory)

    def fingerprint(self, flow: Any) -> str | None:
        """Return a hash of what would be stored, or of the script that runs in place."""
        if self._stores():
            return super().fingerprint(flow)
        target, _ = self._target()
        if target.endswith(".py"):
            return hashlib.sha256(open_folder(Path(target)).path.read_bytes()).hexdigest()
        return module_fingerprint(target)

    def _stores(self) -> bool:
        return not self.stored_as_script or bool(self.local_script_path) or self.include is not None

    def _target(self) -> tuple[str, str | None]:
        """Return path or module name of what runs in place, and the attribute."""
        if self.path is None:
            raise ConfigurationError(
                "Local storage with stored_as_script needs to know the script",
                storage="Local",
                hint="give path= to run it in place, or local_script_path= or include= to store "
                "a copy",
            )
        target, attribute = split_target(self.path)
        if target.endswith(".py") or "/" in target or os.sep in target:
            return os.path.abspath(os.path.expanduser(target)), attribute
        return target, attribute

    def _add(self, flow: Any) -> Record:
        if self._stores():
            return super()._add(flow)
        target, attribute = self._target()
        if target.endswith(".py"):
            open_folder(Path(target))
        location = f"{target}:{attribute}" if attribute else target
        return Record(location, "script" if target.endswith(".py") else "module")

    def _free_location(self, name: str, sha256: str) -> str:
        if self.path is None:
            return super()._free_location(name, sha256)
        location = os.path.abspath(os.path.expanduser(self.path))
        if location in self.flows.values():
            raise ConfigurationError(
                f"two flows of this Local storage have the path {location}",
                hint="leave path= out, and each gets a file of its own",
            )
        return location

    def _place(self, key: str) -> str:
        return os.path.join(self.directory, *key.split("/"))

    def _at(self, location: str) -> tuple[ObjectStore, str]:
        folder = os.path.join(self.directory, "")
        if location.startswith(folder):
            return self.store, location[len(folder) :].replace(os.sep, "/")
        path = Path(location)
        return FileStore(path.parent), path.name

    def _is_near(self, record: Record) -> bool:
        # Of whichever folder, it is a file.
        return True

    def _generates(self) -> bool:
        return self.path is None and super()._generates()

    def still_has(self, record: Record) -> bool:
        """Whether the file is there and has its size."""
        if record.sha256 is None:
            return True
        try:
            store, key = self._at(record.location)
            return store.head(key).size == record.size
        except StorageError:
            return False

    def _bare(self, location: str, *, allow_unverified: bool) -> Record | None:
        # A path says by itself that no flow's name is meant.
        if super()._bare(location, allow_unverified=allow_unverified) or os.path.isabs(location):
            return Record(location, "script" if location.endswith(".py") else "")
        return None

    def _load(self, name: str | None, record: Record, *, allow_unverified: bool) -> Any:
        if record.sha256 is None and record.kind in ("script", "module"):
            target, attribute = split_target(record.location)
            attribute = attribute or record.attribute
            if record.kind == "module":
                return flow_of_module(target, name, attribute, record.environment)
            tree = open_folder(Path(target))
            return flow_from_script(
                tree, name=name, attribute=attribute, recorded=record.environment
            )
        try:
            return super()._load(name, record, allow_unverified=allow_unverified)
        except ObjectNotFoundError as error:
            here = socket.gethostname()
            by = "".join(self._recorded_labels or [])
            raise ObjectNotFoundError(
                f"the flow's file {record.location} does not exist on host {here}",
                storage="Local",
                location=record.location,
                hint=f"it was stored by host {by}; register the flow here, or use a storage that "
                f"both reach"
                if by not in ("", here)
                else "register the flow again, or restore the file",
            ) from error

    def _extract(self, name: str | None, record: Record, folder: Path) -> None:
        target, _ = split_target(record.location)
        if record.sha256 is None and record.kind == "module":
            extract_module(target, folder)
        elif record.sha256 is None and record.kind == "script":
            script = open_folder(Path(target)).path
            (folder / script.name).write_bytes(script.read_bytes())
        else:
            super()._extract(name, record, folder)

    def _check(self, record: Record) -> str:
        target, _ = split_target(record.location)
        if record.sha256 is None and record.kind == "module":
            return check_module(target)
        if record.sha256 is None and record.kind == "script":
            return f"{open_folder(Path(target)).path} is there, floating"
        return super()._check(record)


@lru_cache(maxsize=16)
def _store_in(folder: str) -> FileStore:
    """Return the file store of a folder: one, as each load asks for it."""
    return FileStore(folder)


@lru_cache(maxsize=16)
def _result_in(folder: str) -> Result:
    """Return the result of a folder of flows: one, as each load gives it to its flow."""
    from flowhold.results import LocalResult

    return LocalResult(dir=os.path.join(folder, "results"))

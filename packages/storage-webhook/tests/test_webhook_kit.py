"""Webhook holds what every storage has to, over nginx and over a server like Dropbox."""

from __future__ import annotations

from pathlib import Path

import pytest
from webdav_server import PASSWORD

from flowhold.storage.keys import slug
from flowhold.testing import StorageTests
from flowhold_storage_webhook import Webhook

from .dropbox_api import TOKEN, dropbox_arguments


def with_script(options):
    """Return options with a script where there has to be one."""
    if options.get("stored_as_script"):
        Path("kit_script.py").touch()
        return {"local_script_path": "kit_script.py", **options}
    return options


class Files:
    """The files of nginx, by location."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, location):
        name, _, sha256 = location.rpartition("/")
        return self.folder / slug(name) / sha256

    def read(self, location):
        return self.path(location).read_bytes()

    def write(self, location, data):
        self.path(location).write_bytes(data)

    def remove(self, location):
        self.path(location).unlink()


class Box:
    """The files of the server like Dropbox, by location."""

    def __init__(self, files):
        self.files = files

    def path(self, location):
        name, _, sha256 = location.rpartition("/")
        return f"/flows/{slug(name)}-{sha256}.flow"

    def read(self, location):
        return self.files[self.path(location)]

    def write(self, location, data):
        self.files[self.path(location)] = data

    def remove(self, location):
        del self.files[self.path(location)]


@pytest.mark.sampled(5)
class TestWebDAV(StorageTests):
    @pytest.fixture
    def make_storage(self, dav, webdav_server, login):
        def make_storage(**options):
            base = f"{webdav_server.url}/private"
            return dav(base, arguments=login, **with_script(options))

        return make_storage

    @pytest.fixture
    def backdoor(self, webdav_server, webdav_folder):
        return Files(webdav_server.root / "private" / webdav_folder)

    @pytest.fixture
    def secret_values(self):
        return [PASSWORD]


@pytest.mark.sampled(5)
class TestDropbox(StorageTests):
    @pytest.fixture
    def make_storage(self, dropbox):
        def make_storage(**options):
            return Webhook(*dropbox_arguments(dropbox.url), **with_script(options))

        return make_storage

    @pytest.fixture
    def backdoor(self, dropbox):
        return Box(dropbox.files)

    @pytest.fixture
    def secret_values(self):
        return [TOKEN]

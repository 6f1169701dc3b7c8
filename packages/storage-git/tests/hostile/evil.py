"""Repositories that mean harm, and what happens when they are loaded."""

from __future__ import annotations

import pytest

from flowhold import cache
from flowhold.errors import IntegrityError
from flowhold_storage_git import Git

SCRIPT = b"""
from flowhold import Flow, task

@task
def one():
    return 1

with Flow("etl") as flow:
    one()
"""
FILE, FOLDER, LINK, SUBMODULE = b"100644", b"40000", b"120000", b"160000"


class Hostile:
    """A repository, and what happens when its commits are loaded."""

    def __init__(self, tmp_path, repository, url):
        self.tmp_path, self.repository, self.url = tmp_path, repository, url
        self.script = (FILE, b"flow.py", repository.blob(SCRIPT))

    def tree(self, *entries):
        """Make a tree of modes, names and SHAs."""
        return self.repository.raw_tree(entries)

    def commit(self, *entries):
        """Commit a tree with the script and more."""
        return self.repository.commit_tree(self.tree(self.script, *entries))

    def load(self, path="flow.py", **options):
        return Git(path, git_clone_url=self.url, retries=0, **options).get_flow(path)

    def outside(self):
        """Return all that is there beside the cache."""
        return {
            str(path): (path.lstat().st_mode, path.lstat().st_size)
            for top in (self.tmp_path / "flowhold", self.tmp_path / "home", self.tmp_path / "work")
            for path in [top, *top.rglob("*")]
            if not path.is_relative_to(self.tmp_path / "flowhold/cache")
        }

    def refused(self, kind=IntegrityError, match=".", **options):
        """Load what must not be loaded, and return the message."""
        before = self.outside()
        with pytest.raises(kind, match=match) as caught:
            self.load(**options)
        assert "\n" not in str(caught.value)
        assert "cannot be used" not in str(caught.value)
        assert self.outside() == before
        assert cache.entries() == []
        left = [path.name for path in (self.tmp_path / "flowhold/cache/trees").iterdir()]
        assert [name for name in left if not name.endswith(".lock")] == []
        return str(caught.value)

    def root(self):
        """Load what may be loaded, and return its folder."""
        before = self.outside()
        assert self.load().run().result == 1
        assert self.outside() == before
        return max(cache.entries(), key=lambda entry: entry.path.stat().st_ctime_ns).path / "files"

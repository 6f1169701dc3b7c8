"""Git storage, and such storages that are each broken in one way as to revisions."""

from __future__ import annotations

import re
from dataclasses import replace

from flowhold import hookimpl
from flowhold.errors import RevisionNotFoundError
from flowhold.plugins import StorageInfo
from flowhold_storage_git import Git
from flowhold_storage_git.source import GitSource

FIRST: dict[str, str] = {}


class Good(Git):
    pass


class PinnedFollows(Good):
    def _load(self, name, record, *, allow_unverified):
        floating = replace(record, revision=None)
        return super()._load(name, floating, allow_unverified=allow_unverified)


class RecordsNothing(Good):
    def _build(self):
        pass


class RecordsTheFirst(Good):
    def fingerprint(self, flow):
        return FIRST.setdefault(self.git_clone_url, super().fingerprint(flow))

    def _build(self):
        super()._build()
        for record in self._records.values():
            record.revision = FIRST.setdefault(self.git_clone_url, record.revision)


class RecordsAlways(Good):
    def _build(self):
        for record in self._records.values():
            record.revision = self.open_source().resolve()


class FloatingStays(Good):
    def open_source(self):
        source = super().open_source()
        commit = FIRST.setdefault(source.address.url, source.resolve())
        source.resolve = lambda: commit
        return source


class OneCheckoutForAll(Good):
    def open_source(self):
        source = super().open_source()
        source.checkout = lambda commit: GitSource.checkout(
            source, FIRST.setdefault(source.address.url, commit)
        )
        return source


class FallsBack(Good):
    def _load(self, name, record, *, allow_unverified):
        try:
            return super()._load(name, record, allow_unverified=allow_unverified)
        except RevisionNotFoundError:
            floating = replace(record, revision=None)
            return super()._load(name, floating, allow_unverified=allow_unverified)


class IgnoresWhatIsNoSha(Good):
    def _load(self, name, record, *, allow_unverified):
        if record.revision is not None and not re.fullmatch("[0-9a-f]{40}", record.revision):
            record = replace(record, revision=None)
        return super()._load(name, record, allow_unverified=allow_unverified)


class TakesBranches(Good):
    def _load(self, name, record, *, allow_unverified):
        if record.revision and not re.fullmatch("[0-9a-f]{40}", record.revision):
            other = Git(
                self.flow_path, git_clone_url=self.git_clone_url, branch_name=record.revision
            )
            record = replace(record, revision=other.open_source().resolve())
        return super()._load(name, record, allow_unverified=allow_unverified)


class NoFingerprint(Good):
    def fingerprint(self, flow):
        return None


class VerifySaysPinned(Good):
    def _check(self, record):
        return super()._check(record).replace("floating", "as recorded")


class VerifyNamesNoCommit(Good):
    def _check(self, record):
        return re.sub("[0-9a-f]{40}", "the commit", super()._check(record))


GOOD = [
    value
    for value in list(globals().values())
    if isinstance(value, type) and issubclass(value, Good)
]


class Plugin:
    @hookimpl
    def flowhold_storages(self):
        return [
            StorageInfo(cls.__name__.lower(), "A storage.", f"{__name__}:{cls.__name__}")
            for cls in GOOD
        ]

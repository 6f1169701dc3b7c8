"""What is killed or runs out of room: how it begins, what it does, and what must hold afterwards.

``check`` raises where something is wrong; ``reported`` are the words that ``act`` reported before
its end.
"""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import flowhold
from flowhold import cache
from flowhold.catalog import Catalog
from flowhold.errors import ObjectExistsError
from flowhold.filestore import FileStore
from flowhold.manifest import Manifest
from flowhold.results import LocalResult
from flowhold.storage import Local

OLD = b"old" * 20_000
NEW = [b"new, part %d. " % number * 2_000 for number in range(6)]
FILES = 12


class Operation:
    def prepare(self, base: Path) -> None:
        """Make what is there before."""

    def parts(self, base: Path) -> list[str]:
        """Return the half-written files that are there; an error leaves none of them."""
        return [
            str(path)
            for path in base.rglob("*")
            if (path.parent.name == ".flowhold-tmp" and path.suffix != ".lock")
            or (path.name.startswith(".") and path.name != ".flowhold-tmp")
        ]


class Put(Operation):
    """Replace an object."""

    def prepare(self, base):
        FileStore(base / "store").put("a/k", OLD)

    def act(self, base, report):
        FileStore(base / "store").put("a/k", NEW)
        report("done")

    def check(self, base, reported):
        store = FileStore(base / "store")
        assert [info.key for info in store.list()] == ["a/k"]
        assert store.get("a/k") in (
            (b"".join(NEW),) if "done" in reported else (OLD, b"".join(NEW))
        )
        store.put("a/k", NEW)
        assert store.get("a/k") == b"".join(NEW)


class Create(Operation):
    """Create an object that must not be there."""

    def act(self, base, report):
        FileStore(base / "store").put("a/b/k", NEW, if_absent=True)
        report("done")

    def check(self, base, reported):
        store = FileStore(base / "store")
        listed = [info.key for info in store.list()]
        assert listed in ([["a/b/k"]] if "done" in reported else [[], ["a/b/k"]]), listed
        try:
            store.put("a/b/k", NEW, if_absent=True)
            assert not listed
        except ObjectExistsError:
            assert listed
        assert store.get("a/b/k") == b"".join(NEW)


class CreateWithoutLinks(Create):
    """The same on a disk that has no hard links."""

    def act(self, base, report):
        def refuse(*paths, **options):
            raise OSError(errno.EPERM, "Operation not permitted")

        os.link = refuse
        super().act(base, report)


def make_flow(number: int):
    @flowhold.flow(name="etl")
    def etl(times: int = 2) -> int:
        return number * times

    etl.padding = b"%d" % number * 9_000
    return etl


class Register(Operation):
    """Register two more versions of a flow, the catalog and the pickle in one folder."""

    def prepare(self, base):
        flowhold.register(make_flow(1))

    def act(self, base, report):
        for number in (2, 3):
            reference = flowhold.register(make_flow(number))
            report(f"{reference.version}={number}")

    def check(self, base, reported):
        catalog = Catalog()
        assert list(catalog.names()) == ["etl"]
        versions = catalog.versions("etl")
        assert versions == list(range(1, len(versions) + 1)), versions
        known = {1: 1} | {
            int(version): int(number)
            for word in reported
            if "=" in word
            for version, number in [word.split("=")]
        }
        assert set(known) <= set(versions), (known, versions)
        for version in versions:
            outcome = flowhold.load(f"etl@{version}").run()
            assert outcome.result == 2 * known.get(version, version), version
        again = flowhold.register(make_flow(9))
        assert again.version == len(versions) + 1
        assert flowhold.load("etl").run({"times": 3}).result == 27


class Unpack(Operation):
    """Load a bundle for the first time: its files go into the cache."""

    def prepare(self, base):
        folder = base / "script"
        (folder / "more").mkdir(parents=True)
        script = "import flowhold\nfrom pathlib import Path\nfrom more import number\n\n"
        script += "@flowhold.flow(name='etl')\ndef etl():\n"
        script += "    files = sorted(Path(__file__).parent.glob('more/*.txt'))\n"
        script += "    return number.N + sum(len(file.read_text()) for file in files)\n"
        (folder / "etl.py").write_text(script)
        (folder / "more" / "__init__.py").write_text("")
        (folder / "more" / "number.py").write_text("N = 1\n")
        for number in range(FILES):
            (folder / "more" / f"{number}.txt").write_text("x" * 5_000)
        storage = Local(
            base / "flows",
            stored_as_script=True,
            local_script_path=str(folder / "etl.py"),
            include=["*.txt", "*.py"],
            key="etl",
        )
        storage.add_flow(flowhold.load(str(folder / "etl.py")))
        reference = storage.build().references()[0]
        (base / "reference.json").write_text(reference.to_json())

    def act(self, base, report):
        run = flowhold.load(str(base / "reference.json")).run()
        if run.error:
            raise run.error
        assert run.result == 1 + FILES * 5_000

    def check(self, base, reported):
        trees = base / "cache" / "trees"
        shown = [path for path in trees.glob("[!.]*") if path.is_dir()]
        assert len(shown) <= 1, shown
        for tree in shown:
            assert len(list(tree.glob("files/more/*.txt"))) == FILES
            assert Manifest.is_whole(tree / "manifest")
        self.act(base, print)


class Fill(Operation):
    """Keep verified bytes in the cache."""

    data = os.urandom(80_000)
    digest = hashlib.sha256(data).hexdigest()

    def act(self, base, report):
        assert cache.object_of(self.digest, lambda: self.data) == self.data

    def check(self, base, reported):
        objects = [path.name for path in (base / "cache" / "objects").glob("[!.]*")]
        assert objects in ([], [self.digest])
        fetched = []
        for _ in range(2):
            found = cache.object_of(self.digest, lambda: fetched.append(1) or self.data)
            assert found == self.data
        assert len(fetched) <= (0 if objects else 1)


class WriteResult(Operation):
    """Write the value of a task over an older one."""

    def prepare(self, base):
        LocalResult(base / "results", "{task}").write(OLD, task="load")

    def act(self, base, report):
        LocalResult(base / "results", "{task}").write(NEW, task="load")
        report("done")

    def check(self, base, reported):
        result = LocalResult(base / "results", "load")
        assert [info.key for info in result.store.list()] == ["load"]
        value = result.read(allow_unverified=True).value
        assert value in ([NEW] if "done" in reported else [OLD, NEW])
        again = result.write(NEW)
        assert again.read().value == NEW

"""Flows of a git repository, loaded by Flowhold and both Prefects, or only fetched by git."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from loop import serve

TIMES = 20


class Contender:
    """Measures what the settings name, each round in a folder of its own, which stays."""

    def __init__(self, settings) -> None:
        self.settings = settings
        self.url = settings["url"]

    def measures(self, round_name):
        self.folder = Path(tempfile.mkdtemp())
        for name in self.settings["measures"]:
            if prepare := getattr(self, name, None):
                yield name, prepare()


class Flowhold(Contender):
    """Folders are caches."""

    references = ()

    def storage(self, number=0, **options):
        from flowhold_storage_git import Git

        os.environ["FLOWHOLD_CACHE_DIR"] = str(self.folder)
        return Git(f"flows/flow_{number:04}.py", git_clone_url=self.url, **options)

    def get(self, storage):
        return storage.get_flow(storage.flow_path)

    def cold_folder(self):
        return lambda: self.get(self.storage(directories=["flows"]))

    def cold_whole(self):
        self.folder = self.folder / "whole"
        return lambda: self.get(self.storage())

    def warm_branch(self):
        def again():
            for _ in range(TIMES):
                self.forget()
                self.get(self.storage())

        return again

    def many(self):
        # What is pinned is fetched when it is stored, so once, before it is loaded cold.
        if not self.references:
            self.references = [self.reference(number) for number in range(self.settings["flows"])]
            self.forget()
        self.folder = self.folder / "many"
        os.environ["FLOWHOLD_CACHE_DIR"] = str(self.folder)

        def load():
            for each in self.references:
                each.open_storage().get_flow(each.flow)

        return load

    def reference(self, number):
        import flowhold

        storage = self.storage(number, pin=True)
        path = Path(self.settings["scripts"], f"flow_{number:04}.py")
        storage.add_flow(flowhold.load(path))
        return storage.build().references()[0]

    def warm_pinned(self):
        first = self.references[0]

        def again():
            for _ in range(TIMES):
                self.forget()
                first.open_storage().get_flow(first.flow)

        return again

    def forget(self):
        """Let a script be imported again, as in another process."""
        for name in [name for name in sys.modules if name.startswith("flowhold_tree_")]:
            del sys.modules[name]

    def plain_import(self):
        from importlib.util import module_from_spec, spec_from_file_location

        file = Path(self.settings["scripts"], "flow_0000.py")

        def imports():
            for _ in range(TIMES):
                spec = spec_from_file_location("flow_script", file)
                spec.loader.exec_module(module_from_spec(spec))

        return imports


class Git(Contender):
    """The command line, at its best for each."""

    def git(self, folder, *words):
        subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)

    def cold_folder(self):
        folder = self.folder / "sparse"
        folder.mkdir()

        def fetch():
            self.git(folder, "init", "--quiet")
            self.git(folder, "remote", "add", "origin", self.url)
            self.git(folder, "sparse-checkout", "set", "flows")
            few = ("--depth", "1", "--filter=blob:none")
            self.git(folder, "fetch", "--quiet", *few, "origin", "trunk")
            self.git(folder, "checkout", "--quiet", "FETCH_HEAD")

        return fetch

    def cold_whole(self):
        self.tree = self.folder / "tree"
        words = ("clone", "--quiet", "--depth", "1", self.url, self.tree)
        return lambda: self.git(self.folder, *words)

    def warm_branch(self):
        def again():
            for _ in range(TIMES):
                self.git(self.tree, "fetch", "--quiet", "--depth", "1", "origin", "trunk")
                self.git(self.tree, "reset", "--quiet", "--keep", "FETCH_HEAD")

        return again


class Prefect1(Contender):
    """Its storage clones for each load."""

    def __init__(self, settings) -> None:
        super().__init__(settings)
        # Its progress is written for each object.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)

    def cold_whole(self):
        import prefect
        from prefect.storage import Git

        storage = Git("prefect_1/flow.py", git_clone_url_secret_name="URL")
        storage.flows["prefect-flow"] = "prefect_1/flow.py"

        def load():
            with prefect.context(secrets={"URL": self.url}):
                storage.get_flow("prefect-flow")

        return load


class Prefect3(Contender):
    """Its GitRepository, which keeps a clone, and the flow of a file in it."""

    def load(self, repository):
        from prefect.flows import load_flow_from_entrypoint

        asyncio.run(repository.pull_code())
        load_flow_from_entrypoint(f"{repository.destination}/prefect_3/flow.py:flow")

    def repository(self, name, **options):
        from prefect.runner.storage import GitRepository

        made = GitRepository(self.url, name=name, branch="trunk", **options)
        made.set_base_path(self.folder)
        return made

    def cold_folder(self):
        repository = self.repository("sparse", directories=["prefect_3"])
        return lambda: self.load(repository)

    def cold_whole(self):
        self.kept = self.repository("whole")
        return lambda: self.load(self.kept)

    def warm_branch(self):
        return lambda: [self.load(self.kept) for _ in range(TIMES)]

    def many(self):
        repository = self.repository("many")
        return lambda: [self.load(repository) for _ in range(self.settings["flows"])]


if __name__ == "__main__":
    serve(Flowhold, Git, Prefect1, Prefect3)

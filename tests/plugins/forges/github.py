"""A fake of GitHub's REST API: repositories, commits and contents."""

from __future__ import annotations

import base64

from .repository import Link, Submodule
from .server import Fake, Reply, parts_of


class GitHubFake(Fake):
    root = ""

    def route(self, asked):
        parts = parts_of(asked.path.removeprefix(self.root))
        if parts[0] != "repos" or not asked.path.startswith(self.root):
            return Reply(404, b"<html>no API here</html>", "text/html")
        if "/".join(parts[1:3]) != self.repository.name:
            return self.hidden()
        if len(parts) == 3:
            owner, name = parts[1:]
            return Reply(
                200,
                {
                    "id": 1296269,
                    "name": name,
                    "full_name": self.repository.name,
                    "owner": {"login": owner, "type": "Organization"},
                    "private": bool(self.login),
                    "default_branch": self.repository.default or "main",
                },
            )
        what, rest = parts[3], "/".join(parts[4:])
        return {"commits": self.commits, "contents": self.contents}[what](asked, rest)

    def commits(self, asked, ref):
        if not self.repository.branches:
            return self.error(409, "Git Repository is empty.")
        revision = f"refs/{ref}" if ref.startswith(("heads/", "tags/")) else ref
        sha = self.repository.commit(revision)
        if sha is None:
            return self.error(422, f"No commit found for SHA: {ref}")
        if asked.headers["accept"] == "application/vnd.github.sha":
            return Reply(200, sha.encode(), "application/vnd.github.sha; charset=utf-8")
        return Reply(200, {"sha": sha, "commit": {"tree": {"sha": "0" * 40}}, "files": []})

    def contents(self, asked, path):
        sha = self.repository.commit(asked.query["ref"])
        if sha is None:
            return self.error(404, f"No commit found for the ref {asked.query['ref']}")
        found = self.repository.at(sha, path)
        if isinstance(found, Link):
            # It follows those that lead to a file.
            found = self.repository.at(sha, found.target)
        if found is None:
            return self.error(404, "Not Found")
        if isinstance(found, list):
            return Reply(200, [{"type": "file", "path": name, "sha": "0" * 40} for name in found])
        if isinstance(found, Submodule):
            return Reply(200, {"type": "submodule", "path": path, "sha": found.sha})
        if asked.headers["accept"] == "application/vnd.github.raw+json":
            return Reply(200, found, "application/vnd.github.raw+json; charset=utf-8")
        encoded = len(found) <= 1 << 20
        content = base64.b64encode(found).decode() if encoded else ""
        return Reply(200, {"encoding": "base64" if encoded else "none", "content": content})

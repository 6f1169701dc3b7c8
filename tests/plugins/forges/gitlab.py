"""A fake of GitLab's REST API: projects, and files as far as their raw form goes."""

from __future__ import annotations

from .repository import Link, Submodule
from .server import Fake, Reply, parts_of


class GitLabFake(Fake):
    root = "/api/v4"
    number = "4711"

    def hidden(self):
        return self.error(404, "404 Project Not Found")

    def route(self, asked):
        if not asked.path.startswith(self.root):
            return Reply(404, b"<html>The page could not be found</html>", "text/html")
        parts = parts_of(asked.path.removeprefix(self.root))
        if parts[0] != "projects" or parts[1] not in (self.repository.name, self.number):
            return self.hidden()
        if len(parts) == 2:
            if "job-token" in asked.headers:
                return self.error(401, "401 Unauthorized")
            about = {"id": int(self.number), "path_with_namespace": self.repository.name}
            return Reply(200, {**about, "default_branch": self.repository.default})
        if parts[2:4] == ["repository", "files"] and parts[5:] == ["raw"]:
            return self.raw(asked, parts[4])
        return self.error(404, "404 Not Found")

    def raw(self, asked, path):
        sha = self.repository.commit(asked.query["ref"])
        if sha is None:
            return self.error(404, "404 Commit Not Found")
        found = self.repository.at(sha, path)
        if isinstance(found, Link):
            found = found.target.encode()
        if found is None or isinstance(found, (list, Submodule)):
            return self.error(404, "404 File Not Found")
        headers = {
            "X-Gitlab-Commit-Id": sha,
            "X-Gitlab-Last-Commit-Id": "e" * 40,
            "X-Gitlab-Ref": asked.query["ref"].encode().decode("latin-1"),
            "X-Gitlab-Size": str(len(found)),
        }
        return Reply(200, found, "text/plain; charset=utf-8", headers)

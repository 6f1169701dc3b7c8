"""Fakes of the REST APIs of Bitbucket Cloud (2.0) and Bitbucket Server (1.0)."""

from __future__ import annotations

import re

from .repository import Link, Submodule
from .server import Fake, Reply, parts_of


class CloudFake(Fake):
    page_size = 1

    def error(self, status, message):
        return Reply(status, {"type": "error", "error": {"message": message}})

    def hidden(self):
        return self.error(404, f"Repository {self.repository.name} not found")

    def route(self, asked):
        parts = parts_of(asked.path)
        if parts[:2] != ["2.0", "repositories"] or "/".join(parts[2:4]) != self.repository.name:
            return self.hidden()
        if len(parts) == 4:
            branch = self.repository.default and {"type": "branch", "name": self.repository.default}
            return Reply(200, {"type": "repository", "mainbranch": branch})
        return getattr(self, parts[4])(asked, parts[5:])

    def refs(self, asked, rest):
        found = [("branch", *item) for item in self.repository.branches.items()]
        found += [("tag", *item) for item in self.repository.tags.items()]
        if "q" in asked.query:
            wanted = re.fullmatch(r'name = "((?:[^"\\]|\\.)*)"', asked.query["q"])
            if not wanted:
                return self.error(400, "Invalid query")
            name = re.sub(r"\\(.)", r"\1", wanted[1])
            found = [ref for ref in found if ref[1] == name]
        page = int(asked.query.get("page", 1))
        shown = found[(page - 1) * self.page_size : page * self.page_size]
        values = [
            {"type": kind, "name": name, "target": {"type": "commit", "hash": sha}}
            for kind, name, sha in shown
        ]
        document = {"values": values, "page": page, "pagelen": self.page_size}
        if page * self.page_size < len(found):
            query = asked.headers["raw"].split("&page=")[0]
            document["next"] = f"{self.url}{query}&page={page + 1}"
        return Reply(200, document)

    def commit(self, asked, rest):
        sha = self.repository.commit(rest[0])
        if sha is None:
            return self.error(404, "Commit not found")
        return Reply(200, {"type": "commit", "hash": sha})

    def src(self, asked, rest):
        sha, path = rest[0], "/".join(rest[1:])
        if sha not in self.repository.commits:
            return self.error(404, "Commit not found")
        found = self.repository.at(sha, path)
        if isinstance(found, Link):
            found = found.target.encode()
        if found is None or isinstance(found, Submodule):
            return self.error(404, f"No such file or directory: {path}")
        if isinstance(found, list):
            return Reply(200, {"values": [{"type": "commit_file", "path": p} for p in found]})
        return Reply(200, found, "text/x-python; charset=utf-8")


class ServerFake(Fake):
    def error(self, status, message, name="auth.AuthenticationException"):
        known = f"com.atlassian.bitbucket.{name}"
        error = {"context": None, "message": message, "exceptionName": known}
        return Reply(status, {"errors": [error]})

    def hidden(self):
        message = "You are not permitted to access this resource"
        return self.error(401, message, "AuthorisationException")

    def route(self, asked):
        if not asked.path.startswith("/rest/api/latest/"):
            return Reply(404, b"<html>no such page</html>", "text/html;charset=UTF-8")
        parts = parts_of(asked.path.removeprefix("/rest/api/latest"))
        project, repo = self.repository.name.split("/")
        if parts[:2] != ["projects", project]:
            message = f"Project {parts[1]} does not exist."
            return self.error(404, message, "project.NoSuchProjectException")
        if parts[2:4] != ["repos", repo]:
            message = f"Repository {parts[3]} does not exist."
            return self.error(404, message, "repository.NoSuchRepositoryException")
        return getattr(self, parts[4])(asked, parts[5:])

    def commits(self, asked, rest):
        sha = self.repository.commit(until := asked.query.get("until", "HEAD"))
        if sha is None:
            if "until" not in asked.query:
                return Reply(200, {"values": [], "size": 0, "isLastPage": True, "start": 0})
            message = f"Commit '{until}' does not exist in repository."
            return self.error(404, message, "commit.NoSuchCommitException")
        values = [{"id": sha, "displayId": sha[:11]}]
        page = {"size": 1, "limit": 1, "isLastPage": False, "start": 0, "nextPageStart": 1}
        return Reply(200, {"values": values, **page})

    def raw(self, asked, rest):
        sha, path = self.repository.commit(asked.query["at"]), "/".join(rest)
        if sha is None:
            message = f"Commit '{asked.query['at']}' does not exist in repository."
            return self.error(404, message, "commit.NoSuchCommitException")
        found = self.repository.at(sha, path)
        if isinstance(found, Link):
            found = found.target.encode()
        if found is None or isinstance(found, (list, Submodule)):
            message = f'The path "{path}" does not exist at revision "{sha}"'
            return self.error(404, message, "content.NoSuchPathException")
        return Reply(200, found, "text/plain;charset=UTF-8")

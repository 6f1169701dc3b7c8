"""The forges as tests ask for them: a fake each, and how a storage for it is made."""

from __future__ import annotations

import base64
import contextlib
from dataclasses import dataclass

from flowhold_storage_git import Bitbucket, GitHub, GitLab

from .bitbucket import CloudFake, ServerFake
from .github import GitHubFake
from .gitlab import GitLabFake

TOKEN = "canary-t0ken-0123456789"
USER = "canary-user"
VARIABLES = (
    "GITHUB_ACCESS_TOKEN",
    "GITLAB_ACCESS_TOKEN",
    "CI_JOB_TOKEN",
    "BITBUCKET_ACCESS_TOKEN",
    "BITBUCKET_CLOUD_USERNAME",
    "BITBUCKET_CLOUD_APP_PASSWORD",
)
FAKES = {"github": GitHubFake, "gitlab": GitLabFake, "cloud": CloudFake, "server": ServerFake}
BASIC = "Basic " + base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
LOGINS = {
    "github": {"Authorization": f"Bearer {TOKEN}"},
    "gitlab": {"PRIVATE-TOKEN": TOKEN},
    "cloud": {"Authorization": BASIC},
    "server": {"Authorization": f"Bearer {TOKEN}"},
}
GIT_USERS = {
    "github": "x-access-token",
    "gitlab": "oauth2",
    "cloud": USER,
    "server": "x-token-auth",
}


@dataclass
class Forge:
    name: str
    fake: object

    def storage(self, path="flows/etl.py", ref=None, *, host=None, repo=None, **options):
        owner, name = (repo or self.fake.repository.name).split("/")
        host = host or self.fake.url
        if self.name == "github":
            return GitHub(f"{owner}/{name}", path, ref, base_url=host, **options)
        if self.name == "gitlab":
            return GitLab(f"{owner}/{name}", host, path, ref, **options)
        workspace = owner if self.name == "cloud" else None
        return Bitbucket(owner, name, workspace, host, path, ref, **options)

    def private(self):
        self.fake.login = LOGINS[self.name]

    def secret_options(self):
        if self.name == "cloud":
            return {"cloud_username_secret": "USER", "cloud_app_password_secret": "TOKEN"}
        return {"access_token_secret": "TOKEN"}


@contextlib.contextmanager
def forge_of(name):
    fake = FAKES[name]()
    try:
        yield Forge(name, fake)
    finally:
        fake.close()

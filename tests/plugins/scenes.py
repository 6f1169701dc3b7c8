"""Every storage with a server of its own and a secret, as tests of promises set it up.

The server is behind a proxy that lets requests go wrong. `SCENES` are context managers, which are
given pytest's `request`, by the name of the storage.
"""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gcs_service
import git_repositories
import git_servers
import webdav_server
from forges.cases import FAKES, TOKEN, USER, forge_of

import flowhold
from flowhold import Flow, task
from flowhold.storage import Bytes, Local, Memory, Module, Storage
from flowhold.testing.faults import FaultProxy, Status

CANARY = "canary-9d8c7b6a-of-a-task"
LOGIN = "canary-1f2e3d4c-of-a-login"
SCRIPT = """
import flowhold

@flowhold.task
def look():
    return len(flowhold.secret("CANARY"))

with flowhold.Flow({name!r}) as flow:
    look()
"""


@dataclass
class Scene:
    """A storage, and what its tests need to know.

    Attributes:
        make: Makes it, without flows; takes its options.
        secrets: Values by the names of secrets.
        canaries: What is to be seen nowhere.
        proxy: In front of its server, if it has one.
        name: Of the flow.
        sent: Canaries that its server gets to know, and is made to tell back. Not those of S3 and
            Cloud Storage: the error of their SDK, which is the cause of ours, has what is said.
        logged: Canaries that a library of the storage logs at DEBUG, as the docs say.
        breaks: Ways in which it can be made to fail beside those of a proxy.
    """

    make: Callable[..., Storage]
    secrets: Mapping[str, str] = field(default_factory=dict)
    canaries: Sequence[str] = ()
    proxy: FaultProxy | None = None
    name: str = "etl"
    sent: Sequence[str] = ()
    logged: Sequence[str] = ()
    breaks: Mapping[str, Callable[[], Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.secrets = {"CANARY": CANARY, **self.secrets}
        self.canaries = [CANARY, *self.canaries]

    def flow(self) -> Flow:
        """Return the flow, which looks at a secret."""
        with Flow(self.name) as flow:
            look()
        return flow

    def storage(self, **options: Any) -> Storage:
        """Return a storage without flows, which knows its secrets by their names."""
        return self.make(secrets=[*self.secrets], **options)


@task
def look() -> int:
    return len(flowhold.secret("CANARY"))


def new_folder(request) -> Path:
    """Make a folder for one scene."""
    return Path(tempfile.mkdtemp(dir=request.getfixturevalue("tmp_path")))


# Large numbers are long looked for.
new_private_key = functools.cache(gcs_service.new_private_key)


def write_script(folder: Path, name: str = "etl") -> Path:
    """Write a script with the flow into a folder, and return its path."""
    path = folder / "scene_flow.py"
    path.write_text(SCRIPT.format(name=name))
    return path


@contextlib.contextmanager
def local(request):
    folder = new_folder(request)

    def damage():
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            path.write_bytes(path.read_bytes()[:-1] + b"!")

    breaks = {"damaged": damage, "gone": lambda: shutil.rmtree(folder)}
    yield Scene(lambda **given: Local(folder, **given), breaks=breaks)


@contextlib.contextmanager
def module(request):
    monkeypatch = request.getfixturevalue("monkeypatch")
    script = write_script(new_folder(request))
    monkeypatch.syspath_prepend(str(script.parent))
    monkeypatch.delitem(sys.modules, script.stem, raising=False)

    def forget():
        sys.modules.pop(script.stem, None)

    def damage():
        forget()
        script.write_text("import flowhold\nraise ValueError(flowhold.secret('CANARY')[:3])")

    def remove():
        forget()
        script.unlink()

    try:
        yield Scene(
            lambda **given: Module(script.stem, **given),
            breaks={"damaged": damage, "gone": remove},
        )
    finally:
        forget()


@contextlib.contextmanager
def in_memory(request, kind=Memory):
    yield Scene(kind)


@contextlib.contextmanager
def in_bytes(request):
    yield Scene(Bytes)


@contextlib.contextmanager
def s3(request):
    from flowhold_storage_s3 import S3

    request.getfixturevalue("s3_environment")
    server = request.getfixturevalue("s3_server")
    bucket = server.bucket()
    keys = {"ACCESS_KEY": "canary-key-id", "SECRET_ACCESS_KEY": LOGIN, "SESSION_TOKEN": TOKEN}
    with FaultProxy(server.url) as proxy:
        options = {"endpoint_url": proxy.url}
        yield Scene(
            lambda **given: S3(bucket, client_options=options, **given),
            {"AWS_CREDENTIALS": json.dumps(keys)},
            [*keys.values()],
            proxy,
            logged=[keys["ACCESS_KEY"], TOKEN],
        )


@contextlib.contextmanager
def gcs(request):
    from flowhold_storage_gcs import GCS

    monkeypatch = request.getfixturevalue("monkeypatch")
    request.getfixturevalue("gcs_environment")
    # google-auth asks Google about service accounts in the background.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    server = request.getfixturevalue("gcs_server")
    bucket, key = server.bucket(), new_private_key()
    service, token = gcs_service.Service(server.url), {"access_token": LOGIN, "expires_in": 3600}
    given = Status(200, json.dumps(token).encode(), {"Content-Type": "application/json"})

    def answer(request):
        return given if request.target == "/token" else service(request)

    with FaultProxy(server.url, answer) as proxy:
        account = gcs_service.account_of("etl", key, proxy.url)
        options = {"api_endpoint": proxy.url}
        yield Scene(
            lambda **given: GCS(bucket, client_options=options, **given),
            {"GCP_CREDENTIALS": account},
            [*key.splitlines()[2:4], LOGIN],
            proxy,
        )


@contextlib.contextmanager
def azure(request):
    from flowhold_storage_azure import Azure

    request.getfixturevalue("azure_environment")
    server = request.getfixturevalue("azure_server")
    container = server.container()
    with FaultProxy(server.url) as proxy:
        yield Scene(
            lambda **given: Azure(container, connection_string_secret="LOGIN", **given),
            {"LOGIN": server.connection_string_by(proxy.url)},
            [server.key],
            proxy,
        )


def repository_of(request) -> git_repositories.Repository:
    """Make a repository with the flow."""
    folder = new_folder(request)
    repository = git_repositories.make_repository(folder / "team" / "flows.git")
    repository.commit({"etl.py": SCRIPT.format(name="etl")})
    return repository


@contextlib.contextmanager
def git(request):
    from flowhold_storage_git import Git

    repository = repository_of(request)
    folder = repository.path.parents[1]
    with (
        git_servers.serving_http(folder, users={None: LOGIN}) as server,
        FaultProxy(server.url) as proxy,
    ):
        url = f"{proxy.url}/team/flows.git"
        yield Scene(
            lambda **given: Git(
                "etl.py", git_clone_url=url, git_token_secret_name="LOGIN", **given
            ),
            {"LOGIN": LOGIN},
            [LOGIN],
            proxy,
            sent=[LOGIN],
        )


@contextlib.contextmanager
def git_by_ssh(request):
    from flowhold_storage_git import Git

    repository = repository_of(request)
    monkeypatch = request.getfixturevalue("monkeypatch")
    with git_servers.serving_ssh(repository.path.parents[1]) as server:
        monkeypatch.setenv(
            "GIT_SSH_COMMAND", f"ssh -F none -o UserKnownHostsFile={server.known_hosts}"
        )
        key = server.key.read_text()
        strange = f"ssh -F none -o UserKnownHostsFile={server.wrong_known_hosts}"
        url = server.url("team/flows.git")
        yield Scene(
            lambda **given: Git("etl.py", git_clone_url=url, ssh_key_secret="KEY", **given),
            {"KEY": key},
            [line for line in key.splitlines() if len(line) > 8 and "-----" not in line],
            breaks={
                "of another host": lambda: monkeypatch.setenv("GIT_SSH_COMMAND", strange),
                "refused": lambda: (server.files / "authorized_keys").write_text(""),
                "gone": lambda: shutil.rmtree(repository.path),
            },
        )


def forge(name):
    """Return the scene of a forge."""

    @contextlib.contextmanager
    def scene(request):
        with forge_of(name) as forge, FaultProxy(forge.fake.url) as proxy:
            forge.private()
            # Logins of the environment would be taken for the other way round.
            given = forge.secret_options()
            forge.fake.repository.commits = {
                sha: {**tree, "flows/etl.py": SCRIPT.format(name="etl").encode()}
                for sha, tree in forge.fake.repository.commits.items()
            }
            login = forge.fake.login.get("Authorization", TOKEN).rpartition(" ")[2]
            yield Scene(
                lambda **options: forge.storage(host=proxy.url, **given, **options),
                {"TOKEN": TOKEN, "USER": USER},
                [TOKEN, login],
                proxy,
                sent=[TOKEN, login],
            )

    return scene


@contextlib.contextmanager
def codecommit(request):
    from forges.codecommit import CodeCommitFake

    from flowhold_storage_git import CodeCommit

    keys = {"ACCESS_KEY": "canary-key-id", "SECRET_ACCESS_KEY": LOGIN, "SESSION_TOKEN": TOKEN}
    fake = CodeCommitFake()
    fake.repository.commits = {
        sha: {**tree, "flows/etl.py": SCRIPT.format(name="etl").encode()}
        for sha, tree in fake.repository.commits.items()
    }
    try:
        with FaultProxy(fake.url) as proxy:
            options = {"endpoint_url": proxy.url, "region_name": "eu-west-1"}
            yield Scene(
                lambda **given: CodeCommit(
                    "my.repo", "flows/etl.py", client_options=options, **given
                ),
                {"AWS_CREDENTIALS": json.dumps(keys)},
                [*keys.values()],
                proxy,
                sent=[keys["ACCESS_KEY"], TOKEN],
                logged=[keys["ACCESS_KEY"], TOKEN],
            )
    finally:
        fake.close()


@contextlib.contextmanager
def webhook(request):
    from flowhold_storage_webhook import Webhook

    server = request.getfixturevalue("webdav_server")
    folder = request.getfixturevalue("webdav_folder")
    with FaultProxy(server.url) as proxy:
        both = {
            "url": f"{proxy.url}/private/{folder}/{{slug}}",
            "auth": [webdav_server.USER, "${PASSWORD}"],
            "headers": {"X-Token": "${TOKEN}"},
            "params": {"key": "${TOKEN}"},
        }
        yield Scene(
            lambda **given: Webhook(both, "PUT", both, "GET", **given),
            {"PASSWORD": webdav_server.PASSWORD, "TOKEN": TOKEN},
            [webdav_server.PASSWORD, TOKEN],
            proxy,
            sent=[webdav_server.PASSWORD, TOKEN],
        )


SCENES = {
    "local": local,
    "module": module,
    "memory": in_memory,
    "bytes": in_bytes,
    "s3": s3,
    "gcs": gcs,
    "azure": azure,
    "git": git,
    "git by ssh": git_by_ssh,
    **{
        {"cloud": "bitbucket cloud", "server": "bitbucket server"}.get(name, name): forge(name)
        for name in FAKES
    },
    "codecommit": codecommit,
    "webhook": webhook,
}

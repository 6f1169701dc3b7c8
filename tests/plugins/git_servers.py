"""Real git servers over folders of bare repositories: by HTTP, git's own protocol and SSH."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import servers
from git_http import GitHTTPServer, program, serving_http, settings

__all__ = ["GitServer", "SSHServer", "serving_git", "serving_http", "serving_ssh"]

SSHD_CONFIG = """
ListenAddress 127.0.0.1
HostKey "{folder}/host_key"
AuthorizedKeysFile "{folder}/authorized_keys"
PidFile none
StrictModes no
UsePAM no
UseDNS no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
PermitUserRC no
PrintLastLog no
PrintMotd no
MaxStartups 200
ClientAliveInterval 5
Subsystem sftp internal-sftp
{accept}
SetEnv {variables}
"""


@dataclass(frozen=True)
class GitServer:
    """git daemon: `owner/name.git` in its folder has the URL `{url}/owner/name.git`."""

    url: str


@dataclass(frozen=True)
class SSHServer:
    """sshd, and the files for its clients."""

    folder: Path
    """Of the repositories."""
    files: Path
    port: int
    user: str
    host: str = "127.0.0.1"

    @property
    def key(self) -> Path:
        """Return a private key that may log in."""
        return self.files / "key"

    @property
    def other_key(self) -> Path:
        """Return a private key that may not."""
        return self.files / "other_key"

    @property
    def known_hosts(self) -> Path:
        """Return a file with the key of the server."""
        return self.files / "known_hosts"

    @property
    def wrong_known_hosts(self) -> Path:
        """Return a file with another key for the server."""
        return self.files / "wrong_known_hosts"

    def url(self, name: str) -> str:
        """Return the URL of a repository, named by its path in the folder."""
        return f"ssh://{self.user}@{self.host}:{self.port}{quote(str(self.folder / name))}"

    def command(self, key: Path | None = None, known_hosts: Path | None = None) -> str:
        """Return what `GIT_SSH_COMMAND` has to be for a key and a file of known hosts."""
        options = ["IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes"]
        options += ["StrictHostKeyChecking=yes", "GlobalKnownHostsFile=/dev/null"]
        options += [f"UserKnownHostsFile={known_hosts or self.known_hosts}"]
        words = ["ssh", "-F", "none", "-i", str(key or self.key)]
        return " ".join([*words, *(f"-o {option}" for option in options)])


@contextlib.contextmanager
def serving_git(
    folder: Path, *, allow_filter: bool = True, allow_any: bool = True
) -> Iterator[GitServer]:
    """Serve a folder by git's own protocol; `allow_any` matters to its version 0 only."""
    told = settings(allow_filter, allow_any)
    options = ["--export-all", "--reuseaddr", "--listen=127.0.0.1", "--max-connections=0"]
    with tempfile.TemporaryDirectory() as own:
        started = Path(own, "pid")

        def command(port: int) -> list[str]:
            words = [program("git-daemon"), *options, f"--base-path={folder}", f"--port={port}"]
            variables = [f"{name}={value}" for name, value in told.items()]
            return ["/usr/bin/env", *variables, *words, f"--pid-file={started}"]

        with servers.running(Path(own), command) as port:
            try:
                yield GitServer(f"git://127.0.0.1:{port}")
            finally:
                # Each connection has processes of its own, in the same group, that ignore SIGTERM.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(int(started.read_text()), signal.SIGKILL)


@contextlib.contextmanager
def serving_ssh(
    folder: Path, *, allow_filter: bool = True, allow_any: bool = True, protocol_v0: bool = False
) -> Iterator[SSHServer]:
    """Serve a folder by SSH to the user who runs the tests, with a key of its own."""
    paths = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
    sshd = shutil.which("sshd", path=paths)
    if sshd is None or shutil.which("ssh-keygen") is None:
        servers.lacking(
            "sshd is not installed: `make services` does that (on Debian and Ubuntu: "
            "apt install openssh-server)"
        )
    with tempfile.TemporaryDirectory() as own:
        files = Path(own)
        told = settings(allow_filter, allow_any) | {"HOME": own}
        public = {name: new_key(files / name) for name in ("key", "other_key", "host_key")}
        (files / "authorized_keys").write_text(public["key"])
        config = SSHD_CONFIG.format(
            folder=files,
            accept="" if protocol_v0 else "AcceptEnv GIT_PROTOCOL",
            variables=" ".join(f'"{name}={value}"' for name, value in told.items()),
        )
        (files / "config").write_text(config)
        if os.geteuid() == 0:
            # Where a server that runs as root needs an empty folder.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        options = ["-f", str(files / "config")]
        # Later versions keep away for a while who failed to log in.
        patient = ["-o", "PerSourcePenalties=no"]
        if subprocess.run([sshd, "-t", *options, *patient], capture_output=True).returncode == 0:
            options += patient
        options += ["-D", "-e", "-p"]
        with servers.running(files, lambda port: [sshd, *options, str(port)]) as port:
            for name, key in (("known_hosts", "host_key"), ("wrong_known_hosts", "other_key")):
                (files / name).write_text(f"[127.0.0.1]:{port} {public[key]}")
            yield SSHServer(folder, files, port, getpass.getuser())


def new_key(path: Path) -> str:
    """Make a pair of keys without a passphrase, and return the public one as a line."""
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    return path.with_name(f"{path.name}.pub").read_text()


def new_certificate(path: Path) -> Path:
    """Make a file with a key and a certificate for 127.0.0.1 that vouches for itself."""
    if shutil.which("openssl") is None:
        servers.lacking("openssl is not installed: `make services` does that")
    words = ["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=127.0.0.1"]
    words += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1"]
    words += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    words += ["-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run(words, check=True, capture_output=True)
    with path.open("ab") as file:
        file.write(path.with_suffix(".crt").read_bytes())
    return path


@pytest.fixture(scope="session")
def git_folder(tmp_path_factory) -> Path:
    """A folder for bare repositories, which the servers of these fixtures serve."""
    return tmp_path_factory.mktemp("repositories")


@pytest.fixture(scope="session")
def git_http_server(git_folder) -> Iterator[GitHTTPServer]:
    """A server by HTTP; `git_http` is the same for one test."""
    with serving_http(git_folder) as server:
        yield server


@pytest.fixture
def git_http(git_http_server) -> Iterator[GitHTTPServer]:
    """A server by HTTP that has seen no requests and whose answers are not spoilt."""
    git_http_server.reset()
    yield git_http_server
    git_http_server.reset()


@pytest.fixture(scope="session")
def git_certificate(tmp_path_factory) -> Path:
    """A file with a key and a certificate for `serving_http`, and for clients to trust."""
    return new_certificate(tmp_path_factory.mktemp("certificate") / "server.pem")


@pytest.fixture(scope="session")
def git_daemon(git_folder) -> Iterator[GitServer]:
    """A server by git's own protocol."""
    with serving_git(git_folder) as server:
        yield server


@pytest.fixture(scope="session")
def git_ssh_server(git_folder) -> Iterator[SSHServer]:
    """A server by SSH."""
    with serving_ssh(git_folder) as server:
        yield server

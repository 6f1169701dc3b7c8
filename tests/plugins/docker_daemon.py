"""A Docker engine of the tests' own: `dockerd` on a socket, and where that is asked for by TLS.

It has no network devices: builds and runs use `network_mode="host"`.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import servers
from docker_images import ENVIRONMENT

__all__ = ["DockerEngine", "serving_engine"]

ENOUGH = 6 << 30
"""Bytes that are free, so that two engines and all else have room."""

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"

# Runs a daemon as the first process of a namespace of processes, with mounts that only those see:
# all of it ends with the daemon, however that ends. It is asked to end when its starter asks or is
# killed, and is given the seconds that it takes if no container runs. A containerd that serves the
# machine is out of its sight, as it would use that one.
KEEPER = """
import contextlib, ctypes, glob, os, shutil, signal, sys
own, cgroup, *command = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)

def must(status):
    if status:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

signals = {signal.SIGTERM, signal.SIGCHLD}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
must(libc.prctl(1, signal.SIGTERM))
must(libc.unshare(0x20000000))
daemon = os.fork()
if daemon == 0:
    must(libc.prctl(1, signal.SIGKILL))
    must(libc.unshare(0x00020000))
    must(libc.mount(b"none", b"/", None, 0x44000, None))
    must(libc.mount(b"proc", b"/proc", b"proc", 0, None))
    os.makedirs("/run/containerd", exist_ok=True)
    must(libc.mount(b"tmpfs", b"/run/containerd", b"tmpfs", 0, None))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    os.execv(command[0], command)
asked = False
while os.waitpid(daemon, os.WNOHANG)[0] == 0:
    got = signal.sigtimedwait(signals, 3) if asked else signal.sigwaitinfo(signals)
    if got is None or got.si_signo == signal.SIGTERM:
        os.kill(daemon, signal.SIGTERM if got else signal.SIGKILL)
        asked = True
for top in glob.glob("/sys/fs/cgroup" + cgroup) + glob.glob("/sys/fs/cgroup/*" + cgroup):
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
shutil.rmtree(own)
"""


@dataclass(frozen=True)
class DockerEngine:
    """A daemon, and what its clients need."""

    url: str
    """Of a socket of Unix."""
    folder: Path
    """Where its log is."""
    tls_url: str | None = None
    """Of a port that wants a certificate of the client, if that was asked for."""
    may_leave: list[str] = field(default_factory=list)
    """Patterns for names of containers that a test with `docker_environment` may leave."""

    @property
    def certificates(self) -> Path:
        """Return a folder as `DOCKER_CERT_PATH` has to be."""
        return self.folder / "tls"

    @property
    def ca(self) -> Path:
        """Return the certificate that vouches for the server."""
        return self.certificates / "ca.pem"

    @property
    def cert(self) -> Path:
        """Return the certificate of a client that is let in."""
        return self.certificates / "cert.pem"

    @property
    def key(self) -> Path:
        """Return the key to it."""
        return self.certificates / "key.pem"

    @contextlib.contextmanager
    def client(self) -> Iterator:
        """Give a client of docker-py, by the socket."""
        import docker

        with contextlib.closing(docker.DockerClient(base_url=self.url, timeout=120)) as client:
            yield client

    def import_archive(self, archive: Path, image: str) -> None:
        """Make an image of the root file system that an archive has."""
        changes = [*(f"ENV {it}" for it in ENVIRONMENT), 'CMD ["python3"]']
        name, _, tag = image.partition(":")
        with self.client() as client:
            client.api.import_image_from_file(
                str(archive), repository=name, tag=tag, changes=changes
            )
            client.images.get(image)

    def add_archive(self, archive: Path, image: str, base: str) -> None:
        """Make an image of another by unpacking an archive over it."""
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as tar:
            tar.add(archive, "archive.tar")
            recipe = f"FROM {base}\nADD archive.tar /\n".encode()
            member = tarfile.TarInfo("Dockerfile")
            member.size = len(recipe)
            tar.addfile(member, io.BytesIO(recipe))
        context.seek(0)
        with self.client() as client:
            client.images.build(fileobj=context, custom_context=True, tag=image, rm=True)


@contextlib.contextmanager
def serving_engine(folder: Path, *, tls: bool = False) -> Iterator[DockerEngine]:
    """Run a Docker engine without images, with its log and certificates in a folder."""
    dockerd = shutil.which("dockerd", path=f"{os.environ['PATH']}:{SBIN}")
    if sys.platform != "linux" or dockerd is None:
        servers.lacking("dockerd is not installed: `make services` does that on Debian and Ubuntu")
    if os.geteuid() != 0:
        servers.lacking("dockerd needs root: run the tests as root, as in a virtual machine")
    own = Path(tempfile.mkdtemp(prefix="fh-", dir=place_of_data()))
    (own / "config").write_text("{}")
    words = [dockerd, "--data-root", f"{own}/data", "--exec-root", f"{own}/exec"]
    words += ["--pidfile", f"{own}/pid", "--config-file", f"{own}/config"]
    words += ["--host", f"unix://{own}/socket", "--shutdown-timeout=1"]
    words += ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false"]
    # By systemd, processes would go by numbers that mean others outside of the namespace.
    words += ["--exec-opt=native.cgroupdriver=cgroupfs", f"--cgroup-parent=/{own.name}"]
    with socket.socket() as reserved, (folder / "log").open("wb") as log:
        engine = DockerEngine(f"unix://{own}/socket", folder)
        if tls:
            # Bound meanwhile, so that nobody else gets the port.
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.bind(("127.0.0.1", 0))
            engine = replace(engine, tls_url=f"tcp://127.0.0.1:{reserved.getsockname()[1]}")
            new_certificates(engine.certificates)
            words += ["--host", engine.tls_url, "--tlsverify", f"--tlscacert={engine.ca}"]
            words += [f"--tls{it}={engine.certificates}/server-{it}.pem" for it in ("cert", "key")]
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", KEEPER, own, f"/{own.name}", *words],
            cwd=folder,
            env={"PATH": f"{os.environ['PATH']}:{SBIN}", "HOME": str(own), "TMPDIR": str(own)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if not answers(process, engine):
                said = (folder / "log").read_text(errors="replace")
                pytest.fail(f"dockerd did not start:\n{said[-4000:]}", pytrace=False)
            yield engine
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def place_of_data() -> str:
    """Return where an engine keeps its data: in memory where there is plenty, as it syncs a lot."""
    with contextlib.suppress(OSError):
        memory = os.statvfs("/dev/shm")
        if memory.f_bavail * memory.f_frsize > ENOUGH:
            return "/dev/shm"
    # The paths of its sockets may have some 100 bytes.
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) < 50 else "/tmp"


def answers(process: subprocess.Popen[bytes], engine: DockerEngine) -> bool:
    """Wait until the engine answers; false if it ends or is slow."""
    deadline = time.monotonic() + servers.STARTS_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as end:
            end.settimeout(servers.STARTS_WITHIN)
            end.connect(engine.url.removeprefix("unix://"))
            end.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            if b" 200 " in end.recv(100):
                return True
        time.sleep(0.05)
    return False


def new_certificates(folder: Path) -> None:
    """Make an authority, and by it a certificate of a server at 127.0.0.1 and one of a client."""
    if shutil.which("openssl") is None:
        servers.lacking("openssl is not installed: `make services` does that")
    folder.mkdir()

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ["-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    vouches = ["-addext", "keyUsage=critical,keyCertSign", "-subj", "/CN=tests of flowhold"]
    openssl("req", "-x509", *new, *vouches, "-keyout", "ca-key.pem", "-out", "ca.pem")
    for number, (prefix, usage) in enumerate((("server-", "serverAuth"), ("", "clientAuth")), 1):
        extensions = f"extendedKeyUsage={usage}\nsubjectAltName=IP:127.0.0.1\n"
        extensions += "authorityKeyIdentifier=keyid\nkeyUsage=critical,digitalSignature\n"
        (folder / "extensions").write_text(extensions)
        files = ["-keyout", f"{prefix}key.pem", "-out", "request"]
        openssl("req", "-new", *new, "-subj", f"/CN={usage}", *files)
        by = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-set_serial", str(number), "-days", "30"]
        by += ["-extfile", "extensions", "-out", f"{prefix}cert.pem"]
        openssl("x509", "-req", "-in", "request", *by)

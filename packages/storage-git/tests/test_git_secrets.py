"""Tokens and keys are found nowhere: not while a storage works, and not in what it leaves."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote, quote_plus, urlsplit

import pytest
from git_servers import serving_http

import flowhold
from flowhold.errors import FlowholdError, IntegrityError, StorageError
from flowhold.registering import register_all
from flowhold_storage_git import Git

NAME = "team/flows.git"
TOKEN = "canary/t@k:e n%#?"
ALONE = "canary/t@k-e n%#?"
QUERY = "info/refs?service=git-upload-pack"

pytestmark = pytest.mark.usefixtures("history", "unmasked")


def forms(secret):
    """Return a secret as it is and as URLs, JSON, reprs and HTTP may have it."""
    logins = [f"{user}:{secret}" for user in ("", "git", "ann", "team")] + [f"{secret}:"]
    coded = [base64.b64encode(login.encode()).decode().rstrip("=") for login in logins]
    # What is in front of it shifts it by up to two bytes.
    coded += [base64.b64encode(b"x" * n + secret.encode()).decode()[4:-4] for n in range(3)]
    quoted = [quote(secret, safe=""), quote(secret), quote_plus(secret)]
    return {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], *quoted, *coded}


class Watch:
    """Looks for secrets while something happens: in processes and files."""

    def __init__(self, folder, secrets):
        self.folder = folder
        self.wanted = {form.encode() for secret in secrets for form in forms(secret)}
        self.found = []
        self.seen = set()
        self.ended = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_exception):
        self.ended.set()
        self.thread.join()
        self.look_at_files()

    def run(self):
        while not self.ended.wait(0.002):
            self.look_at_processes()
            self.look_at_files()

    def look(self, where, data):
        if any(form in data for form in self.wanted):
            self.found.append(where)

    def look_at_processes(self):
        own, parents = os.getpid(), {}
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                stat = (path / "stat").read_text().rpartition(")")[2].split()
                parents[int(path.name)] = int(stat[1])
        for number in parents:
            parent = number
            while parent in parents and parent != own:
                parent = parents[parent]
            if parent == own != number:
                self.seen.add(number)
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        self.look(number, Path(f"/proc/{number}/{name}").read_bytes())

    def look_at_files(self):
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(folder, name)
                self.look(path, os.fsencode(path))
                with contextlib.suppress(OSError):
                    self.look(path, Path(path).read_bytes())


def texts_of(error, seen):
    """Yield what can be read of an error: of what it holds, its causes, and the frames it kept."""
    if id(error) in seen:
        return
    seen[id(error)] = error
    if isinstance(error, (str, bytes, int, float, type(None))):
        yield error if isinstance(error, str) else repr(error)
        return
    yield repr(error)
    yield str(error)
    inner = [*vars(error).values()] if hasattr(error, "__dict__") else []
    if isinstance(error, dict):
        inner += [*error.keys(), *error.values()]
    if isinstance(error, (list, tuple, set)):
        inner += [*error]
    if isinstance(error, BaseException):
        inner += [*error.args, error.__cause__, error.__context__]
        step = error.__traceback__
        while step is not None:
            code = step.tb_frame.f_code
            if not code.co_filename.startswith(str(Path(__file__).parent)):
                for name, value in step.tb_frame.f_locals.items():
                    yield f"{code.co_qualname if hasattr(code, 'co_qualname') else code.co_name}"
                    yield f"{name}={value!r}"
            step = step.tb_next
    for each in inner:
        if not isinstance(each, type) and not callable(each):
            yield from texts_of(each, seen)


@pytest.fixture
def hidden(tmp_path, monkeypatch, caplog):
    """Return a context in which secrets show nowhere: neither meanwhile nor in what comes of it."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, args, *more, **options):
            given = options.get("env")
            started.append(repr((args, dict(os.environ) if given is None else given)))
            super().__init__(args, *more, **options)

    monkeypatch.setattr(subprocess, "Popen", Popen)

    @contextlib.contextmanager
    def hidden(*secrets, storages=()):
        wanted = {form for secret in secrets for form in forms(secret)}
        problem = None
        with caplog.at_level(logging.DEBUG), Watch(tmp_path, secrets) as watch:
            try:
                yield watch
            except Exception as error:
                problem = error
        said = [*started, str(temporary)]
        for record in caplog.records:
            said += [record.getMessage(), repr(record.msg), repr(record.args), str(record.exc_text)]
        if problem is not None:
            assert isinstance(problem, FlowholdError), repr(problem)
            said += [*texts_of(problem, {}), *texts_of(pickle.loads(pickle.dumps(problem)), {})]
        for storage in storages:
            said += [repr(storage), repr(vars(storage)), json.dumps(storage.serialize())]
            said.append(pickle.dumps(storage, 0).decode("latin-1"))
            said += [reference.to_json() for reference in storage.references()]
        shown = [text[:300] for text in said if any(form in text for form in wanted)]
        assert (watch.found, shown) == ([], [])
        assert not [*temporary.iterdir()]
        if problem is not None:
            raise problem

    return hidden


@pytest.fixture
def private(git_folder):
    """A server by HTTP for those who have the token."""
    with serving_http(git_folder, users={None: TOKEN}) as server:
        yield server


def storage_for(place, **options):
    """Return a storage, with a flow added, that has the token."""
    options = {"git_token_secret_name": "TOKEN", "timeout": 10, "retries": 1, **options}
    storage = Git("single.py", git_clone_url=place, **options)
    storage.add_flow(flowhold.Flow("single"))
    return storage


def test_the_watch_sees_what_it_looks_for(tmp_path):
    """That nothing is found means something."""
    # No shell, whose copy of itself would be seen on some runs.
    sleep = [sys.executable, "-c", "import time; time.sleep(0.3)"]
    for secret in (TOKEN, "second-canary"):
        with Watch(tmp_path, ["second-canary"]) as watch:
            with subprocess.Popen([*sleep, secret]) as named:
                pass
            with subprocess.Popen(sleep, env=dict(os.environ, A=secret)) as given:
                pass
            (tmp_path / "file").write_text(f"x{secret}y")
        places = {named.pid, given.pid, str(tmp_path / "file")}
        assert set(watch.found) == (places if secret != TOKEN else set())
        assert {named.pid, given.pid} <= watch.seen
    (tmp_path / "file").unlink()


class TestTokens:
    @pytest.fixture(autouse=True)
    def _token(self):
        with flowhold.secrets({"TOKEN": TOKEN, "ALONE": ALONE}):
            yield

    def test_after_success(self, private, hidden, tmp_path):
        storage = storage_for(f"{private.url}/{NAME}", pin=True)
        with hidden(TOKEN, storages=[storage]):
            assert storage.get_flow("single").run().result == 6
            register_all([flowhold.Flow("single")], storage=storage)
            (reference,) = storage.references()
            assert reference.open_storage().get_flow("single").run().result == 6
            assert storage.verify()[0]["ok"]
            storage.extract("single", tmp_path / "extracted")
        assert len(private.requests) >= 3
        assert "authorization" in private.requests[0].headers

    def test_after_success_with_the_token_alone(self, private, hidden):
        private.users = {None: ALONE}
        options = {"git_token_secret_name": "ALONE", "format_access_token": False}
        storage = storage_for(f"{private.url}/{NAME}", **options)
        with hidden(ALONE, storages=[storage]):
            assert storage.get_flow("single").run().result == 6

    @pytest.mark.parametrize("alone", [False, True])
    def test_after_it_was_refused(self, private, hidden, alone):
        private.users = {None: "another one"}
        options = {"git_token_secret_name": "ALONE", "format_access_token": False} if alone else {}
        storage = storage_for(f"{private.url}/{NAME}", **options)
        with pytest.raises(StorageError, match="401"), hidden(TOKEN, ALONE, storages=[storage]):
            storage.get_flow("single")

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("team/none.git", {}),
            (NAME, {"branch_name": "none"}),
            (NAME, {"commit": "1" * 40}),
            (NAME, {"commit": "12345678"}),
            (NAME, {"directories": ["none"]}),
            (NAME, {"flow_name": "none"}),
        ],
    )
    def test_after_something_was_not_there(self, private, hidden, name, options):
        storage = Git(
            "single.py",
            git_clone_url=f"{private.url}/{name}",
            git_token_secret_name="TOKEN",
            **options,
        )
        with pytest.raises(StorageError), hidden(TOKEN, storages=[storage]):
            storage.get_flow("single.py")

    @pytest.mark.parametrize("status", [302, 307])
    @pytest.mark.parametrize("wants_login", [False, True])
    def test_after_a_redirect(self, private, hidden, answering, status, wants_login):
        private.users = {None: TOKEN} if wants_login else None
        answering.status = status
        answering.headers = {"Location": f"{private.url}/{NAME}/{QUERY}"}
        storage = storage_for(f"{answering.url}/{NAME}")
        refused = pytest.raises(StorageError, match="this login is not sent")
        expected = refused if wants_login else contextlib.nullcontext()
        with expected, hidden(TOKEN, storages=[storage]):
            storage.get_flow("single")
        assert all("authorization" not in it.headers for it in private.requests)

    @pytest.mark.parametrize("where", ["http://[", "ftp://h/", "https://h.invalid/", "http://h:x/"])
    def test_after_a_redirect_to_nowhere(self, hidden, answering, where):
        answering.status, answering.headers = 302, {"Location": where}
        storage = storage_for(f"{answering.url}/{NAME}")
        with pytest.raises(FlowholdError), hidden(TOKEN, storages=[storage]):
            storage.get_flow("single")

    def test_after_a_circle_of_redirects(self, git_http, hidden):
        git_http.redirect_to = git_http.url
        storage = storage_for(f"{git_http.url}/{NAME}")
        with pytest.raises(StorageError), hidden(TOKEN, storages=[storage]):
            storage.get_flow("single")

    @pytest.mark.parametrize("spoilt", ["stall", "truncate", "fail"])
    @pytest.mark.parametrize("first", [True, False])
    def test_after_a_server_did_not_answer_as_it_should(
        self, private, hidden, waits, spoilt, first
    ):
        storage = storage_for(f"{private.url}/{NAME}", timeout=0.5)
        source = storage.open_source()
        commit = source.resolve() if not first else ""
        how = {"stall": ("stall", 30), "truncate": ("truncate", 70), "fail": ("fail", [503] * 9)}
        setattr(private, *how[spoilt])
        failing = pytest.raises((StorageError, IntegrityError))
        with failing, hidden(TOKEN, storages=[storage]):
            if first:
                storage.get_flow("single")
            source.checkout(commit)

    def test_after_a_web_page(self, answering, hidden):
        answering.headers, answering.body = {"Content-Type": "text/html"}, b"<html>"
        storage = storage_for(f"{answering.url}/{NAME}")
        with pytest.raises(StorageError), hidden(TOKEN, storages=[storage]):
            storage.get_flow("single")

    def test_after_a_server_told_it_back(self, answering, hidden):
        data = f"ERR who is git:{TOKEN}?".encode()
        kind = "application/x-git-upload-pack-advertisement"
        answering.headers = {"Content-Type": kind}
        answering.body = b"001e# service=git-upload-pack\n0000" + b"%04x" % (len(data) + 4) + data
        storage = storage_for(f"{answering.url}/{NAME}")
        with pytest.raises(StorageError, match="who is") as caught:
            storage.get_flow("single")
        assert TOKEN not in "".join(texts_of(caught.value, {}))

    def test_after_nobody_was_there(self, unused, hidden, waits):
        storage = storage_for(f"http://127.0.0.1:{unused}/{NAME}")
        with pytest.raises(StorageError), hidden(TOKEN, storages=[storage]):
            storage.get_flow("single")

    def test_after_a_certificate_was_not_trusted(self, private, secured, hidden, waits):
        place = f"https://127.0.0.1:{secured(urlsplit(private.url).port)}/{NAME}"
        storage = storage_for(place)
        with pytest.raises(StorageError), hidden(TOKEN, storages=[storage]):
            storage.get_flow("single")
        assert private.requests == []

    def test_after_it_was_kept_from_clear_text(self, hidden):
        storage = storage_for(f"http://example.invalid/{NAME}")
        with pytest.raises(FlowholdError, match="clear text"), hidden(TOKEN, storages=[storage]):
            storage.get_flow("single")


class TestWholeURLs:
    @pytest.mark.parametrize("password", [True, False])
    def test_after_success_and_failure(self, private, hidden, password, waits):
        secret = TOKEN if password else ALONE
        private.users = {None: secret}
        login = f"ann:{quote(secret, safe='')}" if password else quote(secret, safe="")
        storage = Git("single.py", git_clone_url_secret_name="URL", retries=1)
        storage.add_flow(flowhold.Flow("single"))
        with flowhold.secrets({"URL": f"{private.url.replace('//', f'//{login}@')}/{NAME}"}):
            with hidden(secret, storages=[storage]):
                assert storage.get_flow("single").run().result == 6
            private.users = {None: "another one"}
            with pytest.raises(StorageError, match="401"), hidden(secret, storages=[storage]):
                storage.get_flow("single")
            private.fail = [503] * 9
            with pytest.raises(StorageError, match="503"), hidden(secret, storages=[storage]):
                storage.get_flow("single")

    @pytest.mark.parametrize(
        "url",
        ["{}", "https://{}", "https://a:{}@h:x/y", "https://{}@h/a?b", "ftp://a:{}@h/a", "{}\0"],
    )
    def test_after_it_was_no_url(self, hidden, url):
        storage = Git("single.py", git_clone_url_secret_name="URL")
        with (
            flowhold.secrets({"URL": url.format("canary-canary")}),
            pytest.raises(FlowholdError, match="clone URL"),
            hidden("canary-canary", storages=[storage]),
        ):
            storage.get_flow("single.py")


class TestKeys:
    @pytest.fixture
    def stranger(self, git_ssh_server, monkeypatch):
        """A user with no key of their own; the storage, which has one by secret."""
        known = f"-o UserKnownHostsFile={git_ssh_server.known_hosts}"
        monkeypatch.setenv("GIT_SSH_COMMAND", f"ssh -F none {known}")
        place = git_ssh_server.url(NAME)
        return Git("single.py", git_clone_url=place, ssh_key_secret="KEY", retries=0)

    def use(self, storage, hidden, monkeypatch, key):
        # Also in this process's environment, which is not that of others.
        monkeypatch.setenv("FLOWHOLD_SECRET_KEY", key)
        lines = [line for line in key.splitlines() if len(line) > 8 and "-----" not in line]
        with hidden(*lines, storages=[storage]) as watch:
            storage.get_flow("single.py")
        return watch

    def test_after_success(self, stranger, hidden, git_ssh_server, monkeypatch):
        watch = self.use(stranger, hidden, monkeypatch, git_ssh_server.key.read_text())
        assert watch.seen

    def test_no_agent_is_left(self, stranger, hidden, git_ssh_server, monkeypatch, tmp_path):
        for key in (git_ssh_server.key, git_ssh_server.other_key):
            with contextlib.suppress(StorageError):
                self.use(stranger, hidden, monkeypatch, key.read_text())
        left = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                left += [path] if os.fsencode(tmp_path) in path.read_bytes() else []
        assert left == []

    def test_after_it_was_refused(self, stranger, hidden, git_ssh_server, monkeypatch):
        with pytest.raises(StorageError, match="was refused"):
            self.use(stranger, hidden, monkeypatch, git_ssh_server.other_key.read_text())

    def test_after_the_host_was_another(self, stranger, hidden, git_ssh_server, monkeypatch):
        wrong = f"ssh -F none -o UserKnownHostsFile={git_ssh_server.wrong_known_hosts}"
        monkeypatch.setenv("GIT_SSH_COMMAND", wrong)
        with pytest.raises(StorageError, match="not trusted"):
            self.use(stranger, hidden, monkeypatch, git_ssh_server.key.read_text())

    def test_after_it_was_no_key(self, stranger, hidden, monkeypatch):
        with pytest.raises(FlowholdError, match="private key"):
            self.use(stranger, hidden, monkeypatch, "-----BEGIN-----\ncanary-canary\n")

    def test_after_openssh_was_not_there(self, stranger, hidden, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(FlowholdError, match="cannot be started"):
            self.use(stranger, hidden, monkeypatch, "-----BEGIN-----\ncanary-canary\n")


class TestTheCommand:
    def run(self, *words, status):
        """Run the command as users do, and return all that it says."""
        done = subprocess.run(
            [sys.executable, "-m", "flowhold", *words],
            env=os.environ | {"FLOWHOLD_SECRET_TOKEN": TOKEN},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    @pytest.mark.parametrize("accepted", [True, False])
    def test_its_output_shows_no_token(self, private, tmp_path, accepted):
        storage = storage_for(f"{private.url}/{NAME}", retries=0)
        register_all([flowhold.Flow("single")], storage=storage)
        if not accepted:
            private.users = {None: "another one"}
        with Watch(tmp_path, [TOKEN]) as watch:
            said = self.run("--debug", "run", "single", status=0 if accepted else 1)
            said += self.run("--debug", "show", "single", status=0)
            said += self.run("--json", "list", status=0)
            said += self.run("fetch", "single", "fetched", status=0 if accepted else 1)
        # That of the command itself holds the secret, as whoever started it wanted.
        found = [where for where in watch.found if not isinstance(where, int)]
        assert (found, [form for form in forms(TOKEN) if form in said]) == ([], [])
        assert ("HTTP 401" in said) == (not accepted)

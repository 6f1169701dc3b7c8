"""What goes wrong between here and a git server: each its own error, tried again where it helps."""

from __future__ import annotations

import base64
import subprocess
import time
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from git_servers import serving_http, serving_ssh

import flowhold
from flowhold.errors import (
    AccessDeniedError,
    ConfigurationError,
    FlowholdError,
    IntegrityError,
    StorageError,
    StorageUnavailableError,
)
from flowhold_storage_git import Git

NAME = "team/flows.git"
TOKEN = "t@k:/e n%#?"

pytestmark = pytest.mark.usefixtures("history")


def load(place, path="single.py", **options):
    """Return the value of a flow."""
    storage = Git(path, git_clone_url=place, **{"timeout": 10, "retries": 2, **options})
    return storage.get_flow(path).run().result


def logins(server):
    """Return the logins that were sent, each once."""
    sent = {request.headers.get("authorization", "") for request in server.requests}
    return {base64.b64decode(text.removeprefix("Basic ")).decode() for text in sent}


@pytest.fixture
def private(git_folder):
    """A server by HTTP for those who have a token."""
    with serving_http(git_folder, users={None: TOKEN}) as server:
        yield server


@pytest.fixture
def token(monkeypatch):
    """The options that name the token."""
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", TOKEN)
    return {"git_token_secret_name": "TOKEN"}


class TestLogins:
    def test_a_token_that_needs_quoting_lets_in(self, private, token):
        assert load(f"{private.url}/{NAME}", **token) == 6
        assert logins(private) == {f"git:{TOKEN}"}

    def test_its_user_is_the_first_part_of_the_repository(self, private, token, secured, ca):
        host = f"127.0.0.1:{secured(urlsplit(private.url).port)}"
        storage = Git("single.py", "team/flows", host, **token, timeout=10, retries=0)
        assert storage.get_flow("single.py").run().result == 6
        assert logins(private) == {f"team:{TOKEN}"}

    @pytest.mark.parametrize("user", ["oauth2", "x-token-auth", "a b@c%"])
    def test_its_user_can_be_named(self, private, token, user):
        assert load(f"{private.url}/{NAME}", git_token_username=user, **token) == 6
        assert logins(private) == {f"{user}:{TOKEN}"}

    def test_the_token_alone_can_be_sent(self, private):
        private.users = {None: "t@k/e n%#?"}
        with flowhold.secrets({"TOKEN": "t@k/e n%#?"}):
            options = {"git_token_secret_name": "TOKEN", "format_access_token": False}
            assert load(f"{private.url}/{NAME}", **options) == 6
        assert logins(private) == {"t@k/e n%#?:"}

    def test_a_whole_url_can_be_a_secret(self, private):
        place = private.url.replace("//", "//ann:t%40k%3A%2Fe%20n%25%23%3F@") + f"/{NAME}\n"
        with flowhold.secrets({"URL": place}):
            storage = Git("single.py", git_clone_url_secret_name="URL", timeout=10)
            assert storage.get_flow("single.py").run().result == 6
        assert logins(private) == {f"ann:{TOKEN}"}

    def test_a_secret_that_ends_with_a_newline(self, private):
        with flowhold.secrets({"TOKEN": f"{TOKEN}\n"}):
            assert load(f"{private.url}/{NAME}", git_token_secret_name="TOKEN") == 6

    def test_a_wrong_token_is_refused_at_once(self, private, waits):
        with (
            flowhold.secrets({"TOKEN": "wrong"}),
            pytest.raises(AccessDeniedError, match="refused: HTTP 401") as caught,
        ):
            load(f"{private.url}/{NAME}", git_token_secret_name="TOKEN")
        assert f"{private.url}/{NAME}" in str(caught.value)
        assert "git_token_username" in caught.value.hint
        assert (len(private.requests), waits) == (1, [])

    def test_without_a_token_it_is_refused_at_once(self, private, waits):
        with pytest.raises(AccessDeniedError, match="HTTP 401"):
            load(f"{private.url}/{NAME}")
        assert (len(private.requests), waits) == (1, [])

    def test_a_token_that_expires_in_between(self, private, token, waits):
        source = Git("single.py", git_clone_url=f"{private.url}/{NAME}", **token).open_source()
        commit = source.resolve()
        private.users = {None: "the next one"}
        with pytest.raises(AccessDeniedError, match="HTTP 401"):
            source.checkout(commit)
        assert ([it.status for it in private.requests].count(401), waits) == (1, [])

    def test_a_login_in_the_users_netrc_is_not_looked_at(self, private, monkeypatch, tmp_path):
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login ann password token\n")
        monkeypatch.setenv("NETRC", str(netrc))
        with pytest.raises(AccessDeniedError):
            load(f"{private.url}/{NAME}")
        assert "authorization" not in private.requests[0].headers

    def test_a_token_is_not_sent_in_clear_text(self, token):
        with pytest.raises(ConfigurationError, match="clear text") as caught:
            load(f"http://example.invalid/{NAME}", **token)
        assert caught.value.hint == "use https://"
        with (
            flowhold.secrets({"TOKEN": "abc"}),
            pytest.raises(ConfigurationError, match="clear text"),
        ):
            load(f"http://example.invalid/{NAME}", format_access_token=False, **token)


@pytest.fixture
def ca(certificate, monkeypatch):
    """The certificate is trusted."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[1]))


class TestTLS:
    def test_a_certificate_that_is_trusted(self, git_http, secured, ca):
        assert load(f"https://127.0.0.1:{secured(urlsplit(git_http.url).port)}/{NAME}") == 6

    def test_a_certificate_that_is_not_is_told_at_once(self, git_http, secured, waits):
        place = f"https://127.0.0.1:{secured(urlsplit(git_http.url).port)}"
        with pytest.raises(AccessDeniedError, match="no trusted connection") as caught:
            load(f"{place}/{NAME}")
        assert place in str(caught.value)
        assert "REQUESTS_CA_BUNDLE" in caught.value.hint
        assert waits == []

    def test_what_leads_to_clear_text_is_not_followed(self, git_http, secured, ca, token):
        place = f"https://127.0.0.1:{secured(urlsplit(git_http.url).port)}"
        git_http.redirect_to = git_http.url
        with pytest.raises(AccessDeniedError, match="redirects to a connection in clear text"):
            load(f"{place}/{NAME}", **token)
        assert len(git_http.requests) == 1


class TestAnswers:
    @pytest.mark.parametrize("statuses", [[503], [500, 502], [504, 429]])
    def test_a_server_that_is_briefly_down_is_asked_again(self, git_http, waits, statuses):
        git_http.fail = [*statuses]
        assert load(f"{git_http.url}/{NAME}") == 6
        assert waits == [0.25, 0.5][: len(statuses)]

    def test_also_when_the_files_are_fetched(self, git_http, waits):
        source = Git("single.py", git_clone_url=f"{git_http.url}/{NAME}").open_source()
        commit = source.resolve()
        git_http.fail = [503, 503]
        assert "single.py" in source.checkout(commit).manifest
        assert len(waits) == 2

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_a_server_that_stays_down_is_given_up_on(self, git_http, waits, status):
        git_http.fail = [status] * 100
        with pytest.raises(StorageUnavailableError, match=f"HTTP {status}"):
            load(f"{git_http.url}/{NAME}", retries=3)
        assert (len(git_http.requests), waits) == (4, [0.25, 0.5, 1.0])

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (401, AccessDeniedError),
            (403, AccessDeniedError),
            (404, StorageError),
            (410, StorageError),
            (400, StorageError),
            (451, StorageError),
            (501, StorageError),
        ],
    )
    def test_what_would_not_change_is_not_asked_again(self, git_http, waits, status, kind):
        git_http.fail = [status] * 100
        with pytest.raises(StorageError, match=f"HTTP {status}|no git repository") as caught:
            load(f"{git_http.url}/{NAME}")
        assert type(caught.value) is kind
        assert (len(git_http.requests), waits) == (1, [])

    def test_it_waits_as_long_as_it_is_asked_to(self, git_http, waits):
        git_http.fail, git_http.retry_after = [429, 503], 7
        assert load(f"{git_http.url}/{NAME}") == 6
        assert waits == [7, 7]

    def test_it_waits_until_it_is_asked_to(self, git_http, waits):
        git_http.fail, git_http.retry_after = [429], formatdate(time.time() + 30, usegmt=True)
        assert load(f"{git_http.url}/{NAME}") == 6
        assert 25 < waits[0] <= 30

    @pytest.mark.parametrize("odd", ["soon", "-5", "1.5", "²", "", "Thu, 01 Jan 1970 00:00:00 GMT"])
    def test_what_is_no_time_to_wait_makes_no_difference(self, git_http, waits, odd):
        git_http.fail, git_http.retry_after = [429], odd
        assert load(f"{git_http.url}/{NAME}") == 6
        assert waits == [0.25]

    def test_it_does_not_wait_for_hours(self, git_http, waits):
        git_http.fail, git_http.retry_after = [429], 7200
        with pytest.raises(StorageUnavailableError, match="HTTP 429") as caught:
            load(f"{git_http.url}/{NAME}")
        assert "7200 seconds" in caught.value.hint
        assert waits == []

    def test_a_web_page_is_no_answer_of_git(self, answering, waits):
        answering.headers, answering.body = {"Content-Type": "text/html"}, b"<html>Log in</html>"
        with pytest.raises(StorageError, match=r"did not answer as a git server.*text/html") as got:
            load(f"{answering.url}/{NAME}")
        assert got.value.hint == "check the URL"
        assert (len(answering.requests), waits) == (1, [])

    @pytest.mark.parametrize("user", ["ann", None])
    def test_a_login_that_the_server_tells_back_is_not_shown(self, answering, token, user):
        options = {**token, "git_token_username": user}
        basic = base64.b64encode(f"{user or 'git'}:{TOKEN}".encode()).decode()
        answering.status, answering.reason = 403, f"no Basic {basic} of {TOKEN}"
        with pytest.raises(AccessDeniedError, match=r"no Basic \*\*\* of \*\*\*") as caught:
            load(f"{answering.url}/{NAME}", **options)
        assert basic not in repr(caught.value.__cause__)

    @pytest.mark.parametrize("body", [b"", b"zzzz", b"0000", b"000dversion 9", b"\0" * 100])
    def test_nonsense_is_no_answer_of_git(self, answering, waits, body):
        kind = "application/x-git-upload-pack-advertisement"
        answering.headers, answering.body = {"Content-Type": kind}, body
        with pytest.raises(StorageError, match=answering.url):
            load(f"{answering.url}/{NAME}")
        assert len(answering.requests) <= 3


class TestRedirects:
    def test_a_repository_that_has_moved_is_found_there(self, git_http, answering):
        answering.status = 302
        answering.headers = {"Location": f"{git_http.url}/{NAME}/{QUERY}"}
        assert load(f"{answering.url}/old/name.git") == 6
        assert len(answering.requests) == 1  # the files are asked for where it led
        assert {request.path for request in git_http.requests} == {
            f"/{NAME}/info/refs",
            f"/{NAME}/git-upload-pack",
        }

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_login_is_not_sent_to_another_host(self, git_http, answering, token, status):
        answering.status = status
        answering.headers = {"Location": f"{git_http.url}/{NAME}/{QUERY}"}
        assert load(f"{answering.url}/{NAME}", **token) == 6
        assert all("Authorization" in headers for _, headers in answering.requests)
        assert all("authorization" not in it.headers for it in git_http.requests)

    def test_another_host_that_wants_a_login_is_told(self, private, answering, token, waits):
        answering.status = 302
        answering.headers = {"Location": f"{private.url}/{NAME}/{QUERY}"}
        with pytest.raises(AccessDeniedError, match=r"redirects to .* login is not sent"):
            load(f"{answering.url}/{NAME}", **token)
        assert [it.headers.get("authorization") for it in private.requests] == [None]
        assert waits == []

    def test_a_cookie_or_login_in_where_it_leads_is_not_used(self, git_http, answering):
        answering.status = 302
        place = git_http.url.replace("//", "//ann:password@")
        answering.headers = {"Location": f"{place}/{NAME}/{QUERY}", "Set-Cookie": "a=b"}
        assert load(f"{answering.url}/{NAME}") == 6
        for request in git_http.requests:
            assert not {"authorization", "cookie"} & request.headers.keys()

    def test_a_circle_is_left(self, git_http, waits):
        git_http.redirect_to = git_http.url
        with pytest.raises(StorageError, match="more than 5"):
            load(f"{git_http.url}/{NAME}")
        assert (len(git_http.requests), waits) == (6, [])

    @pytest.mark.parametrize(
        "where", ["", "file:///etc/passwd", "ftp://127.0.0.1/", "//", "http://[", "http://", "\\"]
    )
    def test_a_redirect_to_nowhere_is_told(self, answering, waits, where):
        answering.status, answering.headers = 302, {"Location": where}
        with pytest.raises(FlowholdError, match=answering.url):
            load(f"{answering.url}/{NAME}")


QUERY = "info/refs?service=git-upload-pack"


class TestSlowAndBroken:
    @pytest.mark.parametrize("scheme", ["http", "git", "ssh"])
    def test_a_server_that_says_nothing(self, scheme, silent, monkeypatch, waits):
        monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -F none")
        started = time.monotonic()
        with pytest.raises(StorageUnavailableError, match="cannot be reached") as caught:
            load(f"{scheme}://127.0.0.1:{silent}/{NAME}", timeout=0.3, retries=1)
        assert "timed out" in str(caught.value) or "within 0.3 seconds" in str(caught.value)
        assert len(waits) == 1
        assert time.monotonic() - started < 30

    def test_a_server_that_stops_to_answer(self, git_folder, waits):
        with serving_http(git_folder) as server:
            source = Git(
                "single.py", git_clone_url=f"{server.url}/{NAME}", timeout=0.3, retries=2
            ).open_source()
            commit = source.resolve()
            server.requests.clear()
            server.stall = 60
            with pytest.raises(StorageUnavailableError, match="timed out"):
                source.checkout(commit)
            assert len(waits) == 2

    @pytest.mark.parametrize("at", [0, 1, 4, 30, 100, 1000])
    def test_an_answer_that_breaks_off_is_asked_for_again(self, git_http, monkeypatch, at):
        def mended(seconds):
            git_http.truncate = None

        monkeypatch.setattr("flowhold_storage_git.tries.time.sleep", mended)
        git_http.truncate = at
        assert load(f"{git_http.url}/{NAME}") == 6

    @pytest.mark.parametrize(
        "at", [0, 1, 3, 4, 5, 8, 12, 30, 100, 180, 300, 700, 1000, 1500, 10_000]
    )
    def test_nothing_is_made_of_half_an_answer(self, git_http, waits, at):
        source = Git("single.py", git_clone_url=f"{git_http.url}/{NAME}", retries=1).open_source()
        commit = source.resolve()
        git_http.truncate = at
        try:
            assert len(source.checkout(commit).manifest) == 10
        except (StorageUnavailableError, IntegrityError):
            assert at < 10_000

    @pytest.mark.parametrize("scheme", ["git", "ssh"])
    @pytest.mark.parametrize("at", [0, 2, 6, 20, 150, 170, 400, 1200, 2800, 4000])
    def test_a_connection_that_breaks_off_is_made_again(
        self, scheme, at, request, tunnel, monkeypatch, git_folder
    ):
        if scheme == "git":
            server = request.getfixturevalue("git_daemon")
            broken = tunnel(urlsplit(server.url).port)
            place = f"git://127.0.0.1:{broken.port}/{NAME}"
        else:
            server = request.getfixturevalue("git_ssh_server")
            broken = tunnel(server.port)
            place = server.url(NAME).replace(str(server.port), str(broken.port), 1)
            unknown = f"{server.command()} -o StrictHostKeyChecking=no"
            monkeypatch.setenv(
                "GIT_SSH_COMMAND", unknown.replace("StrictHostKeyChecking=yes", "BatchMode=yes")
            )
        broken.cut = at

        def mended(seconds):
            broken.cut = None

        monkeypatch.setattr("flowhold_storage_git.tries.time.sleep", mended)
        assert load(place) == 6

    def test_a_git_server_that_breaks_off_each_time_is_given_up_on(self, git_daemon, tunnel, waits):
        broken = tunnel(urlsplit(git_daemon.url).port)
        broken.cut = 100
        with pytest.raises(StorageUnavailableError):
            load(f"git://127.0.0.1:{broken.port}/{NAME}", retries=3)
        assert (len(broken.connections), len(waits)) == (4, 3)


class TestSSH:
    def test_a_key_that_is_refused_is_told_at_once(self, git_ssh_server, monkeypatch, waits):
        monkeypatch.setenv("GIT_SSH_COMMAND", git_ssh_server.command(git_ssh_server.other_key))
        with pytest.raises(AccessDeniedError, match=r"the key for .* was refused") as caught:
            load(git_ssh_server.url(NAME))
        assert f"ssh -T {git_ssh_server.user}@127.0.0.1" in caught.value.hint
        assert waits == []

    def test_a_host_that_is_another_is_told_at_once(self, git_ssh_server, monkeypatch, waits):
        wrong = git_ssh_server.command(known_hosts=git_ssh_server.wrong_known_hosts)
        monkeypatch.setenv("GIT_SSH_COMMAND", wrong)
        with pytest.raises(AccessDeniedError, match=r"host key of .* is not trusted") as caught:
            load(git_ssh_server.url(NAME))
        assert "known_hosts" in caught.value.hint
        assert waits == []

    def test_a_host_that_is_not_known_is_told_at_once(self, git_ssh_server, monkeypatch, waits):
        monkeypatch.setenv("GIT_SSH_COMMAND", git_ssh_server.command(known_hosts=Path("/dev/null")))
        with pytest.raises(AccessDeniedError, match=r"host key of .* is not trusted"):
            load(git_ssh_server.url(NAME))
        assert waits == []

    def test_a_program_that_is_not_there(self, git_ssh_server, monkeypatch):
        monkeypatch.setenv("GIT_SSH_COMMAND", "/no/such/ssh -v")
        with pytest.raises(ConfigurationError, match="/no/such/ssh cannot be started"):
            load(git_ssh_server.url(NAME))

    def test_the_settings_of_the_user_count(self, git_ssh_server, tmp_path, monkeypatch):
        server = git_ssh_server
        config = tmp_path / "config"
        config.write_text(
            f"Host short\n  HostName 127.0.0.1\n  Port {server.port}\n  User {server.user}\n"
            f"  IdentityFile {server.key}\n  UserKnownHostsFile {server.known_hosts}\n"
        )
        monkeypatch.setenv("GIT_SSH_COMMAND", f"ssh -F {config}")
        assert load(f"{server.user}@short:{server.folder / NAME}") == 6


@pytest.fixture
def stranger(git_ssh_server, monkeypatch, tmp_path):
    """A user with no key of their own; the URL of the repository."""
    command = f"ssh -F none -o UserKnownHostsFile={git_ssh_server.known_hosts}"
    monkeypatch.setenv("GIT_SSH_COMMAND", f"{command} -o GlobalKnownHostsFile=/dev/null")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return git_ssh_server.url(NAME)


class TestDeployKeys:
    @pytest.mark.parametrize("form", [str, lambda text: text.replace("\n", "\r\n"), str.strip])
    def test_a_secret_key_lets_in(self, stranger, git_ssh_server, form):
        with flowhold.secrets({"KEY": form(git_ssh_server.key.read_text())}):
            assert load(stranger, ssh_key_secret="KEY") == 6

    @pytest.mark.parametrize("before", ["", "env A=1 "])
    def test_it_comes_before_the_keys_of_the_user(self, git_ssh_server, monkeypatch, before):
        other = git_ssh_server.command(git_ssh_server.other_key)
        monkeypatch.setenv("GIT_SSH_COMMAND", before + other)
        with flowhold.secrets({"KEY": git_ssh_server.key.read_text()}):
            assert load(git_ssh_server.url(NAME), ssh_key_secret="KEY") == 6

    def test_a_long_path_of_temporary_files_is_no_trouble(
        self, stranger, git_ssh_server, tmp_path, monkeypatch
    ):
        folder = tmp_path / ("long" * 20)
        folder.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        with flowhold.secrets({"KEY": git_ssh_server.key.read_text()}):
            assert load(stranger, ssh_key_secret="KEY") == 6
        assert [*folder.iterdir()] == []

    def test_one_that_is_refused_is_told_at_once(self, stranger, git_ssh_server, waits):
        with (
            flowhold.secrets({"KEY": git_ssh_server.other_key.read_text()}),
            pytest.raises(AccessDeniedError, match=r"the key for .* was refused"),
        ):
            load(stranger, ssh_key_secret="KEY")
        assert waits == []

    def test_nobody_is_asked_for_a_passphrase(self, stranger, tmp_path, monkeypatch, waits):
        path = tmp_path / "locked"
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "passphrase", "-f", str(path)]
        subprocess.run(words, check=True)
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
        with (
            flowhold.secrets({"KEY": path.read_text()}),
            pytest.raises(ConfigurationError, match="not hold a private key") as caught,
        ):
            load(stranger, ssh_key_secret="KEY")
        assert "no passphrase" in caught.value.hint
        assert waits == []

    @pytest.mark.parametrize(
        "text", ["garbage", "", "\n", "\0", "-----BEGIN OPENSSH PRIVATE KEY-----\n"]
    )
    def test_what_is_no_key_is_told(self, stranger, text):
        with (
            flowhold.secrets({"KEY": text}),
            pytest.raises(ConfigurationError, match="not hold a private key"),
        ):
            load(stranger, ssh_key_secret="KEY")

    def test_a_public_key_is_told(self, stranger, git_ssh_server):
        text = git_ssh_server.key.with_name("key.pub").read_text()
        with (
            flowhold.secrets({"KEY": text}),
            pytest.raises(ConfigurationError, match="not hold a private key"),
        ):
            load(stranger, ssh_key_secret="KEY")

    def test_without_openssh_the_error_says_so(self, stranger, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        with (
            flowhold.secrets({"KEY": "key"}),
            pytest.raises(ConfigurationError, match="ssh-agent cannot be started") as caught,
        ):
            load(stranger, ssh_key_secret="KEY")
        assert caught.value.hint == "install OpenSSH"

    def test_two_storages_have_agents_of_their_own(self, git_folder, stranger, git_ssh_server):
        with serving_ssh(git_folder) as other:
            known = other.known_hosts.read_text() + git_ssh_server.known_hosts.read_text()
            git_ssh_server.files.joinpath("both").write_text(known)
            with pytest.MonkeyPatch.context() as patch:
                both = git_ssh_server.files / "both"
                patch.setenv("GIT_SSH_COMMAND", f"ssh -F none -o UserKnownHostsFile={both}")
                keys = {"ONE": git_ssh_server.key.read_text(), "TWO": other.key.read_text()}
                with flowhold.secrets(keys):
                    assert load(stranger, ssh_key_secret="ONE") == 6
                    assert load(other.url(NAME), ssh_key_secret="TWO") == 6
                    with pytest.raises(AccessDeniedError):
                        load(other.url(NAME), ssh_key_secret="ONE")

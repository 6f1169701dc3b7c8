"""From options to URL and login; nothing of them can become an option of a program."""

from __future__ import annotations

import subprocess

import pytest
from git_repositories import make_repository

import flowhold
from flowhold.errors import ConfigurationError, FlowholdError, RevisionNotFoundError
from flowhold_storage_git import Git
from flowhold_storage_git.address import Address
from flowhold_storage_git.ssh import Ssh

TOKEN = "t@k:/e n%#?"
ALONE = "t@k/e n%#?"


def address(**options):
    """Return where a storage with these options finds its repository."""
    with flowhold.secrets({"TOKEN": TOKEN, "ALONE": ALONE, "KEY": "the key"}):
        return Git("flow.py", **options).open_source().address


def login(found):
    return found.username, found.password, found.ssh_key


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"repo": "owner/name"}, "https://github.com/owner/name.git"),
        ({"repo": "a/b/c/d", "repo_host": "gitlab.com"}, "https://gitlab.com/a/b/c/d.git"),
        (
            {"repo": "a/b", "repo_host": "git.example.org:8443"},
            "https://git.example.org:8443/a/b.git",
        ),
        ({"repo": "a/b", "repo_host": "example.org:443"}, "https://example.org/a/b.git"),
        ({"repo": "a/b", "repo_host": "[::1]:8443"}, "https://[::1]:8443/a/b.git"),
        ({"repo": "a/b", "use_ssh": True}, "ssh://github.com/./a/b.git"),
        ({"repo": "a/b/c", "repo_host": "h:2222", "use_ssh": True}, "ssh://h:2222/./a/b/c.git"),
        ({"repo": "a/b", "ssh_key_secret": "KEY"}, "ssh://github.com/./a/b.git"),
        ({"git_clone_url": "https://H.example/a"}, "https://h.example/a"),
        ({"git_clone_url": "https://h/a%20b.git/"}, "https://h/a%20b.git"),
        ({"git_clone_url": "git@h:a/b.git"}, "ssh://h/./a/b.git"),
        ({"git_clone_url": "h:/srv/b.git"}, "ssh://h/srv/b.git"),
        ({"git_clone_url": "ssh://git@h:22/~/b.git"}, "ssh://h/~/b.git"),
        ({"git_clone_url": "git://h:9418/b.git"}, "git://h/b.git"),
        ({"git_clone_url": "file:///srv/b.git"}, "file:///srv/b.git"),
        ({"git_clone_url": "/srv/a b.git".replace(" ", "%20")}, "file:///srv/a%2520b.git"),
    ],
)
def test_the_url_of_a_repository(options, url):
    assert address(**options).url == url


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"repo": "a/b"}, (None, None, None)),
        ({"repo": "a/b", "git_token_secret_name": "TOKEN"}, ("a", TOKEN, None)),
        (
            {"repo": "a/b", "git_token_secret_name": "TOKEN", "git_token_username": "oauth2"},
            ("oauth2", TOKEN, None),
        ),
        (
            {"repo": "a/b", "git_token_secret_name": "ALONE", "format_access_token": False},
            (ALONE, None, None),
        ),
        (
            {"git_clone_url": "https://h/a", "git_token_secret_name": "TOKEN"},
            ("git", TOKEN, None),
        ),
        ({"repo": "a/b", "use_ssh": True}, ("git", None, None)),
        ({"repo": "a/b", "use_ssh": True, "git_token_secret_name": "TOKEN"}, ("git", None, None)),
        ({"repo": "a/b", "ssh_key_secret": "KEY"}, ("git", None, "the key")),
        ({"git_clone_url": "ann@h:a", "ssh_key_secret": "KEY"}, ("ann", None, "the key")),
    ],
)
def test_the_login_for_a_repository(options, expected):
    assert login(address(**options)) == expected


def test_a_token_that_cannot_stand_alone_says_so():
    options = {"git_token_secret_name": "TOKEN", "format_access_token": False}
    with pytest.raises(ValueError, match="cannot stand alone") as caught:
        address(repo="a/b", **options)
    assert TOKEN not in repr(caught.value)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("git@h:a/b.git", "a/b.git"),
        ("git@h:/a/b.git", "/a/b.git"),
        ("git@h:~/b.git", "~/b.git"),
        ("ssh://git@h/a/b.git", "/a/b.git"),
    ],
)
def test_a_path_by_ssh_is_relative_where_git_takes_it_so(url, path):
    assert address(git_clone_url=url).path == path


@pytest.mark.parametrize("url", ["git@h:-x", "git@h:--upload-pack=x", "ssh://h/./-x", "h:%2dx"])
def test_a_relative_path_does_not_become_an_option(url):
    with pytest.raises(ValueError, match="cannot begin"):
        address(git_clone_url=url)


def test_a_login_in_the_name_of_the_host_is_refused():
    with pytest.raises(ValueError, match="repo_host holds a login") as caught:
        Git("flow.py", repo="a/b", repo_host="ann:canary@h.example")
    assert "canary" not in repr(caught.value)


def test_a_whole_url_by_secret_counts_alone():
    options = {"repo": "a/b", "git_clone_url_secret_name": "URL", "git_token_secret_name": "TOKEN"}
    with flowhold.secrets({"URL": " https://ann:p%40%3Aw@h:8443/x/y \n"}):
        found = Git("flow.py", **options).open_source().address
    assert found.url == "https://h:8443/x/y"
    assert login(found) == ("ann", "p@:w", None)


def test_no_text_of_an_address_shows_its_login():
    found = Address("https://h/a", "user-canary", "password-canary", "key-canary")
    assert repr(found) == "Address(url='https://h/a')"
    assert "canary" not in f"{found}{found!r}{Git('f.py', 'a/b').open_source()!r}"


@pytest.mark.parametrize(
    "url",
    [
        "", " ", "owner/name", "https://", "https:///a", "https://h", "https://h/", "ftp://h/a",
        "https://h:port/a", "https://h:99999/a", "https://[::1/a", "https://h/a b",
        "https://h/a\0", "file://host/a", "ext::sh -c id", "ext::sh%20-c%20id",
        "https://h/a?b=c", "https://h/a#b", "ssh://h", "-oProxyCommand=id:a", "--upload-pack=id:a",
    ],
)  # fmt: skip
def test_what_is_no_clone_url_is_refused_and_not_shown(url):
    with pytest.raises(ConfigurationError, match="clone URL") as caught:
        Git("flow.py", git_clone_url=url or None, **({} if url else {"repo": "a b/c d"}))._address()
    assert not url.strip() or url not in str(caught.value)
    with (
        flowhold.secrets({"URL": url}),
        pytest.raises(ConfigurationError, match="clone URL"),
    ):
        Git("flow.py", git_clone_url_secret_name="URL")._address()


@pytest.mark.parametrize("login", ["ann:canary", "canary", ":canary", "canary:"])
def test_a_login_in_a_url_that_is_written_down_is_refused(login):
    with pytest.raises(ConfigurationError, match="holds a login") as caught:
        Git("flow.py", git_clone_url=f"https://{login}@h/a")
    assert "canary" not in f"{caught.value}{caught.value.hint}"
    assert "git_clone_url_secret_name" in caught.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {"repo": "a/b", "git_clone_url": "https://h/a"},
        {"repo": "a/b", "repo_host": "https://h"},
        {"repo": "a/b", "repo_host": "h/a"},
        {"repo": "a/b", "repo_host": "a b"},
        {"repo": "a/b", "repo_host": "h:x"},
        {"repo": "a/b", "repo_host": "["},
        {"git_clone_url": "https://h/a", "use_ssh": True},
        {"git_clone_url": "git://h/a", "ssh_key_secret": "KEY"},
    ],
)
def test_options_that_do_not_go_together_are_refused(options):
    with pytest.raises(ConfigurationError):
        Git("flow.py", **options)


class TestNothingBecomesAnOption:
    @pytest.mark.parametrize(
        "options",
        [
            {"repo": "a/b", "repo_host": "-oProxyCommand=touch owned", "use_ssh": True},
            {"repo": "a/b", "repo_host": "-oProxyCommand=touch${IFS}owned", "use_ssh": True},
            {"repo": "a/b", "repo_host": "--upload-pack=id"},
            {"git_clone_url": "ssh://-oProxyCommand=touch%20owned/a"},
            {"git_clone_url": "ssh://git@-oProxyCommand=id/a"},
            {"git_clone_url": "git@-oProxyCommand=id:a"},
            {"git_clone_url": "ssh://-oProxyCommand=id@h/a"},
            {"git_clone_url": "ssh://%2doProxyCommand=id@h/a"},
            {"git_clone_url": "-oProxyCommand=id@h:a"},
            {"git_clone_url": "git://-h/a"},
            {"git_clone_url": "https://-h/a"},
        ],
    )
    def test_a_host_or_user_that_begins_with_a_dash_is_refused(self, options):
        with pytest.raises(ConfigurationError):
            Git("flow.py", **options).get_flow("flow.py")

    def test_host_and_command_are_behind_the_options_of_ssh(self, monkeypatch, tmp_path):
        words = tmp_path / "words"
        program = tmp_path / "ssh"
        program.write_text(f'#!/bin/sh\nprintf "%s\\\\n" "$@" > {words}\n')
        program.chmod(0o700)
        monkeypatch.setenv("GIT_SSH_COMMAND", str(program))
        url = "ssh://git@h/-a'%24(id)%0Ab"
        with pytest.raises(FlowholdError):
            Git("flow.py", git_clone_url=url, retries=0).get_flow("flow.py")
        said = words.read_text().partition("--\n")[2]
        assert said == "git@h\ngit-upload-pack '/-a'\\''$(id)\nb'\n"

    def test_the_settings_of_ssh_are_the_users(self, monkeypatch, tmp_path):
        program = tmp_path / "my ssh"
        program.write_text('#!/bin/sh\nprintf "%s " "$@"\n')
        program.chmod(0o700)
        monkeypatch.setenv("GIT_SSH_COMMAND", f"'{program}' -F 'a file'")
        process = Ssh(2.4).run_command("h", b"command", "ann", 2222)
        said = process.read(10_000).decode()
        process.close()
        assert said == (
            "-F a file -x -o BatchMode=yes -o ConnectTimeout=2 "
            "-o SetEnv=GIT_PROTOCOL=version=2 -p 2222 -- ann@h command "
        )

    @pytest.mark.parametrize("name", ["-x", "--upload-pack=touch owned", "-", "--"])
    def test_a_branch_or_tag_that_begins_with_a_dash_is_a_name(self, tmp_path, name):
        repository = make_repository(tmp_path / "served" / "a.git")
        repository.commit({"flow.py": FLOW.format(1)})
        sha = repository.commit({"flow.py": FLOW.format(2)}, branch="other")
        place = repository.url
        for options in ({"branch_name": name}, {"tag": name}):
            with pytest.raises(RevisionNotFoundError, match=r"no (branch|tag) "):
                Git("flow.py", git_clone_url=place, **options).get_flow("flow.py")
        if " " not in name:
            repository.branch(name, sha)
            repository.tag(name, sha)
            for options in ({"branch_name": name}, {"tag": name}):
                flow = Git("flow.py", git_clone_url=place, **options).get_flow("flow.py")
                assert flow.run().result == 2
        assert not [*tmp_path.rglob("owned")]

    @pytest.mark.parametrize("sha", ["-x", "--all", "HEAD", "v1.0", "abc", "0" * 41, "12345g", ""])
    def test_what_is_no_sha_is_no_commit(self, sha):
        with pytest.raises(ConfigurationError, match=r"SHA|is text"):
            Git("flow.py", "a/b", commit=sha)

    def test_git_itself_is_never_started(self, tmp_path, monkeypatch):
        repository = make_repository(tmp_path / "served" / "a.git")
        repository.commit({"flow.py": FLOW.format(3)})
        started = []
        monkeypatch.setattr(subprocess, "Popen", lambda *args, **kwargs: started.append(args))
        flow = Git("flow.py", git_clone_url=repository.url).get_flow("flow.py")
        assert (flow.run().result, started) == (3, [])


FLOW = """
from flowhold import Flow, task


@task
def value():
    return {}


with Flow("flow") as flow:
    value()
"""

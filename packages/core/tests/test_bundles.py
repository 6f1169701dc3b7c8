"""Choosing and packing the files that travel with a flow."""

from __future__ import annotations

import hashlib
import os
import time
import warnings

import pytest
import zstandard

from flowhold import bundles
from flowhold.bundles import collect, pack
from flowhold.errors import ConfigurationError, SerializationError

FILES = {
    "flow.py": "print()",
    "data/a.csv": "a" * 1000,
    "data/deep/b.csv": "",
    "data/notes.txt": "n",
    "pkg/__init__.py": "",
    "pkg/__pycache__/x.pyc": "c",
    "pkg/old.pyc": "c",
    ".git/config": "token",
    "sub/.git": "gitdir: elsewhere",
    ".venv/lib/x.py": "v",
}


def write(root, files):
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    return root


@pytest.fixture
def root(tmp_path):
    return write(tmp_path / "project", FILES)


def paths(*args, **kwargs):
    return [entry.path for entry in collect(*args, **kwargs)]


def link(root, name, target, folder=False):
    try:
        (root / name).symlink_to(target, target_is_directory=folder)
    except OSError:  # Windows without developer mode
        pytest.skip("no symbolic links here")


@pytest.mark.parametrize(
    ("include", "chosen"),
    [
        (["*.csv"], ["data/a.csv", "data/deep/b.csv"]),
        (["data/*.csv"], ["data/a.csv"]),
        (["/data/"], ["data/a.csv", "data/deep/b.csv", "data/notes.txt"]),
        (["data/", "!*.txt"], ["data/a.csv", "data/deep/b.csv"]),
        (["# why", "", "flow.py"], ["flow.py"]),
        (["*"], ["data/a.csv", "data/deep/b.csv", "data/notes.txt", "flow.py", "pkg/__init__.py"]),
        ([], []),
    ],
)
def test_patterns_choose_as_in_a_gitignore(root, include, chosen):
    assert paths(root, include) == chosen


def test_what_is_never_stored_stays_out_however_it_is_asked_for(root):
    write(root, {".flowholdignore": "!.git\n!__pycache__/\n!*.pyc\n"})
    chosen = paths(root, ["*"])
    assert not [path for path in chosen if ".git" in path or ".venv" in path or "pyc" in path]


def test_flowholdignore_wins_over_include_but_not_over_the_script(root):
    write(root, {".flowholdignore": "# big\ndeep/\n*.txt\nflow.py\n"})
    assert paths(root, ["data/"], ["flow.py"]) == ["data/a.csv", "flow.py"]


def test_a_pattern_that_takes_nothing_is_named(root):
    for include in (["missing/*"], ["*.csv", "../other/*.csv"], ["*.csv", ".git/config"]):
        with pytest.raises(ConfigurationError, match=include[-1].replace("*", ".")) as caught:
            collect(root, include)
        assert "relative to the script's folder" in caught.value.hint


@pytest.mark.parametrize("pattern", ["!", "[z-a]"])
@pytest.mark.parametrize("where", ["include", "ignore"])
def test_a_malformed_pattern_is_a_configuration_error(root, where, pattern):
    write(root, {".flowholdignore": pattern if where == "ignore" else ""})
    with pytest.raises(ConfigurationError, match="malformed"):
        collect(root, [pattern] if where == "include" else ["*"])


def test_the_same_files_give_the_same_bytes_wherever_and_whenever(root, tmp_path):
    entries, first = pack(root, ["*"])
    assert collect(root, ["*"]) == entries
    other = tmp_path / "elsewhere"
    for path in reversed(FILES):  # another order on the disk, other times
        write(other, {path: FILES[path]})
        os.utime(other / path, (1, 1))
    again, second = pack(other, ["*"])
    assert (again, b"".join(second)) == (entries, b"".join(first))
    (other / "flow.py").write_text("print(1)")
    assert collect(other, ["*"]) != entries


def test_the_executable_bit_belongs_to_the_content(root):
    if os.name == "nt":
        pytest.skip("no such bit")
    plain = collect(root, ["*"])
    (root / "flow.py").chmod(0o755)
    (changed,) = set(collect(root, ["*"])) - set(plain)
    assert (changed.path, changed.executable) == ("flow.py", True)


@pytest.mark.parametrize(
    "name",
    [".env", ".env.local", "ca/server.pem", "id_rsa", "secrets.toml", "credentials.json", ".netrc"],
)
def test_files_that_look_like_secrets_are_named_in_a_warning(root, name):
    write(root, {name: "x"})
    with pytest.warns(UserWarning, match="look like secrets") as caught:
        collect(root, ["*"])
    assert name in str(caught[0].message)
    assert "flow.py" not in str(caught[0].message)


def test_large_bundles_warn_with_the_largest_files(root, monkeypatch):
    monkeypatch.setattr(bundles, "_BIG", 1500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        collect(root, ["*"])
    write(root, {"data/big.bin": "b" * (3 << 20), "data/bigger.bin": "b" * (4 << 20)})
    with pytest.warns(UserWarning, match="7 MiB") as caught:
        collect(root, ["*"])
    text = str(caught[0].message)
    assert text.index("data/bigger.bin (4 MiB)") < text.index("data/big.bin (3 MiB)")


def test_links_that_leave_the_folder_are_refused(root, tmp_path):
    write(tmp_path, {"outside/secret.txt": "s"})
    link(root, "data/leak.txt", tmp_path / "outside/secret.txt")
    with pytest.raises(SerializationError, match=r"data/leak\.txt is a link out of"):
        collect(root, ["*.txt"])
    assert paths(root, ["*.csv"]) == ["data/a.csv", "data/deep/b.csv"]


def test_a_linked_folder_that_is_wanted_is_refused_and_not_lost_silently(root, tmp_path):
    write(tmp_path, {"outside/secret.txt": "s"})
    link(root, "linked", tmp_path / "outside", folder=True)
    link(root, "loop", root, folder=True)
    for include in (["*", "!loop"], ["linked/"], ["linked"]):
        with pytest.raises(SerializationError, match="linked/ is a link out of"):
            collect(root, include)
    with pytest.raises(SerializationError, match="loop/ is not a file"):
        collect(root, ["loop"])
    assert paths(root, ["*.csv"]) == ["data/a.csv", "data/deep/b.csv"]
    write(root, {".flowholdignore": "linked\nloop/\n"})
    assert "flow.py" in paths(root, ["*"])


def test_links_inside_the_folder_are_stored_as_the_files_they_lead_to(root):
    link(root, "again.csv", root / "data/a.csv")
    entries = {entry.path: entry for entry in collect(root, ["*.csv"])}
    assert entries["again.csv"].sha256 == entries["data/a.csv"].sha256
    assert entries["again.csv"].size == 1000


def test_a_dangling_link_and_a_pipe_are_no_files(root):
    link(root, "gone.csv", root / "nowhere.csv")
    with pytest.raises(SerializationError, match=r"gone\.csv is not a file"):
        collect(root, ["*.csv"])
    if hasattr(os, "mkfifo"):
        os.mkfifo(root / "pipe")
        with pytest.raises(SerializationError, match="pipe is not a file"):
            collect(root, ["pipe"])


def test_names_that_fall_on_one_another_elsewhere_are_refused(root):
    write(root, {"Data.txt": "1", "data.TXT": "2"})
    if len({path.name for path in root.iterdir()} & {"Data.txt", "data.TXT"}) < 2:
        pytest.skip("they fall on one another here as well")
    with pytest.raises(SerializationError, match="collide"):
        collect(root, ["*"])


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be had there")
@pytest.mark.parametrize("name", [b"back\\slash", b"new\nline", b"latin-\xe9"])
def test_names_that_cannot_be_stored_everywhere_are_refused_in_printable_text(root, name):
    try:
        with open(os.path.join(os.fsencode(root), name), "wb"):
            pass
    except OSError:
        pytest.skip("this file system refuses that name itself")
    with pytest.raises(SerializationError, match="cannot be stored") as caught:
        collect(root, ["*"])
    assert str(caught.value).encode().isascii()
    assert "\n" not in str(caught.value)


@pytest.fixture
def change(monkeypatch):
    """Change a file just before it is read."""

    def prepare(target, text):
        def changing(name, *args):
            if str(name) == str(target):
                target.unlink()
                if text is None:
                    target.mkdir()
                elif text != "remove":
                    target.write_text(text)
                    # Clocks of file systems can be slower than this test.
                    os.utime(target, (time.time() + 1,) * 2)
            return open(name, *args)

        monkeypatch.setattr(bundles, "open", changing, raising=False)

    return prepare


@pytest.mark.parametrize("taken", [collect, pack])
@pytest.mark.parametrize(
    "text",
    ["Print()", "print()" * 99_999, "", "remove", None],
    ids=["edit", "grow", "shrink", "remove", "folder"],
)
def test_a_file_that_changes_meanwhile_is_named_and_nothing_is_packed(root, change, text, taken):
    change(root / "flow.py", text)
    with pytest.raises(SerializationError, match=r"flow\.py changed") as caught:
        taken(root, ["*"])
    assert caught.value.hint == "try again"


def test_what_is_packed_is_what_was_digested(root):
    entries, frame = pack(root, ["*"])
    data = zstandard.decompress(b"".join(frame))
    for entry in entries:
        own, data = data[: entry.size], data[entry.size :]
        assert own == FILES[entry.path].encode()
        assert entry.sha256 == hashlib.sha256(own).hexdigest()
    assert data == b""


def test_an_unreadable_folder_is_named(root, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(SerializationError, match="deep cannot be read: Permission denied"):
        collect(root, ["*"])

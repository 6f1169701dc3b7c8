"""A build context has what belongs into it and nothing else, the same bytes whenever it is made."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from flowhold import Flow, task
from flowhold.errors import ConfigurationError, StorageError
from flowhold_storage_docker import Docker
from flowhold_storage_docker.context import archive_of
from flowhold_storage_docker.ignore import Ignore
from flowhold_storage_docker.options import check_files
from flowhold_storage_docker.recipes import patterns_of

OWN = ".flowhold-image"

MAKE = """
import hashlib, os, sys
os.umask(int(sys.argv[1], 8))
from flowhold_storage_docker import Docker
from flowhold_storage_docker.context import archive_of
from flowhold_storage_docker.options import check_files
from flowhold_storage_docker.recipes import patterns_of
storage = Docker(dockerfile="own.Dockerfile", files={sys.argv[2]: "/app", sys.argv[3]: "/x"},
    stored_as_script=True, local_script_path=sys.argv[4])
import etl
storage.add_flow(etl.flow)
storage.create_dockerfile_object(sys.argv[5])
with archive_of(storage._recipe(), patterns_of(storage)) as file:
    print(hashlib.sha256(file.read()).hexdigest())
"""


@task
def one():
    return 1


def make_flow(name="etl"):
    with Flow(name) as flow:
        one()
    return flow


def write(folder, *names):
    for name in names:
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"text of " + os.fsencode(name))


def storage_with(**options):
    storage = Docker(**options)
    storage.add_flow(make_flow())
    return storage


def context(folder, **options):
    return Path(storage_with(**options).create_dockerfile_object(folder)).parent


def listing(folder):
    """Return what is in a folder, with kinds, modes and contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        content = os.readlink(path) if path.is_symlink() else ""
        if path.is_file() and not content:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[path.relative_to(folder).as_posix()] = (oct(mode), content)
    return found


def names(folder):
    """Return the files and links in a folder, without our own."""
    inside = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    return {name for name in inside if not name.startswith(OWN)}


@pytest.fixture
def own():
    """The path of a Dockerfile beside the working directory."""
    Path("../own.Dockerfile").write_text("FROM python:3-slim\nCOPY . /app\n")
    return "../own.Dockerfile"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files, which is empty at the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


# The same bytes.


def test_a_context_made_twice_is_the_same(tmp_path, own):
    write(".", "a.txt", "deep/b.txt")
    options = {"dockerfile": own, "files": {str(tmp_path / "work"): "/files"}}
    first = context(tmp_path / "first", **options)
    for path in Path().rglob("*"):
        os.utime(path, (0, 0))
    assert listing(first) == listing(context(tmp_path / "second", **options))


def test_a_context_of_another_process_and_umask_is_the_same(tmp_path):
    folder = tmp_path / "work"
    script = "from flowhold import Flow\nwith Flow('etl') as flow:\n    pass\n"
    (folder / "etl.py").write_text(script)
    (folder / "own.Dockerfile").write_text("FROM python:3-slim\n")
    write(folder, "tree/z", "tree/a", "tree/deep/x", "program")
    (folder / "program").chmod(0o700)
    (folder / "tree/link").symlink_to("a")
    digests, listings = set(), []
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    for number, umask in enumerate(("022", "077", "000")):
        if number:
            # In another order, at other times, and with other modes that mean the same.
            random.Random(number).shuffle(found := sorted(folder.rglob("*")))
            for path in found:
                if path.is_file() and not path.is_symlink():
                    text = path.read_bytes()
                    path.unlink()
                    path.write_bytes(text)
                    path.chmod(0o600 + 0o100 * (path.name == "program"))
        arguments = [folder / "tree", folder / "program", folder / "etl.py"]
        done = subprocess.run(
            [sys.executable, "-B", "-c", MAKE, umask, *arguments, tmp_path / umask],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": umask, "PYTHONPATH": os.pathsep.join(paths)},
        )
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout)
        listings.append(listing(tmp_path / umask))
    assert listings[0] == listings[1] == listings[2]
    assert len(digests) == 1
    assert listings[0]["program"][0] == "0o100755"
    assert listings[0][OWN][0] == "0o40755"


def test_the_archive_has_what_the_folder_has(tmp_path, temporary, own):
    write(".", "a.txt", "deep/b.txt")
    Path("deep/program").write_text("#!/bin/sh")
    Path("deep/program").chmod(0o755)
    Path("link").symlink_to("deep/b.txt")
    storage = storage_with(dockerfile=own)
    folder = Path(storage.create_dockerfile_object(tmp_path / "folder")).parent
    with archive_of(storage._recipe(), []) as file, tarfile.open(fileobj=file) as archive:
        members = archive.getmembers()
        archive.extractall(tmp_path / "archive", filter="fully_trusted")
    assert listing(tmp_path / "archive") == listing(folder)
    assert {(it.uid, it.gid, it.uname, it.gname, it.mtime) for it in members} == {(0, 0, "", "", 0)}
    assert [it.name for it in members] == sorted(
        (it.name for it in members), key=lambda name: name.split("/")
    )


# What is left out.

TREE = [
    *("a.py", "b.txt", "README.md", "readme.txt", "deep/a.py", "deep/b.txt", "deep/er/c.txt"),
    *("node_modules/x/index.js", "node_modules/keep.txt", "deep/node_modules/keep.txt"),
    *(".git/config", ".env", "secret", "deep/secret", "with space.txt", "a[1].txt", "\u540d.txt"),
]
# As the documentation of Docker says of such lines.
IGNORED = {
    "": set(),
    "# a.py\n\n  \n": set(),
    "secret": {"secret"},
    "/secret": {"secret"},
    "./secret": {"secret"},
    "deep/../secret": {"secret"},
    "**/secret": {"secret", "deep/secret"},
    "*/secret": {"deep/secret"},
    "SECRET": set(),
    "*": set(TREE),
    "**": set(TREE),
    ".": set(),
    "deep": {name for name in TREE if name.startswith("deep/")},
    "deep/": {name for name in TREE if name.startswith("deep/")},
    "deep/*": {name for name in TREE if name.startswith("deep/")},
    "deep/**": {name for name in TREE if name.startswith("deep/")},
    "*.txt": {"b.txt", "readme.txt", "with space.txt", "a[1].txt", "\u540d.txt"},
    "**/*.txt": {name for name in TREE if name.endswith(".txt")},
    "  with space.txt  ": {"with space.txt"},
    "?.py": {"a.py"},
    "[ab].*": {"a.py", "b.txt"},
    "[^a].*": {"b.txt", "\u540d.txt"},
    "a\\[1\\].txt": {"a[1].txt"},
    ".*": {".git/config", ".env"},
    "*\n!a.py": set(TREE) - {"a.py"},
    "*\n!deep/er": set(TREE) - {"deep/er/c.txt"},
    "*\n!deep/er/c.txt": set(TREE) - {"deep/er/c.txt"},
    "*\n! deep/b.txt": set(TREE) - {"deep/b.txt"},
    "*\n!*/b.txt": set(TREE) - {"deep/b.txt"},
    "*\n!**/b.txt": set(TREE) - {"b.txt", "deep/b.txt"},
    "*.md\n!README.md": set(),
    "!README.md\n*.md": {"README.md"},
    "*.txt\n!b*\n**/b.txt": {*IT, "deep/b.txt"}
    if (IT := {"b.txt", "readme.txt", "with space.txt", "a[1].txt", "\u540d.txt"})
    else set(),
    "**/node_modules\n!**/keep.txt": {"node_modules/x/index.js"},
    "**/node_modules": {name for name in TREE if "node_modules" in name},
    "deep\n!deep/a.py\ndeep/a*": {name for name in TREE if name.startswith("deep/")},
}


@pytest.mark.parametrize("text", IGNORED, ids=repr)
@pytest.mark.parametrize("how", [".dockerignore", "dockerignore="])
def test_what_is_ignored_stays_out(text, how, tmp_path, own):
    write(".", *TREE)
    options = {"dockerfile": own}
    if how == "dockerignore=":
        # The one of the folder is not read then.
        Path(".dockerignore").write_text("a.py")
        options["dockerignore"] = str(tmp_path / "ignored")
    Path(options.get("dockerignore", ".dockerignore")).write_text(text)
    assert names(context(tmp_path / "context", **options)) == {
        "Dockerfile",
        *(set(TREE) - IGNORED[text]),
    }


def test_files_are_ignored_by_the_name_of_their_folder(tmp_path):
    write(tmp_path / "tree", *TREE)
    Path("ignored").write_text("**/*.txt\ntree/deep/a.py\nsecret")
    folder = context(
        tmp_path / "context",
        base_image="python:3-slim",
        files={str(tmp_path / "tree"): "/app"},
        dockerignore="ignored",
    )
    kept = {name for name in TREE if not name.endswith(".txt")} - {"deep/a.py"}
    assert names(folder / OWN / "files/0") == kept


def test_a_named_file_is_copied_even_where_its_name_is_ignored(tmp_path):
    write(tmp_path, "a.txt")
    Path("ignored").write_text("*")
    files = {str(tmp_path / "a.txt"): "/app/"}
    folder = context(tmp_path / "context", files=files, dockerignore="ignored")
    assert names(folder / OWN / "files/0") == {"a.txt"}


def test_caches_of_python_are_never_copied(tmp_path, own):
    write(".", "app/a.py", "app/__pycache__/a.pyc", "__pycache__/b.pyc", "c.pyc")
    Path(".dockerignore").write_text("*\n!app")
    assert names(context(tmp_path / "context", dockerfile=own)) == {"Dockerfile", "app/a.py"}


def test_docker_is_not_told_to_ignore_our_own_files(tmp_path, own):
    write(".", "Dockerfile.dockerignore", "a.py", "deep/.dockerignore")
    Path(".dockerignore").write_text("*\n!a.py\n!deep\n!.dockerignore")
    found = names(context(tmp_path / "context", dockerfile=own))
    assert found == {"Dockerfile", "a.py", "deep/.dockerignore"}


def test_ignored_folders_are_not_walked(tmp_path, own, monkeypatch):
    write(".", "node_modules/x/y/z.js", "a.py")
    Path(".dockerignore").write_text("node_modules\n!a.py")
    seen = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: [seen.append(str(path)), scandir(path)][1])
    context(tmp_path / "context", dockerfile=own)
    assert not [path for path in seen if "node_modules" in path]


@pytest.mark.parametrize("text", ["!", "a\n!  ", "[z-a]"])
def test_a_pattern_that_is_none_is_an_error(text, own):
    Path(".dockerignore").write_text(text)
    with pytest.raises(ConfigurationError, match="ignore file"):
        context(Path("context"), dockerfile=own)


def test_odd_patterns_are_taken_literally():
    assert Ignore(["a[b"]).leaves_out("a[b")
    assert Ignore(["a\\"]).leaves_out("a\\")
    assert Ignore(["(a|b)+{2}$^"]).leaves_out("(a|b)+{2}$^")
    assert not Ignore(["a.c"]).leaves_out("abc")
    assert Ignore(["[a&&b]"]).leaves_out("&")


def test_an_ignore_file_that_is_not_there_is_an_error():
    with pytest.raises(ConfigurationError, match="gone cannot be read"):
        context(Path("context"), dockerignore="gone")


# What is copied.


def test_links_stay_links(tmp_path, own):
    write(".", "a.txt", "deep/b.txt")
    links = {
        "link": "a.txt",
        "folder": "deep",
        "up": "..",
        "gone": "/nowhere",
        "deep/loop": ".",
    }
    for name, target in links.items():
        Path(name).symlink_to(target)
    folder = context(
        tmp_path / "context",
        dockerfile=own,
        files={os.path.abspath("deep"): "/d", os.path.abspath("link"): "/l"},
    )
    for name, target in links.items():
        assert os.readlink(folder / name) == target
    assert os.readlink(folder / OWN / "files/0/loop") == "."
    # A link that is named stands for its file.
    assert (folder / OWN / "files/1/l").read_text() == "text of a.txt"
    assert not (folder / OWN / "files/1/l").is_symlink()


def test_odd_names_are_kept(tmp_path, own):
    odd = ["with space", "line\nbreak", "\u540d\u524d", "\U0001f600", "-rf", "$HOME", '"', "a\\b"]
    odd += [os.fsdecode(b"bytes\xff"), "x" * 255, "#", "!a", "*"]
    write(".", *odd)
    folder = context(tmp_path / "context", dockerfile=own, files={os.getcwd(): "/app"})
    assert names(folder) == {"Dockerfile", *odd}
    assert names(folder / OWN / "files/0") == set(odd)
    storage = storage_with(dockerfile=own)
    with archive_of(storage._recipe(), []) as file, tarfile.open(fileobj=file) as archive:
        assert set(odd) <= set(archive.getnames())


def test_files_of_the_same_name_do_not_collide(tmp_path):
    write(tmp_path, "a/x.csv", "b/x.csv", "c/x.csv/x.csv")
    files = {str(tmp_path / name / "x.csv"): "/data/" for name in "abc"}
    folder = context(tmp_path / "context", files=files)
    texts = [(folder / OWN / f"files/{n}/x.csv").read_text() for n in range(3)]
    assert texts == ["text of a/x.csv", "text of b/x.csv", "text of c/x.csv/x.csv"]


def test_an_empty_folder_is_copied(tmp_path, own):
    (tmp_path / "empty").mkdir()
    Path("void").mkdir()
    files = {str(tmp_path / "empty"): "/app"}
    folder = context(tmp_path / "context", dockerfile=own, files=files)
    assert list((folder / OWN / "files/0").iterdir()) == []
    assert (folder / "void").is_dir()


@pytest.mark.parametrize("through", ["", "link"])
def test_a_context_within_what_is_copied_is_not_in_itself(through, tmp_path, own):
    write(".", "a.txt", "deep/b.txt")
    (tmp_path / "link").symlink_to(tmp_path / "work")
    target = tmp_path / (through or "work") / "deep" / "context"
    files = {str(tmp_path / "work"): "/app", str(tmp_path / "link"): "/again"}
    folder = context(target, dockerfile=own, files=files)
    assert names(folder) == {"Dockerfile", "a.txt", "deep/b.txt"}
    for number in range(2):
        assert names(folder / OWN / f"files/{number}") == {"a.txt", "deep/b.txt"}


def test_temporary_files_within_what_is_copied_are_not_in_the_context(tmp_path, temporary):
    write(temporary, "mine.txt")
    storage = storage_with(files={str(temporary): "/tmp-of-mine"})
    with archive_of(storage._recipe(), []) as file, tarfile.open(fileobj=file) as archive:
        found = {name for name in archive.getnames() if name.startswith(f"{OWN}/files/0/")}
    (temporary / "mine.txt").unlink()
    context_name = next(iter(name for name in found if "flowhold-image-" in name), None)
    assert found - {context_name} == {f"{OWN}/files/0/mine.txt"}


def test_lists_and_dicts_of_the_caller_stay_as_they_are(tmp_path, own):
    write(tmp_path, "a.txt")
    options = {
        "files": {str(tmp_path / "a.txt"): "/a.txt"},
        "env_vars": {"A": "$B"},
        "python_dependencies": ["a", "b"],
        "extra_dockerfile_commands": ["RUN true"],
        "build_kwargs": {"buildargs": {"A": "b"}},
    }
    before = repr(options)
    storage = storage_with(dockerfile=own, **options)
    first = Path(storage.create_dockerfile_object(tmp_path / "first"))
    assert repr(options) == before
    options["python_dependencies"].append("injected")
    options["env_vars"]["INJECTED"] = "x"
    options["extra_dockerfile_commands"].append("RUN injected")
    options["files"].clear()
    second = Path(storage.create_dockerfile_object(tmp_path / "second"))
    assert second.read_bytes() == first.read_bytes()


# What cannot be.


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    write(tmp_path, "full/a.txt", "file")
    for name in ("full", "file"):
        with pytest.raises(ConfigurationError, match="not an empty folder"):
            context(tmp_path / name)
    assert listing(tmp_path / "full").keys() == {"a.txt"}
    (tmp_path / "empty").mkdir()
    assert (context(tmp_path / "empty") / "Dockerfile").is_file()


def fifo(folder):
    os.mkfifo(folder / "odd")


def unix_socket(folder):
    here = os.getcwd()
    os.chdir(folder)  # its path may not be long
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind("odd")
    finally:
        os.chdir(here)


@pytest.mark.parametrize("make", [fifo, unix_socket])
def test_what_is_neither_file_nor_folder_is_an_error_that_names_it(make, tmp_path, own, temporary):
    write(".", "a.txt", "deep/b.txt")
    make(Path("deep"))
    with pytest.raises(ConfigurationError, match="deep/odd is neither a file nor a folder"):
        context(tmp_path / "context", dockerfile=own)
    assert not (tmp_path / "context").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="odd is neither"):
        context(tmp_path / "empty", files={os.path.abspath("deep"): "/d"})
    assert list((tmp_path / "empty").iterdir()) == []
    with pytest.raises(ConfigurationError, match="odd' in files is not there"):
        context(tmp_path / "context", files={os.path.abspath("deep/odd"): "/d"})
    storage = storage_with(dockerfile=own)
    with pytest.raises(ConfigurationError), archive_of(storage._recipe(), patterns_of(storage)):
        pytest.fail("an archive")
    Path(".dockerignore").write_text("**/odd")
    assert "deep/b.txt" in names(context(tmp_path / "context", dockerfile=own))


# Root reads everything, unless it gives up the two capabilities by which it does.
AS_ANYBODY = """
import ctypes, os, sys
if os.geteuid() == 0:
    libc = ctypes.CDLL(None)
    if libc.prctl(24, 1, 0, 0, 0) or libc.prctl(24, 2, 0, 0, 0):
        sys.exit(77)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
UNREADABLE = """
import sys
from pathlib import Path
from flowhold import Flow
from flowhold.errors import ConfigurationError
from flowhold_storage_docker import Docker
with Flow("etl") as flow:
    pass
storage = Docker(files={sys.argv[1]: "/app"})
storage.add_flow(flow)
for attempt in (lambda: storage.create_dockerfile_object(sys.argv[2]), lambda:
                storage.fingerprint(flow)):
    try:
        attempt()
    except ConfigurationError as error:
        print(error)
print(Path(sys.argv[2]).exists())
"""


@pytest.mark.parametrize("locked", ["tree/file", "tree/folder"])
def test_what_cannot_be_read_is_an_error_that_names_it(locked, tmp_path):
    write(tmp_path, "tree/file", "tree/folder/a.txt")
    (tmp_path / locked).chmod(0)
    done = subprocess.run(
        [sys.executable, "-c", AS_ANYBODY, "-c", UNREADABLE, tmp_path / "tree", tmp_path / "c"],
        capture_output=True,
        text=True,
    )
    (tmp_path / locked).chmod(0o700)
    if done.returncode == 77:
        pytest.skip("this root keeps its capabilities")
    told = f"{tmp_path / locked} cannot be copied: Permission denied"
    assert done.stdout.splitlines() == [told, told, "False"], done.stderr


def test_our_own_names_in_the_working_directory_are_an_error(tmp_path, own):
    for name in (f"{OWN}/x", "Dockerfile/x"):
        write(".", name)
        with pytest.raises(ConfigurationError, match=f"there is a (folder )?{name[:-2]} in"):
            context(tmp_path / "context", dockerfile=own)
        Path(name).unlink()
        Path(name).parent.rmdir()
    # Only a Dockerfile is replaced.
    write(".", "Dockerfile")
    assert context(tmp_path / "context", dockerfile=own).joinpath("Dockerfile").read_text() > "FROM"
    assert Path("Dockerfile").read_text() == "text of Dockerfile"


def test_a_dockerfile_that_is_a_link_is_not_written_through(tmp_path, own):
    write(".", "real")
    Path("Dockerfile").symlink_to("real")
    folder = context(tmp_path / "context", dockerfile=own)
    assert (folder / "real").read_text() == "text of real"
    assert (folder / "Dockerfile").read_text().startswith("FROM")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    write(tmp_path, "file")
    with pytest.raises(StorageError, match="could not be written: Not a directory"):
        context(tmp_path / "file" / "context")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"relative/a.txt": "/a"}, "'relative/a.txt' in files is not an absolute path"),
        ({"/nowhere/at/all": "/a"}, "'/nowhere/at/all' in files is not there"),
        ({"/nowhere\0": "/a"}, "is not there"),
        ({"/etc": ""}, "destination of '/etc'"),
        ({"/etc": "a\0b"}, "destination of '/etc'"),
        ({"/etc": 1}, "destination of '/etc'"),
        ({1: "/a"}, "the source 1"),
    ],
)
def test_files_that_cannot_be_are_an_error(files, told, tmp_path):
    with pytest.raises(ConfigurationError, match=told):
        context(tmp_path / "context", files=files)


def test_files_are_a_mapping():
    assert check_files({Path("/a"): "/b"}) == {"/a": "/b"}
    assert check_files({}) is None
    with pytest.raises(ConfigurationError, match="must be a mapping"):
        check_files(["/etc"])


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"FROM a\nRUN b \\", b"FROM a\0"])
def test_a_dockerfile_that_cannot_be_is_an_error(content, tmp_path):
    if content is not None:
        (tmp_path / "own").write_bytes(content)
    with pytest.raises(ConfigurationError, match="Dockerfile"):
        context(tmp_path / "context", dockerfile=str(tmp_path / "own"))


def test_the_fingerprint_sees_what_is_copied_and_nothing_else(tmp_path, own):
    write(".", "a.txt", "root.log", "deep/b.txt")
    write(tmp_path, "more/c.txt", "more/ignored.log")
    Path(".dockerignore").write_text("root.log\nmore/ignored.log")
    Path("gone").symlink_to("/nowhere")
    flow = make_flow()

    def now():
        storage = Docker(dockerfile=own, files={str(tmp_path / "more"): "/more"})
        return storage.fingerprint(flow)

    first = now()
    os.utime("a.txt", (0, 0))
    for path in (Path("root.log"), tmp_path / "more/ignored.log"):
        path.write_text("changed")
    assert now() == first
    seen = {first}
    for change in (
        lambda: Path("deep/b.txt").write_text("changed"),
        lambda: Path("deep/b.txt").chmod(0o755),
        lambda: Path("deep/b.txt").rename("deep/c.txt"),
        lambda: Path("link").symlink_to("a.txt"),
        lambda: (tmp_path / "more/c.txt").write_text("changed"),
        lambda: Path(os.fsdecode(b"\xff")).mkdir(),
        lambda: Path(own).write_text("FROM other"),
    ):
        change()
        assert now() not in seen
        seen.add(now())

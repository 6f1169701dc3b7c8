"""The examples of the READMEs and of the pages in docs are run: Python as scripts, console lines in
a shell.

``<!-- name -->`` before an example of any language writes it to a file of that name, for the
console lines below it; Python without a name is run. Output is compared where it is shown; ``...``
stands for any text. A command whose output shows an ``error:`` fails, any other succeeds. What
cannot be run is marked as ``text``. Pages on a storage run beside a server of it: ``my-bucket`` is
empty, ``https://git.example.com`` has the page's own scripts, ``https://dav.example.com`` is nginx,
``my-base`` is an image to build on.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import docker_engine
import pytest
from git_repositories import make_repository
from webdav_server import PASSWORD

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", *sorted(ROOT.glob("packages/*/README.md"))]
PAGES = [*READMES, *sorted(ROOT.glob("docs/*.md"))]
BLOCK = re.compile(r"^(?:<!-- (\S+) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")

each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix()
)


def install(words, process, folder):
    """Install packages of this repository or of the example into an environment of the page."""
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        process(sys.executable, "-m", "uv", "venv", "--quiet", folder / "venv")
    packages = [ROOT / word if (ROOT / word).exists() else word for word in words]
    # What strangers get from an index is what is here.
    packages = [re.sub(r"^flowhold(?=\[|$)", f"{ROOT}/packages/core", str(it)) for it in packages]
    pip = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python)
    process(*pip, *packages, cwd=folder)


def run_console(block, process, folder, env):
    for command, shown in COMMAND.findall(block):
        words = shlex.split(command, comments=True)
        if words[0] == "git":
            continue
        if words[0] == "make":
            process("make", "--dry-run", *words[1:], cwd=ROOT)
            continue
        if words[:2] == ["pip", "install"]:
            install(words[2:], process, folder)
            continue
        fails = re.search("^error: ", shown, re.MULTILINE)
        line = f"! {{ {command}\n}} 2>&1" if fails else command
        own = os.pathsep.join([str(folder / "venv" / "bin"), str(Path(sys.executable).parent)])
        path = f'PATH={shlex.quote(own)}{os.pathsep}"$PATH"'
        output = process("sh", "-c", f"{path}\n{line}", cwd=folder, env=env)
        if shown:
            pattern = re.sub(r"([\[?*])", r"[\1]", shown.strip()).replace("...", "*")
            assert fnmatchcase(output.strip(), pattern), f"{command}\n{output}"


@pytest.fixture
def server(page, request):
    """Return what to replace in a page so that it leads to a server, and the environment for it."""
    storage = re.search(r"storage-(s3|gcs|azure|git|webhook|docker)\b", page.as_posix())
    if storage is None:
        return {}, {}
    if storage[1] == "docker":
        request.getfixturevalue("docker_environment")
        registry = request.getfixturevalue("docker_registry")
        told = {name: os.environ[name] for name in ("DOCKER_HOST", "DOCKER_CONFIG")}
        return {"my-base": docker_engine.BASE, "registry.example.com": registry.host}, told
    if storage[1] == "git":
        return served_scripts(page, request), {}
    if storage[1] == "webhook":
        dav = request.getfixturevalue("webdav_server")
        place = f"{dav.url}/private/{request.getfixturevalue('webdav_folder')}"
        return {"https://dav.example.com": place}, {"DAV_PASSWORD": PASSWORD}
    server = request.getfixturevalue(f"{storage[1]}_server")
    if storage[1] == "s3":
        return {"my-bucket": server.bucket()}, {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_DEFAULT_REGION": server.region,
        }
    if storage[1] == "gcs":
        return {"my-bucket": server.bucket()}, {"STORAGE_EMULATOR_HOST": server.url}
    environment = {"AZURE_STORAGE_CONNECTION_STRING": server.connection_string}
    return {"my-bucket": server.container()}, environment


def served_scripts(page, request):
    """Serve the named examples of a page as a git repository, in place of git.example.com."""
    home = f"page{len(page.as_posix())}"
    repository = make_repository(request.getfixturevalue("git_folder") / home / "acme/flows.git")
    examples = BLOCK.findall(page.read_text(encoding="utf-8"))
    repository.commit({name: block for name, _, block in examples if name})
    git_http = request.getfixturevalue("git_http")
    return {"https://git.example.com": f"{git_http.url}/{home}"}


@each_page
def test_examples_of_the_page_do_what_it_says(page, server, process, tmp_path):
    replaced, env = server
    folder = tmp_path / "here"
    shutil.copytree(ROOT / "examples", folder / "examples")
    text = page.read_text(encoding="utf-8")
    for written, meant in replaced.items():
        text = text.replace(written, meant)
    for number, (name, kind, block) in enumerate(BLOCK.findall(text)):
        if name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(block, encoding="utf-8")
        elif kind == "console":
            run_console(block, process, folder, env)
        elif kind == "python":
            script = folder / f"example_{number}.py"
            script.write_text(block, encoding="utf-8")
            process(sys.executable, script, cwd=folder, env=env)


@each_page
def test_blocks_of_the_page_are_run_or_say_that_they_are_not(page):
    for name, kind, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        assert name or kind in ("console", "python", "text"), block


def anchors(page):
    """Return what links to the headings of a page are called, as GitHub calls them."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@each_page
def test_links_of_the_page_lead_somewhere(page):
    for target, anchor in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if not target.startswith("https://"):
            other = page.parent / target if target else page
            assert other.exists(), target
            assert not anchor or anchor in anchors(other), f"{target}#{anchor}"


def test_the_first_screen_shows_the_demo_the_tests_an_example_and_the_storages():
    screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:60])
    for part in ("make demo", "make test", "```python", "| storage |"):
        assert part in screen

"""Gives MkDocs the order of the pages, and pages that show the files to which they link.

``docs/index.md`` says which pages there are: each heading is a section, each link an entry. What is
linked outside of docs is shown by a page of its own, so that the site needs no host of the sources.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
SHOWN = "repository/"
EXAMPLE = re.compile(r"^<!-- (\S+) -->\n```(\w+)$", re.MULTILINE)
LINK = re.compile(r"\[([^]\n]+)\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> None:
    """Make the navigation of the index."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    _, *sections = re.split(r"^## (.+)$", index, flags=re.MULTILINE)
    config.nav = [{"Overview": "index.md"}]
    for title, text in zip(sections[::2], sections[1::2], strict=True):
        config.nav.append({title: [{found[1]: found[2]} for found in LINK.finditer(text)]})


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add a page for each file outside of this folder to which a page links."""
    for page in [*files.documentation_pages()]:
        for found in LINK.finditer(page.content_string):
            path = _path(page.src_uri, found[2])
            if path.startswith("docs/") or files.get_file_from_path(_uri(path)) is not None:
                continue
            if (ROOT / path).is_file():
                text = (ROOT / path).read_text(encoding="utf-8")
                if not path.endswith(".md"):
                    text = f"# {path}\n\n````{path.rpartition('.')[2]}\n{text}````\n"
                text = f"---\nsearch:\n  exclude: true\n---\n{text}"
                files.append(File.generated(config, _uri(path), content=text))


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: object) -> str:
    """Name the files that examples are, and lead links to the pages of files.

    A shown file's links to what is not here become text.
    """
    here = page.file.src_uri

    def lead(found: re.Match[str]) -> str:
        uri = _uri(_path(here, found[2]))
        if files.get_file_from_path(uri) is not None:
            return f"[{found[1]}]({relpath(uri, dirname(here))}{found[3] or ''})"
        return found[1] if here.startswith(SHOWN) else found[0]

    return EXAMPLE.sub(r'```\2 title="\1"', LINK.sub(lead, markdown))


def _path(page: str, target: str) -> str:
    """Return the path in the repository to which a link of a page leads."""
    origin = page.removeprefix(SHOWN) if page.startswith(SHOWN) else f"docs/{page}"
    return normpath(join(dirname(origin), target))


def _uri(path: str) -> str:
    """Return the path in the site of the page of a file in the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return SHOWN + path + ("" if path.endswith(".md") else ".md")

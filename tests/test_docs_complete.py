"""Everything that a user can set, call, catch, implement or install is on the pages in docs."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from functools import cache
from importlib import import_module
from importlib.metadata import metadata
from pathlib import Path

import click
import pytest

import flowhold
from flowhold import Capability, Reference, Storage, errors, hookspecs, plugins
from flowhold.cli.app import COMMANDS
from flowhold.settings import Settings
from flowhold.storage.documents import option_parameters
from flowhold.storage.objects import ObjectStorage

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCES = "".join(
    path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("packages/*/src/**/*.py"))
)
BUILT_IN = ("local", "bytes", "module", "memory")
VARIABLES = sorted({*re.findall(r"\b_?FLOWHOLD_[A-Z_]*[A-Z]\b", SOURCES)})
# Those that SDKs read by themselves are not in the sources.
OTHER_VARIABLES = sorted(
    {*re.findall(r'"([A-Z]+_[A-Z_]*(?:HOST|TOKEN|PASSWORD|USERNAME|COMMAND|STRING))"', SOURCES)}
)
HOOKS = [name for name in vars(hookspecs) if name.startswith("flowhold_")]
EXTRAS = metadata("flowhold").get_all("Provides-Extra")
STORAGES = sorted(ROOT.glob("packages/storage-*/pyproject.toml"))


@cache
def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def section(name, heading):
    """Return the text of a page below a heading of the second level, without its code."""
    parts = re.split(r"^## (.+)$", page(name), flags=re.MULTILINE)
    assert heading in parts, f"{name} has no heading {heading}"
    return re.sub(r"^```.*?^```", "", parts[parts.index(heading) + 1], flags=re.M | re.S)


def in_code(name, text):
    """Whether a text stands in a span of code: alone, or with what is not part of a word."""
    spans = re.findall(r"`([^`\n]+)`", text)
    return any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", span) for span in spans)


def leaves(command, path):
    if not isinstance(command, click.Group):
        return [(path, command)]
    context = click.Context(command)
    children = {name: command.get_command(context, name) for name in command.list_commands(context)}
    below = [leaf for name, child in children.items() for leaf in leaves(child, f"{path} {name}")]
    return [(path, command), *below]


def options():
    common = {"--json", "--debug", "--help"}
    for name in COMMANDS:
        command = import_module(f"flowhold.cli.commands.{name}").command
        for path, leaf in leaves(command, name):
            for parameter in leaf.params:
                for option in (*parameter.opts, *parameter.secondary_opts):
                    if option.startswith("-") and option not in common:
                        yield pytest.param(name, option, id=f"{path} {option}")


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_there_with_its_variable_and_its_default(setting):
    rows = [
        row for row in page("settings.md").splitlines() if row.startswith(f"| `{setting.name}`")
    ]
    assert len(rows) == 1
    assert f"`FLOWHOLD_{setting.name.upper()}`" in rows[0]
    if isinstance(setting.default, (str, int)):
        default = str(setting.default)
        assert default in rows[0] or default.lower() in rows[0]


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_variable_is_among_the_settings(variable):
    assert in_code(variable, page("settings.md"))


@pytest.mark.parametrize("variable", OTHER_VARIABLES)
def test_every_variable_of_other_programs_is_on_some_page(variable):
    assert any(in_code(variable, page(path.name)) for path in DOCS.glob("*.md"))


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_row_and_an_example(hook):
    assert f"| `{hook}(" in page("plugins.md")
    assert f"def {hook}(" in page("plugins.md")


@pytest.mark.parametrize("error", errors.__all__)
def test_every_error_is_among_the_troubles(error):
    assert in_code(error, page("troubleshooting.md"))


@pytest.mark.parametrize("error", errors.__all__)
def test_the_builtins_of_an_error_are_told(error):
    row = next(row for row in page("troubleshooting.md").splitlines() if f"`{error}`" in row)
    bases = getattr(errors, error).__bases__
    builtins = {base.__name__ for base in bases if base.__module__ == "builtins"} - {"Exception"}
    assert set(re.findall(r"`(\w+)`", row.split("|")[2])) == builtins


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_is_told(extra):
    assert in_code(extra, section("plugins.md", "Extras"))


@pytest.mark.parametrize("project", STORAGES, ids=lambda path: path.parent.name)
def test_every_extra_of_a_storage_is_told(project):
    described = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    pages = "".join(page(path.name) for path in sorted(DOCS.glob("storage-*.md")))
    for extra in described.get("optional-dependencies", {}):
        assert f"{described['name']}[{extra}]" in pages


def test_every_command_has_a_section_and_no_other_has():
    rows = re.findall(r"^\| \[`(\w+)`\]\(#\1\)", page("cli.md"), re.MULTILINE)
    headings = re.findall(r"^## (\w+)$", page("cli.md"), re.MULTILINE)
    assert rows == headings == [*COMMANDS]


@pytest.mark.parametrize(("command", "option"), [*options()])
def test_every_option_is_in_the_section_of_its_command(command, option):
    assert in_code(option, section("cli.md", command))


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_argument_of_a_storage_is_in_its_section(name):
    storage = plugins.storage_class(name)
    text = section("storages.md", storage.__name__)
    signature = re.search(rf"`{storage.__name__}\(([^`]*)\)`", text)[1]
    told = {part.partition("=")[0] for part in signature.split(", ")} - {"*"}
    # A module is always a script.
    left_out = {"stored_as_script"} if name == "module" else set()
    assert told == {*option_parameters(storage)} - left_out
    common = {*option_parameters(ObjectStorage)}
    own = {*option_parameters(storage)} - common
    assert all(in_code(argument, text) for argument in own)


@pytest.mark.parametrize("argument", option_parameters(ObjectStorage))
def test_every_common_argument_of_storages_has_a_row(argument):
    assert f"\n| `{argument}` |" in page("storages.md")


@pytest.mark.parametrize("name", [*BUILT_IN, *plugins.KNOWN])
def test_every_storage_is_told(name):
    assert f"`{name}`" in page("storages.md")


@pytest.mark.parametrize("member", [name for name in vars(Storage) if name[0] != "_"])
def test_every_member_of_a_storage_is_told(member):
    internal = {"type_name", "not_serialized", "shown"}
    assert member in internal or in_code(member, section("storages.md", "What every storage has"))


@pytest.mark.parametrize("capability", Capability, ids=lambda capability: capability.name)
def test_every_capability_is_told_with_the_storages_that_have_it(capability):
    classes = [plugins.storage_class(name) for name in (*BUILT_IN, *plugins.KNOWN)]
    row = next(
        r for r in page("storages.md").splitlines() if r.startswith(f"| `{capability.name}`")
    )
    told = row.split("|")[3].strip()
    named = {*re.findall(r"\b[A-Z]\w+", told)}
    if told.startswith("all"):
        named = {cls.__name__ for cls in classes} - named
    assert named == {cls.__name__ for cls in classes if capability in cls.capabilities}


@pytest.mark.parametrize("field", fields(Reference), ids=lambda field: field.name)
def test_every_field_of_a_reference_is_told(field):
    not_in_the_document = {"extra", "signed"}
    assert field.name in not_in_the_document or f"\n| `{field.name}` |" in page("formats.md")


@pytest.mark.parametrize("field", fields(plugins.StorageInfo), ids=lambda field: field.name)
def test_every_field_of_what_a_plugin_says_is_told(field):
    assert f"\n| `{field.name}` |" in page("plugins.md")


@pytest.mark.parametrize("name", flowhold.__all__)
def test_every_public_name_is_on_some_page(name):
    pages = "".join(path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md")))
    assert name == "__version__" or re.search(rf"\b{name}\b", pages)


def test_the_reference_shows_every_public_name_once():
    shown = re.findall(r"^### ::: flowhold\.(\w+)$", page("reference-python.md"), re.MULTILINE)
    elsewhere = {"FlowholdError", "__version__"}
    assert sorted(shown) == sorted({*flowhold.__all__} - elsewhere)


def test_the_tests_that_the_page_on_security_names_are_there():
    found = re.findall(r"\[\w+\.py\]\((\S+)\)((?:,? `test_\w+`)+)", page("security.md"))
    rows = re.findall(r"^\| .+ \| (\[test_.+) \|$", page("security.md"), re.MULTILINE)
    assert len(rows) >= 20
    assert sum(row.count("](") for row in rows) == len(found)
    for path, names in found:
        text = (DOCS / path).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"^ *def {name}\(", text, re.MULTILINE), f"{path} {name}"


def test_every_page_is_on_the_map_and_in_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in DOCS.glob("*.md"):
        assert path.name == "index.md" or f"({path.name})" in page("index.md")
    assert "(docs/index.md)" in readme

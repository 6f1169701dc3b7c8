"""`flowhold plugins new`: what it writes, and what it refuses before it writes."""

from __future__ import annotations

import pytest

from flowhold.errors import ConfigurationError
from flowhold.scaffolding import write_storage


def test_a_new_package_has_the_name_in_all_places_and_no_placeholder(tmp_path):
    written = write_storage("mynas", tmp_path / "new")
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(written)
    package = tmp_path / "new" / "src" / "flowhold_storage_mynas"
    assert (package / "py.typed").read_text() == ""
    text = "".join(path.read_text(encoding="utf-8") for path in written)
    assert "$" not in text
    for found in ('mynas = "flowhold_storage_mynas.plugin"', "class MynasStore(", "class Mynas("):
        assert found in text
    for path in package.glob("*.py"):
        compile(path.read_text(encoding="utf-8"), path, "exec")


@pytest.mark.parametrize(
    "name", ["", "My", "my-nas", "my_nas", "my nas", "1nas", "naß", "class", "x" * 41, "../nas"]
)
def test_a_name_that_cannot_be_one_is_refused_and_nothing_written(name, tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be the name"):
        write_storage(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["local", "bytes", "file", "s3", "gs", "docker"])
def test_a_name_or_scheme_that_is_taken_is_refused_and_nothing_written(name, tmp_path):
    with pytest.raises(ConfigurationError, match="is taken"):
        write_storage(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_there_has_to_be_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    assert write_storage("mynas", tmp_path / "empty")
    for there in (tmp_path / "empty", tmp_path / "empty" / "README.md"):
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        with pytest.raises(ConfigurationError, match="not an empty folder"):
            write_storage("other", there)
        after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert after == before


def test_the_command_tells_what_to_do_next(output, tmp_path):
    said = output("plugins", "new", "mynas", tmp_path / "new")
    assert f"pip install -e '{tmp_path / 'new'}[test]'" in said
    document = output("plugins", "new", "other", tmp_path / "other", "--json")
    assert document["name"] == "other"
    assert str(tmp_path / "other" / "pyproject.toml") in document["files"]


def test_the_command_refuses_what_is_wrong(command, tmp_path):
    code, out, err = command("plugins", "new", "local", tmp_path / "new")
    assert (code, out) == (2, "")
    assert "'local' is taken" in err
    code, _, err = command("plugins", "nwe", "mynas", tmp_path / "new")
    assert code == 2
    assert "did you mean new" in err

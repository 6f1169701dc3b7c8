from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import warnings
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowhold import settings
from flowhold.errors import ConfigurationError, FlowholdError

EXAMPLES = {
    "catalog": ("s3://bucket/prefix", "s3://bucket/prefix"),
    "storage": ("s3", "s3"),
    "cache_dir": ("/srv/cache", Path("/srv/cache")),
    "data_dir": ("/srv/data", Path("/srv/data")),
    "trusted_keys": (["a", "b"], ("a", "b")),
    "require_signature": (True, True),
    "rollback_protection": (False, False),
    "disabled_plugins": (["s3", "git"], ("s3", "git")),
    "add_default_labels": (False, False),
    "cache_max_bytes": (12, 12),
    "cache_max_days": (7, 7),
    "max_tree_bytes": (0, 0),
    "max_tree_files": (1, 1),
}


def config(text):
    path = Path(os.environ["FLOWHOLD_CONFIG_DIR"], "config.toml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def project(text, folder="."):
    path = Path(folder, "flowhold.toml").absolute()
    path.write_text(text)
    return path


def toml(value):
    return str(value).lower() if isinstance(value, bool) else repr(value)


def without_folders(monkeypatch):
    for name in ("CACHE", "DATA"):
        monkeypatch.delenv(f"FLOWHOLD_{name}_DIR")


def test_defaults_need_no_file_and_no_environment(monkeypatch):
    without_folders(monkeypatch)
    monkeypatch.delenv("FLOWHOLD_CONFIG_DIR")
    found = settings.current()
    assert (found.catalog, found.storage, found.require_signature) == (None, "local", False)
    assert (found.trusted_keys, found.disabled_plugins, found.add_default_labels) == ((), (), True)
    assert (found.cache_max_bytes, found.max_tree_bytes) == (5 * 1024**3, 2 * 1024**3)
    assert found.max_tree_files == 100_000
    for folder in (found.config_dir, found.data_dir, found.cache_dir):
        assert folder.is_relative_to(Path.home())
        assert not folder.exists()


def test_every_setting_is_covered_by_the_examples():
    assert set(EXAMPLES) == {field.name for field in fields(settings.Settings)} - {"config_dir"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_setting_can_be_given_by_file_variable_and_argument(name, monkeypatch):
    without_folders(monkeypatch)
    given_, expected = EXAMPLES[name]
    assert getattr(settings.current(**{name: given_}), name) == expected
    path = config(f"{name} = {toml(given_)}")
    assert getattr(settings.current(), name) == expected
    path.unlink()
    text = ",".join(given_) if isinstance(given_, list) else str(given_)
    monkeypatch.setenv(f"FLOWHOLD_{name.upper()}", text)
    assert getattr(settings.current(), name) == expected


def test_later_sources_win_over_earlier_ones(monkeypatch):
    config('storage = "user"')
    assert settings.current().storage == "user"
    project('storage = "project"')
    assert settings.current().storage == "project"
    monkeypatch.setenv("FLOWHOLD_STORAGE", "variable")
    assert settings.current().storage == "variable"
    assert settings.current(storage="argument").storage == "argument"
    assert settings.current(storage=None).storage == "variable"


def test_sources_are_merged_setting_by_setting(monkeypatch):
    config('storage = "user"\nmax_tree_files = 1')
    project("max_tree_files = 2")
    monkeypatch.setenv("FLOWHOLD_MAX_TREE_BYTES", "3")
    found = settings.current(cache_max_bytes=4)
    assert (found.storage, found.max_tree_files) == ("user", 2)
    assert (found.max_tree_bytes, found.cache_max_bytes) == (3, 4)


def test_the_nearest_project_file_upwards_is_the_only_one_read(monkeypatch):
    project('storage = "outer"\nmax_tree_files = 7')
    Path("a/b").mkdir(parents=True)
    monkeypatch.chdir("a/b")
    assert settings.current().storage == "outer"
    project("", "..")
    assert (settings.current().storage, settings.current().max_tree_files) == ("local", 100_000)


def test_paths_in_a_file_are_relative_to_that_file(monkeypatch, tmp_path):
    without_folders(monkeypatch)
    top = project('data_dir = ".flowhold/data"\ncatalog = "flows"').parent
    Path("below").mkdir()
    monkeypatch.chdir("below")
    found = settings.current()
    assert found.data_dir == top / ".flowhold" / "data"
    assert found.catalog == str(top / "flows")
    config('cache_dir = "cache"')
    assert settings.current().cache_dir == Path(os.environ["FLOWHOLD_CONFIG_DIR"], "cache")


def test_paths_in_the_environment_are_relative_to_the_working_directory(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_CATALOG", "flows")
    monkeypatch.setenv("FLOWHOLD_CONFIG_DIR", "conf")
    Path("a").mkdir()
    for folder in (".", "a"):
        monkeypatch.chdir(folder)
        assert settings.current().catalog == str(Path.cwd() / "flows")
        assert settings.current().config_dir == settings.find_config_dir() == Path.cwd() / "conf"


def test_a_path_may_start_with_the_home_folder(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_CACHE_DIR", "~/c")
    assert settings.current(data_dir=Path("~/d")).data_dir == Path.home() / "d"
    assert settings.current().cache_dir == Path.home() / "c"


def test_a_home_folder_of_nobody_is_an_error_that_names_the_variable(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_CACHE_DIR", "~no-such-user-here/c")
    with pytest.raises(ConfigurationError, match="FLOWHOLD_CACHE_DIR must be a path"):
        settings.current()


@pytest.mark.parametrize("text", ["1", "true", "YES", "on", " True "])
def test_words_for_true_in_the_environment(text, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_REQUIRE_SIGNATURE", text)
    assert settings.current().require_signature is True


@pytest.mark.parametrize("text", ["0", "false", "No", "OFF"])
def test_words_for_false_in_the_environment(text, monkeypatch):
    config("require_signature = true")
    monkeypatch.setenv("FLOWHOLD_REQUIRE_SIGNATURE", text)
    assert settings.current().require_signature is False


def test_lists_in_the_environment_are_comma_separated(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_DISABLED_PLUGINS", " s3, git ,,")
    assert settings.current().disabled_plugins == ("s3", "git")


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    config('trusted_keys = ["k"]\nstorage = "user"')
    monkeypatch.setenv("FLOWHOLD_TRUSTED_KEYS", "")
    monkeypatch.setenv("FLOWHOLD_STORAGE", " ")
    assert settings.current().trusted_keys == ("k",)
    assert settings.current().storage == "user"


def test_a_variable_can_empty_a_list(monkeypatch):
    config('disabled_plugins = ["s3"]')
    monkeypatch.setenv("FLOWHOLD_DISABLED_PLUGINS", ",")
    assert settings.current().disabled_plugins == ()


@pytest.mark.parametrize(
    ("variable", "text", "wanted"),
    [
        ("FLOWHOLD_REQUIRE_SIGNATURE", "maybe", "true or false"),
        ("FLOWHOLD_CACHE_MAX_BYTES", "5GB", "a whole number, 0 or more"),
        ("FLOWHOLD_CACHE_MAX_BYTES", "-1", "a whole number, 0 or more"),
        ("FLOWHOLD_CACHE_MAX_BYTES", "9" * 5000, "a whole number, 0 or more"),
    ],
)
def test_a_wrong_variable_is_an_error_that_names_it(variable, text, wanted, monkeypatch):
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError) as caught:
        settings.current()
    assert str(caught.value) == f"{variable} must be {wanted}"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("storage = 1", "storage in {} must be a string that is not empty"),
        ('storage = ""', "storage in {} must be a string that is not empty"),
        ("catalog = 1", "catalog in {} must be a URL or a path"),
        ('data_dir = ""', "data_dir in {} must be a path"),
        ('data_dir = "a\\u0000://"', "data_dir in {} must be a path"),
        ('disabled_plugins = "s3"', "disabled_plugins in {} must be a list of strings"),
        ("disabled_plugins = [1]", "disabled_plugins in {} must be a list of strings"),
        ("require_signature = 0", "require_signature in {} must be true or false"),
        ("max_tree_files = true", "max_tree_files in {} must be a whole number, 0 or more"),
        ("max_tree_files = 1.0", "max_tree_files in {} must be a whole number, 0 or more"),
        ("max_tree_files = -1", "max_tree_files in {} must be a whole number, 0 or more"),
    ],
)
@pytest.mark.parametrize("write", [config, project])
def test_a_wrong_type_is_an_error_that_names_file_and_key(write, line, wanted):
    path = write(line)
    with pytest.raises(ConfigurationError) as caught:
        settings.current()
    assert str(caught.value) == wanted.format(path)


@pytest.mark.parametrize("write", [config, project])
def test_an_unknown_key_is_an_error_with_near_matches(write):
    path = write('catalogue = "x"')
    with pytest.raises(ConfigurationError) as caught:
        settings.current()
    assert str(caught.value) == f"unknown setting 'catalogue' in {path}"
    assert caught.value.hint == "did you mean catalog?"


def test_an_unknown_argument_is_an_error_that_lists_what_is_known():
    with pytest.raises(
        ConfigurationError, match="unknown setting 'zzz' in the arguments"
    ) as caught:
        settings.current(zzz=1)
    assert "max_tree_files" in caught.value.hint


def test_the_config_directory_is_set_by_the_environment_only():
    for attempt in (lambda: settings.current(config_dir="/x"), settings.current):
        config('config_dir = "/x"')
        with pytest.raises(ConfigurationError, match="unknown setting 'config_dir'") as caught:
            attempt()
        assert caught.value.hint == "did you mean FLOWHOLD_CONFIG_DIR?"


@pytest.mark.parametrize("write", [config, project])
def test_a_syntax_error_is_told_with_file_and_line(write):
    path = write('storage = "local"\nmax_tree_files = = 1\n')
    with pytest.raises(ConfigurationError) as caught:
        settings.current()
    assert str(caught.value).startswith(f"{path} is not valid TOML (at line 2, column ")


def test_a_file_with_a_byte_order_mark_is_read():
    config(b'\xef\xbb\xbfstorage = "s3"\r\n')
    assert settings.current().storage == "s3"


def test_a_folder_in_place_of_a_file_is_an_error():
    Path("flowhold.toml").mkdir()
    with pytest.raises(ConfigurationError, match=r"flowhold\.toml is not a regular file"):
        settings.current()


def test_a_file_that_links_to_itself_is_an_error():
    Path("flowhold.toml").symlink_to("flowhold.toml")
    with pytest.raises(ConfigurationError, match=r"flowhold\.toml cannot be read"):
        settings.current()


def test_a_file_without_permission_is_an_error(as_anybody):
    config("").chmod(0)
    done = as_anybody("-c", "from flowhold import settings; settings.current()")
    last = done.stderr.splitlines()[-1]
    assert "ConfigurationError" in last
    assert "config.toml cannot be read: Permission denied" in last


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that fails to read")
def test_a_file_that_fails_while_it_is_read_is_an_error():
    Path("flowhold.toml").symlink_to("/proc/self/mem")
    with pytest.raises(
        ConfigurationError, match=r"flowhold\.toml cannot be read: Input/output error"
    ):
        settings.current()


def test_a_removed_working_directory_means_no_project_file(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert settings.current().storage == "local"
    monkeypatch.setenv("FLOWHOLD_CATALOG", "relative")
    with pytest.raises(ConfigurationError, match="FLOWHOLD_CATALOG must be a URL or a path"):
        settings.current()


@pytest.mark.parametrize(
    "line",
    [
        'trusted_keys = ["mine"]',
        'config_dir = "/x"',
        'cache_dir = "x"',
        "require_signature = false",
        "rollback_protection = false",
    ],
)
def test_a_project_cannot_loosen_trust(line):
    config('trusted_keys = ["user"]\nrequire_signature = true')
    path = project(line)
    name = line.split()[0]
    with pytest.warns(UserWarning, match="is ignored") as caught:
        found = settings.current()
    assert [str(one.message) for one in caught] == [
        f"{name} in {path} is ignored: it could loosen trust"
    ]
    assert caught[0].filename == __file__
    assert (found.trusted_keys, found.require_signature) == (("user",), True)
    assert found.rollback_protection is True
    assert str(found.config_dir) == os.environ["FLOWHOLD_CONFIG_DIR"]
    assert str(found.cache_dir) == os.environ["FLOWHOLD_CACHE_DIR"]


def test_a_project_may_tighten_trust():
    project("require_signature = true")
    assert settings.current().require_signature is True


def test_a_project_adds_to_the_disabled_plugins_and_enables_none():
    config('disabled_plugins = ["s3", "git"]')
    project('disabled_plugins = ["docker", "s3"]')
    assert settings.current().disabled_plugins == ("s3", "git", "docker")


def test_an_edited_file_is_read_again():
    path = config('storage = "a"')
    assert settings.current().storage == "a"
    path.write_text('storage = "bb"')
    assert settings.current().storage == "bb"
    path.unlink()
    assert settings.current().storage == "local"


def test_settings_cannot_be_changed_but_copied_and_pickled():
    found = settings.current()
    with pytest.raises(FrozenInstanceError):
        found.storage = "x"
    assert replace(found, storage="x").storage == "x"
    assert pickle.loads(pickle.dumps(found)) == found


def test_importing_settings_brings_in_no_parser_and_no_platformdirs():
    code = (
        "import sys, flowhold.settings as s; s.current();"
        "print(sorted({'tomllib', 'tomli', 'platformdirs', 'difflib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Bytes that come close to TOML, so that more than the first line is reached.
almost_toml = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "storage",
                "=",
                '"',
                "'''",
                "[",
                "]",
                "[[",
                "{",
                "}",
                "\n",
                ".",
                ",",
                "\\",
                "#",
                "1",
                "-",
                "e",
                ":",
                "T",
                "Z",
                "\x00",
                "inf",
            ]
        ),
        st.sampled_from(["1979-05-27", "00:00:00", "\udcff", "[" * 3000, "{a=" * 1500, "a." * 500]),
        st.sampled_from(["9" * 5000, "0x" + "f" * 9000, " "]),
    ),
    max_size=12,
).map(lambda parts: "".join(parts).encode(errors="surrogateescape"))
toml_values = st.recursive(
    st.one_of(
        st.booleans().map(toml),
        st.integers().map(str),
        st.floats().map(str),
        st.sampled_from(["''", "'a://b'", '"\\u0000"', "'~nobody-x/y'", "1979-05-27", "[]", "{}"]),
    ),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
)
valid_toml = st.dictionaries(
    st.sampled_from([*EXAMPLES, "config_dir", "other"]), toml_values, max_size=4
).map(lambda table: "\n".join(f"{key} = {value}" for key, value in table.items()).encode())


@given(st.one_of(st.binary(), almost_toml, valid_toml), st.booleans())
def test_whatever_a_file_holds_only_our_errors_come_out(data, in_project):
    path = Path("flowhold.toml") if in_project else config(b"")
    path.write_bytes(data)
    try:
        with warnings.catch_warnings(), contextlib.suppress(FlowholdError):
            warnings.simplefilter("ignore")
            assert isinstance(settings.current(), settings.Settings)
    finally:
        path.unlink()


@given(st.sampled_from(sorted(EXAMPLES)), st.text(st.characters(exclude_characters="\0")))
def test_whatever_a_variable_holds_only_our_errors_come_out(name, text):
    variable = f"FLOWHOLD_{name.upper()}"
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(FlowholdError):
        try:
            patch.setenv(variable, text)
        except UnicodeEncodeError:  # lone surrogates cannot be in the environment
            return
        assert isinstance(settings.current(), settings.Settings)

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowhold
from flowhold import _secrets, plugins
from flowhold.errors import ConfigurationError, FlowholdError, PluginError, SecretNotFoundError

VALUE = "hunter2-do-not-show"


def toml_file(text, mode=0o600):
    path = Path(os.environ["FLOWHOLD_CONFIG_DIR"], "secrets.toml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "mounted"
    path.mkdir()
    monkeypatch.setenv("FLOWHOLD_SECRETS_DIR", str(path))
    return path


@pytest.fixture
def plugin():
    class Provider:
        @flowhold.hookimpl
        def flowhold_secret(self, name):
            return self.values.get(name)

    provider = Provider()
    provider.values = {}
    plugins.register(provider, name="test-provider")
    yield provider
    plugins.unregister(provider)


def shown_by(error):
    """All that a log, a traceback or a crash reporter could show of an error."""
    parts = []
    seen = set()
    todo = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        parts += [str(one), repr(one), repr(one.args), repr(vars(one))]
        parts += traceback.format_exception(type(one), one, one.__traceback__)
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if Path(frame.f_code.co_filename).parent == Path(_secrets.__file__).parent:
                parts += [repr(value) for value in frame.f_locals.values()]
        parts += [repr(getattr(one, "object", "")), repr(getattr(one, "doc", ""))]
        todo += [one.__cause__, one.__context__]
    return "\n".join(parts)


def test_each_provider_gives_way_to_the_one_before_it(folder, plugin, monkeypatch):
    plugin.values = {"TOKEN": "plugin"}
    assert flowhold.secret("TOKEN") == "plugin"
    toml_file('TOKEN = "toml"')
    assert flowhold.secret("TOKEN") == "toml"
    (folder / "TOKEN").write_text("folder")
    assert flowhold.secret("TOKEN") == "folder"
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", "variable")
    assert flowhold.secret("TOKEN") == "variable"
    with flowhold.secrets({"TOKEN": "block"}):
        assert flowhold.secret("TOKEN") == "block"
    assert flowhold.secret("TOKEN") == "variable"


@pytest.mark.parametrize("text", ["12345", "true", '{"a": 1}', "null", ""])
def test_a_value_stays_the_text_that_it_is(text, folder, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_A", text)
    (folder / "B").write_text(text)
    toml_file(f"C = '{text}'")
    assert _secrets.resolve(["A", "B", "C"]) == {"A": text, "B": text, "C": text}


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"v\n", "v"), (b"v\r\n", "v"), (b"v\n\n", "v\n"), (b" v ", " v "), (b"\n", ""), (b"", "")],
)
def test_one_newline_at_the_end_of_a_file_is_not_part_of_the_secret(folder, data, value):
    (folder / "TOKEN").write_bytes(data)
    assert flowhold.secret("TOKEN") == value


def test_a_folder_of_links_is_read_as_kubernetes_mounts_it(folder):
    (folder / "..2024").mkdir()
    (folder / "..2024" / "db.password").write_text(VALUE)
    (folder / "..data").symlink_to("..2024")
    (folder / "db.password").symlink_to("..data/db.password")
    assert flowhold.secret("db.password") == VALUE
    with pytest.raises(SecretNotFoundError):
        flowhold.secret("..data")


@pytest.mark.parametrize("name", ["../outside", "..", ".", "sub/inner", "sub\\inner", "c:x"])
def test_a_name_cannot_lead_out_of_the_folder(folder, name):
    (folder.parent / "outside").write_text(VALUE)
    (folder / "sub").mkdir()
    (folder / "sub" / "inner").write_text(VALUE)
    (folder / "sub\\inner").write_text(VALUE)
    with pytest.raises(SecretNotFoundError):
        flowhold.secret(name)


@pytest.mark.parametrize("name", ["", "a\nb", "a\0b", "\ud800", 5, None])
def test_a_name_that_is_not_printable_text_is_refused(name):
    with pytest.raises(ConfigurationError, match="name of a secret must be printable text"):
        flowhold.secret(name)


def test_blocks_nest_and_end_with_their_block():
    with flowhold.secrets({"A": "outer", "B": "outer"}):
        with contextlib.suppress(RuntimeError), flowhold.secrets({"A": "inner"}):
            assert (flowhold.secret("A"), flowhold.secret("B")) == ("inner", "outer")
            raise RuntimeError
        assert flowhold.secret("A") == "outer"
    with pytest.raises(SecretNotFoundError):
        flowhold.secret("A")


def test_a_block_does_not_reach_other_threads():
    found = []

    def look():
        with contextlib.suppress(SecretNotFoundError):
            found.append(flowhold.secret("A"))

    with flowhold.secrets({"A": "mine"}):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert found == []


def test_provided_secrets_give_way_to_an_outer_block_but_not_to_other_providers(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_B", "variable")
    with (
        flowhold.secrets({"A": "block"}),
        _secrets.provided({"A": "provided", "B": "provided"}),
    ):
        assert (flowhold.secret("A"), flowhold.secret("B")) == ("block", "provided")


def test_a_block_keeps_its_own_copy():
    values = {"A": "a"}
    block = flowhold.secrets(values)
    values["A"] = "changed"
    with block:
        assert flowhold.secret("A") == "a"


def test_not_found_says_where_it_looked(folder):
    with pytest.raises(SecretNotFoundError) as caught:
        flowhold.secret("TOKEN")
    toml = Path(os.environ["FLOWHOLD_CONFIG_DIR"], "secrets.toml")
    assert str(caught.value) == (
        f"no secret 'TOKEN' in flowhold.secrets(...), FLOWHOLD_SECRET_TOKEN, {folder}, "
        f"{toml} (no such file) or plugins"
    )
    assert caught.value.hint == f"set FLOWHOLD_SECRET_TOKEN, or add TOKEN to {toml}"
    assert isinstance(caught.value, LookupError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_not_found_says_that_no_folder_is_set():
    toml_file("OTHER = 'x'")
    with pytest.raises(SecretNotFoundError, match=r"SECRETS_DIR \(not set\), \S+toml or plugins"):
        flowhold.secret("TOKEN")


def test_all_missing_secrets_are_named_at_once(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_B", VALUE)
    with pytest.raises(SecretNotFoundError, match="no secret 'A' or 'C' in") as caught:
        _secrets.resolve(["A", "B", "C"])
    assert VALUE not in shown_by(caught.value)
    assert _secrets.resolve([]) == {}


@pytest.mark.skipif(os.name != "posix", reason="permission bits are a POSIX thing")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_secrets_file_open_to_others_is_refused(mode, monkeypatch):
    path = toml_file(f"TOKEN = '{VALUE}'", mode)
    with pytest.raises(ConfigurationError, match="other users may read or change it") as caught:
        flowhold.secret("TOKEN")
    assert caught.value.hint == f"run: chmod 600 {path}"
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", "variable")
    assert flowhold.secret("TOKEN") == "variable"


@pytest.mark.parametrize("literal", ["12345678", "[12345678]", "{x = 12345678}", "true"])
def test_a_toml_value_that_is_not_a_string_is_an_error_without_the_value(literal):
    path = toml_file(f"TOKEN = {literal}")
    with pytest.raises(ConfigurationError) as caught:
        flowhold.secret("TOKEN")
    assert str(caught.value) == f"secret 'TOKEN' in {path} is not a string"
    assert "12345678" not in shown_by(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"TOKEN = '{VALUE}'\nB = {VALUE}",
        f"TOKEN = '{VALUE}",
        f"{VALUE}",
        f"TOKEN = '{VALUE}'\nTOKEN = '{VALUE}'",
        f"TOKEN = '{VALUE}'".encode() + b"\xff",
        f"TOKEN = '{VALUE}'\nB = ".encode() + b"[" * 100_000,
        f"TOKEN = '{VALUE}'\nB = ".encode() + b"9" * 5000,
    ],
)
def test_a_broken_secrets_file_is_an_error_without_its_content(text):
    path = toml_file(text)
    with pytest.raises(ConfigurationError) as caught:
        flowhold.secret("TOKEN")
    assert str(caught.value).startswith(f"{path} is not valid TOML")
    assert VALUE not in shown_by(caught.value)
    assert "99999" not in shown_by(caught.value)


def test_a_mounted_file_that_is_not_text_is_an_error_without_its_content(folder):
    (folder / "TOKEN").write_bytes(VALUE.encode() + b"\xff")
    with pytest.raises(ConfigurationError, match="TOKEN is not UTF-8 text") as caught:
        flowhold.secret("TOKEN")
    assert VALUE not in shown_by(caught.value)


def test_a_mounted_file_that_cannot_be_read_is_an_error(folder):
    (folder / "TOKEN").symlink_to("TOKEN")
    with pytest.raises(ConfigurationError, match="TOKEN cannot be read"):
        flowhold.secret("TOKEN")


def test_a_secrets_file_that_cannot_be_read_is_an_error():
    path = Path(os.environ["FLOWHOLD_CONFIG_DIR"], "secrets.toml")
    path.symlink_to(path)
    with pytest.raises(ConfigurationError, match=r"secrets\.toml cannot be read"):
        flowhold.secret("TOKEN")


@pytest.mark.parametrize("value", [87654321, None, VALUE.encode()])
def test_a_block_takes_strings_only(value):
    with pytest.raises(ConfigurationError, match="value of secret 'A' is not a string") as caught:
        flowhold.secrets({"A": value, "B": VALUE})
    assert "87654321" not in str(caught.value)
    assert VALUE not in str(caught.value)


def test_a_plugin_that_gives_no_string_is_an_error_without_the_value(plugin):
    plugin.values = {"TOKEN": 12345678}
    with pytest.raises(PluginError, match="else than a string for secret 'TOKEN'") as caught:
        flowhold.secret("TOKEN")
    assert "12345678" not in shown_by(caught.value)


def test_a_plugin_may_know_names_that_are_no_file_names(plugin, folder):
    plugin.values = {"aws/prod/db:password": VALUE}
    assert flowhold.secret("aws/prod/db:password") == VALUE


def test_the_repr_of_resolved_secrets_shows_names_only(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_A", VALUE)
    found = _secrets.resolve(["A"])
    assert found == {"A": VALUE}
    assert repr(found) == str(found) == f"{found}" == "<secrets: A>"
    assert VALUE not in repr(vars(flowhold.secrets(found)))


def test_asking_for_a_secret_that_is_at_hand_loads_no_plugins():
    code = (
        "import sys, flowhold\n"
        "with flowhold.secrets({'A': 'a'}): flowhold.secret('A')\n"
        "print(sorted({'pluggy', 'tomllib', 'tomli', 'importlib.metadata'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


almost_toml = st.lists(
    st.sampled_from(
        ["TOKEN", "=", '"', "'", "[", "]", "{", "\n", ".", "\\", "1", "\udcff", "\0", " "]
    )
    | st.sampled_from(["[" * 3000, "9" * 5000, "1979-05-27"]),
    max_size=10,
).map(lambda parts: "".join(parts).encode(errors="surrogateescape"))


@given(st.binary() | almost_toml)
def test_whatever_the_secrets_file_holds_only_our_errors_come_out(data):
    toml_file(f"OTHER = '{VALUE}'\n".encode() + data)
    caught = None
    try:
        assert isinstance(flowhold.secret("TOKEN"), str)
    except FlowholdError as error:
        caught = error
    assert caught is None or VALUE not in shown_by(caught)


@given(st.text())
def test_whatever_the_name_only_our_errors_come_out(name):
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(FlowholdError):
        patch.setenv("FLOWHOLD_SECRETS_DIR", os.environ["FLOWHOLD_DATA_DIR"])
        assert isinstance(flowhold.secret(name), str)


def test_a_name_too_long_for_a_file_is_not_found(folder):
    with pytest.raises(SecretNotFoundError):
        flowhold.secret("x" * 5000)

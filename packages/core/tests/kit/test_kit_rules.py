"""The kit itself: its composition, replaced tests, the summary, isolation, and what it imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flowhold.testing import ObjectStoreTests, RefusedAccessTests, StorageTests, replaces

pytest_plugins = ["pytester"]
SUITES = [ObjectStoreTests, RefusedAccessTests, StorageTests]
HEAD = """
import pytest
from flowhold.filestore import FileStore
from flowhold.testing import RefusedAccessTests, replaces
from flowhold.errors import AccessDeniedError

class Denied(FileStore):
    def _path(self, key):
        raise AccessDeniedError("no")
    def list(self, prefix="", start_after=None):
        raise AccessDeniedError("no")

class Mine(RefusedAccessTests):
    @pytest.fixture
    def store(self, tmp_path):
        return FileStore(tmp_path)

    @pytest.fixture
    def denied(self, tmp_path):
        return Denied(tmp_path)
"""
TEST = "test_refused_credentials_are_access_denied"


@pytest.fixture
def kit(pytester):
    """Return a function that runs a test file."""

    def kit(source, *arguments, run=pytester.runpytest_inprocess):
        pytester.makepyfile(HEAD + source)
        pytester.makeini("[pytest]\naddopts = --strict-markers\nfilterwarnings = error")
        return run("-p", "no:cacheprovider", *arguments)

    return kit


@pytest.mark.parametrize("suite", SUITES)
def test_no_theme_hides_a_test_or_fixture_of_another(suite):
    seen = {}
    for base in suite.__mro__:
        for name in vars(base):
            if not name.startswith("__") and name != "pytestmark":
                assert name not in seen, f"{base.__name__}.{name} and {seen[name]}"
                seen[name] = base.__name__


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_is_not_collected_where_it_is_imported(suite):
    assert not suite.__name__.startswith("Test")


def test_replacing_a_test_without_a_reason_is_an_error():
    with pytest.raises(TypeError, match=rf"Other.{TEST} replaces a test .* without saying why"):

        class Other(RefusedAccessTests):
            def test_refused_credentials_are_access_denied(self):
                pass


def test_hiding_a_test_is_replacing_it():
    with pytest.raises(TypeError, match="without saying why"):

        class Other(RefusedAccessTests):
            test_refused_credentials_are_access_denied = None


def test_a_mixin_cannot_replace_a_test_unseen():
    class Mixin:
        def test_refused_credentials_are_access_denied(self):
            pass

    with pytest.raises(TypeError, match=rf"Mixin.{TEST} replaces"):

        class Other(Mixin, RefusedAccessTests):
            pass


def test_a_mark_is_no_reason():
    with pytest.raises(TypeError, match="without saying why"):

        class Other(RefusedAccessTests):
            @pytest.mark.xfail(reason="later")
            def test_refused_credentials_are_access_denied(self):
                pass


def test_a_reason_must_say_something():
    with pytest.raises(TypeError, match="needs a reason"):
        replaces(reason=" ")


def test_replacing_what_the_kit_does_not_have_is_an_error():
    with pytest.raises(TypeError, match="has none of that name"):

        class Other(RefusedAccessTests):
            @replaces(reason="misspelt")
            def test_refused_credential(self):
                pass


def test_a_class_may_have_tests_of_its_own():
    class Other(RefusedAccessTests):
        def test_own(self):
            pass

    class Further(Other):
        def test_own(self):
            pass

    assert Further.test_own is not Other.test_own


def test_an_error_at_the_class_is_an_error_of_collecting(kit):
    result = kit(f"class TestMine(Mine):\n    def {TEST}(self): pass\n")
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*TypeError: TestMine.{TEST} replaces a test*"])


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "1")], ids=["here", "xdist"])
def test_the_run_ends_with_the_counts_of_each_class(kit, pytester, workers):
    if workers:
        pytest.importorskip("xdist")
    source = f"""
class TestMine(Mine):
    pass

class TestOther(Mine):
    @replaces(reason="there are no\\n  credentials")
    def {TEST}(self):
        pytest.skip("nothing to refuse")

    def test_own(self, store):
        assert store.get("missing")

    @pytest.fixture
    def broken(self):
        raise RuntimeError

    def test_setup(self, broken):
        pass

def test_of_the_user():
    pass
"""
    result = kit(source, *workers, run=pytester.runpytest_subprocess)
    result.assert_outcomes(passed=9, failed=1, errors=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*= conformance =*",
            "*.py::TestMine  |    8 passed |   0 failed |  0 replaced",
            "*.py::TestOther |    0 passed |   2 failed |  1 replaced | 1 skipped",
            f"    {TEST}: there are no credentials",
        ]
    )


def test_a_marker_selects_the_tests_of_the_kit(kit):
    kit("class TestMine(Mine): pass\ndef test_of_the_user(): pass\n", "-m", "conformance"
        ).assert_outcomes(passed=8, deselected=1)  # fmt: skip


def test_without_tests_of_the_kit_nothing_is_printed_and_nothing_is_isolated(pytester, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_STORAGE", "module")
    pytester.makepyfile(
        """
        import os, sys
        def test_of_the_user(tmp_path):
            assert os.environ["FLOWHOLD_STORAGE"] == "module"
            assert not [name for name in sys.modules if name.startswith("flowhold.testing.s")]
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*conformance*")


def test_a_test_of_the_kit_sees_no_settings_of_the_user(kit, monkeypatch, tmp_path):
    monkeypatch.setenv("FLOWHOLD_STORAGE", "module")
    monkeypatch.setenv("FLOWHOLD_SECRET_TOKEN", "x")
    (tmp_path / "flowhold.toml").write_text("storage = 'module'")
    source = """
import os
from pathlib import Path
from flowhold import settings

class TestMine(Mine):
    def test_settings(self, tmp_path):
        assert settings.current().storage == "local"
        assert "FLOWHOLD_SECRET_TOKEN" not in os.environ
        assert [*Path.cwd().iterdir()] == []
        for name in ("CONFIG", "DATA", "CACHE"):
            assert [*Path(os.environ[f"FLOWHOLD_{name}_DIR"]).iterdir()] == []
        assert [*tmp_path.iterdir()] == []
"""
    kit(source, "-k", "test_settings").assert_outcomes(passed=1, deselected=8)


def test_a_failure_shows_the_values(kit, pytester):
    source = """
from dataclasses import replace
from flowhold.testing import ObjectStoreTests

class Longer(FileStore):
    def put(self, key, parts, *, if_absent=False):
        info = super().put(key, parts, if_absent=if_absent)
        return replace(info, size=info.size + 1)

class TestMine(ObjectStoreTests):
    @pytest.fixture
    def store(self, tmp_path):
        return Longer(tmp_path)
"""
    result = kit(source, "-k", "put_returns", run=pytester.runpytest_subprocess)
    result.assert_outcomes(failed=1, deselected=238)
    result.stdout.fnmatch_lines(["E * assert ('flows/etl', 8) == ('flows/etl', 7)"])


def python(*lines):
    command = [sys.executable, "-c", "\n".join(lines)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_plugin_of_pytest_imports_nothing_heavy():
    loaded = python(
        "import pytest, sys",
        "before = set(sys.modules)",
        "import flowhold.testing.plugin",
        "print(*sorted(set(sys.modules) - before))",
    ).split()
    assert loaded == ["flowhold", "flowhold.testing", "flowhold.testing.plugin"]


def test_the_kit_without_pytest_says_how_to_have_it():
    shown = python(
        "import sys",
        "sys.modules['pytest'] = None",
        "try:",
        "    from flowhold.testing import StorageTests",
        "except ImportError as error:",
        "    print(error)",
    )
    assert shown == 'the conformance kit needs pytest: pip install "flowhold[testing]"\n'


def test_an_unknown_name_of_the_kit_is_an_attribute_error():
    with pytest.raises(ImportError):
        from flowhold.testing import NoSuchTests  # noqa: F401
    import flowhold.testing

    assert set(flowhold.testing.__all__) <= set(dir(flowhold.testing))

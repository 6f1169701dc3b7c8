from __future__ import annotations

import importlib
import json
import logging
import pickle
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import flowhold
from flowhold import errors, plugins
from flowhold.plugins import StorageInfo

STORAGE = """
    import flowhold
    from flowhold.plugins import StorageInfo

    @flowhold.hookimpl
    def flowhold_storages():
        return [StorageInfo("{name}", "A storage.", "{module}_classes:{cls}"{more})]
"""
SCHEME = ', scheme="{name}", object_store_class="{module}_classes:Store"'


class Site:
    """A folder on sys.path in which distributions are installed by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def distribution(self, name, entry_points, version="1.0", **modules):
        info = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"[{group}]\n{line}\n" for group, line in entry_points]
        (info / "entry_points.txt").write_text("\n".join(lines))
        for module, source in modules.items():
            (self.path / f"{module}.py").write_text(textwrap.dedent(source))
        importlib.invalidate_caches()

    def storage(self, name, distribution=None, *, version="1.0", api=1, scheme=False, adds=None):
        """Install a working storage plugin called after the storage."""
        distribution = distribution or f"acme-{name}"
        module = f"{distribution.replace('-', '_')}_plugin"
        cls = (adds or name).title()
        points = [(f"flowhold.storage.v{api}", f"{name} = {module}")]
        if scheme:
            points.append((f"flowhold.object_store.v{api}", f"{name} = {module}"))
        more = SCHEME.format(name=name, module=module) if scheme else ""
        source = STORAGE.format(name=adds or name, module=module, cls=cls, more=more)
        classes = f"class {cls}: ...\nclass Store: ...\n"
        self.distribution(
            distribution, points, version, **{module: source, f"{module}_classes": classes}
        )
        return module

    def broken(self, name, source, distribution=None):
        distribution = distribution or f"acme-{name}"
        module = f"{distribution.replace('-', '_')}_plugin"
        self.distribution(
            distribution, [("flowhold.storage.v1", f"{name} = {module}")], **{module: source}
        )

    def plugin(self, name, source, distribution=None, api=1):
        distribution = distribution or f"acme-{name}"
        module = f"{distribution.replace('-', '_')}_plugin"
        point = (f"flowhold.plugins.v{api}", f"{name} = {module}")
        self.distribution(distribution, [point], **{module: source})


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch, core_alone):
    for name in ("CONFIG_DIR", "DATA_DIR", "CACHE_DIR"):
        monkeypatch.setenv(f"FLOWHOLD_{name}", str(tmp_path / name.lower()))
    monkeypatch.delenv("FLOWHOLD_DISABLED_PLUGINS", raising=False)
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("acme"):
            del sys.modules[name]


@pytest.fixture
def site(tmp_path, monkeypatch):
    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.syspath_prepend(path)
    return Site(path)


def imported():
    return {name for name in sys.modules if name.startswith("acme")}


def rows(**options):
    return {row["name"]: row for row in plugins.listing(**options)}


def provider(answer):
    class Provider:
        @flowhold.hookimpl
        def flowhold_secret(self, name):
            return answer(name)

    return Provider()


def storages(*infos):
    class Plugin:
        @flowhold.hookimpl
        def flowhold_storages(self):
            return list(infos)

    return Plugin()


def test_an_installed_storage_is_found_by_its_name(site):
    site.storage("tape")
    assert plugins.storage_class("tape").__name__ == "Tape"
    assert plugins.storage_class("tape") is plugins.storage_class("tape")
    assert plugins.storage_info("tape").summary == "A storage."


def test_an_object_store_is_found_by_its_scheme(site):
    module = site.storage("tape", scheme=True)
    assert plugins.object_store_class("tape") is sys.modules[f"{module}_classes"].Store


def test_one_module_can_add_several_storages(site):
    source = """
        import flowhold
        from flowhold.plugins import StorageInfo

        @flowhold.hookimpl
        def flowhold_storages():
            return [StorageInfo(name, "", f"acme_forge:{name.title()}") for name in ("hub", "lab")]

        class Hub: ...
        class Lab: ...
    """
    points = [("flowhold.storage.v1", f"{name} = acme_forge") for name in ("hub", "lab")]
    site.distribution("acme-forge", points, acme_forge=source)
    assert plugins.storage_class("hub").__name__ == "Hub"
    assert plugins.storage_class("lab").__name__ == "Lab"


def test_an_object_with_hooks_can_be_the_entry_point(site):
    source = """
        import flowhold
        from flowhold.plugins import StorageInfo

        class Plugin:
            @flowhold.hookimpl
            def flowhold_storages(self):
                return [StorageInfo("tape", "", "acme_tape:Plugin")]

        plugin = Plugin()
    """
    points = [("flowhold.storage.v1", "tape = acme_tape:plugin")]
    site.distribution("acme-tape", points, acme_tape=source)
    assert plugins.storage_class("tape").__name__ == "Plugin"


def test_resolving_one_of_fifty_imports_that_one(site):
    for number in range(50):
        site.storage(f"tape{number}")
    plugins.storage_class("tape31")
    assert imported() == {"acme_tape31_plugin", "acme_tape31_plugin_classes"}


def test_describing_a_storage_does_not_import_its_class(site):
    site.storage("tape")
    plugins.storage_info("tape")
    assert imported() == {"acme_tape_plugin"}


def test_a_storage_installed_while_running_is_found(site):
    with pytest.raises(errors.PluginNotFoundError):
        plugins.storage_class("tape")
    site.storage("tape")
    assert plugins.storage_class("tape")


def test_a_storage_is_found_in_one_look_that_reads_no_description_of_a_distribution(
    site, monkeypatch
):
    import importlib_metadata

    site.storage("toy")
    looks, look = [], importlib_metadata.entry_points
    monkeypatch.setattr("importlib_metadata.entry_points", lambda: looks.append("look") or look())
    described = property(lambda self: pytest.fail(f"{self} was described"))
    monkeypatch.setattr("importlib_metadata.Distribution.metadata", described)
    assert plugins.storage_class("toy").__name__ == "Toy"
    assert looks == ["look"]


def test_listing_imports_no_plugin(site):
    for number in range(5):
        site.storage(f"tape{number}", scheme=True)
    site.plugin("vault", "raise RuntimeError")
    found = rows()
    assert not imported()
    assert {key: found["tape3"][key] for key in ("distribution", "version", "status")} == {
        "distribution": "acme-tape3",
        "version": "1.0",
        "status": "installed",
    }
    assert found["vault"]["status"] == "installed"


def test_listing_tells_what_is_built_in_and_what_could_be_installed():
    found = rows()
    for name in ("local", "memory", "bytes", "module"):
        assert found[name]["status"] == "built-in"
        assert found[name]["distribution"] == "flowhold"
        assert found[name]["version"] == flowhold.__version__
    assert {name for name, row in found.items() if row["status"] == "available"} == {*plugins.KNOWN}
    assert found["github"]["hint"] == 'pip install "flowhold[github]"'
    json.dumps(plugins.listing())


def test_every_known_storage_names_an_extra_of_the_distribution():
    import importlib_metadata

    extras = importlib_metadata.metadata("flowhold").get_all("Provides-Extra")
    assert {*plugins.KNOWN.values()} <= {*extras}


def test_our_entry_points_and_the_built_in_hook_agree():
    import importlib_metadata

    points = importlib_metadata.distribution("flowhold").entry_points
    for group in ("storage", "object_store"):
        named = {point.name for point in points if point.group == f"flowhold.{group}.v1"}
        infos = importlib.import_module("flowhold._builtin").flowhold_storages()
        assert named == {i.name if group == "storage" else i.scheme for i in infos} - {None}


def test_a_check_reports_what_does_not_import(site):
    site.storage("tape", scheme=True)
    site.broken("torn", "import acme_absent")
    site.plugin("vault", "1 / 0")
    assert {rows()[name]["status"] for name in ("tape", "torn", "vault")} == {"installed"}
    found = rows(check=True)
    assert found["tape"]["status"] == "installed"
    assert found["torn"]["status"] == "broken"
    assert "No module named 'acme_absent'" in found["torn"]["error"]
    assert found["vault"]["status"] == "broken"
    assert "ZeroDivisionError" in found["vault"]["error"]


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import acme_absent", "No module named 'acme_absent'"),
        ("raise RuntimeError('no tape drive')", "RuntimeError: no tape drive"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        ("def flowhold_storages(): return []", "decorated with @flowhold.hookimpl"),
        (
            "import flowhold\n@flowhold.hookimpl\ndef flowhold_storages(): raise OSError('torn')",
            "OSError: torn",
        ),
        ("import flowhold\n@flowhold.hookimpl\ndef flowhold_storages(drive): ...", "'drive'"),
        ("import flowhold\n@flowhold.hookimpl\ndef flowhold_storage(): ...", "unknown hook"),
        ("import flowhold\n@flowhold.hookimpl\ndef flowhold_storages(): return 1", "not iterable"),
        (
            "import flowhold\n@flowhold.hookimpl\ndef flowhold_storages(): return ['torn']",
            "returned 'torn', not a StorageInfo",
        ),
        (
            "import flowhold\n@flowhold.hookimpl(wrapper=True)\n"
            "def flowhold_storages(): return (yield)",
            "hook wrappers are not supported",
        ),
        (
            "import flowhold\n@flowhold.hookimpl\ndef flowhold_secret(name): ...",
            "names the storage",
        ),
    ],
)
def test_a_broken_plugin_breaks_only_itself(site, source, cause):
    site.storage("tape")
    site.broken("torn", source)
    for _ in range(2):
        with pytest.raises(errors.PluginLoadError, match=re.escape(cause)) as caught:
            plugins.storage_class("torn")
        text = str(caught.value)
        assert "acme-torn 1.0" in text
        assert "torn = acme_torn_plugin" in text
        assert caught.value.hint
    assert plugins.storage_class("tape").__name__ == "Tape"
    assert plugins.call_all("flowhold_built", storage=None, references=[]) == []


def test_a_load_error_has_the_original_error_as_its_cause(site):
    site.broken("torn", "raise RuntimeError('no tape drive')")
    with pytest.raises(errors.PluginLoadError) as caught:
        plugins.storage_class("torn")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_missing_class_is_a_load_error(site):
    module = site.storage("tape")
    (site.path / f"{module}_classes.py").write_text("Tape = 1\n")
    with pytest.raises(errors.PluginLoadError, match="is not a class"):
        plugins.storage_class("tape")
    del sys.modules[f"{module}_classes"]
    (site.path / f"{module}_classes.py").write_text("# nothing of that name\n")
    importlib.invalidate_caches()
    with pytest.raises(errors.PluginLoadError, match="AttributeError"):
        plugins.storage_class("tape")


def test_an_sdk_that_is_missing_is_answered_with_the_extra(site):
    site.broken("s3", "import acme_boto3")
    with pytest.raises(errors.PluginLoadError) as caught:
        plugins.storage_class("s3")
    assert caught.value.hint == 'pip install "flowhold[s3]"'


@pytest.mark.parametrize("refused", [False, True])
def test_an_entry_point_that_cannot_be_one_harms_no_other(site, monkeypatch, refused):
    site.storage("tape")
    site.distribution("acme-torn", [("flowhold.storage.v1", "torn = not a module!")])
    if refused:
        # As importlib-metadata 9 does, the last for Python 3.10.
        monkeypatch.setattr("importlib_metadata.entry_points", lambda: int("malformed"))
    assert rows()["tape"]["status"] == "installed"
    assert plugins.storage_class("tape")
    # Depending on the version it is listed and cannot be loaded, or is not even seen.
    with pytest.raises((errors.PluginLoadError, errors.PluginNotFoundError), match="torn"):
        plugins.storage_class("torn")


def test_a_distribution_without_metadata_harms_no_other(site):
    site.storage("tape")
    site.storage("reel")
    (site.path / "acme_reel-1.0.dist-info" / "METADATA").unlink()
    assert plugins.storage_class("tape")
    assert plugins.storage_class("reel")
    assert rows()["reel"]["status"] == "installed"
    assert rows()["reel"]["distribution"] == "an unknown distribution"


def test_a_name_other_than_its_entry_point_is_a_load_error(site):
    site.storage("tape", adds="reel")
    with pytest.raises(errors.PluginLoadError, match="'reel'") as caught:
        plugins.storage_class("tape")
    assert "entry point tape" in str(caught.value)
    with pytest.raises(errors.PluginNotFoundError):
        plugins.storage_class("reel")


def test_two_distributions_of_one_name_conflict(site):
    site.storage("tape", "acme-one")
    site.storage("tape", "acme-two", version="2.5")
    with pytest.raises(errors.PluginConflictError) as caught:
        plugins.storage_class("tape")
    assert "acme-one 1.0" in str(caught.value)
    assert "acme-two 2.5" in str(caught.value)
    assert [r["status"] for r in plugins.listing() if r["name"] == "tape"] == ["conflict"] * 2
    assert not imported()


def test_two_distributions_of_one_scheme_conflict(site):
    site.storage("tape", "acme-one", scheme=True)
    site.distribution("acme-two", [("flowhold.object_store.v1", "tape = acme_two")])
    with pytest.raises(errors.PluginConflictError, match="object store 'tape'"):
        plugins.object_store_class("tape")
    assert plugins.storage_class("tape")
    found = [row for row in plugins.listing() if row["kind"] == "object store"]
    assert {row["distribution"] for row in found} == {"acme-one", "acme-two"}


def test_a_stale_copy_of_a_distribution_is_no_conflict(site, tmp_path, monkeypatch):
    old = Site(tmp_path / "old")
    old.storage("tape", version="0.9")
    monkeypatch.setattr(sys, "path", [*sys.path, str(old.path)])
    site.storage("tape", version="1.0")
    assert plugins.storage_class("tape")
    assert [r["version"] for r in plugins.listing() if r["name"] == "tape"] == ["1.0"]


def test_nothing_shadows_a_built_in_storage(site):
    site.storage("local", scheme=True)
    assert plugins.storage_info("local").storage_class == "flowhold.storage.local:Local"
    assert not imported()
    found = [row for row in plugins.listing() if row["name"] == "local"]
    states = {row["distribution"]: row["status"] for row in found if row["kind"] == "storage"}
    assert states == {"flowhold": "built-in", "acme-local": "conflict"}
    assert not any(row["name"] == "file" for row in plugins.listing())


@pytest.mark.parametrize(
    ("api", "upgrade"),
    [(0, "pip install --upgrade acme-tape"), (2, "pip install --upgrade flowhold")],
)
def test_a_plugin_for_another_interface_says_which_side_to_upgrade(site, api, upgrade):
    site.storage("tape", api=api, scheme=True)
    for find in (plugins.storage_class, plugins.object_store_class):
        with pytest.raises(errors.PluginVersionError, match=f"version {api}") as caught:
            find("tape")
        assert caught.value.hint == upgrade
    found = [row for row in plugins.listing() if row["name"] == "tape"]
    assert {row["status"] for row in found} == {"incompatible"}
    assert {row["hint"] for row in found} == {upgrade}
    assert not imported()


def test_a_plugin_for_two_interfaces_is_used(site):
    module = site.storage("tape")
    (site.path / "acme_tape-1.0.dist-info" / "entry_points.txt").write_text(
        f"[flowhold.storage.v1]\ntape = {module}\n[flowhold.storage.v2]\ntape = acme_next\n"
    )
    assert plugins.storage_class("tape")
    assert [r["status"] for r in plugins.listing() if r["name"] == "tape"] == ["installed"]


def test_an_unknown_name_is_answered_with_near_ones_and_what_is_installed(site):
    site.storage("tape")
    with pytest.raises(errors.PluginNotFoundError) as caught:
        plugins.storage_class("locla")
    assert "did you mean 'local'?" in str(caught.value)
    assert "installed: bytes, local, memory, module, tape" in str(caught.value)
    assert caught.value.storage == "locla"


@pytest.mark.parametrize("name", sorted(plugins.KNOWN))
def test_a_name_of_ours_is_answered_with_its_install_command(name):
    with pytest.raises(errors.PluginNotFoundError) as caught:
        plugins.storage_class(name)
    assert f'pip install "flowhold[{name}]"' in str(caught.value)
    assert caught.value.hint == f'pip install "flowhold[{name}]"'


@pytest.mark.parametrize(("scheme", "extra"), [("s3", "s3"), ("gs", "gcs"), ("az", "azure")])
def test_a_scheme_of_ours_is_answered_with_its_install_command(scheme, extra):
    with pytest.raises(errors.PluginNotFoundError) as caught:
        plugins.object_store_class(scheme)
    assert caught.value.hint == f'pip install "flowhold[{extra}]"'


def test_a_slip_of_a_name_of_ours_is_answered_with_its_install_command():
    with pytest.raises(errors.PluginNotFoundError, match="did you mean 'github'") as caught:
        plugins.storage_class("GitHub")
    assert caught.value.hint == 'pip install "flowhold[github]"'


def test_a_disabled_plugin_is_not_imported(site, monkeypatch):
    site.storage("tape", scheme=True)
    site.plugin("vault", "raise RuntimeError")
    monkeypatch.setenv("FLOWHOLD_DISABLED_PLUGINS", "tape, vault,memory")
    for find in (plugins.storage_class, plugins.object_store_class):
        with pytest.raises(errors.PluginNotFoundError, match="disabled") as caught:
            find("tape")
        assert "FLOWHOLD_DISABLED_PLUGINS" in caught.value.hint
    with pytest.raises(errors.PluginNotFoundError, match="disabled"):
        plugins.storage_class("memory")
    assert plugins.call_first("flowhold_secret", name="TOKEN") is None
    found = rows(check=True)
    assert {found[n]["status"] for n in ("tape", "vault", "memory")} == {"disabled"}
    assert not imported()
    monkeypatch.delenv("FLOWHOLD_DISABLED_PLUGINS")
    assert plugins.storage_class("tape")


def test_a_disabled_plugin_is_not_proposed(site, monkeypatch):
    site.storage("tape")
    monkeypatch.setenv("FLOWHOLD_DISABLED_PLUGINS", "tape")
    with pytest.raises(errors.PluginNotFoundError) as caught:
        plugins.storage_class("tapes")
    assert "'tape'" not in str(caught.value)


def test_from_import_gives_the_class_of_the_plugin(site):
    module = site.storage("tape")
    from flowhold.storage import Tape

    assert Tape is sys.modules[f"{module}_classes"].Tape


def test_from_import_of_a_missing_storage_shows_the_text():
    with pytest.raises(ImportError, match=re.escape('pip install "flowhold[s3]"')):
        from flowhold.storage import S3  # noqa: F401


def test_names_that_are_no_class_names_are_plain_attribute_errors():
    storage = importlib.import_module("flowhold.storage")
    for name in ("s3", "__wrapped__", "_private", "pytest_plugins", "tape"):
        assert not hasattr(storage, name)


def test_the_errors_of_storages_pickle(site, monkeypatch):
    site.broken("torn", "import acme_absent")
    site.storage("old", api=0)
    site.storage("tape", "acme-one")
    site.storage("tape", "acme-two")
    caught = []
    for name in ("torn", "old", "tape", "s3"):
        with pytest.raises(errors.PluginError) as info:
            plugins.storage_class(name)
        caught.append(info.value)
    assert len({type(error) for error in caught}) == 4
    for error in caught:
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert (str(copy), copy.hint, copy.storage) == (str(error), error.hint, error.storage)


def test_the_name_of_a_storage_class_is_its_own_name_in_lower_case():
    class CodeCommit: ...

    class Special(CodeCommit):
        type_name = "very-special"

    class Derived(Special): ...

    assert plugins.storage_name(CodeCommit) == "codecommit"
    assert plugins.storage_name(Special) == "very-special"
    assert plugins.storage_name(Derived) == "derived"


def test_a_storage_registered_in_process_is_found_until_it_is_unregistered():
    plugin = storages(StorageInfo("tape", "", "io:BytesIO", "tp", "io:StringIO"))
    plugins.register(plugin, name="demo")
    assert plugins.storage_class("tape").__name__ == "BytesIO"
    assert plugins.object_store_class("tp").__name__ == "StringIO"
    assert rows()["tape"]["status"] == "installed"
    assert rows()["tape"]["distribution"] is None
    plugins.unregister(plugin)
    with pytest.raises(errors.PluginNotFoundError):
        plugins.storage_class("tape")
    with pytest.raises(errors.PluginNotFoundError):
        plugins.unregister(plugin)


def test_a_storage_registered_in_process_comes_before_an_installed_one(site):
    site.storage("tape")
    assert plugins.storage_class("tape").__name__ == "Tape"
    plugin = storages(StorageInfo("tape", "", "io:BytesIO"))
    plugins.register(plugin)
    assert plugins.storage_class("tape").__name__ == "BytesIO"
    plugins.unregister(plugin)
    assert plugins.storage_class("tape").__name__ == "Tape"


@pytest.mark.parametrize("name", ["local", "tape"])
def test_a_storage_registered_in_process_takes_no_name_away(name):
    plugins.register(storages(StorageInfo("tape", "", "io:BytesIO")))
    second = storages(StorageInfo(name, "", "io:StringIO"))
    with pytest.raises(errors.PluginConflictError, match=name):
        plugins.register(second)
    assert plugins.storage_class("tape").__name__ == "BytesIO"
    with pytest.raises(errors.PluginNotFoundError):
        plugins.unregister(second)


def test_registering_twice_is_a_conflict():
    plugin = provider(str.lower)
    plugins.register(plugin, name="vault")
    with pytest.raises(errors.PluginConflictError):
        plugins.register(plugin, name="other")
    with pytest.raises(errors.PluginConflictError):
        plugins.register(provider(str.upper), name="vault")
    assert plugins.call_first("flowhold_secret", name="Token") == "token"


def test_an_object_that_implements_no_hook_is_not_registered():
    thing = object()
    with pytest.raises(errors.PluginLoadError, match="hookimpl"):
        plugins.register(thing)
    with pytest.raises(errors.PluginNotFoundError):
        plugins.unregister(thing)


def test_the_first_answer_wins_and_the_latest_plugin_is_asked_first():
    plugins.register(provider(lambda name: "first"))
    plugins.register(provider({"TOKEN": "second"}.get))
    assert plugins.call_first("flowhold_secret", name="TOKEN") == "second"
    assert plugins.call_first("flowhold_secret", name="OTHER") == "first"


def test_plugins_that_are_no_storages_are_loaded_on_first_use(site):
    source = """
        import flowhold

        @flowhold.hookimpl
        def flowhold_secret(name):
            return "s3cret" if name == "TOKEN" else None
    """
    site.plugin("vault", source)
    site.storage("tape")
    plugins.storage_class("tape")
    assert "acme_vault_plugin" not in sys.modules
    assert plugins.call_first("flowhold_secret", name="TOKEN") == "s3cret"
    assert plugins.call_first("flowhold_secret", name="OTHER") is None


def test_a_broken_provider_is_logged_and_the_others_answer(site, caplog):
    site.plugin("torn", "import acme_absent")
    site.plugin("old", "", api=0)
    source = "import flowhold\n@flowhold.hookimpl\ndef flowhold_secret(name): return 'found'"
    site.plugin("vault", source)
    assert plugins.call_first("flowhold_secret", name="TOKEN") == "found"
    assert plugins.call_first("flowhold_secret", name="TOKEN") == "found"
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert any("acme-torn 1.0" in message for message in messages)
    assert any("pip install --upgrade acme-old" in message for message in messages)
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_provider_that_fails_is_an_error_and_no_other_is_asked():
    def fail(name):
        raise ConnectionError("hvs.value-that-must-not-show")

    plugins.register(provider(lambda name: "wrong"), name="fallback")
    plugins.register(provider(fail), name="vault")
    with pytest.raises(errors.PluginError, match="vault") as caught:
        plugins.call_first("flowhold_secret", name="TOKEN")
    assert "hvs" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_an_error_of_flowhold_that_a_provider_raises_is_shown_as_it_is():
    def fail(name):
        raise errors.AccessDeniedError("the token has expired", hint="renew it")

    plugins.register(provider(fail), name="vault")
    with pytest.raises(errors.AccessDeniedError, match="the token has expired") as caught:
        flowhold.secret("TOKEN")
    assert caught.value.hint == "renew it"


def test_an_observer_that_fails_is_logged_and_the_others_still_see_the_event(caplog):
    seen = []

    class Observer:
        @flowhold.hookimpl
        def flowhold_built(self, storage, references):
            seen.append((storage, references))

    class Short:
        @flowhold.hookimpl
        def flowhold_built(self, references):
            seen.append(references)

    class Failing:
        @flowhold.hookimpl
        def flowhold_built(self):
            raise RuntimeError("no disk")

    for plugin in (Observer(), Failing(), Short()):
        plugins.register(plugin, name=type(plugin).__name__)
    plugins.call_all("flowhold_built", storage="S", references=["R"])
    assert seen == [["R"], ("S", ["R"])]
    assert [r.getMessage() for r in caplog.records] == [
        "Failing failed in flowhold_built: RuntimeError: no disk"
    ]


def test_an_adapter_that_fails_leaves_the_object_to_the_others(caplog):
    class Good:
        @flowhold.hookimpl
        def flowhold_adapt_flow(self, obj):
            return ("flow", obj)

    class Failing:
        @flowhold.hookimpl
        def flowhold_adapt_flow(self, obj):
            raise RuntimeError("not mine")

    plugins.register(Good())
    plugins.register(Failing(), name="failing")
    assert plugins.call_first("flowhold_adapt_flow", obj=3) == ("flow", 3)
    assert "failing" in caplog.text


def test_a_plugin_may_ask_for_a_secret_while_it_is_imported(site):
    source = """
        import flowhold
        from flowhold import plugins

        SEEN = plugins.call_first("flowhold_secret", name="TOKEN")

        @flowhold.hookimpl
        def flowhold_secret(name):
            return "later"
    """
    site.plugin("vault", source)
    assert plugins.call_first("flowhold_secret", name="TOKEN") == "later"
    assert sys.modules["acme_vault_plugin"].SEEN is None


def test_a_plugin_need_not_be_hashable():
    class Odd:
        __hash__ = None

        @flowhold.hookimpl
        def flowhold_secret(self, name):
            return "odd"

    plugin = Odd()
    plugins.register(plugin, name="odd")
    assert plugins.call_first("flowhold_secret", name="TOKEN") == "odd"
    plugins.unregister(plugin)
    assert plugins.call_first("flowhold_secret", name="TOKEN") is None


def test_importing_the_module_imports_neither_pluggy_nor_metadata():
    code = """
        import sys
        import flowhold.plugins
        heavy = {"pluggy", "importlib_metadata", "importlib.metadata", "flowhold.settings"}
        print(sorted(heavy & set(sys.modules)))
    """
    # Without site, whose .pth files may import anything.
    source = f"import sys; sys.path[:] = {sys.path!r}\n{textwrap.dedent(code)}"
    run = subprocess.run([sys.executable, "-S", "-c", source], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


def test_a_built_in_is_found_without_reading_metadata():
    code = """
        import sys
        from flowhold import plugins
        plugins.storage_info("memory")
        print("importlib_metadata" in sys.modules)
    """
    source = f"import sys; sys.path[:] = {sys.path!r}\n{textwrap.dedent(code)}"
    run = subprocess.run([sys.executable, "-S", "-c", source], capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr


def test_many_threads_may_ask_for_one_storage_at_once(site):
    from concurrent.futures import ThreadPoolExecutor

    site.storage("tape")
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(plugins.storage_class, ["tape"] * 64))
    assert {cls.__name__ for cls in found} == {"Tape"}


def test_an_object_that_is_nobodys_flow_is_not_adapted():
    assert plugins.call_first("flowhold_adapt_flow", obj=3) is None

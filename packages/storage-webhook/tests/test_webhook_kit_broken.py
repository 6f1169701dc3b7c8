"""Every storage that is broken in one way fails the test of the kit that is beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flowhold.testing import StorageTests

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
KIT = ROOT / "packages/core/tests/kit"
CASES = [
    ("ChecksNothing", "test_what_was_changed_is_not_run"),
    ("ChecksNothing", "test_a_flow_is_not_taken_for_another"),
    ("ChecksTheSizeOnly", "test_what_was_changed_is_not_run"),
    ("VerifyAsksTheCache", "test_verify_does_not_believe_the_cache"),
    ("VerifySaysYes", "test_verify_finds_what_was_changed"),
    ("VerifySaysYes", "test_verify_finds_what_is_gone"),
    ("WritesValuesDown", "test_the_document_holds_no_secret"),
    ("WritesValuesDown", "test_references_hold_no_secret"),
    ("ShowsValues", "test_repr_shows_no_secret"),
    ("LogsValues", "test_logs_show_no_secret"),
    ("TakesTheOnlyPlace", "test_storing_a_flow_again_leaves_the_earlier_one"),
    ("TakesTheOnlyPlace", "test_several_flows_each_come_back_as_themselves"),
    ("RunsBareLocations", "test_a_bare_location_of_a_pickle_is_not_run_unless_allowed"),
    ("ForgetsTheScript", "test_a_stored_script_is_pinned_and_a_found_one_is_not"),
    ("LosesInclude", "test_a_round_trip_keeps_the_option_of_objects"),
    ("LosesInclude", "test_a_bundle_brings_its_modules_and_files"),
    ("OneDigestForAll", "test_digest_and_size_are_in_the_document"),
]
HEAD = f"""
import sys
from functools import partial
from pathlib import Path

import pytest

sys.path[:0] = {[str(HERE)]}

import kit_broken_webhook as broken
from dropbox_api import TOKEN, dropbox_arguments, serving_dropbox
from flowhold import plugins
from flowhold.storage.keys import slug
from flowhold.testing import StorageTests as All


class Box:
    def __init__(self, files):
        self.files = files

    def path(self, location):
        name, _, sha256 = location.rpartition("/")
        return f"/flows/{{slug(name)}}-{{sha256}}.flow"

    def read(self, location):
        return self.files[self.path(location)]

    def write(self, location, data):
        self.files[self.path(location)] = data

    def remove(self, location):
        del self.files[self.path(location)]


class Fixtures:
    @pytest.fixture
    def dropbox(self, monkeypatch):
        monkeypatch.setenv("DBOX_OAUTH2_TOKEN", TOKEN)
        with serving_dropbox(TOKEN) as server:
            yield server

    @pytest.fixture
    def backdoor(self, dropbox):
        return Box(dropbox.files)

    @pytest.fixture
    def secret_values(self):
        return [TOKEN]

    @pytest.fixture
    def make_storage(self, dropbox):
        plugin = broken.Plugin()
        plugins.register(plugin)

        def make_storage(**options):
            if options.get("stored_as_script"):
                Path("kit_script.py").touch()
                options.setdefault("local_script_path", "kit_script.py")
            return self.kind(*dropbox_arguments(dropbox.url), **options)

        yield make_storage
        plugins.unregister(plugin)
"""


@pytest.fixture(scope="module")
def outcomes(request, tmp_path_factory):
    sys.path.insert(0, str(KIT))
    from kit_runs import run

    return run(request, tmp_path_factory.mktemp("kit"), HEAD, StorageTests, CASES)


@pytest.mark.sampled(5)
@pytest.mark.parametrize(("number", "broken", "test"), [(n, *case) for n, case in enumerate(CASES)])
def test_a_broken_storage_fails(outcomes, number, broken, test):
    from kit_runs import check

    check(outcomes, number, broken, test)


@pytest.mark.long
def test_the_good_storage_passes_all_tests(outcomes):
    good = {test: found for (name, test), found in outcomes.items() if name == "TestGood"}
    assert [test for test, found in good.items() if set(found) != {"passed"}] == []
    assert sum(map(len, good.values())) >= 200

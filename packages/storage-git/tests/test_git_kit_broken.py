"""Every storage that is broken as to revisions fails the test of the kit that is beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flowhold.testing.storages.pinning import PinningTests

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
KIT = ROOT / "packages/core/tests/kit"
CASES = [
    ("PinnedFollows", "test_a_pinned_flow_stays_as_it_was"),
    ("PinnedFollows", "test_another_revision_is_another_reference"),
    ("RecordsNothing", "test_a_pinned_flow_says_which_revision_it_is"),
    ("RecordsTheFirst", "test_another_revision_is_another_reference"),
    ("RecordsTheFirst", "test_a_pinned_flow_is_registered_anew_when_the_script_changed"),
    ("RecordsAlways", "test_a_floating_flow_follows_the_script"),
    ("FloatingStays", "test_a_floating_flow_follows_the_script"),
    ("OneCheckoutForAll", "test_another_revision_is_another_reference"),
    ("FallsBack", "test_a_revision_that_is_not_there_is_refused"),
    ("IgnoresWhatIsNoSha", "test_what_is_no_revision_is_refused"),
    ("TakesBranches", "test_what_is_no_revision_is_refused"),
    ("NoFingerprint", "test_a_pinned_flow_is_registered_anew_when_the_script_changed"),
    ("VerifySaysPinned", "test_verify_tells_pinned_from_floating"),
    ("VerifyNamesNoCommit", "test_verify_tells_pinned_from_floating"),
]
HEAD = f"""
import sys
from functools import partial

import pytest

sys.path[:0] = {[str(HERE), str(ROOT / "tests/plugins")]}

import git_repositories
import kit_broken_git as broken
from flowhold import plugins
from flowhold.testing.storages.pinning import PinningTests as All


class Fixtures:
    @pytest.fixture
    def repository(self, tmp_path):
        repository = git_repositories.make_repository(tmp_path / "kit.git")
        repository.commit({{}})
        return repository

    @pytest.fixture
    def place_script(self, repository):
        return lambda text: repository.commit({{"flows/kit_flows.py": text}})

    @pytest.fixture
    def make_storage(self, repository):
        plugin = broken.Plugin()
        plugins.register(plugin)
        yield partial(self.kind, "flows/kit_flows.py", git_clone_url=repository.url)
        plugins.unregister(plugin)
        broken.FIRST.clear()
"""


@pytest.fixture(scope="module")
def outcomes(request, tmp_path_factory):
    sys.path.insert(0, str(KIT))
    from kit_runs import run

    return run(request, tmp_path_factory.mktemp("kit"), HEAD, PinningTests, CASES)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("number", "broken", "test"), [(n, *case) for n, case in enumerate(CASES)])
def test_a_broken_storage_fails(outcomes, number, broken, test):
    from kit_runs import check

    check(outcomes, number, broken, test)


def test_every_test_of_revisions_catches_a_broken_storage():
    tests = {name for name in vars(PinningTests) if name.startswith("test_")}
    assert {test for _, test in CASES} == tests


@pytest.mark.long
def test_the_good_storage_passes_all_tests(outcomes):
    good = {test: found for (name, test), found in outcomes.items() if name == "TestGood"}
    assert [test for test, found in good.items() if set(found) != {"passed"}] == []
    assert sum(map(len, good.values())) >= 13

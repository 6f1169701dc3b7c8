"""Every broken storage fails the test of the kit that is named beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flowhold.testing import StorageTests

CASES = [
    ("LosesOption", "test_a_round_trip_keeps_every_option_of_its_own"),
    ("LosesLabels", "test_a_round_trip_through_json_keeps"),
    ("LosesOptOut", "test_an_opt_out_survives_the_round_trip"),
    ("LosesDigest", "test_digest_and_size_are_in_the_document"),
    ("SerializesPassword", "test_the_document_holds_no_secret"),
    ("SerializesPassword", "test_references_hold_no_secret"),
    ("TuplesInDocument", "test_the_document_is_plain_json"),
    ("PicklesClient", "test_no_client_is_pickled"),
    ("PicklesStore", "test_a_store_that_is_open_is_not_pickled"),
    ("PicklesPassword", "test_a_pickle_holds_no_credentials"),
    ("PasswordInRepr", "test_repr_shows_no_secret"),
    ("SecretInRepr", "test_repr_shows_no_secret"),
    ("SecretInError", "test_errors_show_no_secret"),
    ("VerifyAlwaysOk", "test_verify_finds_what_was_changed"),
    ("VerifyAlwaysOk", "test_verify_finds_what_is_gone"),
    ("VerifyAsksTheCache", "test_verify_does_not_believe_the_cache"),
    ("VerifyRuns", "test_verify_runs_nothing"),
    ("RunsWhatWasChanged", "test_what_was_changed_is_not_run"),
    ("RunsWhatWasChanged", "test_what_was_changed_is_not_extracted"),
    ("IgnoresName", "test_several_flows_each_come_back_as_themselves"),
    ("TakesDuplicates", "test_a_second_flow_of_a_name_is_refused_and_the_first_stays"),
    ("ForgetsOthers", "test_names_that_look_alike_are_kept_apart"),
    ("ReplacesSilently", "test_another_flow_at_a_taken_key_never_replaces_it_unseen"),
    ("DeleteLeavesObject", "test_deleting_removes_what_was_stored_and_nothing_else"),
    ("ReferencesAll", "test_a_reference_is_of_its_flow_only"),
    ("IgnoresResult", "test_a_result_of_the_user_replaces_the_default"),
    ("OptOutWithoutEffect", "test_opting_out_leaves_the_users_labels"),
    ("NoSecretsLookedUp", "test_a_secret_that_is_missing_is_told_before_anything_is_loaded"),
    ("NoEnvironment", "test_python_and_packages_are_recorded"),
    ("ScriptsNotDeclared", "test_a_flow_of_a_script_loads"),
    ("TellsNobody", "test_building_is_told_to_plugins"),
    ("Unregistered", "test_its_type_in_the_document_is_a_name_that_finds_the_class"),
]
HEAD = """
from functools import partial

import kit_broken_storages as broken
import pytest
from flowhold import plugins
from flowhold.testing import StorageTests as All


class Fixtures:
    @pytest.fixture
    def make_storage(self):
        plugin = broken.Plugin()
        plugins.register(plugin)
        yield partial(self.kind, "room")
        plugins.unregister(plugin)
        broken.PLACES.clear()

    @pytest.fixture
    def secret_values(self):
        return ["hunter2-canary"]
"""


@pytest.fixture(scope="module")
def outcomes(request, tmp_path_factory):
    sys.path.insert(0, str(Path(__file__).parent))
    from kit_runs import run

    return run(request, tmp_path_factory.mktemp("kit"), HEAD, StorageTests, CASES)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("number", "broken", "test"), [(n, *case) for n, case in enumerate(CASES)])
def test_a_broken_storage_fails(outcomes, number, broken, test):
    from kit_runs import check

    check(outcomes, number, broken, test)


@pytest.mark.long
def test_the_good_storage_passes_all_tests(outcomes):
    good = {test: found for (name, test), found in outcomes.items() if name == "TestGood"}
    assert [test for test, found in good.items() if set(found) != {"passed"}] == []
    assert sum(map(len, good.values())) > 120

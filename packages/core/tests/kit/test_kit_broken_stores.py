"""Every broken store fails the test of the kit that is named beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flowhold.testing import ObjectStoreTests, RefusedAccessTests

CASES = [
    ("LostWrite", "test_what_was_put_is_what_get_returns"),
    ("LostUpdate", "test_objects_written_at_once_are_all_there"),
    ("TornWrite", "test_a_new_object_is_not_seen_before_it_is_whole"),
    ("TornReplace", "test_the_old_object_is_seen_until_the_new_one_is_whole"),
    ("WrongBytes", "test_every_byte_value_survives"),
    ("Decompressed", "test_compressed_content_is_not_decompressed"),
    ("WrongLength", "test_head_returns_the_key_and_the_size_in_bytes"),
    ("IgnoredCondition", "test_if_absent_refuses_what_is_there_and_leaves_it"),
    ("RacyCondition", "test_of_several_writers_exactly_one_wins"),
    ("RacyCondition", "test_of_registrations_at_once_none_is_lost"),
    ("WrittenThenRefused", "test_if_absent_refuses_what_is_there_and_leaves_it"),
    ("EmptyIsAbsent", "test_an_empty_object_is_there_too"),
    ("StaleRead", "test_what_was_just_written_is_read_at_once"),
    ("ListOmits", "test_a_long_listing_is_complete_and_in_order"),
    ("ListOutOfOrder", "test_everything_is_listed_in_the_order_of_its_bytes"),
    ("ListStopsWhereObjectsVanish", "test_a_listing_goes_on_when_objects_vanish_meanwhile"),
    ("PrefixIsFolder", "test_a_prefix_is_a_beginning_of_keys_of_any_length"),
    ("PrefixIgnored", "test_a_prefix_is_taken_literally"),
    ("StartAfterIncluded", "test_a_listing_starts_behind_any_key"),
    ("FoldersListed", "test_a_folder_is_no_object"),
    ("TemporaryListed", "test_what_is_being_written_is_not_listed"),
    ("TemporaryListed", "test_a_source_that_breaks_off_leaves_nothing"),
    ("DeniedIsMissing", "test_refused_credentials_are_access_denied"),
    ("DeniedIsSuccess", "test_refused_credentials_are_access_denied"),
    ("SecretInRepr", "test_repr_shows_no_secret"),
    ("SecretInError", "test_errors_show_no_secret"),
    ("SecretInLog", "test_logs_show_no_secret"),
    ("DeleteNotIdempotent", "test_deleting_what_is_not_there_does_nothing"),
    ("DeleteByPrefix", "test_deleting_leaves_objects_of_similar_keys"),
    ("PartialRead", "test_an_object_of_any_size_comes_back"),
    ("OpensLate", "test_open_itself_finds_out_that_nothing_is_there"),
    ("KeyNormalised", "test_keys_stay_apart_that_differ_in"),
    ("KeyNormalised", "test_every_store_holds_keys_with"),
    ("KeyUnquoted", "test_keys_stay_apart_that_differ_in"),
    ("AnyKey", "test_what_cannot_be_a_key_is_refused"),
    ("RawError", "test_a_missing_object_is_object_not_found"),
    ("WrongError", "test_a_missing_object_is_object_not_found"),
    ("ErrorDoesNotPickle", "test_an_error_survives_pickling"),
    ("ConstantEtag", "test_the_etag_changes_with_the_bytes"),
    ("Milliseconds", "test_the_time_of_change_is_in_seconds_since_the_epoch"),
    ("FileFromItsBeginning", "test_bytes_can_be_given_as"),
    ("ClosesFile", "test_the_buffers_of_the_caller_stay_as_they_are"),
    ("BytesOnly", "test_bytes_can_be_given_as"),
    ("LeavesParts", "test_a_source_that_breaks_off_leaves_nothing"),
    ("ListNotDeclared", "test_an_empty_store_lists_nothing"),
    ("RefusesRaw", "test_if_absent_creates_what_is_not_there"),
]


class Suite(ObjectStoreTests, RefusedAccessTests):
    pass


HEAD = """
import kit_broken_stores as broken
import pytest
from flowhold.testing import ObjectStoreTests, RefusedAccessTests


class Fixtures:
    @pytest.fixture
    def store(self):
        return self.kind()

    @pytest.fixture
    def denied(self, store):
        return self.kind(store.objects, "wrong")

    @pytest.fixture
    def secret_values(self):
        return [broken.PASSWORD]


class All(ObjectStoreTests, RefusedAccessTests):
    pass
"""


@pytest.fixture(scope="module")
def outcomes(request, tmp_path_factory):
    sys.path.insert(0, str(Path(__file__).parent))
    from kit_runs import run

    return run(request, tmp_path_factory.mktemp("kit"), HEAD, Suite, CASES)


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("number", "broken", "test"), [(n, *case) for n, case in enumerate(CASES)])
def test_a_broken_store_fails(outcomes, number, broken, test):
    from kit_runs import check

    check(outcomes, number, broken, test)


@pytest.mark.long
def test_the_good_store_passes_all_tests(outcomes):
    good = {test: found for (name, test), found in outcomes.items() if name == "TestGood"}
    assert [test for test, found in good.items() if set(found) != {"passed"}] == []
    assert sum(map(len, good.values())) > 120

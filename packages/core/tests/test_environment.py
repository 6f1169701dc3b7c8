"""Telling in what way the environment differs from the one a flow was stored in."""

from __future__ import annotations

import platform
import warnings

import pytest
import slugify

from flowhold.environment import difference, explained, record
from flowhold.errors import FlowNotFoundError, SerializationError

HERE = record(["pluggy._hooks", "slugify.slugify", "json", "os.path", "no_such_module", "__main__"])
OTHER = {"python": "2.7.18", "packages": {"pluggy": "0.1", "gone-away": "1.0", "flowhold": "0.0.1"}}
TEXTS = [
    f"python: stored with 2.7.18, here {platform.python_version()}",
    f"pluggy: stored with 0.1, here {HERE['packages']['pluggy']}",
    "gone-away: stored with 1.0, here not installed",
]


def test_the_record_has_python_ourselves_and_the_distributions_of_the_modules():
    assert HERE["python"] == platform.python_version()
    assert list(HERE["packages"]) == ["cloudpickle", "flowhold", "pluggy", "python-slugify"]
    assert HERE["packages"]["python-slugify"] == slugify.__version__
    assert difference(HERE) == []


def test_what_one_does_to_a_record_is_not_in_the_next_one():
    record(["pluggy"])["packages"]["pluggy"] = "0"
    assert record(["pluggy"])["packages"]["pluggy"] != "0"


def test_each_difference_is_a_line_with_both_versions():
    own = f"flowhold: stored with 0.0.1, here {HERE['packages']['flowhold']}"
    assert difference(OTHER) == [*TEXTS, own]
    assert difference(OTHER, own=False) == TEXTS


def test_another_patch_release_of_python_is_no_difference():
    major, minor, _ = platform.python_version_tuple()
    assert difference({"python": f"{major}.{minor}.99"}) == []
    assert difference({"python": f"{major}.{minor}99.0"}) != []


@pytest.mark.parametrize(
    "recorded",
    [
        None,
        {},
        [],
        "3.11",
        {"python": None},
        {"packages": None},
        {"packages": ["a"]},
        {"packages": {}},
    ],
)
def test_a_record_that_says_nothing_differs_in_nothing(recorded):
    assert difference(recorded) == []


def test_a_difference_is_a_warning_where_loading_went_well():
    with (
        pytest.warns(UserWarning, match="another environment") as caught,
        explained(OTHER, "the flow 'etl'"),
    ):
        pass
    text = str(caught[0].message)
    assert text == f"the flow 'etl' was stored in another environment: {'; '.join(TEXTS)}"


def test_a_difference_of_ourselves_alone_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with explained({"packages": {"flowhold": "0.0.1", "cloudpickle": "1.0"}}, "it"):
            pass


def test_where_loading_fails_the_difference_is_in_the_error():
    with (
        pytest.raises(
            SerializationError, match="the flow could not be loaded: AttributeError: no _foo"
        ) as caught,
        explained({"packages": {"flowhold": "0.0.1"}}, "the flow"),
    ):
        raise AttributeError("no _foo")
    assert "flowhold: stored with 0.0.1" in caught.value.hint
    assert isinstance(caught.value.__cause__, AttributeError)


def test_without_a_difference_the_hint_fits_the_failure():
    with pytest.raises(SerializationError) as caught, explained(HERE, "it"):
        raise ModuleNotFoundError("No module named 'helper'")
    assert "include=" in caught.value.hint
    with pytest.raises(SerializationError) as caught, explained(HERE, "it"):
        raise SystemExit
    assert "--debug" in caught.value.hint


def test_our_own_errors_and_interrupts_pass_as_they_are():
    for error in (FlowNotFoundError("not here"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, explained(OTHER, "it"):
            raise error
        assert caught.value is error

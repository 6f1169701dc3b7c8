"""Environment variables: what changes with them."""

from __future__ import annotations

import os

import pytest

from flowhold.variables import beginning_with, is_any_named, named


@pytest.fixture(params=["as Python has it", "replaced"])
def environ(request, monkeypatch):
    """The environment, which tests of others replace by a dictionary."""
    if request.param == "replaced":
        monkeypatch.setattr(os, "environ", dict(os.environ))
    return os.environ


@pytest.mark.parametrize(
    "told", [lambda: named(("ACME_A", "ACME_B")), lambda: beginning_with(("ACME_", "OTHER_"))]
)
def test_each_change_of_a_variable_is_told_and_no_other(environ, told):
    seen = [told()]
    for name, value in (("ACME_A", "1"), ("ACME_A", ""), ("ACME_B", ""), ("ACME_B", "ü\udcff")):
        environ[name] = value
        environ["ELSE"] = value
        seen.append(told())
    assert len({*seen}) == 5
    del environ["ELSE"]
    assert told() == seen[-1]
    del environ["ACME_A"], environ["ACME_B"]
    assert told() == seen[0]


@pytest.mark.parametrize(
    ("names", "there"),
    [
        ([], False),
        (["HTTP_Acme_ENDING"], True),
        (["_ACME_ENDING"], True),
        (["HTTP_ACME_ENDING_"], False),
        (["NO_acme_ENDING"], False),
        (["NO_acme_ENDING", "no_acme_ending"], False),
        (["NO_ACME_ENDING", "NO_ACME_ENDING_A"], False),
        (["ANO_ACME_ENDING"], True),
        (["NO_ACME_ENDING", "A_ACME_ENDING"], True),
        (["A_ACME_ENDING", "NO_ACME_ENDING_A"], True),
    ],
)
def test_names_are_told_by_their_ending_besides_one(environ, names, there):
    environ.update(dict.fromkeys(names, ""))
    assert is_any_named("_acme_ending", besides="no_acme_ending") is there
    for name in {*names} & {*environ}:
        del environ[name]

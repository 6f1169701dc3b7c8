"""What templates stand for, and that nothing changes them."""

from __future__ import annotations

import copy
import json
import os
import re
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import flowhold
from flowhold.errors import ConfigurationError, FlowholdError, SecretNotFoundError
from flowhold_storage_webhook.arguments import check_call
from flowhold_storage_webhook.calls import Call
from flowhold_storage_webhook.templates import (
    check_texts,
    fill,
    look_up,
    marks_in,
    names_in,
    render,
)

VALUES = {"TOKEN": "tok$en${TOKEN}{slug}", "HOST": "example.com", "a-b.c": "dashed"}
MARKS = {"slug": "my-flow", "name": "My Flow", "sha256": "0" * 64}
TEXTS = st.text(st.sampled_from("${}ab_ TOKENHOSTslugname$$"), max_size=30) | st.text(max_size=20)
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXTS, inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=10,
)
many = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("Bearer ${TOKEN}", "Bearer tok$en${TOKEN}{slug}"),
        ("$TOKEN", "tok$en${TOKEN}{slug}"),
        ("https://$HOST/a", "https://example.com/a"),
        ("${HOST}s$HOST", "example.comsexample.com"),
        ("${a-b.c}", "dashed"),
        ("$$HOST", "$HOST"),
        ("$$${HOST}", "$example.com"),
        ("$$$$", "$$"),
        ("$", "$"),
        ("a $ b, 5$", "a $ b, 5$"),
        ("$5", "$5"),
        ("$ {HOST}", "$ {HOST}"),
        ("{HOST}", "{HOST}"),
        ('{"path": "/x", "n": {"a": 1}}', '{"path": "/x", "n": {"a": 1}}'),
        ("{slug}/{name}", "{slug}/{name}"),
        ("", ""),
    ],
)
def test_a_text_becomes(template, rendered):
    check_texts("x", template)
    assert render(template, VALUES) == rendered


def test_texts_are_found_at_any_depth_and_other_values_stay():
    template = {
        "a": ["$HOST", ("${HOST}", {"b": "$$"})],
        "c": 5,
        "d": None,
        "$HOST": True,
        "e": b"$",
    }
    before = copy.deepcopy(template)
    assert render(template, VALUES) == {
        "a": ["example.com", ("example.com", {"b": "$"})],
        "c": 5,
        "d": None,
        "$HOST": True,
        "e": b"$",
    }
    assert template == before
    assert names_in(template) == {"HOST"}


def test_marks_are_filled_in_literally_and_never_twice():
    template = 'x{slug} {"name": "{name}"} {sha256} ${slug} $${slug} {other}'
    marks = {**MARKS, "name": "{slug} ${TOKEN} \\1"}
    assert render(template, {"slug": "{name}"}, marks) == (
        f'xmy-flow {{"name": "{{slug}} ${{TOKEN}} \\1"}} {"0" * 64} {{name}} $my-flow {{other}}'
    )
    assert fill(template, {"slug": "s"}) == ('xs {"name": "{name}"} {sha256} ${slug} $$s {other}')
    assert marks_in(template) == {"slug", "name", "sha256"}


@pytest.mark.parametrize("wrong", ["${", "${}", "${A B}", "x${A", "${1}", "${A$B}", "$$${", "${é}"])
def test_what_begins_no_name_is_refused_without_being_shown(wrong):
    with pytest.raises(ConfigurationError, match=r"x\[1\]") as caught:
        check_texts("x[1]", {"deep": [f"visible {wrong}"]})
    assert "visible" not in str(caught.value)


def test_a_variable_comes_before_a_secret(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_BOTH", "secret")
    monkeypatch.setenv("FLOWHOLD_SECRET_ONE", "12345")
    assert look_up(["BOTH", "ONE"]) == {"BOTH": "secret", "ONE": "12345"}
    monkeypatch.setenv("BOTH", "variable")
    assert look_up(["BOTH"]) == {"BOTH": "variable"}
    with flowhold.secrets({"BOTH": "block", "TWO": "block"}):
        assert look_up(["BOTH", "TWO"]) == {"BOTH": "variable", "TWO": "block"}
    monkeypatch.setenv("BOTH", "")
    assert look_up(["BOTH"]) == {"BOTH": ""}
    assert "variable" not in repr(look_up(["BOTH"]))


def test_names_without_a_value_are_all_told():
    with pytest.raises(SecretNotFoundError, match="GONE_A and GONE_B") as caught:
        look_up(["GONE_B", "HOME", "GONE_A"])
    assert "FLOWHOLD_SECRET_GONE_A" in caught.value.hint
    assert os.environ["HOME"] not in str(caught.value)


@many
@given(NESTED)
def test_rendering_raises_errors_of_ours_only_and_never_changes_the_template(value):
    before = copy.deepcopy(value)
    try:
        check_texts("x", value)
        rendered = render(value, dict.fromkeys(names_in(value), "v"), MARKS)
    except FlowholdError:
        pass
    else:
        assert type(rendered) is type(value)
        assert fill(value, {}) == value
    assert value == before


@many
@given(st.text())
def test_a_text_whose_dollars_are_doubled_comes_back(text):
    template = text.replace("$", "$$")
    check_texts("x", template)
    assert names_in(template) == set()
    assert render(template, {}) == text


@many
@given(st.text(), st.text())
def test_values_are_put_in_as_they_are(value, around):
    around = around.replace("$", "$$")
    rendered = render(f"{around}${{V}}{around}", {"V": value}, {})
    plain = around.replace("$$", "$")
    assert rendered == plain + value + plain


@many
@given(NESTED)
def test_any_arguments_are_taken_or_refused_with_an_error_of_ours(value):
    arguments = {"url": "https://example.com/{slug}", "params": value, "headers": value}
    try:
        checked = check_call("build", "PUT", arguments, stores=False)
        Call("PUT", checked, stores=False).filled(dict.fromkeys(names_in(checked), "v"), MARKS)
    except FlowholdError:
        return
    assert checked["params"] == value
    json.dumps(checked, default=str)


@many
@given(st.text(min_size=1).filter(lambda name: {".", ".."}.isdisjoint(re.split(r"[/\\]", name))))
def test_a_name_is_one_segment_of_the_url(name):
    call = Call("PUT", {"url": "https://example.com/a/{name}/b"}, stores=True)
    url = call.filled({}, {**MARKS, "name": name})["url"]
    assert url.count("/") == 5
    assert set(url) <= {*string.ascii_letters, *string.digits, *"/:.%-_~"}

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import pytest

from flowhold.cli.storage_options import parse_options
from flowhold.errors import ConfigurationError
from flowhold.storage import Local, Storage


class Typed(Storage):
    """Annotations as text, as most modules have them."""

    def __init__(
        self,
        text: str | None = None,
        path: str | Path | None = None,
        flag: bool = False,
        count: int = 1,
        ratio: float | None = None,
        names: Sequence[str] | None = None,
        counts: list[int] | None = None,
        either: str | list[str] | None = None,
        options: Mapping[str, Any] | None = None,
        headers: dict[str, str] | str | None = None,
        anything: Any = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)

    def _add(self, flow):
        raise NotImplementedError

    def _load(self, name, record, *, allow_unverified):
        raise NotImplementedError


class Objects(Typed):
    """Annotations as objects, as a module without the future import has them, or none at all."""

    def __init__(self, text, flag=False, count=1, maybe=None, names=None, options=None, **common):
        super().__init__(**common)


Objects.__init__.__annotations__ = {
    "text": str,
    "count": Optional[int],  # noqa: UP045
    "names": Union[Iterable[str], None],  # noqa: UP007
    "options": dict[str, int],
}


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("text=true", "true"),
        ("text=", ""),
        ("text=a=b,c", "a=b,c"),
        ("path=x/y", "x/y"),
        ("flag=true", True),
        ("flag=OFF", False),
        ("count=-3", -3),
        ("ratio=0.5", 0.5),
        ("names=a, b,", ["a", "b"]),
        ("names=", []),
        ('names=["a,b", "c"]', ["a,b", "c"]),
        ("names=[ab].csv,c", ["[ab].csv", "c"]),
        ("counts=1,2", [1, 2]),
        ("either=a", "a"),
        ("either=a,b", ["a", "b"]),
        ('options={"a": [1]}', {"a": [1]}),
        ("headers=plain", "plain"),
        ('headers={"a": "b"}', {"a": "b"}),
        ("anything=1", "1"),
        ("secrets=A,B", ["A", "B"]),
        ("stored_as_script=yes", True),
    ],
)
def test_values_are_read_by_the_annotations(given, value):
    assert parse_options("typed", Typed, [given]) == {given.partition("=")[0]: value}


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("text=1", "1"),
        ("flag=1", True),
        ("count=7", 7),
        ("maybe=7", "7"),
        ("names=a,b", ["a", "b"]),
        ('options={"a": 1}', {"a": 1}),
    ],
)
def test_annotations_may_be_objects_or_missing(given, value):
    assert parse_options("objects", Objects, [given]) == {given.partition("=")[0]: value}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["flag=perhaps"], "option flag of typed storage must be true or false"),
        (["count=1.5"], "option count of typed storage must be a whole number"),
        (["ratio=much"], "option ratio of typed storage must be a number"),
        (["counts=1,b"], "each of option counts of typed storage must be a whole number"),
        (["options=[1]"], "option options of typed storage must be a JSON object"),
        (["options={'a': 1}"], "option options of typed storage must be a JSON object"),
        (["count=1", "count=2"], "option count of typed storage is given twice"),
        (["count"], "-o 'count' is not key=value"),
        (["=1"], "typed storage has no option ''"),
        (["result=1"], "typed storage has no option 'result'"),
    ],
)
def test_a_wrong_value_is_refused_without_being_shown(given, message):
    with pytest.raises(ConfigurationError) as raised:
        parse_options("typed", Typed, given)
    assert str(raised.value) == message


def test_values_of_lists_add_up():
    assert parse_options("typed", Typed, ["names=a,b", "names=c"]) == {"names": ["a", "b", "c"]}


def test_an_unknown_option_is_named_with_near_ones_and_all():
    with pytest.raises(
        ConfigurationError, match="local storage has no option 'directry'"
    ) as raised:
        parse_options("local", Local, ["directry=x"])
    assert raised.value.hint.startswith("did you mean directory? options: directory, validate")

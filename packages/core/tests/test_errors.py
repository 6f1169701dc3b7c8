"""The tree of errors: as drawn, catchable as builtins, and whole after crossing processes."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from flowhold import errors

CLASSES = [getattr(errors, name) for name in errors.__all__]


def test_all_names_every_class_of_the_module():
    here = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    ]
    assert sorted(here) == sorted(errors.__all__)


def test_the_tree_is_the_one_drawn_in_the_docstring():
    drawn, parents = {}, []
    for line in re.findall(r"^    .*Error.*$", errors.__doc__, re.MULTILINE):
        name, _, rest = re.sub(r"[│├└─]", " ", line).strip().partition(" ")
        depth = (len(re.match(r"[\s│├└─]*", line)[0]) - 4) // 4
        parents[depth:] = [name]
        builtins = [each for each in rest.strip(" ()").split(", ") if each]
        drawn[name] = [*parents[depth - 1 : depth], *builtins] if depth else ["Exception"]
    assert drawn == {cls.__name__: [base.__name__ for base in cls.__bases__] for cls in CLASSES}


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_is_its_message_and_keeps_its_fields(cls):
    error = cls("it's wrong", storage="s3", location="a/b", hint="do that")
    assert str(error) == "it's wrong"
    assert (error.storage, error.location, error.hint) == ("s3", "a/b", "do that")
    assert (cls("x").storage, cls("x").location, cls("x").hint) == (None, None, None)
    assert "it's wrong" in repr(error)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_survives_pickling_and_copying_with_its_fields(cls):
    error = cls("it's wrong", storage="s3", location="a/b", hint="do that")
    error.status = 404
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is cls
        assert str(again) == "it's wrong"
        assert vars(again) == vars(error)


def test_an_error_of_a_plugin_with_another_constructor_is_still_one_of_the_tree():
    class Gone(errors.ObjectNotFoundError):
        pass

    with pytest.raises(FileNotFoundError, match="gone"):
        raise Gone("gone")
    assert issubclass(Gone, errors.FlowholdError)

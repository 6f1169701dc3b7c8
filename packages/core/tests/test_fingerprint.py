from __future__ import annotations

import enum
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowhold.errors import SerializationError
from flowhold.fingerprint import fingerprint
from flowhold.flows import Flow
from flowhold.pickling import dump

CODE = """
import sys
sys.path.insert(0, {folder!r})
import {name}
from flowhold.fingerprint import fingerprint
print(fingerprint({name}.value, [{name}]))
"""

hashable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats(),
    lambda inner: st.frozensets(inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=8,
)
value = st.recursive(
    hashable | st.sets(hashable, max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def in_new_process(folder, name, seed=0):
    code = CODE.format(folder=str(folder), name=name)
    env = os.environ | {"PYTHONHASHSEED": str(seed)}
    return subprocess.check_output([sys.executable, "-c", code], env=env, text=True).strip()


def rebuilt(item):
    """An equal value of other objects, its sets filled in another order."""
    if isinstance(item, (set, frozenset)):
        return type(item)(reversed([rebuilt(one) for one in item]))
    if isinstance(item, (list, tuple)):
        return type(item)(rebuilt(one) for one in item)
    if isinstance(item, dict):
        return {rebuilt(key): rebuilt(one) for key, one in item.items()}
    if isinstance(item, str):
        return "".join(list(item))
    return bytes(bytearray(item)) if isinstance(item, bytes) else item


@given(value)
def test_equal_values_have_one_fingerprint_whatever_objects_they_are(item):
    assert fingerprint(item) == fingerprint(rebuilt(item))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0, None),
        ("a", b"a"),
        ({1}, frozenset({1})),
        ({1}, [1]),
        ((1,), [1]),
        ({"a", "b"}, {"a", "c"}),
        ({"a"}, {"a", "b"}),
        ({frozenset({1}), frozenset({2})}, {frozenset({1, 2})}),
        ({(1, "2")}, {("1", 2)}),
        ({"1"}, {1}),
        (["ab", "c"], ["a", "bc"]),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ("bytes:0", b"0"),
        ("text:a", "a"),
        (set(), frozenset()),
    ],
)
def test_different_values_have_different_fingerprints(one, other):
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint([one]) != fingerprint([other])


def make(source, filename="/x.py"):
    namespace = {"__name__": "made"}
    exec(compile(source, filename, "exec"), namespace)
    return namespace["f"]


@pytest.mark.parametrize(
    "other",
    [
        "def f(a, b=1): return a + {'x', 'y'}.__len__() - 2",
        "def f(a, b=2): return a + {'x', 'y'}.__len__() - 1",
        "def f(a, b=1): return a + {'x', 'z'}.__len__() - 1",
        "def f(a, c=1): return a + {'x', 'y'}.__len__() - 1",
        "def f(a, *, b=1): return a + {'x', 'y'}.__len__() - 1",
        "def f(a, b=1): return a + (lambda: 2)()",
        "def f(a: int, b=1): return a + {'x', 'y'}.__len__() - 1",
    ],
)
def test_a_change_of_a_function_shows(other):
    base = make("def f(a, b=1): return a + {'x', 'y'}.__len__() - 1")
    assert fingerprint(base) == fingerprint(
        make("def f(a, b=1): return a + {'x', 'y'}.__len__() - 1")
    )
    assert fingerprint(base) != fingerprint(make(other))


def test_a_change_of_a_global_or_a_default_that_a_function_uses_shows():
    sources = ["N = {n}\ndef f(): return N", "def g(): return {n}\ndef f(): return g()"]
    sources.append("class C:\n    x = {n}\ndef f(): return C.x")
    for source in sources:
        assert fingerprint(make(source.format(n=1))) == fingerprint(make(source.format(n=1)))
        assert fingerprint(make(source.format(n=1))) != fingerprint(make(source.format(n=2)))


def test_classes_enums_and_cycles_have_a_fingerprint_that_holds_between_processes(tmp_path):
    (tmp_path / "mod.py").write_text(
        """
import dataclasses, enum, typing

class Color(enum.Flag):
    RED = 1
    BLUE = 2

@dataclasses.dataclass
class Node:
    name: str
    links: set = dataclasses.field(default_factory=set, hash=False)
    def __hash__(self): return hash(self.name)
    def visit(self, seen=frozenset({"a", "b", "c"})):
        self.seen = seen
        self.count = len({"x", "y"})

class Pair(typing.NamedTuple):
    left: set
    right: frozenset = frozenset({"l", "m", "n"})

one, two = Node("one"), Node("two")
one.links |= {two, "s", 3}
value = [one, Pair({"p", "q"}), Color.RED | Color.BLUE, Node.visit, {Color.RED, Color.BLUE}]
"""
    )
    assert len({in_new_process(tmp_path, "mod", seed) for seed in (0, 1, 2, 3)}) == 1


def test_a_set_that_reaches_itself_ends():
    class Knot:
        pass

    knot = Knot()
    knot.around = {knot, "x"}
    assert fingerprint(knot) == fingerprint(knot)


def test_where_a_project_lies_does_not_count(tmp_path):
    text = "import os, flowhold\n@flowhold.task\ndef t(): return os.path.dirname(__file__)\n"
    text += "with flowhold.Flow('etl') as etl: t()\n"
    text += "if __name__ == '__main__':\n    from flowhold.fingerprint import fingerprint\n"
    text += "    print(fingerprint(etl))\n"
    seen = set()
    for folder in ("one", "two/deep"):
        (tmp_path / folder).mkdir(parents=True)
        script = tmp_path / folder / "etl.py"
        script.write_text(text)
        for command, cwd in (([str(script)], tmp_path), (["etl.py"], script.parent)):
            seen.add(subprocess.check_output([sys.executable, *command], cwd=cwd, text=True))
    assert len(seen) == 1


def test_what_cannot_be_pickled_is_named():
    flow = Flow("etl")
    flow.lock = threading.Lock()
    for call in (fingerprint, dump):
        with pytest.raises(SerializationError, match=r"'etl' cannot be pickled: .*lock") as caught:
            call(flow)
        assert "script" in caught.value.hint


def test_local_enums_and_classes_do_not_depend_on_their_tracker():
    def kind():
        class Local(enum.Enum):
            A = 1
            B = 2

        return Local

    assert fingerprint(kind()) == fingerprint(kind())

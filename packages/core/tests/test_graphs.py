"""Flows as Mermaid flowcharts."""

from __future__ import annotations

import pytest

import flowhold
from flowhold.errors import ConfigurationError
from flowhold.graphs import mermaid


@flowhold.task
def step(*values, **named):
    return values


def test_tasks_and_parameters_are_drawn_with_what_needs_what():
    with flowhold.Flow("etl") as flow:
        day = flowhold.Parameter("day")
        one = step(day)
        step([one, {"x": day}], one, y=flowhold.Parameter("town", "Bern"))
    assert mermaid(flow).splitlines() == [
        "flowchart TD",
        '    p0(["day"])',
        '    p1(["town"])',
        '    t0["step"]',
        '    t1["step-2"]',
        "    p0 --> t0",
        "    p0 --> t1",
        "    p1 --> t1",
        "    t0 --> t1",
    ]


def test_a_flow_without_tasks_is_an_empty_chart():
    assert mermaid(flowhold.Flow("etl")) == "flowchart TD"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ('say "hi"', "say #34;hi#34;"),
        ("a#b", "a#35;b"),
        ("two\nlines", "two#10;lines"),
        ("<b>", "#60;b#62;"),
        ("end", "end"),
        ("größe", "größe"),
    ],
)
def test_names_cannot_break_the_chart(name, label):
    with flowhold.Flow("etl") as flow:
        flowhold.task(step.fn, name=name)()
    assert mermaid(flow).splitlines()[1:] == [f'    t0["{label}"]']


def test_a_flow_of_another_making_has_no_tasks_that_are_known():
    class Own:
        name = "own"

    with pytest.raises(ConfigurationError, match="the tasks of 'own' are not known"):
        mermaid(Own())

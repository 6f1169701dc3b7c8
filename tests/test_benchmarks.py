"""What the benchmarks make of their measures; that all run is tried by ``make bench-quick``."""

from __future__ import annotations

import importlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    """Return a function that imports a module of the benchmarks."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


@pytest.fixture
def row(bench):
    values = {"flowhold": 0.3, "slow": 0.6, "quick": 0.1, "gone": "cannot be had: no such thing"}
    return bench("rows").Row("load", values, {"slow": 1, "quick": 1.5, "gone": 1})


def test_a_goal_that_is_not_reached_is_shown_as_missed(row):
    verdicts = {each.peer: (each.ratio, each.verdict) for each in row.comparisons()}
    assert verdicts["slow"] == (pytest.approx(0.5), "met")
    assert verdicts["quick"] == (pytest.approx(3), "MISSED")


def test_what_cannot_be_had_is_said_in_the_table_and_has_no_bar(bench, row):
    lines = [" ".join(line.split()) for line in bench("page").table([row])]
    assert "| | gone | cannot be had: no such thing | | 1.00 | ? |" in lines
    bars = [bar for bar in ElementTree.fromstring(bench("charts").chart([row])) if bar.get("fill")]
    assert len(bars) == 1 + 2  # the paper, and those with a ratio


def test_a_goal_for_somebody_who_was_not_measured_is_refused(bench):
    with pytest.raises(AssertionError, match="nobody"):
        bench("rows").Row("load", {"flowhold": 1.0}, {"nobody": 1})


def test_those_that_fail_or_are_missing_do_not_keep_others_from_being_measured(bench):
    turns, peers = bench("turns"), bench("peers")
    settings = {"counts": [1], "repeats": 1}
    taken = turns.in_turn(
        {
            "flowhold": turns.Contender("serializing:Flowhold", peers.OWN, settings),
            "missing": turns.Contender("serializing:Prefect1", peers.Interpreter(Path("no"), "no")),
            "failing": turns.Contender("serializing:Flowhold", peers.OWN, {"counts": "none"}),
        },
        rounds=0,
    )
    seconds = taken["serialize 1"].seconds
    assert 0 < seconds["flowhold"] < 60
    assert seconds["missing"] == "no"
    assert "Error" in seconds["failing"]
    failing = {"flowhold": turns.Contender("serializing:Flowhold", peers.OWN, {"counts": "none"})}
    with pytest.raises(RuntimeError, match="Error"):
        turns.in_turn(failing, rounds=0)


def test_every_group_is_run_and_says_what_it_is():
    source = (FOLDER / "__main__.py").read_text(encoding="utf-8")
    for path in FOLDER.joinpath("groups").glob("*.py"):
        assert f'"{path.stem}"' in source
        title, blank, *method = path.read_text(encoding="utf-8").splitlines()
        assert title.startswith('"""')
        assert not blank
        assert method[0]


def test_the_sections_of_single_groups_are_put_into_the_page(bench, row, tmp_path, monkeypatch):
    page = bench("page")
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(page, "CHARTS", tmp_path)
    titles = ("Flows to bytes and back", "Bundles of files", "Images", "What profiling found")
    page.PAGE.write_text("".join(f"## {title}\n\nas before\n\n" for title in titles))
    page.renew_page({"bundling": [row]})
    sections = page.PAGE.read_text().split("## ")[1:]
    assert tuple(text.partition("\n")[0] for text in sections) == titles
    assert ["as before" in text for text in sections] == [True, False, True, False]
    assert "| load | **flowhold** |" in sections[1]
    assert sections[2] == "Images\n\nas before\n\n"
    assert page.FINDINGS.read_text().endswith(sections[3])

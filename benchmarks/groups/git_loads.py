"""Git

A repository of 5,000 files and 2,000 commits, served by `git http-backend` of this machine. Cold:
nothing of it is here. Warm: it was loaded before, and the script is imported again. The command
line only fetches and checks out; Flowhold and both Prefects load a flow, too. Prefect 3 keeps one
clone, fetches into it for each load, and knows no pinned load that asks nobody. Prefect 1.4.1
clones for each load, so its 100 flows are 100 times the one measured. The git command line needs
about as many files and processes as its whole work tree has, so that 5 times faster than Prefect
1.4.1 is a goal where a flow needs one folder.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from peers import OWN, ROOT, interpreter
from rows import Row
from turns import Contender, alone, in_turn

TIMES = 20
"""How often a round loads what is warm."""
PREFECT_1 = """
from prefect import Flow, task

@task
def number():
    return 42

with Flow("prefect-flow") as flow:
    number()
"""
PREFECT_3 = """
from prefect import flow

@flow
def flow():
    return 42
"""


def rows(size) -> Iterator[Row]:
    """Yield cold and warm loads, and many flows of one repository."""
    sys.path.insert(0, str(ROOT / "tests" / "plugins"))
    import git_http
    import git_repositories

    flows, rounds = size(100, 5), size(5, 0)
    folder = Path(tempfile.mkdtemp())
    (folder / "repositories").mkdir()
    bare = folder / "repositories" / "big.git"
    files, commits = size(5000, 500), size(2000, 20)
    repository = git_repositories.big_repository(bare, files=files, commits=commits)
    for path, script in (("prefect_1", PREFECT_1), ("prefect_3", PREFECT_3)):
        repository.commit({f"{path}/flow.py": script})
    repository.git("repack", "-a", "-d", "--quiet", "--write-bitmap-index")
    (folder / "scripts").mkdir()
    for number in range(flows):
        text = git_repositories.FLOW.format(number=number)
        (folder / "scripts" / f"flow_{number:04}.py").write_text(text)
    with git_http.serving_http(folder / "repositories") as server:
        settings = {
            "url": f"{server.url}/big.git",
            "scripts": str(folder / "scripts"),
            "flows": flows,
        }
        yield from single(settings, rounds, size(3, 0))
        yield from several(settings, rounds, server)


def contender(kind: str, settings: dict[str, object], *measures: str) -> Contender:
    """Return a contender that measures these."""
    where = {"Prefect1": "prefect1", "Prefect3": "prefect3"}.get(kind)
    told = settings | {"measures": measures}
    return Contender(f"git_loads:{kind}", interpreter(where) if where else OWN, told)


def single(settings: dict[str, object], rounds: int, clones: int) -> Iterator[Row]:
    """Yield loads of one flow."""
    measures = ("cold_folder", "cold_whole", "warm_branch")
    taken = in_turn(
        {
            "flowhold": contender("Flowhold", settings, *measures),
            "git": contender("Git", settings, *measures),
            "Prefect 3 GitRepository": contender("Prefect3", settings, *measures),
        },
        rounds,
    )
    clone = alone(contender("Prefect1", settings, "cold_whole"), "cold_whole", clones)
    slowest = {"Prefect 1.4.1": clone}
    folder = taken["cold_folder"].seconds | slowest
    goals = {"git": 1.5, "Prefect 3 GitRepository": 1, "Prefect 1.4.1": 1 / 5}
    yield Row("cold load of one flow, of one folder", folder, goals)
    whole = taken["cold_whole"].seconds | slowest
    yield Row("cold load of one flow, of the whole work tree", whole, goals | {"Prefect 1.4.1": 1})
    settings["one clone"] = clone
    warm = taken["warm_branch"].per(TIMES)
    yield Row("warm load of a branch", warm, {"git": 1.5, "Prefect 3 GitRepository": 1})


def several(settings: dict[str, object], rounds: int, server) -> Iterator[Row]:
    """Yield the loads of all flows of the repository, then those of one that is pinned."""
    flows = settings["flows"]
    server.reset()
    pinned = contender("Flowhold", settings, "many", "warm_pinned", "plain_import")
    taken = in_turn({"flowhold": pinned}, rounds)
    # One more when they were stored, and a round that does not count.
    fetches = (server.fetches - 1) / (rounds + 1)
    one = settings["one clone"]
    values = {
        "flowhold": taken["many"].seconds["flowhold"],
        "Prefect 3 GitRepository": alone(contender("Prefect3", settings, "many"), "many", 1),
        "Prefect 1.4.1": one if isinstance(one, str) else one * flows,
    }
    goals = {"Prefect 3 GitRepository": 1, "Prefect 1.4.1": 1 / 50}
    yield Row(f"cold load of {flows} pinned flows of one repository", values, goals)
    least = {"flowhold": fetches, "least": 1.0}
    yield Row(f"fetches for these {flows} flows", least, {"least": 1}, "requests")
    warm = taken["warm_pinned"].per(TIMES)["flowhold"]
    plain = taken["plain_import"].per(TIMES)["flowhold"]
    yield Row("warm load of a pinned flow", {"flowhold": warm, "importing its script": plain})
    more = {"flowhold": warm - plain, "allowed": 0.003}
    yield Row("warm load of a pinned flow, over importing its script", more, {"allowed": 1})

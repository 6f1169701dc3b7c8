"""What is named is what runs: by every protocol, however it is named, in every layout."""

from __future__ import annotations

import logging
import os
import resource

import pytest

from flowhold_storage_git import Git

TRANSPORTS = ("http", "ssh", "git", "file")
LAYOUTS = {
    "single file": "single.py",
    "sibling modules": "siblings.py",
    "relative imports": "company/flows/relative.py",
    "data file": "reads.py",
}
NAMED = {
    "default branch": lambda shas: ({}, 6),
    "branch": lambda shas: ({"branch_name": "feature/one"}, 7),
    "light tag": lambda shas: ({"tag": "light"}, 0),
    "annotated tag": lambda shas: ({"tag": "annotated"}, 1),
    "tag of a tag": lambda shas: ({"tag": "outer"}, 2),
    "full SHA": lambda shas: ({"commit": shas[3]}, 3),
    "short SHA": lambda shas: ({"commit": shas[4][:10]}, 4),
    "uppercase SHA": lambda shas: ({"commit": shas[5].upper()}, 5),
}


@pytest.mark.parametrize("way", NAMED)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_is_named_is_what_runs_in_every_layout(transport, way, history, url, caplog):
    named, number = NAMED[way](history.shas)
    place = url(transport, history.name)
    results, said = {}, {}
    for layout, path in LAYOUTS.items():
        with caplog.at_level(logging.INFO, "flowhold"):
            flow = Git(path, git_clone_url=place, **named).get_flow(path)
        results[layout] = flow.run().result
        said[layout] = caplog.messages[-1].rpartition(" at commit ")[2]
    assert results == dict.fromkeys(LAYOUTS, number)
    assert said == dict.fromkeys(LAYOUTS, history.shas[number])


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_process_with_more_than_a_thousand_files_open_loads(transport, history, url):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1500:
        pytest.skip(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1500), hard))
    taken = [os.dup(0) for _ in range(1100)]
    try:
        storage = Git("single.py", git_clone_url=url(transport, history.name))
        assert storage.get_flow("single.py").run().state == "success"
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

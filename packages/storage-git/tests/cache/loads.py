"""Flows of a repository, and loading them."""

from __future__ import annotations

LISTED = """
from flowhold import Flow, task

@task
def numbers():
    return [{number}]

with Flow("flow-{number}") as flow:
    numbers()
"""


def load(storage):
    return storage.get_flow(storage.flow_path)


def value(storage):
    return load(storage).run().result

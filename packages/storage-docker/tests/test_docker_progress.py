"""What building, pulling and pushing is at is seen: on a terminal as it goes, else as lines."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
import subprocess
import sys

import docker_engine as docker_engine_plugin
import pytest
from rich.console import Console
from rich.progress import Progress

from flowhold_storage_docker.progress import Display, display

COMMAND = """
import logging, sys
from flowhold import Flow
from flowhold_storage_docker import Docker
if "log" in sys.argv:
    logging.basicConfig(level="INFO", format="%(name)s %(message)s")
storage = Docker(
    sys.argv[1], sys.argv[2], local_image=True, image_name="progress",
    extra_dockerfile_commands=["RUN echo a line of [bold]output[/bold] && sleep 0.2"],
)
storage.add_flow(Flow("progress"))
storage.build()
client = storage.engine.client
for name in client.inspect_image(storage.image)["RepoTags"]:
    client.remove_image(name, force=True)
storage.get_env_runner()
"""


@pytest.fixture
def command(engine, docker_registry):
    """What builds, pushes and pulls."""
    return [sys.executable, "-c", COMMAND, docker_registry.host, docker_engine_plugin.BASE]


def on_terminal(command, **environment):
    """Run a command whose errors go to a terminal, and return what it wrote there and elsewhere."""
    terminal, end = pty.openpty()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=end,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", **environment},
    ) as process:
        os.close(end)
        shown = b""
        try:
            while piece := os.read(terminal, 4096):
                shown += piece
        except OSError:  # the other end is closed
            pass
        os.close(terminal)
        out = process.stdout.read()
    assert process.returncode == 0, shown
    return shown.decode(), out


def test_a_terminal_shows_steps_and_bars_of_layers_on_the_side(command):
    shown, out = on_terminal(command)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert out == b""
    assert re.search(r"Step \d+/\d+ : FROM", plain)
    assert "a line of [bold]output[/bold]" in plain
    assert re.search(r"[0-9a-f]{12}: (Preparing|Pushing|Pushed|Layer already exists) *\S*━", plain)
    assert re.search(r"[0-9a-f]{12}: (Pull complete|Already exists|Downloading|Waiting)", plain)
    assert re.search(r"\d/\d+ bytes|\d [kM]B|\d+/\d+ [kM]B", plain)
    assert "\x1b[" in shown


def test_elsewhere_each_change_is_a_line_of_the_log(command):
    done = subprocess.run([*command, "log"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    lines = done.stderr.splitlines()
    assert all(line.startswith("flowhold.") for line in lines)
    assert any(re.match(r"flowhold.docker Step \d+/\d+ : FROM", line) for line in lines)
    assert "flowhold.docker a line of [bold]output[/bold]" in lines
    assert len([it for it in lines if ": Pushed" in it or ": Layer already exists" in it]) >= 3
    changes = [it for it in lines if re.match(r"flowhold.docker [0-9a-f]{12}: ", it)]
    assert all(changes.count(it) <= 2 for it in changes)  # once pushed, once pulled


def test_without_a_log_nothing_is_printed(command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_a_place_for_errors_there_is_no_terminal(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(sys, "stderr", None)
    with display() as shown:
        shown.line("a line\n")
        shown.line("\n")
        shown.layer("abc", "Downloading", 0, 10)
        shown.layer("abc", "Downloading", 5, 10)
        shown.layer("abc", "Done", None, None)
    assert caplog.messages == ["a line", "abc: Downloading", "abc: Done"]


def test_bars_have_the_sizes_that_an_engine_tells():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with Progress(console=console) as progress:
        shown = Display(progress)
        shown.layer("abc", "Waiting", None, None)
        shown.layer("abc", "Downloading", 5, 10)
        (task,) = progress.tasks
        assert (task.description, task.completed, task.total) == ("abc: Downloading", 5, 10)
        shown.layer("abc", "Pull complete", None, None)
        assert task.finished
        shown.layer("def", "Waiting", None, None)
        assert len(progress.tasks) == 2
        assert not progress.tasks[1].finished

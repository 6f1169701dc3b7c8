from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

NOISY = """
import atexit, os, subprocess, sys
from flowhold import flow

print("from the script")
os.write(1, b"from the descriptor\\n")
atexit.register(print, "from the end")

@flow
def noisy():
    print("from the task")
    sys.__stdout__.write("from the first stdout\\n")
    subprocess.run([sys.executable, "-c", "print('from a subprocess')"], check=True)
    return "done"
"""


@pytest.fixture
def process():
    def process(*arguments, **options):
        command = [sys.executable, "-m", "flowhold", *map(str, arguments)]
        options = {"text": True, "timeout": 120, **options}
        done = subprocess.run(command, stdout=-1, stderr=-1, stdin=subprocess.DEVNULL, **options)
        return done.returncode, done.stdout, done.stderr

    return process


@pytest.fixture
def on_a_terminal():
    """Run a command with a terminal as its output, and return what it shows."""

    def on_a_terminal(*arguments, env=()):
        main, worker = pty.openpty()
        env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", **dict(env)}
        command = [sys.executable, "-m", "flowhold", *map(str, arguments)]
        with subprocess.Popen(command, stdout=worker, stderr=worker, env=env) as running:
            os.close(worker)
            shown = b""
            while True:
                try:
                    data = os.read(main, 65536)
                except OSError:
                    break
                if not data:
                    break
                shown += data
        os.close(main)
        return running.returncode, shown.decode()

    return on_a_terminal


def test_json_is_one_document_whatever_scripts_tasks_and_subprocesses_print(process):
    Path("noisy.py").write_text(NOISY)
    code, out, err = process("run", "noisy.py", "--json")
    assert code == 0
    assert json.loads(out)["result"] == "done"
    places = ["script", "descriptor", "task", "first stdout", "a subprocess", "the end"]
    assert sorted(err.splitlines()) == sorted(
        f"from {place}" if place[:2] in ("a ", "th") else f"from the {place}" for place in places
    )


def test_json_of_process_workers_is_one_document_too(process):
    Path("noisy.py").write_text(NOISY)
    assert process("register", "noisy.py", "--script")[0] == 0
    code, out, err = process("run", "noisy", "--executor", "processes:1", "--json")
    assert code == 0
    assert json.loads(out)["result"] == "done"
    assert "from the task" in err


def test_without_json_tasks_print_to_stdout(process):
    Path("noisy.py").write_text(NOISY)
    code, out, _ = process("run", "noisy.py")
    assert code == 0
    assert "from the task\n" in out
    assert "done\n" in out


def test_logs_of_tasks_and_warnings_are_lines_on_stderr(process):
    Path("talk.py").write_text(
        "import warnings\nfrom flowhold import flow, logger\n"
        "@flow\ndef talk():\n    logger().info('%d rows', 3)\n    logger().warning('few')\n"
        "    warnings.warn('much\\nto say')\n"
        "talk.run()\n"
    )
    code, _, err = process("run", "talk.py")
    assert code == 0
    assert "talk.talk: 3 rows\nwarning: few\nwarning: much to say\n" in err
    assert err.startswith("warning: run() of flow 'talk' does nothing while its script is being")
    assert "warnings.warn" not in err


def test_an_error_in_json_is_the_document_and_usage_errors_too(process):
    code, out, err = process("show", "nothing", "--json")
    assert (code, err) == (1, "")
    assert json.loads(out)["error"].keys() == {"type", "message", "hint"}
    code, out, err = process("show", "--json", "--bogus")
    assert (code, err) == (2, "")
    assert json.loads(out)["error"]["type"] == "UsageError"


def test_a_traceback_is_shown_only_with_debug(process):
    Path("bad.py").write_text("raise ValueError('no luck')\n")
    assert "Traceback" not in process("register", "bad.py")[2]
    for arguments, env in (
        (("--debug", "register", "bad.py"), {}),
        (("register", "bad.py", "--debug"), {}),
        (("register", "bad.py"), {"FLOWHOLD_DEBUG": "1"}),
    ):
        code, _, err = process(*arguments, env={**os.environ, **env})
        assert code == 1
        assert "Traceback" in err
        assert "raise ValueError('no luck')" in err
    code, out, err = process("register", "bad.py", "--debug", "--json")
    assert json.loads(out)["error"]["type"] == "SerializationError"
    assert "Traceback" in err
    assert "Traceback" not in process("list", env={**os.environ, "FLOWHOLD_DEBUG": "0"})[2]


def test_a_defect_is_an_internal_error_in_two_lines(process):
    Path("sitecustomize.py").write_text(
        "import flowhold.catalog\n"
        "def broken(*_): raise ZeroDivisionError('oh')\n"
        "flowhold.catalog.Catalog.entries = broken\n"
    )
    env = {**os.environ, "PYTHONPATH": "."}
    code, out, err = process("list", env=env)
    assert (code, out) == (1, "")
    first, second = err.splitlines()
    assert first.startswith("error: internal error: ZeroDivisionError: oh")
    assert "--debug" in second


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "asked to end")],
    ids=["interrupt", "SIGTERM"],
)
def test_a_signal_ends_with_128_and_its_number(process, number, code, said):
    Path("slow.py").write_text(
        "import pathlib, time\nfrom flowhold import flow\n"
        "@flow\ndef slow():\n    pathlib.Path('started').touch()\n    time.sleep(100)\n"
    )
    # In the background of a shell, interrupts are ignored.
    heard = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    heard += "; from flowhold.cli import main; sys.argv[0] = 'flowhold'; main()"
    command = [sys.executable, "-c", heard, "run", "slow.py"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        while not Path("started").exists():
            assert running.poll() is None
            time.sleep(0.01)
        running.send_signal(number)
        _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (code, f"error: {said}\n")


def test_processes_that_run_tasks_can_be_told_to_end(process):
    Path("slow.py").write_text(
        "import os, signal, time\nfrom flowhold import flow, Flow, task\n"
        "@task\ndef end():\n    os.kill(os.getpid(), signal.SIGTERM)\n    time.sleep(100)\n"
        "with Flow('ended') as ended:\n    end()\n"
    )
    code, _, err = process("run", "slow.py", "--executor", "processes")
    assert code == 1
    assert "a worker process died" in err
    assert "Traceback" not in err


def test_a_reader_that_goes_away_is_no_error(process):
    read, write = os.pipe()
    os.close(read)
    try:
        command = [sys.executable, "-m", "flowhold", "plugins", "--json"]
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("option", ["", "--json"])
def test_closed_streams_are_no_error(closed, option):
    command = f"'{sys.executable}' -m flowhold plugins {option} {closed}"
    assert subprocess.run(command, shell=True, stdout=subprocess.DEVNULL).returncode == 0


def test_people_see_tables_on_a_terminal(on_a_terminal):
    Path("it.py").write_text("from flowhold import flow\n@flow\ndef it():\n    return 42\n")
    code, shown = on_a_terminal("register", "it.py")
    assert code == 0
    assert "registered it@1" in shown
    code, shown = on_a_terminal("list")
    assert code == 0
    assert "\033[1m" in shown
    assert "it" in shown
    code, shown = on_a_terminal("run", "it")
    assert code == 0
    assert shown.index("success") < shown.index("42")


def test_colours_are_left_out_where_no_color_is_set(on_a_terminal):
    code, shown = on_a_terminal("show", "nothing")
    assert code == 1
    assert "\033[31merror:\033[0m no flow" in shown
    shown = on_a_terminal("show", "nothing", env={"NO_COLOR": "1"})[1]
    assert "\033" not in shown
    assert "\033[3" not in on_a_terminal("plugins", env={"NO_COLOR": "1"})[1]


def test_a_name_cannot_drive_the_terminal(on_a_terminal):
    Path("it.py").write_text(
        "from flowhold import Flow\nflow = Flow('\\x1b]0;owned\\x07\\nname')\n"
    )
    for arguments in (("register", "it.py"), ("list",), ("list", "--json")):
        code, shown = on_a_terminal(*arguments)
        assert code == 0
        assert "\x1b]0;owned" not in shown
        assert "owned" in shown


def test_the_commands_of_others_are_not_imported(process):
    code = (
        "import sys\nfrom flowhold.cli.app import run\nrun(sys.argv[1:])\n"
        "print([m for m in sys.modules if m.startswith('flowhold.cli.commands.')"
        " or m == 'rich'], file=sys.stderr)"
    )
    for arguments, expected in (
        (["--help"], "[]"),
        (["list"], "['flowhold.cli.commands.list']"),
        (["list", "--help"], "['flowhold.cli.commands.list']"),
    ):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True)
        assert done.stderr.decode().splitlines()[-1] == expected


def test_dask_that_is_not_installed_is_named_with_what_installs_it(process):
    Path("distributed.py").write_text("raise ImportError('not here')\n")
    Path("it.py").write_text("from flowhold import flow\n@flow\ndef it():\n    return 42\n")
    env = {**os.environ, "PYTHONPATH": "."}
    code, _, err = process("run", "it.py", "--executor", "dask:tcp://127.0.0.1:1", env=env)
    assert code == 1
    assert err == (
        "error: --executor dask needs Dask, which is not installed\n"
        'hint: pip install "flowhold[dask]"\n'
    )


def test_a_flow_runs_on_a_dask_cluster_and_without_one_says_so(process):
    distributed = pytest.importorskip("distributed")
    Path("it.py").write_text("from flowhold import flow\n@flow\ndef it():\n    return 42\n")
    assert process("register", "it.py")[0] == 0
    # In a process of its own, as the cluster's threads warn when they end.
    serve = (
        "import sys\nfrom distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    cluster = LocalCluster(n_workers=1, processes=False, dashboard_address=None,"
        " scheduler_port=0, protocol='tcp')\n"
        "    print(cluster.scheduler_address, flush=True)\n    sys.stdin.read()\n"
    )
    assert distributed is not None
    with subprocess.Popen(
        [sys.executable, "-c", serve], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as cluster:
        address = cluster.stdout.readline().strip()
        code, out, err = process("run", "it", "--executor", f"dask:{address}")
        cluster.stdin.close()
    assert (code, out) == (0, "42\n"), err
    code = (
        "import sys\nfrom flowhold.cli import executors, main\nexecutors._DASK_SECONDS = 1\nmain()"
    )
    nowhere = [sys.executable, "-c", code, "run", "it", "--executor", "dask:tcp://127.0.0.1:1"]
    done = subprocess.run(nowhere, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no Dask scheduler at tcp://127.0.0.1:1: ")
    assert len(done.stderr.splitlines()) == 2


def test_a_terminal_shows_that_something_goes_on(process, on_a_terminal):
    Path("etl.py").write_text("from flowhold import flow\n@flow\ndef etl(): return 1\n")
    assert process("register", "etl.py")[0] == 0
    for arguments, said in [
        (["copy", "etl", "--to", "bytes"], "copying: 1 of 1 done"),
        (["verify", "etl"], "verifying"),
        (["fetch", "etl", "out"], "fetching"),
        (["cache", "prune"], "pruning the cache"),
    ]:
        code, shown = on_a_terminal(*arguments)
        assert (code, said in shown) == (0, True), shown

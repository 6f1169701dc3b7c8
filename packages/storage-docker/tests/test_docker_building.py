"""An image is built of a storage's flows; an error says at which step it failed, and why."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import docker_engine as docker_engine_plugin
import pytest

import flowhold
from flowhold import Flow, task
from flowhold.errors import ConfigurationError, StorageError
from flowhold_storage_docker.buildlog import BuildLog
from flowhold_storage_docker.errors import BuildError


@task
def say(text):
    return text


def flow_of(text="one", name="etl"):
    with Flow(name) as flow:
        say(text)
    return flow


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files of this process."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def build(make):
    """Return a function that builds a storage with a flow, and returns it."""

    def built(*flows, **options):
        storage = make(**options)
        for flow in flows or [flow_of()]:
            storage.add_flow(flow)
        return storage.build()

    return built


def inspected(storage):
    return storage.engine.client.inspect_image(storage.image)


def test_an_image_is_called_after_its_only_flow_and_the_time(build):
    storage = build(flow_of(name="Day & Night"))
    name, _, tag = storage.image.partition(":")
    assert name == "day-night"
    assert tag.startswith(time.strftime("%Y-", time.gmtime()))


def test_an_image_has_the_name_and_the_tag_that_are_asked_for(build):
    storage = build(image_name="team/flows", image_tag="v1.0")
    assert storage.image == "team/flows:v1.0"
    assert inspected(storage)["RepoTags"] == ["team/flows:v1.0"]
    assert [it.revision for it in storage._records.values()] == [inspected(storage)["Id"]]


def test_labels_tell_of_flows_version_and_source_without_a_login(build):
    Path(".git").mkdir()
    Path(".git/config").write_text(
        '[remote "origin"]\n\turl = https://user:canary-of-git@example.com/team/flows.git\n'
    )
    Path("etl.py").write_text("from flowhold import Flow\nwith Flow('etl') as flow:\n    pass\n")
    labels = inspected(
        build(
            stored_as_script=True,
            local_script_path="etl.py",
            image_tag="v7",
            build_kwargs={"labels": {"org.opencontainers.image.vendor": "us", "mine": 'a "b" $c'}},
        )
    )["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "etl"
    assert labels["org.opencontainers.image.version"] == "v7"
    assert labels["org.opencontainers.image.source"] == "https://example.com/team/flows.git"
    assert labels["org.opencontainers.image.vendor"] == "us"
    assert labels["mine"] == 'a "b" $c'
    assert labels["flowhold.version"] == flowhold.__version__
    assert json.loads(labels["flowhold.flows"]) == ["etl"]


def test_the_error_of_a_build_has_the_output_of_the_step_that_failed(build, temporary):
    commands = ["RUN echo of another step", "RUN echo before it fails; echo seen >&2; exit 3"]
    with pytest.raises(BuildError, match="could not be built at Step") as caught:
        build(extra_dockerfile_commands=commands, image_name="failing")
    said = str(caught.value)
    # The engine hands on two streams, in whatever order.
    assert {"before it fails", "seen"} <= {*said.splitlines()}
    assert "non-zero code: 3" in said
    assert "of another step" not in said.partition("\n")[2]
    assert "\x1b" not in said
    assert caught.value.hint == "the output above says what failed"
    assert isinstance(caught.value, ValueError)
    assert list(temporary.iterdir()) == []


def test_a_failed_build_never_leaves_an_old_image_of_its_tag_to_be_run(build, make, engine):
    old = build(flow_of("old"), image_name="same", image_tag="tag")
    new = make(image_name="same", image_tag="tag", extra_dockerfile_commands=["RUN false"])
    new.add_flow(flow_of("new"))
    with pytest.raises(BuildError):
        new.build()
    assert new.image is None
    with pytest.raises(StorageError, match="is not built yet"):
        new.get_env_runner("etl")
    with pytest.raises(StorageError, match="is not built yet"):
        new.references()[0].open_storage().get_env_runner("etl")
    assert old.get_env_runner("etl").run().result == "old"


def test_a_build_that_failed_can_be_repeated(build, make):
    storage = make(extra_dockerfile_commands=["RUN false"])
    storage.add_flow(flow_of("again"))
    with pytest.raises(BuildError):
        storage.build()
    storage.extra_dockerfile_commands = None
    assert storage.build().get_env_runner().run().result == "again"


def test_two_images_of_one_tag_keep_each_their_flow(build):
    first = build(flow_of("first"), image_name="same", image_tag="tag")
    second = build(flow_of("second"), image_name="same", image_tag="tag")
    assert first.get_env_runner().run().result == "first"
    assert second.get_env_runner().run().result == "second"


def test_nothing_is_built_where_nothing_was_added(build, make):
    storage = build()
    image = storage.image
    assert storage.build().image == image
    storage.add_flow(flow_of(name="more"))
    assert storage.build().image != image
    assert make().build().image is None


def test_values_of_build_arguments_are_masked_in_errors_and_logs(build, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(BuildError) as caught:
        build(
            build_kwargs={"buildargs": {"TOKEN": "canary of build", "DEBUG": "1"}},
            extra_dockerfile_commands=["ARG TOKEN", "RUN echo got $TOKEN at 1; exit 1"],
        )
    assert "got *** at 1" in str(caught.value)
    seen = f"{caught.value!r} {caught.value.__dict__} {caplog.text} {caught.value.__cause__}"
    assert "got *** at 1" in seen
    assert "canary of build" not in seen


def test_masking_sees_what_is_cut_into_pieces():
    log = BuildLog("etl:1", ["canary\nof lines", "1", "canary2"])
    heard = [*log.hear("Step 1/2 : RUN x\nhas can"), *log.hear("ary and \x1b[91mof lin\x1b[0m")]
    heard += [*log.hear("es\n"), *log.hear("canary2 at the end"), *log.end()]
    assert heard == ["Step 1/2 : RUN x", "has *** and ***", "*** at the end"]
    assert str(log.error("of lines: it")).endswith("***: it\nhas *** and ***\n*** at the end")


def test_only_the_last_lines_of_a_step_are_in_its_error():
    log = BuildLog("etl:1")
    list(log.hear("Step 1/1 : RUN x\n" + "".join(f"line {it}\n" for it in range(100))))
    said = str(log.error("it failed"))
    assert said.count("\n") == 30
    assert said.endswith("line 99")


def test_arguments_of_the_build_are_handed_on(build):
    storage = build(
        build_kwargs={"network_mode": "host", "buildargs": {"NUMBER": "7"}, "shmsize": 1 << 24},
        extra_dockerfile_commands=["ARG NUMBER", "ENV NUMBER=$NUMBER", "RUN ls /sys/class/net/lo"],
    )
    assert "NUMBER=7" in inspected(storage)["Config"]["Env"]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"build_kwargs": {"no_such": 1}}, ConfigurationError, "wrong build_kwargs: .*no_such"),
        ({"build_kwargs": {"labels": ["a"]}}, ConfigurationError, "labels in build_kwargs"),
        ({"build_kwargs": {"buildargs": 3}}, BuildError, "error reading build args"),
        ({"platform": "no-such-system"}, ConfigurationError, "not there for this platform"),
        (
            {"extra_dockerfile_commands": ["NONESUCH x"]},
            BuildError,
            "parse error .*unknown instruction: NONESUCH",
        ),
        (
            {"extra_dockerfile_commands": ["COPY no-such-file /"]},
            BuildError,
            "at Step .*COPY failed: file not found",
        ),
        (
            {"extra_dockerfile_commands": ['RUN ["no-such-program"]']},
            BuildError,
            'exec: "no-such-program": executable file not found',
        ),
    ],
)
def test_what_cannot_be_built_is_said(build, temporary, options, error, match):
    with pytest.raises(error, match=match) as caught:
        build(**options)
    assert "start Docker" not in (caught.value.hint or "")
    assert "No such image" not in str(caught.value)
    assert list(temporary.iterdir()) == []


def test_an_image_is_built_and_run_for_the_platform_that_is_asked_for(build, engine):
    with engine.client() as client:
        about = client.version()
    platform = f"{about['Os']}/{about['Arch']}"
    storage = build(platform=platform)
    assert inspected(storage)["Architecture"] == about["Arch"]
    assert storage.get_env_runner().run().result == "one"


def test_a_dockerfile_is_built_on_with_the_working_directory_as_its_context(build):
    Path("data").mkdir()
    Path("data/table.txt").write_text("of the context")
    Path("data/secret.txt").write_text("not to be sent")
    Path(".dockerignore").write_text("**/secret.txt\n")
    Path("Dockerfile.mine").write_text(
        f"FROM {docker_engine_plugin.BASE}\nCOPY data /data\nWORKDIR /home/app\n"
    )

    @task
    def read():
        import os

        return [open("/data/table.txt").read(), os.listdir("/data"), os.getcwd()]

    with Flow("reading") as flow:
        read()
    storage = build(flow, base_image=None, dockerfile="Dockerfile.mine")
    assert storage.get_env_runner().run().result == ["of the context", ["table.txt"], "/home/app"]
    assert sorted(it.name for it in Path().iterdir()) == [
        ".dockerignore",
        "Dockerfile.mine",
        "data",
    ]


BUILD = """
import signal, sys
# Where tests run in the background, their children would not hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from flowhold import Flow
from flowhold_storage_docker import Docker
storage = Docker(
    base_image=sys.argv[1], local_image=True, ignore_healthchecks=True,
    extra_dockerfile_commands=["RUN echo has begun; sleep 60"],
)
storage.add_flow(Flow("etl"))
import logging
logging.basicConfig(level="INFO")
storage.build()
"""


def test_an_interrupted_build_leaves_nothing(engine, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD, docker_engine_plugin.BASE],
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert any(line.endswith("has begun\n") for line in process.stderr)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) != 0
    assert "KeyboardInterrupt" in said
    assert list(folder.iterdir()) == []
    with engine.client() as client:
        deadline = time.monotonic() + 30
        while client.api.containers(all=True) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert client.api.containers(all=True) == []

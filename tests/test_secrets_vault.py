"""The example of a plugin that gives secrets, installed and tried as a stranger would."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "secrets-vault"
TOKEN = "hvs.canary-of-token"
VALUE = "hunter2-do-not-show"
FLOW = """
from flowhold import flow, logger, secret

@flow
def connect():
    logger().info("logging in with %s", secret("team/db#password"))
    return len(secret("team/db#password"))
"""


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A folder with a copy of the example, and an environment in which it is installed."""
    folder = tmp_path_factory.mktemp("stranger")
    shutil.copytree(EXAMPLE, folder / "example", ignore=shutil.ignore_patterns("__pycache__"))
    uv = (sys.executable, "-m", "uv")
    subprocess.run([*uv, "venv", "--quiet", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    packages = (ROOT / "packages" / "core", f"{folder / 'example'}[test]")
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)
    return folder


@pytest.fixture
def vault():
    spec = spec_from_file_location("vault_server", EXAMPLE / "tests" / "vault_server.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.VaultServer(TOKEN) as server:
        server.secrets["secret/team/db"] = {"password": VALUE}
        yield server


@pytest.fixture
def flowhold(stranger, process):
    command = stranger / "venv" / "bin" / "flowhold"
    return lambda *words, **options: process(command, *words, **options)


def test_its_own_tests_succeed_where_only_it_is_installed(stranger, process):
    python = stranger / "venv" / "bin" / "python"
    said = process(python, "-m", "pytest", "-q", "-rs", cwd=stranger / "example")
    assert " passed" in said
    assert "failed" not in said


def test_a_secret_of_it_is_found_and_a_flow_reads_it(flowhold, vault, tmp_path):
    env = {"VAULT_ADDR": vault.url, "VAULT_TOKEN": TOKEN}
    rows = json.loads(flowhold("plugins", "--check", "--json"))
    row = next(row for row in rows if row["name"] == "vault")
    assert (row["kind"], row["status"]) == ("plugin", "installed")
    said = flowhold("secrets", "check", "team/db#password", env=env)
    assert "a plugin" in said
    assert VALUE not in said
    (tmp_path / "etl.py").write_text(FLOW)
    flowhold("register", "etl.py", env=env)
    assert flowhold("run", "connect", env=env).strip() == str(len(VALUE))


def test_what_it_does_not_have_is_not_found(flowhold, vault):
    env = {"VAULT_ADDR": vault.url, "VAULT_TOKEN": TOKEN}
    document = json.loads(flowhold("secrets", "check", "OTHER", "--json", env=env, status=1))
    assert "OTHER" in json.dumps(document)
    assert vault.requests


@pytest.mark.parametrize("token", ["another-token", TOKEN])
def test_a_refusal_is_told_with_what_to_do_and_without_the_token(flowhold, vault, tmp_path, token):
    env = {"VAULT_ADDR": vault.url, "VAULT_TOKEN": token}
    vault.status = 403
    (tmp_path / "etl.py").write_text(FLOW)
    document = json.loads(flowhold("run", "etl.py", "--json", env=env, status=1))
    error = document["error"]
    assert error["type"] == "PluginError"
    assert "answers HTTP 403 to /v1/secret/data/team/db" in error["message"]
    assert "VAULT_TOKEN" in error["hint"]
    assert token not in json.dumps(document)
    assert vault.url in error["message"]

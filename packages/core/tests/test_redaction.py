"""Values of secrets that were given out are seen in no log, error or warning, nor by commands."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import pickle
import queue
import subprocess
import sys
import threading
from base64 import b64encode, urlsafe_b64encode
from concurrent.futures import ProcessPoolExecutor
from logging.handlers import QueueHandler
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowhold
from flowhold import _secrets, plugins, redaction
from flowhold.calls import describe
from flowhold.errors import ConfigurationError, FlowholdError, StorageError
from flowhold.redaction import MASK, forms_of, mask
from flowhold.rules import ours

CANARY = 'canary/4f+1c "é"&=%7'
PLAIN = "canary-7d0be3"


@pytest.fixture
def canary(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_CANARY", CANARY)
    return flowhold.secret("CANARY")


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_PLAIN", PLAIN)
    return flowhold.secret("PLAIN")


@pytest.fixture
def shown():
    """Return a function that gives what a handler writes of a record that is logged."""
    lines = []
    handler = logging.Handler()
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)r"))
    handler.emit = lambda record: lines.append(handler.format(record))
    logger = logging.getLogger("flowhold")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield lambda: "\n".join(lines)
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_nothing_is_changed_before_a_secret_is_given_out():
    assert mask(f"the text {CANARY}") == f"the text {CANARY}"
    assert str(FlowholdError(PLAIN, hint=PLAIN)) == PLAIN


@pytest.mark.parametrize(
    "written",
    [
        CANARY,
        quote(CANARY),
        quote(CANARY, safe=""),
        quote_plus(CANARY),
        json.dumps({"value": CANARY}),
        json.dumps({"value": CANARY}, ensure_ascii=False),
        repr(CANARY),
        repr([CANARY.encode()]),
    ],
)
def test_a_value_is_masked_in_its_usual_forms(canary, written):
    text = mask(f"before {written} behind")
    assert MASK in text
    assert "canary" not in text
    assert (text[:7], text[-7:]) == ("before ", " behind")


@pytest.mark.parametrize("user", ["", "u", "me", "git", "user", "x-token-auth"])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("value", [CANARY, PLAIN, "a>b?c~d", "five5"])
def test_a_password_is_masked_in_the_scheme_basic_whoever_the_user_is(user, encode, value):
    redaction.remember(value)
    sent = encode(f"{user}:{value}".encode()).decode()
    text = mask(f"Authorization: Basic {sent}")
    assert MASK in text
    left = text.removeprefix("Authorization: Basic ").partition(MASK)
    # Of the value no more is left than bits beside the ends.
    assert len(left[0]) <= (len(user) + 1) * 8 // 6 + 1
    assert len(left[2].rstrip("=")) <= 1


def test_every_provider_and_every_way_to_a_value_makes_it_known(tmp_path, monkeypatch):
    class Provider:
        @flowhold.hookimpl
        def flowhold_secret(self, name):
            return {"E": "value-of-plugin"}.get(name)

    monkeypatch.setenv("FLOWHOLD_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("FLOWHOLD_SECRET_B", "value-of-variable")
    (tmp_path / "C").write_text("value-of-file\n")
    toml = Path(os.environ["FLOWHOLD_CONFIG_DIR"], "secrets.toml")
    toml.write_text('D = "value-of-toml"')
    toml.chmod(0o600)
    provider = Provider()
    plugins.register(provider)
    try:
        with flowhold.secrets({"A": "value-of-block", "F": "value-not-asked-for"}):
            flowhold.secret("A")
        _secrets.resolve(["B", "C"])
        flowhold.secret("D")
        flowhold.secret("E")
    finally:
        plugins.unregister(provider)
    assert mask("value-not-asked-for value-of-block value-of-plugin") == " ".join([MASK] * 3)
    assert mask("value-of-variable value-of-file value-of-toml") == " ".join([MASK] * 3)


@pytest.mark.parametrize("short", ["", "1", "abc", "  a  ", "\n\n\n\n\n"])
def test_what_is_short_is_left_alone(short):
    with flowhold.secrets({"A": short}):
        assert mask(f"1 abc  a  {short}.") == f"1 abc  a  {short}."


def test_a_longer_value_is_masked_whole_where_a_shorter_one_is_in_it():
    with flowhold.secrets({"A": "inner", "B": "outer-inner-outer"}):
        assert mask("outer-inner-outer inner") == f"{MASK} {MASK}"


def test_what_a_value_has_inside_is_masked_alone():
    key = "-----BEGIN KEY-----\nMIIEvAIBADANBgkq\nhkiG9w0BAQ==\n-----END KEY-----\n"
    url = "https://me:password-in-url@example.com/path?sig=signature-in-url&x=1"
    connection = "AccountName=visible1;AccountKey=key+in/connection==;EndpointSuffix=visible2"
    mapping = json.dumps({"user": "visible3", "client_secret": "secret-in-json"})
    with flowhold.secrets({"A": key, "B": url, "C": connection, "D": mapping}):
        text = (
            "MIIEvAIBADANBgkq password-in-url signature-in-url key+in/connection== secret-in-json"
        )
        assert mask(text) == " ".join([MASK] * 5)
        kept = "visible1 visible2 visible3 example.com/path"
        assert mask(kept) == kept


def test_messages_and_arguments_of_logs_are_masked(canary, plain, shown):
    logger = logging.getLogger("flowhold.any.depth")
    logger.warning(f"in the message {canary}")
    logger.warning("as an argument %s", canary)
    logger.warning("as another %r", [plain])
    logger.warning("by name %(a)s", {"a": 1, "unused": plain})
    logger.warning("cut off: %.3s", plain)
    logger.warning("visible %s", "argument")
    assert "canary" not in shown()
    assert f"in the message {MASK}" in shown()
    assert f"as an argument {MASK}" in shown()
    assert "by name 1 ()" in shown()
    assert "visible argument ('argument',)" in shown()


def test_arguments_that_do_not_fit_are_masked_too(plain, shown, capfd):
    logging.getLogger("flowhold.x").warning("one %s", "more", plain)
    logging.getLogger("flowhold.x").warning("no %d", plain)
    assert shown().count(MASK) == 2
    assert PLAIN not in shown() + "".join(capfd.readouterr())


def test_tracebacks_in_logs_are_masked_also_for_handlers_that_format_them_anew(
    plain, shown, caplog
):
    logger = flowhold.logger()
    try:
        raise RuntimeError(f"the library says {plain}")
    except RuntimeError:
        logger.exception("it failed")
        logger.warning("again", exc_info=True)
    assert f"RuntimeError: the library says {MASK}" in shown()
    assert PLAIN not in shown() + caplog.text
    assert [record.exc_info for record in caplog.records] == [None, None]
    try:
        raise RuntimeError("nothing secret")
    except RuntimeError:
        logger.exception("it failed")
    assert caplog.records[-1].exc_info[0] is RuntimeError


def test_further_fields_of_records_are_masked(plain, caplog):
    extra = {"token": plain, "headers": {"X": plain}, "count": 3}
    logging.getLogger("flowhold.fields").warning("sent", extra=extra)
    record = caplog.records[-1]
    assert (record.token, record.headers, record.count) == (MASK, repr({"X": MASK}), 3)


def test_records_that_go_to_a_queue_are_masked(plain):
    records = queue.SimpleQueue()
    logger = logging.getLogger("flowhold.queued")
    handler = QueueHandler(records)
    logger.addHandler(handler)
    try:
        logger.warning("sent %s", plain)
    finally:
        logger.removeHandler(handler)
    assert PLAIN not in repr(vars(records.get()))


def test_loggers_of_others_are_left_alone(plain, caplog):
    logging.getLogger("flowholder").warning("theirs: %s", plain)
    assert caplog.messages == [f"theirs: {PLAIN}"]


def test_text_hint_location_and_repr_of_errors_are_masked(canary):
    error = StorageError(f"a {canary}", hint=f"b {canary}", location=f"c/{quote(canary)}")
    assert (str(error), error.message, error.hint) == (f"a {MASK}", f"a {MASK}", f"b {MASK}")
    assert error.location == f"c/{MASK}"
    error.message = f"set later: {canary}"
    assert str(error) == f"set later: {MASK}"
    assert "canary" not in repr(StorageError(canary)) + repr(StorageError(canary).args)


def test_a_pickled_error_holds_no_value(canary):
    data = pickle.dumps(ConfigurationError(f"a {canary}", hint=canary))
    assert b"canary" not in data
    assert str(pickle.loads(data)) == f"a {MASK}"


def test_an_error_from_elsewhere_is_masked_where_the_value_is_known(plain):
    redaction.forget()
    data = pickle.dumps(StorageError(PLAIN, hint=PLAIN))
    assert PLAIN.encode() in data
    redaction.remember(PLAIN)
    error = pickle.loads(data)
    assert (str(error), error.hint, error.args) == (MASK, MASK, (MASK,))


def test_words_of_an_sdk_are_masked_before_they_are_cut(plain):
    error = ours({}, [500], "x" * (300 - len(PLAIN) + 2) + PLAIN, place="s3://b/k", key="k")
    assert "canary" not in str(error)


FLOW = """
from flowhold import flow, logger, secret
import warnings

@flow
def leaky(how):
    value = secret("CANARY")
    logger().warning("logged %s", value)
    warnings.warn(f"warned {value}")
    class Odd(Exception):
        hint = f"hinted {value}"
    raise Odd(f"raised {value}") if how == "odd" else ValueError(value)
"""


@pytest.mark.parametrize("how", ["odd", "plain"])
@pytest.mark.parametrize("options", [["--debug"], ["--json"], ["--json", "--debug"], []], ids=str)
@pytest.mark.parametrize("executor", [None, "processes:1"])
def test_the_command_shows_no_value_of_what_fails(tmp_path, how, options, executor):
    Path("leaky.py").write_text(FLOW)
    call = [sys.executable, "-m", "flowhold", "run", "leaky.py", "-p", f"how={how}", *options]
    call += ["--executor", executor] if executor else []
    env = {**os.environ, "FLOWHOLD_SECRET_CANARY": PLAIN}
    done = subprocess.run(call, capture_output=True, text=True, env=env)
    assert done.returncode == 1
    if executor is None:
        assert f"logged {MASK}" in done.stderr
        assert f"warned {MASK}" in done.stderr
        assert ("Traceback" in done.stderr) == ("--debug" in options)
        if "--json" in options and how == "odd":
            error = json.loads(done.stdout)["error"]
            assert error["message"].startswith(f"raised {MASK}")
            assert error["hint"] == f"hinted {MASK}"
    assert MASK in done.stdout + done.stderr
    # What tasks themselves write, as warnings of worker processes, is theirs.
    said = [line for line in done.stderr.splitlines() if executor is None or "warn" not in line]
    assert PLAIN not in done.stdout + "".join(said)


def test_the_command_masks_an_error_outside_of_tasks(command, monkeypatch):
    Path("bad.py").write_text("from flowhold import secret\nraise ValueError(secret('CANARY'))\n")
    monkeypatch.setenv("FLOWHOLD_SECRET_CANARY", PLAIN)
    for options in ([], ["--json"], ["--debug"]):
        code, out, err = command("run", "bad.py", *options)
        assert code == 1
        assert MASK in out + err
        assert PLAIN not in out + err


def test_secrets_check_says_where_a_value_is_as_before(output, monkeypatch):
    monkeypatch.setenv("FLOWHOLD_SECRET_CANARY", "CANARY")
    assert "variable FLOWHOLD_SECRET_CANARY" in output("secrets", "check", "CANARY")


@flowhold.task
def fail(kind):
    value = os.environ["CANARY"]
    with flowhold.secrets({"IN_WORKER": value}):
        if kind == "os":
            raise FileNotFoundError(2, "gone", value)
        raise {"key": KeyError, "own": StorageError}[kind](value)


@pytest.mark.parametrize("kind", ["key", "own", "os"])
def test_an_error_of_a_worker_process_comes_without_the_value(kind, monkeypatch):
    monkeypatch.setenv("CANARY", PLAIN)
    with flowhold.Flow("failing") as flow:
        fail(kind)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        run = flow.run(executor=executor)
    assert MASK in str(run.error)
    assert isinstance(run.error, {"key": KeyError, "own": StorageError, "os": RuntimeError}[kind])
    assert "Traceback" in str(run.error.__cause__)
    for text in (repr(run.error), str(run.error.__cause__), repr(vars(run.error))):
        assert PLAIN not in text


def test_describing_an_error_of_others_shows_no_value(plain):
    assert describe(ValueError(f"no {plain}")) == f"ValueError: no {MASK}"


def test_nothing_shows_what_is_remembered(canary):
    seen = repr(vars(redaction)) + str(redaction._memory)
    assert "canary" not in seen
    assert "<1 secrets>" in seen


def test_the_latest_values_are_remembered_and_the_oldest_forgotten():
    for number in range(redaction._MOST + 10):
        redaction.remember(f"value-{number:05}")
        redaction.remember("value-in-use")
    assert mask("value-00000") == "value-00000"
    assert mask("value-00100 value-in-use") == f"{MASK} {MASK}"
    assert len(redaction._memory.values) == redaction._MOST


def test_large_values_are_masked_and_take_no_more_than_their_room():
    values = [f"{number}" * (1 << 20) for number in range(1, 6)]
    for value in values:
        redaction.remember(value)
    assert mask(f"a{values[-1]}b") == f"a{MASK}b"
    assert sum(map(len, redaction._memory.forms)) <= redaction._ROOM
    assert len(redaction._memory.values) < len(values)


def test_threads_that_remember_at_once_lose_nothing():
    values = [[f"thread-{t}-value-{n}" for n in range(20)] for t in range(8)]
    threads = [
        threading.Thread(target=lambda own=own: [*map(redaction.remember, own)]) for own in values
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = " ".join(value for own in values for value in own)
    assert mask(text) == " ".join([MASK] * 160)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_remembers_and_is_not_blocked():
    code = (
        "import os\nfrom flowhold import redaction\n"
        f"redaction.remember({PLAIN!r})\n"
        "with redaction._memory.lock:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        redaction.remember('another-value')\n"
        f"        os._exit(redaction.mask('{PLAIN} another-value') != '*** ***')\n"
        "    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@given(st.text(st.characters(), min_size=1), st.text())
def test_whatever_the_value_it_is_not_left_in_the_text(value, around):
    assert value in forms_of(value)
    redaction.forget()
    redaction.remember(value)
    if len(value.strip()) >= redaction.SHORTEST and MASK not in value and "*" not in value:
        assert value not in mask(f"{around}{value}{around}")

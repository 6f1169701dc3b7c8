"""Secrets are seen nowhere, whatever a storage does with them and whatever goes wrong."""

from __future__ import annotations

import base64
import json
import logging
import os
import pickle
import subprocess
import sys
import traceback
from functools import partial
from urllib.parse import quote, quote_plus

import cloudpickle
import pytest
import requests
from scenes import SCENES

import flowhold
from flowhold.errors import FlowholdError
from flowhold.testing.faults import Corrupt, FaultProxy, LoseAnswer, Reset, Stall, Status, Truncate

PROMISE = "secrets canary, {}: seen neither after success nor after failure"
APART = ", but for key id and session token in the DEBUG logs of botocore"
FOR_GOOD = 100


class Started(list):
    """The processes that Python starts while it is looking; hooks of audits stay for good."""

    looking = False

    def hear(self, event, arguments):
        if self.looking and event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
            self.append(repr(arguments))


_started = Started()
sys.addaudithook(_started.hear)


def forms(secret):
    """Return a secret as it is, and as URLs, JSON, reprs and HTTP have it."""
    coded = [base64.b64encode(b"x" * n + secret.encode()).decode()[4:-4] for n in range(3)]
    quoted = [quote(secret, safe=""), quote(secret), quote_plus(secret)]
    return {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], *quoted, *coded}


def texts_of(thing, seen):
    """Yield what can be read of an error: what it holds, its causes, and our frames."""
    if id(thing) in seen:
        return
    seen[id(thing)] = thing
    yield f"{thing!r} {thing}"
    inner = []
    if isinstance(thing, BaseException):
        inner = [*thing.args, *vars(thing).values(), thing.__cause__, thing.__context__]
        for frame, _ in traceback.walk_tb(thing.__traceback__):
            if str(frame.f_globals.get("__name__")).startswith("flowhold"):
                inner += frame.f_locals.values()
    elif isinstance(thing, dict):
        inner = [*thing.keys(), *thing.values()]
    elif isinstance(thing, (list, tuple, set)):
        inner = [*thing]
    for each in inner:
        if isinstance(each, (str, bytes, dict, list, tuple, set, BaseException)):
            yield from texts_of(each, seen)


class Traces:
    """What one use of a storage leaves, by the place where it is."""

    def __init__(self, tmp_path, caplog, capfd, other):
        self.folder, self.caplog, self.capfd, self.other = tmp_path, caplog, capfd, other
        self.error, self.shown, self.references, self.storages = None, [], [], []

    def places(self):
        yield "processes", [*_started]
        yield "logs", [*self.logs()]
        error = self.error
        copy = error and pickle.loads(pickle.dumps(error))
        texts = [*traceback.format_exception(error)] if error else []
        yield "exceptions", [*texts, *texts_of(error, {}), *texts_of(copy, {})]
        shown = [repr(each) + str(each) for each in (*self.storages, *self.references)]
        yield "repr", [*shown, *self.shown, *(repr(vars(each)) for each in self.storages)]
        documents = [each.to_json() for each in self.references]
        documents += [json.dumps(each.serialize()) for each in self.storages]
        yield "references", documents + [repr(cloudpickle.dumps(each)) for each in self.storages]
        for name in ("catalog", "cache"):
            yield name, [*self.files(lambda path, name=name: name in path.parts)]
        yield "output", [*self.capfd.readouterr()]
        yield (
            "other hosts",
            [
                f"{each.method} {each.target} {each.headers.items()} {each.start!r}"
                for each in self.other.requests
            ],
        )

    def logs(self):
        formatter = logging.Formatter("%(name)s %(message)s")
        for record in self.caplog.records:
            yield f"{formatter.format(record)} {record.args!r} {vars(record)!r}"

    def files(self, chosen):
        for path in self.folder.rglob("*"):
            if chosen(path):
                yield f"{path}"
                yield path.read_bytes().decode("latin-1") if path.is_file() else ""


def faults(scene, other):
    """Return what a proxy can do to a request, by name."""
    said = f"no: {' '.join(scene.sent)}"
    echo = json.dumps({"message": said, "error": {"message": said}}).encode()
    xml = f"<Error><Code>InvalidAccessKeyId</Code><Message>{said}</Message></Error>".encode()
    kind = {"Content-Type": "application/json"}
    return {
        "reset": Reset(),
        "stall": Stall(),
        "lost answer": LoseAnswer(),
        "cut answer": Truncate(9),
        "damaged answer": Corrupt(0),
        "400 that tells it back": Status(400, echo, kind),
        "401": Status(401, b"", kind),
        "403 in XML that tells it back": Status(403, xml, {"Content-Type": "application/xml"}),
        "403 that tells it back": Status(403, said.encode(), {"Content-Type": "text/plain"}),
        "404": Status(404, b"{}", kind),
        "500 that tells it back": Status(500, echo, kind),
        "503 with a page": Status(503, f"<html>{said}".encode(), {"Content-Type": "text/html"}),
        "nonsense": Status(200, b'{"message": "no"}', kind),
        "redirect": Status(302, headers={"Location": f"{other.url}/elsewhere"}),
        "redirect with its body": Status(307, headers={"Location": f"{other.url}/elsewhere"}),
    }


def is_of_the_storage(request):
    """Return whether a request is none of Google's for a token, who could not tell it back."""
    return request.target != "/token"


def attempts(scene, other):
    """Return a step and what is done before it, by what is tried."""
    found = {"success": ("none", None), "no such flow": ("ask for another", None)}
    found |= {name: ("load", spoil) for name, spoil in scene.breaks.items()}
    for name, fault in faults(scene, other).items() if scene.proxy else ():
        for step in ("register", "load"):
            spoil = partial(scene.proxy.fail, fault, FOR_GOOD, is_of_the_storage)
            found[f"{name} to {step}"] = (step, spoil)
    return found


def use(scene, step, spoil, traces):
    """Register, load and run a flow; before one of the steps something is broken."""
    storage = scene.storage(**({"timeout": 0.4, "retries": 1} if scene.proxy else {}))
    traces.storages.append(storage)
    if step == "register":
        spoil()
    if storage.name == "Memory":
        storage.add_flow(scene.flow())
        load = partial(storage.get_flow, scene.name)
    else:
        traces.references.append(flowhold.register(scene.flow(), storage=storage))
        load = partial(flowhold.load, traces.references[0])
    # What is cached would not be asked for.
    os.environ["FLOWHOLD_CACHE_DIR"] += "/cache"
    if step == "load":
        spoil()
    if step == "ask for another":
        storage.get_flow("another")
    flow = load()
    run = flow.run()
    traces.shown += [repr(flow), repr(storage.verify()), *texts_of(vars(run), {})]
    # Where the server is gone by now, the result of the task cannot be written.
    assert spoil or run.result > 20


@pytest.fixture
def watched():
    """The processes that are started, as far as it is told to look."""
    yield _started
    _started.clear()
    _started.looking = False


@pytest.fixture
def attempt(request, swift, monkeypatch, tmp_path, caplog, capfd, watched):
    """Return a function that makes a scene and tries something there, and gives the traces."""

    def attempt(name, what, number, masks):
        base = tmp_path / "flowhold" / f"{number}"
        for kind in ("config", "data", "cache"):
            monkeypatch.setenv(f"FLOWHOLD_{kind.upper()}_DIR", str(base / kind))
        caplog.clear()
        watched.clear()
        capfd.readouterr()
        with FaultProxy("http://127.0.0.1:1", lambda _: Status(404)) as other:
            traces = Traces(base, caplog, capfd, other)
            with SCENES[name](request) as scene, flowhold.secrets(dict(scene.secrets)):
                if scene.logged and not masks:
                    # What the service says of a login is for the masks of the core.
                    scene.sent = ()
                step, spoil = attempts(scene, other)[what]
                watched.looking = True
                try:
                    use(scene, step, spoil, traces)
                except FlowholdError as error:
                    traces.error = error
                finally:
                    watched.looking = False
                assert (traces.error is None) or what != "success"
                return scene, [*traces.places()]

    return attempt


def names_of(name, request):
    with FaultProxy("http://127.0.0.1:1") as other, SCENES[name](request) as scene:
        return [*attempts(scene, other)], scene


@pytest.mark.parametrize("masks", [True, False], ids=["masked", "by itself"])
@pytest.mark.parametrize("name", SCENES)
def test_secrets(name, masks, request, attempt, trying, sample, caplog):
    if not masks:
        request.getfixturevalue("unmasked")
    caplog.set_level(logging.DEBUG)
    (success, *others), scene = names_of(name, request)
    promise = PROMISE.format(name) + (APART if scene.logged else "")
    for number, what in enumerate([success, *sample(others, 2)]):
        scene, places = attempt(name, what, number, masks)
        for place, texts in trying(promise, places):
            wanted = {*scene.canaries} - {*(scene.logged if place == "logs" else ())}
            found = {form for secret in wanted for form in forms(secret)}
            shown = [(form, text) for text in texts for form in found if form in text]
            around = [text[max(0, text.index(form) - 200) :][:300] for form, text in shown[:3]]
            assert around == [], (what, place)


def test_the_look_out_sees_what_it_looks_for(tmp_path, caplog, capfd, watched):
    """That nothing is found means something."""
    secret = "canary-to-be-found"
    caplog.set_level(logging.DEBUG)
    watched.looking = True
    subprocess.run(["true", secret], check=True)
    subprocess.run(["true"], env=dict(os.environ, A=secret), check=True)
    watched.looking = False
    logging.getLogger("some.library").debug("said", extra={"more": secret})
    print(secret)
    for folder in ("catalog", "cache"):
        (tmp_path / "flowhold" / "data" / folder).mkdir()
        (tmp_path / "flowhold" / "data" / folder / "file").write_text(f"x{secret}")
    with FaultProxy("http://127.0.0.1:1", lambda _: Status(404)) as other:
        traces = Traces(tmp_path / "flowhold", caplog, capfd, other)
        requests.get(f"{other.url}/a", headers={"X": secret}, timeout=9)
        try:
            raise FlowholdError("it failed") from ValueError({"deep": [secret]})
        except FlowholdError as error:
            traces.error = error
        traces.shown = [secret]
        storage = flowhold.storage.Local(tmp_path / secret)
        traces.storages = [storage]
        for place, texts in traces.places():
            assert any(secret in text for text in texts), place

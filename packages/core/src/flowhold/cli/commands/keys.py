"""``flowhold keys``: the keys that sign flows, and those whose signatures count here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import click

from flowhold import keyring, settings
from flowhold.cli.command import as_command, as_group, complete_files
from flowhold.cli.session import Session
from flowhold.keys import PublicKey, read_date


def _date(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> date | None:
    try:
        return None if text is None else read_date(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not YYYY-MM-DD") from error


def _expires(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option("--expires", metavar="YYYY-MM-DD", callback=_date, help=text)


@as_command("flowhold keys new release\nflowhold keys new release --expires 2030-12-31")
@click.argument("name")
@_expires("The last day, in UTC, on which its signatures count.")
def new(session: Session, name: str, expires: date | None) -> None:
    """Make a key that signs: NAME.key, which stays secret, and NAME.pub, which is passed on."""
    key = keyring.create(name, expires)
    path = keyring.folder() / f"{name}.pub"
    session.emit({**_document(key), "public": key.to_text(), "path": str(path)})
    session.print(f"made {key}; its public key, in {path}:")
    session.print(key.to_text())


@as_command("flowhold keys list\nflowhold keys list --json")
def list_(session: Session) -> None:
    """Show the keys that are known here: own ones and trusted ones."""
    own, trusted = keyring.own(), keyring.trusted()
    known: dict[bytes, PublicKey] = {key.raw: key for key in (*own, *trusted)}
    rows = []
    for raw, key in known.items():
        uses = {"private": own, "trusted": trusted}
        is_a = {use: raw in {each.raw for each in keys} for use, keys in uses.items()}
        rows.append({**_document(key), **is_a})
    unknown = set(keyring.revoked()) - {key.id for key in known.values()}
    empty = {"expires": None, "private": False, "trusted": False}
    rows += [{"name": None, "id": keyid, "state": "revoked", **empty} for keyid in sorted(unknown)]
    session.emit(rows)
    if rows:
        shown = ("private", "trusted")
        session.table([{**row, **{use: "yes" * row[use] for use in shown}} for row in rows])
    elif not session.json:
        session.note(f"no keys in {keyring.folder()}; `flowhold keys new NAME` makes one")


@as_command("flowhold keys trust release.pub\nflowhold keys trust 'ed25519 MCow... release'")
@click.argument("key", metavar="FILE|TEXT|NAME", shell_complete=complete_files)
@click.option("--name", help="What to call it here.")
@_expires("The last day, in UTC, on which its signatures count here.")
def trust(session: Session, key: str, name: str | None, expires: date | None) -> None:
    """Trust a key: what it signs loads here, and what no trusted key has signed does not.

    The key is a file or a text as `flowhold keys new` gives it, or the name of an own one.
    """
    found = keyring.read_public(key)
    ends = [day for day in (found.expires, expires) if day]
    added = PublicKey(found.raw, name or found.name, min(ends, default=None))
    path = keyring.trust(added)
    session.emit({**_document(added), "path": str(path)})
    session.print(f"{added} is trusted; flows that no trusted key has signed do not load here")
    chosen = settings.current().trusted_keys
    if chosen and added.raw not in {each.raw for each in keyring.trusted()}:
        session.warn(f"the setting trusted_keys names others; add {added.name!r} to it")


@as_command("flowhold keys revoke 0123456789abcdef\nflowhold keys revoke release")
@click.argument("key", metavar="KEYID|NAME")
def revoke(session: Session, key: str) -> None:
    """Let no signature of a key count here any more, whatever else is said of the key."""
    keyid, known = keyring.revoke(key)
    session.emit({"id": keyid, "names": [each.name for each in known]})
    shown = ", ".join(map(str, known)) or keyid
    session.print(f"{shown} is revoked: what it has signed does not load here")


def _document(key: PublicKey) -> dict[str, Any]:
    flaw = keyring.flaw_of(key)
    state = "ok" if flaw is None else "revoked" if flaw == "is revoked" else "expired"
    expires = key.expires.isoformat() if key.expires else None
    return {"name": key.name, "id": key.id, "state": state, "expires": expires}


command = as_group(
    "Make, trust and revoke the keys that sign flows.",
    "flowhold keys new release\nflowhold keys trust release.pub",
    new=new,
    list=list_,
    trust=trust,
    revoke=revoke,
)

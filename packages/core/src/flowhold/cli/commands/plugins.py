"""``flowhold plugins``: what is installed, what could be, what of it is broken; a new one."""

from __future__ import annotations

from pathlib import Path

import click

from flowhold import plugins
from flowhold.cli.command import as_command
from flowhold.cli.session import Session

BAD = ("broken", "conflict", "incompatible")
"""States in which a plugin cannot be used."""


@as_command("flowhold plugins new mine ./flowhold-storage-mine")
@click.argument("name")
@click.argument("dest", type=click.Path(path_type=Path))
def new(session: Session, name: str, dest: Path) -> None:
    """Write the beginning of a storage of your own: a package that works, to be changed.

    NAME is what people write behind --storage, in lower-case letters and digits; it is also the
    scheme of URLs, as in mine:///folder. DEST is a folder, which is made, or is there and empty.

    The package keeps flows in a folder at first, and passes the conformance kit. Then its store.py
    is where you replace files by calls of your service. Its README.md has the steps.
    """
    from flowhold.scaffolding import write_storage

    written = write_storage(name, dest)
    session.emit({"name": name, "folder": str(dest), "files": [str(path) for path in written]})
    session.print(f"wrote {len(written)} files to {dest}; next:")
    session.print(f"  pip install -e '{dest}[test]'")
    session.print(f"  pytest {dest}")
    session.print(f"  flowhold register flow.py --storage {name} -o place=FOLDER")


@as_command("flowhold plugins\nflowhold plugins --check", new=new)
@click.option("--check", is_flag=True, help="Import each, too; the exit code is 1 if one fails.")
def command(session: Session, check: bool) -> int:
    """Show storages and plugins: built in, installed, or available.

    Without --check only metadata is read, and nothing is imported. `new` writes a package with a
    storage of your own.
    """
    rows = plugins.listing(check=check)
    session.emit(rows)
    session.table(
        [
            {
                "name": row["name"],
                "kind": row["kind"],
                "distribution": row["distribution"] or "-",
                "version": row["version"] or "-",
                "status": row["status"],
                "": "; ".join(filter(None, (row["error"], row["hint"]))),
            }
            for row in rows
        ]
    )
    return 1 if check and any(row["status"] in BAD for row in rows) else 0

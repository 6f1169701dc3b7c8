"""The page of results: machine, versions, method, and a table and a chart for each group."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path

from charts import chart
from peers import OWN, ROOT, interpreter
from rows import Row, shown

__all__ = ["renew_page", "write_page"]

PAGE = ROOT / "docs" / "benchmarks.md"
CHARTS = ROOT / "docs" / "benchmarks"
FINDINGS = ROOT / "benchmarks" / "findings.md"
HEAD = """# Benchmarks

Flowhold beside other systems and beside bare libraries, measured side by side in one run.
`make bench` writes this page; `make bench-quick` runs all of it in less than three minutes, to see
that it works, and says nothing of times.

## How it was measured

- Those who are compared take turns, round by round, on the same data, in an order that changes and
  turns round. The first round warms up and does not count; of the others the best of each counts.
  Each object and flow of 20 kB is timed by itself, and the median of all counts, as the luckiest
  answer of a service says little; what happens only now and then is not in it. Commands and imports
  are fresh processes, the rest processes that do nothing else, where garbage is collected before
  each measure, and what was written by then is on the disk (`sync`).
- Each has an environment of its own, from PyPI or Debian. Where Python itself counts most, both run
  under the same Python.
- Servers are on this machine: moto, gcp-storage-emulator, azurite, nginx, `git http-backend`,
  `dockerd`. There is no other network. Both sides are as durable: where one writes to the disk
  (`fsync`), the other does.
- Ratios are ours / theirs: below 1.00 Flowhold takes less. A goal is the most that the ratio may
  be. Where there is no goal, the ratio is only told.
- "cannot be had" in place of a number says why.
"""
VERSIONS = {
    "Flowhold": (
        OWN,
        (
            *("flowhold", "cloudpickle", "pluggy", "importlib-metadata", "zstandard", "fsspec"),
            *("boto3", "google-cloud-storage", "azure-storage-blob", "requests", "dulwich"),
            *("distributed", "moto", "gcp-storage-emulator"),
        ),
    ),
    "Prefect 1": ("prefect1", ("prefect", "cloudpickle", "boto3")),
    "Prefect 3": ("prefect3", ("prefect",)),
    "stores": ("stores", ("s3fs", "obstore")),
    "images": ("docker", ("docker",)),
    "images, Prefect 1": ("prefect1-docker", ("prefect", "docker")),
}
PROGRAMS = ("git --version", "docker --version", "tar --version", "zstd --version", "nginx -v")


def write_page(results: Mapping[str, Sequence[Row]], load: float, took: float) -> None:
    """Write the page and its charts.

    Args:
        results: Rows by group.
        load: How busy the machine was when the run began (load average of the minute before).
        took: Seconds that the run took.
    """
    CHARTS.mkdir(exist_ok=True)
    parts = [HEAD, "\n".join(machine(load, took)), "\n".join(versions())]
    parts += [section(name, rows) for name, rows in results.items()]
    parts.append(FINDINGS.read_text(encoding="utf-8"))
    PAGE.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")


def renew_page(results: Mapping[str, Sequence[Row]]) -> None:
    """Put the sections of groups that were measured alone, and the findings, into the page.

    Args:
        results: Rows by group.
    """
    page, now = PAGE.read_text(encoding="utf-8"), datetime.now(timezone.utc)
    for name, rows in results.items():
        renewed = section(
            name, rows, f"Measured alone, after the others: {now:%Y-%m-%d %H:%M} UTC."
        )
        begin = page.index(renewed.partition("\n")[0] + "\n")
        end = page.index("\n## ", begin)
        page = page[:begin] + renewed + "\n" + page[end:]
    findings = FINDINGS.read_text(encoding="utf-8")
    page = page[: page.index(findings.partition("\n")[0] + "\n")] + findings
    PAGE.write_text(page, encoding="utf-8")


def section(name: str, rows: Sequence[Row], note: str = "") -> str:
    """Return the section of a group, and write its chart."""
    title, _, method = (import_module(f"groups.{name}").__doc__ or "").partition("\n")
    (CHARTS / f"{name}.svg").write_text(chart(rows), encoding="utf-8")
    heading, text = title.rstrip("."), "\n".join(table(rows))
    image = f"![{heading}](benchmarks/{name}.svg)"
    return "\n\n".join(filter(None, [f"## {heading}", method.strip(), note, text, image]))


def machine(load: float, took: float) -> Iterator[str]:
    """Yield the section on the machine."""
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    now = datetime.now(timezone.utc)
    yield "## Machine\n\n| what | |\n| --- | --- |"
    yield f"| processor | {cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores |"
    yield f"| memory | {memory / (1 << 30):.0f} GiB |"
    yield f"| system | {platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.release()} |"
    yield f"| load before the run | {load:.2f} |"
    yield f"| run | {now:%Y-%m-%d %H:%M} UTC, {took / 60:.0f} minutes |"


def versions() -> Iterator[str]:
    """Yield the section on versions."""
    yield "## Versions\n\n| environment | versions |\n| --- | --- |"
    for label, (where, names) in VERSIONS.items():
        found = interpreter(where) if isinstance(where, str) else where
        told = found.missing or ", ".join(
            f"{name} {version}" for name, version in found.versions(*names).items()
        )
        yield f"| {label} | {told} |"
    lines = []
    for command in PROGRAMS:
        try:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=True)
            lines.append((done.stdout or done.stderr).splitlines()[0].strip("* "))
        except OSError:
            lines.append(f"{command.partition(' ')[0]} is not installed")
    yield f"| programs | {'; '.join(lines)} |"


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table of a group."""
    yield "| measure | who | takes | ours / theirs | goal | |"
    yield "| --- | --- | ---: | ---: | ---: | --- |"
    for row in rows:
        own, ours = row.ours
        yield f"| {row.measure} | **{own}** | {shown(ours, row.unit)} | | | |"
        for each in row.comparisons():
            ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
            goal = "" if each.goal is None else f"{each.goal:.2f}"
            value = shown(each.value, row.unit).replace("|", "\\|")
            yield f"| | {each.peer} | {value} | {ratio} | {goal} | {each.verdict} |"

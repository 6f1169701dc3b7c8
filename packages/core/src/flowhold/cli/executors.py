"""The executor that ``--executor`` names: threads, processes, or a Dask cluster of the user's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from flowhold.errors import FlowholdError, StorageUnavailableError

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["open_executor", "parse_executor"]

_DASK_SECONDS = 10
_MOST = 10_000
# Of what Dask does not know, its client would be rid of only after a long time.
_ADDRESS = r"((tcp|tls|ucx|ws|wss)://)?[^/]+:[0-9]+"


def parse_executor(
    _ctx: click.Context, _parameter: click.Parameter, text: str | None
) -> tuple[str, str] | None:
    """Return kind, and number or address, of ``threads:N``, ``processes:N`` or ``dask:ADDRESS``.

    Without N there are as many workers as Python chooses.
    """
    if text is None:
        return None
    kind, _, rest = text.partition(":")
    address = kind == "dask" and re.fullmatch(_ADDRESS, rest)
    number = not rest or (rest.isascii() and rest.isdigit() and 0 < int(rest[:9]) <= _MOST)
    if not address and not (kind in ("threads", "processes") and number):
        raise click.BadParameter(f"{text!r} is not threads:N, processes:N or dask:HOST:PORT")
    return kind, rest


@contextmanager
def open_executor(chosen: tuple[str, str] | None) -> Iterator[Executor | None]:
    """Open what :func:`parse_executor` returned.

    Raises:
        FlowholdError: Dask is not installed.
        StorageUnavailableError: There is no scheduler at the address.
    """
    if chosen is None:
        yield None
        return
    kind, rest = chosen
    if kind == "dask":
        with _dask(rest) as client:
            yield client.get_executor()
        return
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    count = int(rest) if rest else None
    with ThreadPoolExecutor(count) if kind == "threads" else ProcessPoolExecutor(count) as pool:
        yield pool


def _dask(address: str) -> Any:
    try:
        import distributed
    except ImportError as error:
        raise FlowholdError(
            "--executor dask needs Dask, which is not installed",
            hint='pip install "flowhold[dask]"',
        ) from error
    client: Any = distributed.Client
    try:
        return client(address, timeout=_DASK_SECONDS, set_as_default=False)
    except OSError as error:
        raise StorageUnavailableError(
            f"there is no Dask scheduler at {address}: {error}",
            hint="check the address, as tcp://host:8786",
        ) from error

"""The proxies, and the authorities who certify hosts, that the environment names for requests.

It needs requests, which storages bring that use it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import requests

from flowhold import variables

__all__ = ["authorities", "proxies_for", "quicken"]


def authorities(given: Any) -> Any:
    """Return whom to trust with certificates of hosts, as the ``verify`` of requests.

    Args:
        given: What is asked for; True and None leave it to the environment, where that says so.
    """
    if given not in (None, True):
        return given
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or given


def proxies_for(url: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies for a URL: those given, and those of the environment."""
    proxies = dict(given)
    # To look for some takes long where there are none. Windows and macOS keep them elsewhere, too.
    if sys.platform in ("win32", "darwin") or variables.is_any_named("_proxy", besides="no_proxy"):
        found = requests.utils.get_environ_proxies(url, no_proxy=proxies.get("no_proxy"))
        proxies = {**found, **proxies}
    return proxies


def quicken(session: requests.Session) -> None:
    """Have a session find proxies and authorities in the environment by the functions above.

    By itself it looks through all variables, twice for each request, which takes longer than the
    rest of what it does. It does not look at ``~/.netrc`` any more either, where a login would take
    the place of the one that is sent.
    """
    merge: Callable[..., Any] = session.merge_environment_settings

    def merged(url: str, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        return merge(url, proxies_for(url, proxies or {}), stream, authorities(verify), cert)

    session.trust_env = False
    vars(session)["merge_environment_settings"] = merged

"""Requests over https as git's own client sends them."""

from __future__ import annotations

from functools import partial

from flowhold import web
from flowhold_storage_git import __version__

__all__ = ["ask"]

ask = partial(web.ask, agent=f"git/flowhold-storage-git/{__version__}")
"""See :func:`flowhold.web.ask`."""

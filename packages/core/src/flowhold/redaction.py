"""Values of secrets that this process has seen, and leaving them out of texts that others read.

Masked are the records of all loggers below ``flowhold``, every :class:`flowhold.FlowholdError`, and
what the command prints of errors and warnings. A value of fewer than `SHORTEST` characters is left
alone: without each ``1`` no text could be read.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterable
from typing import Any

__all__ = ["MASK", "SHORTEST", "forget", "forms_of", "hide", "mask", "remember"]

MASK = "***"
SHORTEST = 4
_SHORTEST_PART = 8
"""Of lines and of what a value has inside, which can be ordinary words."""
_MOST = 256
_ROOM = 16 << 20
"""Values, and characters of all their forms, that are remembered; then the oldest are forgotten."""

# JSON, connection strings and URLs have passwords inside, which SDKs use, and show, without them.
_INSIDE = re.compile(
    r"(?:(?:key|secret|token|pass\w*|pwd|sig(?:nature)?)\"?\s*[=:]\s*\"?"
    r"|//(?=[^/\s]*@)(?:[^/@\s:]*:)?)([^\"&;\s@]+)",
    re.IGNORECASE,
)


class _Memory:
    """What is known; nothing shows it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: dict[str, frozenset[str]] = {}
        self.forms: tuple[str, ...] = ()
        """Of all values, the longest first. It is replaced, never changed: readers need no lock."""

    def __repr__(self) -> str:
        return f"<{len(self.values)} secrets>"

    def add(self, value: str) -> None:
        with self.lock:
            known = self.values.pop(value, None)
            self.values[value] = known or frozenset(_known_by(value))
            if known:
                return
            room = _ROOM - sum(len(form) for forms in self.values.values() for form in forms)
            while len(self.values) > 1 and (len(self.values) > _MOST or room < 0):
                room += sum(map(len, self.values.pop(next(iter(self.values)))))
            self.forms = _longest_first(form for forms in self.values.values() for form in forms)

    def clear(self) -> None:
        with self.lock:
            self.values.clear()
            self.forms = ()

    def renew(self) -> None:
        """Have a lock that no thread of the parent holds, in a forked process."""
        self.lock = threading.Lock()


_memory = _Memory()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_memory.renew)


def remember(value: str) -> None:
    """Leave the value of a secret out of texts from now on, also in its usual other forms."""
    if len(value.strip()) >= SHORTEST:
        _watch_loggers()
        _memory.add(value)


def forget() -> None:
    """Forget all values, as between tests."""
    _memory.clear()


def mask(text: str) -> str:
    """Return a text with `MASK` in place of all values that are remembered."""
    forms = _memory.forms
    return _put_mask(text, forms) if forms and isinstance(text, str) else text


def hide(text: str, forms: Iterable[str]) -> str:
    """Return a text with `MASK` in place of these forms of values."""
    return _put_mask(text, _longest_first(forms))


def forms_of(value: str) -> set[str]:
    """Return a value, and how URLs, JSON, ``repr`` and, unless it is short, base64 write it."""
    import json
    from base64 import b64encode
    from urllib.parse import quote, quote_plus

    data = value.encode("utf-8", "surrogatepass")
    found = set()
    for each in {value, value.strip()}:
        found |= {each, repr(each)[1:-1], json.dumps(each)[1:-1]}
        found |= {json.dumps(each, ensure_ascii=False)[1:-1], quote_plus(each, errors="replace")}
        found |= {quote(each, safe=safe, errors="replace") for safe in ("", "/")}
    if len(value.strip()) >= SHORTEST:
        found.add(repr(data)[2:-1])
        # Behind a user and a colon, as in the scheme Basic, it can begin anywhere in three bytes.
        for before, begin in ((0, 0), (1, 2), (2, 3)):
            end = (before + len(data)) * 8 // 6
            coded = b64encode(b" " * before + data).decode()[begin:end]
            found |= {coded, coded.translate(str.maketrans("+/", "-_"))}
    return found - {""}


def _known_by(value: str) -> set[str]:
    lines = (line.strip() for line in value.strip().splitlines())
    found = {*lines} | {form for part in _INSIDE.findall(value) for form in forms_of(part)}
    found = {part for part in found if len(part) >= _SHORTEST_PART} | forms_of(value)
    return {form for form in found if len(form) >= SHORTEST}


def _longest_first(forms: Iterable[str]) -> tuple[str, ...]:
    # So that nothing of a form is left that has a shorter one in it.
    return tuple(sorted({*forms}, key=len, reverse=True))


def _put_mask(text: str, forms: Iterable[str]) -> str:
    for form in forms:
        if form in text:
            text = text.replace(form, MASK)
    return text


class _Discreet(logging.Filter):
    """Leaves values out of a record: its message, arguments, traceback and further fields."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not _memory.forms:
            return True
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 (arguments that do not fit)
            text = f"{record.msg} {record.args!r}"
        if _is_open(text) or (record.args and _is_open(_shown(record.args))):
            record.msg, record.args = mask(text), ()
        if record.exc_info and not record.exc_text:
            trace = _FORMATTER.formatException(record.exc_info)
            if _is_open(trace):
                # Handlers that format it anew would show it.
                record.exc_info, record.exc_text = None, mask(trace)
        for name in vars(record).keys() - _FIELDS:
            if _is_open(shown := _shown(getattr(record, name))):
                setattr(record, name, mask(shown))
        return True


_FORMATTER = logging.Formatter()
_FIELDS = vars(logging.makeLogRecord({})).keys() - {"exc_text", "stack_info"}
_discreet = _Discreet()
_watching = False


def _watch_loggers() -> None:
    """Have `_discreet` on every logger below ``flowhold``, also on those made later."""
    global _watching
    with _memory.lock:
        if _watching:
            return
        _watching = True
        made = logging.getLogRecordFactory()

        def factory(name: Any, *args: Any, **options: Any) -> logging.LogRecord:
            # A filter sees what the factory does not: the fields of ``extra=``.
            if isinstance(name, str) and name.partition(".")[0] == "flowhold":
                logging.getLogger(name).addFilter(_discreet)
            return made(name, *args, **options)

        logging.setLogRecordFactory(factory)


def _is_open(text: str) -> bool:
    return mask(text) != text


def _shown(value: Any) -> str:
    try:
        return value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 (objects of any making)
        return ""

"""What a pickle mentions, told from its opcodes without running it."""

from __future__ import annotations

import pickletools
import re
from dataclasses import dataclass, field
from typing import Any

from flowhold.trees import neutral

__all__ = ["Names", "names_in"]

_MAX_OPCODES = 1_000_000
_MAX_CONSTANTS = 50_000
_MAX_TEXT = 200
# Cloudpickle gives classes an id that is another one each time.
_RANDOM = re.compile("[0-9a-f]{32}")


@dataclass
class Names:
    """What a pickle mentions."""

    globals: set[str] = field(default_factory=set)
    """``module.name`` of what it imports."""
    constants: set[str] = field(default_factory=set)
    """Its texts, names in its code among them, and numbers with a fraction; each cut to length."""
    complete: bool = True
    """Whether it was read to its end."""


def names_in(data: bytes) -> Names:
    """Return what a pickle mentions; of a damaged one, what comes before the damage."""
    names = Names()
    memo: dict[int, Any] = {}
    # The last two values pushed are what STACK_GLOBAL takes; of other values nothing is known.
    pushed: list[Any] = [None, None]
    try:
        for count, (opcode, value, _) in enumerate(pickletools.genops(data)):
            if count >= _MAX_OPCODES or len(names.constants) >= _MAX_CONSTANTS:
                names.complete = False
                break
            name = opcode.name
            if name == "MEMOIZE":
                memo[len(memo)] = pushed[-1]
            elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
                memo[int(value or 0)] = pushed[-1]
            elif name in ("GET", "BINGET", "LONG_BINGET"):
                pushed = [pushed[-1], memo.get(int(value or 0))]
            elif name in ("GLOBAL", "STACK_GLOBAL"):
                parts = str(value).split(" ", 1) if name == "GLOBAL" else pushed
                names.globals.add(".".join(str(part or "?") for part in parts))
                pushed = [None, None]
            elif opcode.stack_after:
                pushed = [pushed[-1], value if isinstance(value, str) else None]
                if isinstance(value, (str, float)) and not _RANDOM.fullmatch(str(value)):
                    names.constants.add(neutral(str(value)[:_MAX_TEXT]))
    except Exception:  # noqa: BLE001 (genops raises what it likes on damaged bytes)
        names.complete = False
    return names

"""Errors that a person can act on: what came, what was expected, what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


class UserError(Exception):
    """A mistake of the user, in one sentence; the command line prints it and exits with code 2.

    `received` says where and what came, or is the whole sentence; `expected` what would have been right, as a noun
    phrase; `hint` what to write instead.
    """

    def __init__(self, received: str, *, expected: str = "", hint: str = ""):
        parts = (received, f"expected {expected}" if expected else "", hint)
        super().__init__("; ".join(filter(None, parts)))
        self.received, self.expected, self.hint = received, expected, hint


def lookup(kind: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of `table` called `name`; raises UserError that suggests the nearest name."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    names = map(repr, table) if any(" " in each for each in table) else table
    hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(names)}"
    raise UserError(f"no {kind} is called {name!r}", hint=hint)

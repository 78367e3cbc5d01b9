"""What a user is told when something they gave cannot be used."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


class UserError(Exception):
    """One sentence for the person at the keyboard: what came, what was expected, what to write instead."""


def lookup(kind: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of `table` called `name`, or a UserError that says which one was probably meant."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(table)}"
    raise UserError(f"no {kind} is called {name!r}; {hint}")

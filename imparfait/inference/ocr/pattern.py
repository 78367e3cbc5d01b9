"""Patterns: regular expressions over the printed form of a number, of which only digits are read."""

# Without * and + a pattern accepts finitely many strings. It is parsed into a tree, the tree becomes a nondeterministic
# automaton (Thompson), and that a deterministic one, all before anything is read: no pattern can make matching slow.

import re
from dataclasses import dataclass
from functools import cached_property

from imparfait.core.errors import UserError
from imparfait.inference.ocr.automaton import MAX_LENGTH
from imparfait.inference.ocr.check_digits import DIGITS

MAX_CHARACTERS = 100  # of a pattern, which bounds how deep its groups are nested
MAX_NODES = 500  # of the nondeterministic automaton
MAX_STATES = 1000  # of the deterministic automaton; with 500 nodes this takes seconds at worst
SUBSET = r"digits, \d, [0-9], separators, {2}, {2,4}, ?, groups and |"
SPECIAL = {
    ".": r"write \. for a point", "*": "write {0,9}", "+": "write {1,9}", "^": "leave it out: it is always the whole",
    "$": "leave it out: it is always the whole", "]": r"write \]", "{": r"write \{ for a brace",
    "}": r"write \} for a brace", "?": r"write \? for a question mark",
}  # fmt: skip

Read = frozenset[str]
"""One character that is read."""


@dataclass(frozen=True)
class _Sequence:
    """Trees one after the other."""

    parts: tuple["_Tree", ...]


@dataclass(frozen=True)
class _Alternatives:
    """Trees of which one is matched, the earlier if it can be."""

    options: tuple["_Tree", ...]


@dataclass(frozen=True)
class _Repetition:
    """A tree several times, as often as it can be."""

    tree: "_Tree"
    least: int
    most: int


_Tree = Read | str | _Sequence | _Alternatives | _Repetition  # a str is a separator


class _Parser:
    """Parses a pattern by recursive descent."""

    def __init__(self, pattern: str):
        self.pattern, self.at = pattern, 0

    def parse(self) -> _Tree:
        """The whole pattern."""
        tree = self._alternatives()
        if self.at < len(self.pattern):
            raise self._error("a ) without a (", r"write \) for a parenthesis")
        return tree

    def _error(self, problem: str, hint: str = "") -> UserError:
        return UserError(f"the pattern {self.pattern!r} has {problem}", expected=SUBSET, hint=hint)

    def _next(self, text: str) -> bool:
        """Whether `text` comes next; it is passed."""
        found = self.pattern.startswith(text, self.at)
        self.at += len(text) * found
        return found

    def _take(self) -> str:
        self.at += 1
        return self.pattern[self.at - 1 : self.at]

    def _alternatives(self) -> _Tree:
        options = [self._sequence()]
        while self._next("|"):
            options.append(self._sequence())
        return _Alternatives(tuple(options)) if len(options) > 1 else options[0]

    def _sequence(self) -> _Tree:
        parts: list[_Tree] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            parts.append(self._repeated(self._atom()))
        if not parts:
            raise self._error("an empty part", "write ? after what may be missing")
        return _Sequence(tuple(parts))

    def _atom(self) -> _Tree:
        if self._next("("):
            if not self._next("?:") and self._next("?"):
                raise self._error("a group that begins with ?", "write ( ) or (?: )")
            tree = self._alternatives()
            if not self._next(")"):
                raise self._error("a ( without a )", r"write \( for a parenthesis")
            return tree
        if self._next("["):
            return self._set()
        if self._next("\\"):
            escaped = self._take()
            if escaped == "d":
                return DIGITS
            if escaped.isalnum() or not escaped:
                raise self._error(f"\\{escaped}")
            return escaped
        character = self._take()
        if character in SPECIAL:
            raise self._error(f"a {character} that stands alone", SPECIAL[character])
        return frozenset(character) if character in DIGITS else character

    def _set(self) -> Read:
        end = self.pattern.find("]", self.at)
        content = self.pattern[self.at : end].replace(r"\d", "0-9") if end > 0 else ""
        self.at = end + 1
        characters: set[str] = set()
        while content:
            last = content[2:3] if content[1:2] == "-" else content[0]
            first, content = content[0], content[3 if content[1:2] == "-" else 1 :]
            if not (first.isalnum() and last.isalnum() and first <= last):
                raise self._error("a set of other characters", "write sets of digits such as [0-9] or [135]")
            characters |= {chr(code) for code in range(ord(first), ord(last) + 1)}
        if not characters:
            raise self._error("a [ without characters and a ]", r"write \[ for a bracket")
        return frozenset(characters)

    def _repeated(self, atom: _Tree) -> _Tree:
        """The atom with the ? or {2} or {2,4} that comes next."""
        if self._next("?"):
            return _Repetition(atom, 0, 1)
        if not self._next("{"):
            return atom
        content, closed, _ = self.pattern[self.at :].partition("}")
        first, comma, last = content.partition(",")
        last = last if comma else first
        if not closed or not all(re.fullmatch("[0-9]{1,3}", part) for part in (first, last)):
            raise self._error(f"{{{content}}}" if closed else "a { without a }", r"write \{ for a brace")
        if not max(1, int(first)) <= int(last) <= MAX_LENGTH:
            raise self._error(f"{{{content}}}", f"write 1 to {MAX_LENGTH}, the smaller number first")
        self.at += len(content) + 1
        return _Repetition(atom, int(first), int(last))


@dataclass(frozen=True)
class _Node:
    """A state of the nondeterministic automaton: reads, prints or leads to others, in order of preference."""

    read: Read
    printed: str
    following: tuple[int, ...]


@dataclass(frozen=True)
class Pattern:
    r"""Numbers whose printed form is as a regular expression says, such as `\d{2}\.\d{2}\.\d{4}`.

    Digits, `\d` and sets such as `[0-9]` are read. All other characters are separators: the pattern inserts them.
    `{2}`, `{2,4}`, `?`, groups and `|` are supported; other syntax is refused. The whole string has to match. Where
    several printed forms have the same digits, the first that a regular expression would match is taken.
    """

    text: str

    def __post_init__(self) -> None:
        if len(self.text) > MAX_CHARACTERS:
            raise UserError(f"a pattern of {len(self.text)} characters", expected=f"at most {MAX_CHARACTERS}")
        if not any(node.read for node in self._nodes):
            raise UserError(f"the pattern {self.text!r} reads no digit", expected=SUBSET, hint=r"write \d for a digit")
        _ = self._states

    @cached_property
    def _nodes(self) -> tuple[_Node, ...]:
        """Node 0 accepts; the last node is the start."""
        nodes = [_Node(frozenset(), "", ())]

        def node(read: Read, printed: str, *following: int) -> int:
            nodes.append(_Node(read, printed, following))
            if len(nodes) > MAX_NODES:
                raise self._too_large()
            return len(nodes) - 1

        def add(tree: _Tree, after: int) -> int:
            """Add what the tree matches before node `after`; the number of its first node."""
            match tree:
                case _Sequence(parts):
                    for part in reversed(parts):
                        after = add(part, after)
                    return after
                case _Alternatives(options):
                    return node(frozenset(), "", *(add(option, after) for option in options))
                case _Repetition(repeated, least, most):
                    first = after
                    for _ in range(most - least):
                        first = node(frozenset(), "", add(repeated, first), after)
                    for _ in range(least):
                        first = add(repeated, first)
                    return first
                case str():
                    return node(frozenset(), tree, after)
                case _:
                    return node(tree, "", after)

        first = add(_Parser(self.text).parse(), 0)
        return (*nodes, _Node(frozenset(), "", (first,)))

    @cached_property
    def _states(self) -> tuple[tuple[bool, dict[str, int]], ...]:
        """The deterministic automaton: whether each state accepts, and its steps; the first is the start."""
        states = [frozenset(self._closure([(len(self._nodes) - 1, "")]))]
        numbers = {states[0]: 0}
        table: list[tuple[bool, dict[str, int]]] = []
        while len(table) < len(states):
            steps = {}
            reading = [self._nodes[number] for number in states[len(table)]]
            for character in sorted(frozenset().union(*(node.read for node in reading))):
                threads = [(node.following[0], "") for node in reading if character in node.read]
                following = frozenset(self._closure(threads))
                steps[character] = numbers.setdefault(following, len(states))
                if steps[character] == len(states):
                    states.append(following)
            table.append((0 in states[len(table)], steps))
            if len(states) > MAX_STATES:
                raise self._too_large()
        return tuple(table)

    def _closure(self, threads: list[tuple[int, str]]) -> dict[int, str]:
        """The nodes that read or accept, reached without reading, the preferred first; and what is printed before."""
        reached: dict[int, str] = {}
        seen, stack = set(), threads[::-1]
        while stack:
            number, printed = stack.pop()
            if number in seen:
                continue
            seen.add(number)
            node = self._nodes[number]
            if number == 0 or node.read:
                reached[number] = printed
            else:
                stack += [(each, printed + node.printed) for each in node.following[::-1]]
        return reached

    def _too_large(self) -> UserError:
        return UserError(f"the pattern {self.text!r} has too many possibilities", hint="write fewer repetitions")

    def printed(self, text: str) -> str:
        """An accepted string with its separators."""
        threads = self._closure([(len(self._nodes) - 1, "")])
        for character in text:
            reading = [(n, printed) for n, printed in threads.items() if character in self._nodes[n].read]
            threads = self._closure([(self._nodes[n].following[0], printed + character) for n, printed in reading])
        return threads[0]

    def start(self, length: int) -> int:
        """The first state."""
        return 0

    def step(self, state: int, character: str, left: int) -> int | None:
        """The state after another character that the pattern reads here."""
        return self._states[state][1].get(character)

    def accepts(self, state: int) -> bool:
        """Whether the whole pattern has been read."""
        return self._states[state][0]

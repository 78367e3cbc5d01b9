"""Finite automata over the characters of a string: exact probabilities of what they accept, and its best strings."""

# The strings of one length that an automaton accepts are the paths through a graph with one layer of states per
# character. The sum over all paths is their total probability. The maximum over the paths from a state is an exact
# bound, with which a search (A*) finds the strings in order of probability without listing the others.

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import heappop, heappush
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int64

from imparfait.core.errors import UserError

MAX_LENGTH = 64  # characters that a constraint can speak of; an IBAN has at most 34
MAX_STATES = 1_000_000  # of a graph, which a list of about 500,000 numbers of seven digits has
CACHED_GRAPHS = 64  # lengths times constraints of a page; a graph is compiled once, not for each field


@runtime_checkable
class Automaton(Protocol):
    """Accepts or rejects strings, reading them from left to right; hashable, with hashable states."""

    def __hash__(self) -> int: ...

    def start(self, length: int) -> Any:
        """The state before a string of this length; None where none of this length is accepted."""

    def step(self, state: Any, character: str, left: int) -> Any:
        """The state after one more character, with `left` to come; None where the string is rejected."""

    def accepts(self, state: Any) -> bool:
        """Whether a string that ends in this state is accepted."""


@dataclass(frozen=True)
class Product:
    """Accepts what all of several automata accept; of no automata, every string."""

    automata: tuple[Automaton, ...] = ()

    def start(self, length: int) -> tuple[Any, ...] | None:
        """The states of all automata."""
        return _unless_rejected(automaton.start(length) for automaton in self.automata)

    def step(self, state: tuple[Any, ...], character: str, left: int) -> tuple[Any, ...] | None:
        """Each automaton's step."""
        pairs = zip(self.automata, state, strict=True)
        return _unless_rejected(automaton.step(part, character, left) for automaton, part in pairs)

    def accepts(self, state: tuple[Any, ...]) -> bool:
        """Whether all automata accept."""
        return all(automaton.accepts(part) for automaton, part in zip(self.automata, state, strict=True))


EVERYTHING = Product()


def _unless_rejected(states: Iterator[Any]) -> tuple[Any, ...] | None:
    collected = []
    for state in states:
        if state is None:
            return None
        collected.append(state)
    return tuple(collected)


def accepts(automaton: Automaton, text: str) -> bool:
    """Whether the automaton accepts this string."""
    state = automaton.start(len(text))
    for left, character in zip(range(len(text) - 1, -1, -1), text, strict=True):
        if state is None:
            return False
        state = automaton.step(state, character, left)
    return state is not None and automaton.accepts(state)


@dataclass(frozen=True, eq=False)
class Layer:
    """The steps over one character: from a state, by a class, to a state of the next layer; ordered by source."""

    source: Int64[np.ndarray, " steps"]
    symbol: Int64[np.ndarray, " steps"]
    """The class of the character."""
    target: Int64[np.ndarray, " steps"]
    states: int
    """Of the layer in which the steps begin."""


@dataclass(frozen=True, eq=False)
class Graph:
    """The strings of one length that an automaton accepts, as paths from state 0 of the first layer."""

    layers: tuple[Layer, ...]
    accepting: Bool[np.ndarray, " states"]
    """Of the states after the last character."""

    def total(self, rows: Float64[np.ndarray, "length classes"]) -> float:
        """The sum of the probabilities of all strings; `rows` has those of each character's classes."""
        sums = self.accepting.astype(float)
        for layer, row in zip(self.layers[::-1], rows[::-1], strict=True):
            sums = np.bincount(layer.source, row[layer.symbol] * sums[layer.target], layer.states)
        return float(sums[0])

    def completions(self, rows: Float64[np.ndarray, "length classes"]) -> list[Float64[np.ndarray, " _"]]:
        """The probability of the best rest of a string, for each state of each layer."""
        best = [self.accepting.astype(float)]
        for layer, row in zip(self.layers[::-1], rows[::-1], strict=True):
            highest = np.zeros(layer.states)
            np.maximum.at(highest, layer.source, row[layer.symbol] * best[-1][layer.target])
            best.append(highest)
        return best[::-1]

    def steps(self, position: int, state: int) -> Iterator[tuple[int, int]]:
        """The classes and targets of the steps from a state."""
        layer = self.layers[position]
        first, end = np.searchsorted(layer.source, [state, state + 1])
        return zip(layer.symbol[first:end].tolist(), layer.target[first:end].tolist(), strict=True)


@lru_cache(maxsize=CACHED_GRAPHS)
def compiled(automaton: Automaton, length: int, classes: tuple[str, ...]) -> Graph | None:
    """The graph of the accepted strings of this length over these characters; None where there are none.

    Raises UserError for an automaton with too many states.
    """
    start = automaton.start(length)
    if start is None:
        return None
    states, count, layers = {start: 0}, 1, []
    for left in range(length - 1, -1, -1):
        following: dict[Any, int] = {}
        steps = []
        for source, state in enumerate(states):
            for symbol, character in enumerate(classes):
                reached = automaton.step(state, character, left)
                if reached is not None:
                    steps.append((source, symbol, following.setdefault(reached, len(following))))
        count += len(following)
        if count > MAX_STATES:
            raise UserError(
                f"constraints with more than {MAX_STATES:,} states",
                expected="a shorter list of numbers, or a simpler pattern",
            )
        table = np.array(steps, np.int64).reshape(-1, 3)
        layers.append(Layer(table[:, 0], table[:, 1], table[:, 2], len(states)))
        states = following
    accepting = np.array([automaton.accepts(state) for state in states], bool)
    return _without_dead_ends(layers, accepting)


def _without_dead_ends(layers: list[Layer], accepting: Bool[np.ndarray, " states"]) -> Graph | None:
    alive, kept = accepting, []
    for layer in layers[::-1]:
        leads_on = alive[layer.target]
        kept.append(Layer(layer.source[leads_on], layer.symbol[leads_on], layer.target[leads_on], layer.states))
        alive = np.zeros(layer.states, bool)
        alive[kept[-1].source] = True
    return Graph(tuple(kept[::-1]), accepting) if alive.size and alive[0] else None


@dataclass(frozen=True, eq=False)
class Search:
    """A graph and the segmentations of its length: their probabilities, and those of each character's classes."""

    graph: Graph
    weights: Float64[np.ndarray, " segmentations"]
    rows: Float64[np.ndarray, "segmentations length classes"]


def best_strings(searches: Sequence[Search], classes: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """All strings of positive probability, the most probable first; a string of several segmentations comes once.

    Equal probabilities come in the order of the strings.
    """
    bounds = [[np.array(part) for part in zip(*map(s.graph.completions, s.rows), strict=True)] for s in searches]
    # The bound of a beginning sums each segmentation's best completion: exact for one segmentation, and never too
    # low for several. At equal bounds the longer beginning goes first, so that ties do not fill the queue.
    queue: list[tuple[float, int, str, int, int, Float64[np.ndarray, " _"]]] = []
    for number, search in enumerate(searches):
        bound = float(search.weights @ bounds[number][0][:, 0])
        heappush(queue, (-bound, 0, "", number, 0, search.weights))
    while queue:
        bound, done, text, number, state, masses = heappop(queue)
        search, position = searches[number], -done
        if position == len(search.graph.layers):
            if bound < 0:
                yield text, -bound
            continue
        for symbol, target in search.graph.steps(position, state):
            extended = masses * search.rows[:, position, symbol]
            bound = float(extended @ bounds[number][position + 1][:, target])
            if bound > 0:
                heappush(queue, (-bound, done - 1, text + classes[symbol], number, target, extended))

"""Constraints on a number, and the decision which of the numbers they allow was read."""

# By Bayes' rule. The constraints hold with a probability of 1 - VIOLATED_SHARE: then the field is one of the allowed
# strings, each as probable as the reader says. Otherwise it is one of the others. Where all allowed strings together
# are improbable for the reader, it is more probable that the constraints do not hold, and no answer is confident.

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from imparfait.core.errors import UserError
from imparfait.inference.ocr.automaton import MAX_LENGTH, Automaton, Product, compiled
from imparfait.inference.ocr.check_digits import DIGITS, Check
from imparfait.inference.ocr.distribution import StringDistribution
from imparfait.inference.ocr.number_list import OneOf
from imparfait.inference.ocr.pattern import Pattern

__all__ = [
    "KINDS", "Alternative", "AtLeast", "Check", "Constraint", "Decision", "Length", "OneOf", "Pattern", "Same",
    "check_possible", "constrained",
]  # fmt: skip

# Prior probability that a field does not meet its constraints: the number is not on the list, or a digit was
# miswritten. A choice, not a measurement; with 1 %, a reader that gives 0.99 to a string off the list is unsure.
VIOLATED_SHARE = 0.01
# Of a confident answer: at most 5 % are wrong where the reader's probabilities are calibrated, and far fewer with a
# list, because it does not count how few of all strings are allowed.
MIN_PROBABILITY = 0.95
ALTERNATIVES = 5  # in a decision


@dataclass(frozen=True)
class Length:
    """Numbers of `least` digits, or of `least` to `most`."""

    least: int
    most: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self._most <= MAX_LENGTH:
            received = f"length {self.least}" + ("" if self.most is None else f"-{self.most}")
            raise UserError(received, expected=f"1 to {MAX_LENGTH} digits, the smaller number first")

    @classmethod
    def parse(cls, text: str) -> "Length":
        """From `5` or `5-7`."""
        found = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", text.strip())
        if not found:
            raise UserError(f"length {text!r}", expected="a number of digits, or a range", hint="write 5 or 5-7")
        return cls(int(found[1]), int(found[2]) if found[2] else None)

    @property
    def _most(self) -> int:
        return self.least if self.most is None else self.most

    def start(self, length: int) -> int | None:
        """The only state, where the length is allowed."""
        return 0 if self.least <= length <= self._most else None

    def step(self, state: int, character: str, left: int) -> int:
        """The same state: any character is accepted."""
        return state

    def accepts(self, state: int) -> bool:
        """True: the length is checked at the start."""
        return True


@dataclass(frozen=True)
class AtLeast:
    """Numbers with as many digits as `least` and no smaller: the next reading of a counter that has not rolled over."""

    least: str

    def __post_init__(self) -> None:
        digits = "".join(self.least.split())  # 10 433
        if not digits or not set(digits) <= DIGITS or len(digits) > MAX_LENGTH:
            expected = f"a number of 1 to {MAX_LENGTH} digits, leading zeros included"
            raise UserError(f"at least {self.least!r}", expected=expected)
        object.__setattr__(self, "least", digits)

    def start(self, length: int) -> bool | None:
        """Whether the beginning is greater than that of `least`: not yet."""
        return False if length == len(self.least) else None

    def step(self, state: bool, character: str, left: int) -> bool | None:
        """Rejects a beginning that is smaller."""
        digit = self.least[len(self.least) - 1 - left]
        if character not in DIGITS or (not state and character < digit):
            return None
        return state or character > digit

    def accepts(self, state: bool) -> bool:
        """True: equal or greater."""
        return True


@dataclass(frozen=True, eq=False)
class Same:
    """Numbers that are also those of another field, such as a total that is written twice."""

    other: StringDistribution


Constraint = Automaton | Same
KINDS: dict[str, Callable[[str], Constraint]] = {
    "length": Length.parse, "one_of": OneOf.from_file, "check": Check, "pattern": Pattern, "at_least": AtLeast,
}  # fmt: skip
"""What makes a constraint of the text of a flag, or of a key in fields.json."""


def tell_digits(constraints: Sequence[Constraint]) -> bool:
    """Whether one of them speaks of the digits themselves, so that a misread number hardly meets it by chance."""
    return any(isinstance(each, OneOf | Check | Same) for each in constraints)


@dataclass(frozen=True)
class Alternative:
    """A string that the constraints allow, and its probability given the reading and the constraints."""

    text: str
    """As printed, with the separators of a pattern."""
    characters: str
    """The same without separators."""
    probability: float


@dataclass(frozen=True)
class Decision:
    """The most probable string that the constraints allow, and whether to rely on it."""

    alternatives: tuple[Alternative, ...]
    """The most probable allowed strings, the best first."""
    violated: float
    """The probability that the constraints do not hold: that the field is none of the strings they allow."""
    min_probability: float
    """Of a confident answer."""

    @property
    def best(self) -> Alternative | None:
        """The most probable allowed string; None where it is more probable that the constraints do not hold."""
        return self.alternatives[0] if self.alternatives and self.violated <= 0.5 else None

    @property
    def text(self) -> str | None:
        """The best string as printed, if there is one."""
        return self.best.text if self.best else None

    @property
    def probability(self) -> float:
        """The probability of `text`; 0 without one."""
        return self.best.probability if self.best else 0.0

    @property
    def confident(self) -> bool:
        """Whether the text is to be relied on."""
        return self.probability >= self.min_probability


def constrained(
    distribution: StringDistribution,
    constraints: Sequence[Constraint],
    *,
    alternatives: int = ALTERNATIVES,
    min_probability: float = MIN_PROBABILITY,
) -> Decision:
    """Decide between the strings that all constraints allow.

    The probabilities are those of the reader, divided by their sum over all allowed strings and VIOLATED_SHARE of all
    others. An answer is confident from `min_probability` on.
    """
    automaton = _conjunction(constraints)
    if any(len(label) != 1 for label in distribution.classes):
        raise UserError("a model whose labels have several characters", expected="one character for each class")
    for other in (each.other for each in constraints if isinstance(each, Same)):
        if other.classes != distribution.classes:
            raise UserError("two fields of models with different classes", expected="the same model for both")
        distribution = distribution.product(other)
    allowed = min(1.0, distribution.total(automaton))
    evidence = (1 - VIOLATED_SHARE) * allowed + VIOLATED_SHARE * (1 - allowed)
    pattern = next((each for each in constraints if isinstance(each, Pattern)), None)
    best = tuple(
        Alternative(pattern.printed(text) if pattern else text, text, (1 - VIOLATED_SHARE) * mass / evidence)
        for text, mass in distribution.best(alternatives, automaton)
    )
    return Decision(best, VIOLATED_SHARE * (1 - allowed) / evidence, min_probability)


def _conjunction(constraints: Sequence[Constraint]) -> Automaton:
    automata = tuple(each for each in constraints if not isinstance(each, Same))
    return automata[0] if len(automata) == 1 else Product(automata)


def check_possible(
    constraints: Sequence[Constraint], classes: tuple[str, ...], named: str = "these constraints"
) -> None:
    """Raise UserError where no string of up to MAX_LENGTH classes meets all constraints, which it calls `named`."""
    automaton = _conjunction(constraints)
    if not any(compiled(automaton, length, classes) for length in range(1, MAX_LENGTH + 1)):
        raise UserError(f"no number meets {named}", hint="leave one of them out" if len(constraints) > 1 else "")

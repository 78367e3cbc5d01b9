"""Check digits as published: Luhn, ISBN, IBAN and mod 11, as automata that add up weighted digits."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from imparfait.core.errors import UserError, lookup
from imparfait.inference.ocr.automaton import MAX_LENGTH

DIGITS = frozenset("0123456789")
# Lengths of IBANs, letters included, in the IBAN registry (ISO 13616) for countries whose account numbers consist of
# digits, or may. Others (GB, IE, IT, NL, …) always have letters, which a digit reader cannot read.
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "BA": 20, "BE": 16, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18,
    "EE": 20, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GL": 18, "GR": 27, "HR": 21, "HU": 28, "IL": 23, "IS": 26,
    "LB": 28, "LI": 21, "LT": 20, "LU": 20, "MC": 27, "ME": 22, "MK": 19, "NO": 15, "PL": 28, "PT": 25, "RS": 22,
    "SA": 24, "SE": 24, "SI": 19, "SK": 24, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "XK": 20,
}  # fmt: skip


@dataclass(frozen=True)
class WeightedSum:
    """Numbers whose digits' contributions have a given sum modulo a number."""

    lengths: range
    modulus: int
    remainder: int
    contribution: Callable[[int, int], int]
    """Of a digit with so many digits after it."""
    prefixes: tuple[str, ...] = ("",)
    """One of which each number begins with; all have the same length."""


def _luhn(digit: int, left: int) -> int:
    """Every second digit from the right is doubled; a double of two digits counts as their sum."""
    return digit if left % 2 == 0 else 2 * digit - 9 * (digit > 4)


def _mod11(digit: int, left: int) -> int:
    """Weights 2 to 7, repeated from the right; the check digit itself counts once."""
    return digit if left == 0 else digit * (2 + (left - 1) % 6)


LUHN = WeightedSum(range(2, MAX_LENGTH + 1), 10, 0, _luhn)
MOD11 = WeightedSum(range(2, MAX_LENGTH + 1), 11, 0, _mod11)
ISBN_10 = WeightedSum(range(10, 11), 11, 0, lambda digit, left: digit * (left + 1))
ISBN_13 = WeightedSum(range(13, 14), 10, 0, lambda digit, left: digit * (1 + 2 * (left % 2)), ("978", "979"))


def iban(country: str) -> WeightedSum:
    """The digits of a country's IBAN after its two letters (ISO 13616; MOD 97-10 of ISO 7064)."""
    if country not in IBAN_LENGTHS:
        raise UserError(
            f"iban:{country}",
            expected="a country whose IBANs have no letters but the first two",
            hint=f"choose from {', '.join(IBAN_LENGTHS)}",
        )
    digits = IBAN_LENGTHS[country] - 2
    # The account number comes first, then the country with A = 10 … Z = 35, then the check digits.
    letters = int("".join(str(int(letter, 36)) for letter in country)) * 100

    def contribution(digit: int, left: int) -> int:
        return digit * (10 ** (left - digits + 2) if left >= digits - 2 else pow(10, left + 6, 97))

    # 97, 98 and 99 have the remainders of 00, 01 and 02: ISO 7064 makes 02 to 98.
    prefixes = tuple(f"{number:02}" for number in range(2, 99))
    return WeightedSum(range(digits, digits + 1), 97, (1 - letters) % 97, contribution, prefixes)


CHECKS: dict[str, tuple[WeightedSum, ...]] = {"luhn": (LUHN,), "isbn": (ISBN_10, ISBN_13), "mod11": (MOD11,)}
NAMES = {**dict.fromkeys(CHECKS), "iban": None}  # what an error chooses from


@dataclass(frozen=True)
class Check:
    """Numbers with correct check digits: `luhn`, `isbn`, `mod11`, or `iban:FR` with another country's letters.

    `luhn` (ISO/IEC 7812) and `mod11` accept two digits or more, the last being the check digit; `mod11` has the weights
    2 to 7, repeated from the right, and accepts no number whose check digit would be 10. `isbn` accepts ten digits, or
    thirteen that begin with 978 or 979; an ISBN that ends with X is never accepted, because only digits are read.
    `iban` accepts the digits after the country's letters, as many as the country's IBANs have.
    """

    name: str

    def __post_init__(self) -> None:
        kind, _, country = self.name.partition(":")
        lookup("check", kind, NAMES)
        if kind == "iban" and not country:
            raise UserError("iban without a country", expected="its two letters", hint="write iban:FR")
        if kind != "iban" and country:
            raise UserError(f"the check {self.name!r}", expected="a country only after iban", hint=f"write {kind}")
        _ = self.sums

    @cached_property
    def sums(self) -> tuple[WeightedSum, ...]:
        """The sums, of which each length has at most one."""
        kind, _, country = self.name.partition(":")
        return CHECKS[kind] if kind in CHECKS else (iban(country.upper()),)

    def start(self, length: int) -> tuple[int, int, str | None] | None:
        """The number of the length's sum, the sum so far, and the first digits until they are a whole prefix."""
        for number, each in enumerate(self.sums):
            if length in each.lengths:
                return number, 0, None if "" in each.prefixes else ""
        return None

    def step(self, state: tuple[int, int, str | None], character: str, left: int) -> tuple[int, int, str | None] | None:
        """The state after another digit; other characters are rejected."""
        number, total, prefix = state
        rule = self.sums[number]
        if character not in DIGITS:
            return None
        if prefix is not None:
            prefix += character
            if not any(each.startswith(prefix) for each in rule.prefixes):
                return None
            prefix = None if prefix in rule.prefixes else prefix
        return number, (total + rule.contribution(int(character), left)) % rule.modulus, prefix

    def accepts(self, state: tuple[int, int, str | None]) -> bool:
        """Whether the sum has the expected remainder."""
        number, total, _ = state
        return total == self.sums[number].remainder

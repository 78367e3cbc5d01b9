"""Scores of read numbers: exact strings, character errors, and errors among what no person looks at."""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from imparfait.evaluation.intervals import wilson_interval


@dataclass(frozen=True)
class Answer:
    """What a reader said of one image with digits."""

    truth: str
    """Digits in reading order, without spaces."""
    predicted: str
    """The same."""
    score: float
    """The reader's own; the higher, the surer."""
    confident: bool = True
    """Whether the reader itself would accept it."""

    @property
    def correct(self) -> bool:
        """Whether every digit is right, and there is no other."""
        return self.predicted == self.truth


def digits_of(text: str) -> str:
    """Only the digits 0 to 9 of a text."""
    return "".join(character for character in text if character in "0123456789")


def edits(one: str, other: str, inside: bool = False) -> int:
    """Levenshtein distance: fewest characters to change, insert or delete (Levenshtein 1965).

    With `inside`, what `other` has before and behind the best match costs nothing.
    """
    previous = [0] * (len(other) + 1) if inside else list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        current = [row]
        for column, another in enumerate(other, 1):
            current.append(min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (letter != another)))
        previous = current
    return min(previous) if inside else previous[-1]


def share(count: int, total: int) -> dict[str, float | int | list[float]]:
    """A share in percent with Wilson and Clopper-Pearson 95 % intervals."""
    if not total:
        return {"count": count, "total": total}
    exact = binomtest(count, total).proportion_ci(0.95, "exact")
    return {
        "count": count,
        "total": total,
        "percent": round(100 * count / total, 2),
        "wilson": [round(100 * edge, 2) for edge in wilson_interval(count, total)],
        "clopper_pearson": [round(100 * edge, 2) for edge in (exact.low, exact.high)],
    }


def exact(answers: Sequence[Answer]) -> dict[str, float | int | list[float]]:
    """How many are read without a mistake."""
    return share(sum(answer.correct for answer in answers), len(answers))


def character_error_percent(answers: Sequence[Answer]) -> float:
    """Edits, in percent of the digits there are."""
    digits = sum(len(answer.truth) for answer in answers)
    return round(100 * sum(edits(answer.truth, answer.predicted) for answer in answers) / max(1, digits), 2)


def digits_found(answers: Sequence[Answer]) -> float:
    """Share of the digits of grids that are found in order, in percent; other digits around a grid cost nothing."""
    digits = sum(len(answer.truth) for answer in answers)
    wrong = sum(edits(answer.truth, answer.predicted, inside=True) for answer in answers)
    return round(100 * (1 - wrong / max(1, digits)), 2)


def accepted_by_itself(answers: Sequence[Answer]) -> dict[str, object]:
    """At the reader's own threshold: how many go to a person, and errors among the rest."""
    accepted = [answer for answer in answers if answer.confident]
    return {
        "sent": share(len(answers) - len(accepted), len(answers)),
        "accepted_wrong": share(sum(not answer.correct for answer in accepted), len(accepted)),
    }


def accepted_at(answers: Sequence[Answer], sent: float) -> dict[str, float | int | list[float]]:
    """Errors among the accepted when at most the share `sent`, those with the lowest scores, goes to a person.

    Of equal scores at the limit, errors are counted by their share among them: no order of the answers is better.
    """
    ranked = sorted(answers, key=lambda answer: -answer.score)
    kept = len(ranked) - int(sent * len(ranked))
    if not kept:
        return share(0, 0)
    limit = ranked[kept - 1].score
    above = [answer for answer in ranked if answer.score > limit]
    tied = [answer for answer in ranked if answer.score == limit]
    wrong = sum(not answer.correct for answer in above)
    wrong += round((kept - len(above)) * sum(not answer.correct for answer in tied) / len(tied))
    return share(wrong, kept)

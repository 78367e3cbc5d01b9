"""What the founding study claims, and whether it came out again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from imparfait.evaluation.scores import percent, percents
from imparfait.evaluation.statistics import Interval
from imparfait.selection.comparison import Comparison, Verdict, among_pairs, verdict_of
from imparfait.selection.profiling import CandidateProfile
from imparfait.selection.search_result import Finding
from imparfait.study.final_runs import Final
from imparfait.study.scales import ABLATIONS, PAIR, Scale

ClaimOutcome = Literal["reproduced", "not reproduced", "not decided", "not tried"]

SIMILAR = 0.005  # a share: networks that differ by less than half a point are called similar
SLOWER = 1.5  # times as long: considerably slower
FAILS = 0.05  # a share: so much less is a failure


@dataclass(frozen=True)
class Claim:
    """A claim in the study's words, and what was found here."""

    says: str
    found: str
    outcome: ClaimOutcome


@dataclass(frozen=True, eq=False)
class Study:
    """Everything that was measured."""

    scale: Scale
    classes: tuple[str, ...]
    searches: Mapping[str, Finding]
    pair: Comparison
    ablations: Comparison
    finals: Mapping[str, Final]

    @property
    def verdict(self) -> Verdict:
        """Of `cnn` against `cnn_gru`."""
        [only] = self.pair.verdicts
        return only

    def against_whole(self) -> list[Verdict]:
        """Each ablation against the network that it is taken from, adjusted for all of them (Holm)."""
        entries = {entry.name: entry for entry in self.ablations.plan.entries}
        share = self.ablations.plan.held_out / self.ablations.plan.fit
        found = []
        for name, whole in ABLATIONS.items():
            less, more = self.ablations.finished(entries[name]), self.ablations.finished(entries[whole])
            both = sorted(less.keys() & more.keys())
            if len(both) > 1:
                differences = np.array([more[place].mean - less[place].mean for place in both])
                found.append(verdict_of((whole, name), differences, share))
        return among_pairs(found)

    @property
    def slower(self) -> float:
        """How many times as long as `cnn` the other takes for the same images, each alone on one thread."""
        cnn, gru = (self._entry(name) for name in PAIR)
        return cnn.learns / gru.learns

    @property
    def larger(self) -> float:
        """How many times as many numbers it has."""
        cnn, gru = (self._entry(name) for name in PAIR)
        return gru.numbers / cnn.numbers

    def _entry(self, name: str) -> CandidateProfile:
        return next(entry for entry in self.pair.plan.entries if entry.name == name)

    def sentences(self) -> tuple[str, str]:
        """The verdict: on the two networks, and on what they are trained on."""
        clean, mixed = self.finals["cnn, clean only"], self.finals["cnn"]
        networks = (
            f"{self.verdict}; cnn_gru takes {self.slower:.1f} times as long to train "
            f"and has {self.larger:.1f} times as many numbers."
        )
        augmentation = (
            f"Trained on clean digits alone, cnn reads {percent(clean.accuracy('clean'))} of clean digits and "
            f"{percent(_altered(clean))} of corrupted ones; trained on the study's augmentation, "
            f"{percent(mixed.accuracy('clean'))} and {percent(_altered(mixed))}."
        )
        return networks, augmentation

    def claims(self) -> list[Claim]:
        """Each claim of the study and of its follow-up; of few images none is decided."""
        if self.scale.opens_test:
            return self._decided()
        return [replace(claim, outcome="not tried") for claim in self._decided()]

    def _decided(self) -> list[Claim]:
        clean, mixed, balanced = (self.finals[name] for name in ("cnn, clean only", "cnn", "cnn, balanced"))
        fall = clean.accuracy("clean") - _altered(clean)
        low, high = self.verdict.difference.interval
        verdicts = {frozenset(each.names): each for each in self.against_whole()}
        return [
            Claim(
                "over 99 % on MNIST is easy",
                f"cnn, trained on clean digits only: {_told(clean.accuracy('clean'), clean.interval_of('clean'))}",
                _over(clean.interval_of("clean"), 0.99),
            ),
            Claim(
                "the same network fails on corrupted digits",
                f"{percent(_altered(clean))} of the geometric and shrunk ones: {100 * fall:.1f} points less",
                "reproduced" if fall > FAILS else "not reproduced",
            ),
            Claim(
                "a CNN trained on the augmentation reads 98 % of the 30,000 test images",
                f"core mean {_told(mixed.mean, mixed.interval)}",
                _over(mixed.interval, 0.98),
            ),
            Claim(
                "CNN×GRU reads about as many",
                f"{self.verdict} (similar is called what differs by less than {100 * SIMILAR:g} points)",
                "reproduced" if low > -SIMILAR and high < SIMILAR
                else "not reproduced" if low > SIMILAR or high < -SIMILAR else "not decided",
            ),
            Claim(
                "CNN×GRU is considerably slower",
                f"it takes {self.slower:.1f} times as long to train",
                "reproduced" if self.slower > SLOWER else "not reproduced",
            ),
            Claim(
                "an RNN alone does not beat a CNN",
                *_of_verdict(verdicts.get(frozenset(("cnn", "rnn"))), "cnn"),
            ),
            Claim(
                "two convolutions before each pooling are better than one",
                *_of_verdict(verdicts.get(frozenset(("cnn", "cnn_one_convolution"))), "cnn"),
            ),
            Claim(
                "follow-up: a CNN trained on the balanced augmentation reads 98.29 %",
                f"core mean {_told(balanced.mean, balanced.interval)}",
                _over(balanced.interval, 0.9829),
            ),
            self._of_the_follow_up(),
        ]  # fmt: skip

    def _of_the_follow_up(self) -> Claim:
        says = "follow-up: CNN+RNN, trained on the balanced augmentation, reads 98.45 %"
        found = self.finals.get("cnn_gru, balanced")
        if not found:
            return Claim(
                says, "20 epochs of cnn_gru on the balanced augmentation did not fit; --larger trains it", "not tried"
            )
        return Claim(says, f"core mean {_told(found.mean, found.interval)}", _over(found.interval, 0.9845))

    def to_json(self) -> dict[str, Any]:
        """As numbers, and the sentences."""
        return {
            "scale": self.scale.summary,
            "verdict": self.sentences(),
            "claims": [vars(claim) for claim in self.claims()],
            "cross_validation": self.pair.to_json(),
            "ablations": self.ablations.to_json() | {"verdicts": [each.to_json() for each in self.against_whole()]},
            "searches": {name: found.to_json() for name, found in self.searches.items()},
            "finals": [final.to_json() for final in self.finals.values()],
        }


def _altered(final: Final) -> float:
    counts = final.corrupted
    return float(np.trace(counts) / counts.sum())


def _told(share: float, interval: Interval) -> str:
    return f"{percent(share)} ({percents(interval)})"


def _over(interval: Interval, expected: float) -> ClaimOutcome:
    low, high = interval
    return "reproduced" if low >= expected else "not reproduced" if high < expected else "not decided"


def _of_verdict(verdict: Verdict | None, better: str) -> tuple[str, ClaimOutcome]:
    if verdict is None:
        return "too few jobs finished", "not tried"
    if not verdict.shown:
        return str(verdict), "not decided"
    return str(verdict), "reproduced" if verdict.names[0] == better else "not reproduced"

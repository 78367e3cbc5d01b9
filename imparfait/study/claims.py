"""The claims of the founding study, and which of them are reproduced."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from imparfait.evaluation.intervals import Interval
from imparfait.evaluation.statistics import Verdict
from imparfait.selection.comparison import Comparison, adjust, verdict_json, verdict_of
from imparfait.selection.profiling import CandidateProfile
from imparfait.selection.search_result import SearchResult
from imparfait.study.final_runs import FinalRun
from imparfait.study.scales import ABLATIONS, PAIR, Scale

Outcome = Literal["reproduced", "not reproduced", "not decided", "not tried"]
Claim = Literal[
    "clean",
    "corrupted",
    "augmented",
    "similar",
    "slower",
    "rnn",
    "two_convolutions",
    "follow_up_cnn",
    "follow_up_gru",
]

SIMILAR = 0.005  # accuracy: networks that differ by less are called similar
SLOWER = 1.5  # ratio of training times: from here on considerably slower
FAILURE = 0.05  # accuracy: a loss of so much is called a failure
CLAIMED: Mapping[Claim, float] = {"clean": 0.99, "augmented": 0.98, "follow_up_cnn": 0.9829, "follow_up_gru": 0.9845}
"""Accuracies that the study claims."""


@dataclass(frozen=True, eq=False)
class Study:
    """Everything that was measured."""

    scale: Scale
    classes: tuple[str, ...]
    searches: Mapping[str, SearchResult]
    pair: Comparison
    ablations: Comparison
    finals: Mapping[str, FinalRun]

    @property
    def verdict(self) -> Verdict:
        """`cnn` against `cnn_gru`."""
        [only] = self.pair.verdicts
        return only

    def ablation_verdicts(self) -> list[Verdict]:
        """Each ablation against its network, adjusted for the number of ablations (Holm)."""
        verdicts = []
        for name, whole in ABLATIONS.items():
            differences = self.ablations.fold_differences(whole, name)
            if len(differences) > 1:
                verdicts.append(verdict_of((whole, name), differences, self.ablations.plan.test_share))
        return adjust(verdicts)

    def ablation_verdict(self, name: str) -> Verdict | None:
        """The verdict on one ablation; None if too few of its jobs finished."""
        return next((verdict for verdict in self.ablation_verdicts() if name in verdict.names), None)

    @property
    def time_ratio(self) -> float:
        """Training time of `cnn_gru` over that of `cnn` on the same images, each alone on one thread."""
        cnn, gru = self._profiles()
        return cnn.train_throughput / gru.train_throughput

    @property
    def size_ratio(self) -> float:
        """Parameters of `cnn_gru` over those of `cnn`."""
        cnn, gru = self._profiles()
        return gru.num_parameters / cnn.num_parameters

    def _profiles(self) -> tuple[CandidateProfile, CandidateProfile]:
        cnn, gru = (self.pair.plan.profile(name) for name in PAIR)
        return cnn, gru

    def outcomes(self) -> dict[Claim, Outcome]:
        """Whether each claim is reproduced; on few images none is decided."""
        if not self.scale.uses_test_set:
            return {claim: _undecided(outcome) for claim, outcome in self._outcomes().items()}
        return self._outcomes()

    def _outcomes(self) -> dict[Claim, Outcome]:
        clean, augmented, balanced = (self.finals[name] for name in ("cnn, clean only", "cnn", "cnn, balanced"))
        balanced_gru = self.finals.get("cnn_gru, balanced")
        loss = clean.accuracy("clean") - clean.corrupted_accuracy
        return {
            "clean": _reaches(clean.interval_of("clean"), CLAIMED["clean"]),
            "corrupted": _if(loss > FAILURE),
            "augmented": _reaches(augmented.interval, CLAIMED["augmented"]),
            "similar": _is_similar(self.verdict.difference.interval),
            "slower": _if(self.time_ratio > SLOWER),
            "rnn": _is_better(self.ablation_verdict("rnn"), "cnn"),
            "two_convolutions": _is_better(self.ablation_verdict("cnn_one_convolution"), "cnn"),
            "follow_up_cnn": _reaches(balanced.interval, CLAIMED["follow_up_cnn"]),
            "follow_up_gru": _reaches(balanced_gru.interval, CLAIMED["follow_up_gru"]) if balanced_gru else "not tried",
        }

    def to_json(self) -> dict[str, Any]:
        """As numbers."""
        return {
            "scale": self.scale.summary,
            "claims": self.outcomes(),
            "cross_validation": self.pair.to_json(),
            "ablations": self.ablations.to_json() | {"verdicts": [verdict_json(v) for v in self.ablation_verdicts()]},
            "searches": {name: result.to_json() for name, result in self.searches.items()},
            "finals": [final.to_json() for final in self.finals.values()],
        }


def _undecided(outcome: Outcome) -> Outcome:
    return outcome if outcome == "not tried" else "not decided"


def _if(condition: bool) -> Outcome:
    return "reproduced" if condition else "not reproduced"


def _reaches(interval: Interval, claimed: float) -> Outcome:
    low, high = interval
    return "reproduced" if low >= claimed else "not reproduced" if high < claimed else "not decided"


def _is_similar(interval: Interval) -> Outcome:
    low, high = interval
    if low > -SIMILAR and high < SIMILAR:
        return "reproduced"
    return "not reproduced" if low > SIMILAR or high < -SIMILAR else "not decided"


def _is_better(verdict: Verdict | None, name: str) -> Outcome:
    """Whether `name` is shown to be better; a verdict without a difference decides nothing."""
    if verdict is None:
        return "not tried"
    return _if(verdict.better == name) if verdict.is_significant else "not decided"

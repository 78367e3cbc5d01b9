"""The founding study: its stages, and what becomes of its claims."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.bars import draw_bars
from helpers.fake_jobs import made_up_result, plan_of

from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.evaluation.statistics import wilson_interval
from imparfait.models import MODELS
from imparfait.study.claims import Claim, Study
from imparfait.study.final_runs import Final, report_of
from imparfait.study.plan import StudyPlan, mark_of
from imparfait.study.scales import ABLATIONS, PAIR, SCALES, SPACES
from imparfait.training.recipes import RECIPES

PARTS = ("clean", "geometric", "shrunk")
ENTRIES = (*PAIR, *ABLATIONS)


def counts(correct: int, of: int = 10_000) -> np.ndarray:
    """Of two classes, so many right."""
    return np.array([[correct, of - correct], [0, 0]])


def final(name: str, clean: int, geometric: int, shrunk: int) -> Final:
    of = dict(zip(PARTS, (clean, geometric, shrunk), strict=True))
    total = sum(of.values())
    return Final(
        name=name,
        folder=Path("runs/x"),
        settings=RECIPES["study"].settings,
        images=57_000,
        epochs=({"loss": 0.1, "accuracy": 0.9, "seconds": 60.0},),
        confusion={part: counts(correct) for part, correct in of.items()},
        mean=total / 30_000,
        interval=wilson_interval(total, 30_000),
        classes=("0", "1"),
    )


def study_of(ahead: float = 0.0, alone: float = 0.9, quick: bool = False, **finals: tuple[int, int, int]) -> Study:
    """A study whose `cnn_gru` reads so much more than `cnn`, which reads 0.97, and whose `rnn` reads `alone`."""
    means = {"cnn": 0.97, "cnn_gru": 0.97 + ahead, "rnn": alone, "cnn_gru_tanh": 0.97 + ahead}
    random = np.random.default_rng(1)

    def correct(name: str, seed: int) -> np.ndarray:
        return random.random((3, 2000)) < means.get(name, 0.9)

    plan = plan_of(*ENTRIES, sources=2000, seeds=1)
    entries = [e.model_copy(update={"learns": 500.0, "numbers": 3000} if "gru" in e.name else {}) for e in plan.entries]
    plan = plan.model_copy(update={"entries": tuple(entries)})
    pair = plan.model_copy(update={"entries": plan.entries[:2], "seeds": 2})
    told = {"cnn, clean only": (9920, 8000, 6000), "cnn": (9940, 9900, 9850), "cnn_gru": (9940, 9900, 9850)}
    told |= {"cnn, balanced": (9950, 9920, 9900)} | finals
    return Study(
        SCALES["quick" if quick else "full"],
        ("0", "1"),
        {},
        made_up_result(pair, correct),
        made_up_result(plan, correct),
        {name: final(name, *each) for name, each in told.items()},
    )


def claimed(study: Study, words: str) -> Claim:
    [found] = [claim for claim in study.claims() if words in claim.says]
    return found


@pytest.mark.parametrize(
    ("words", "study", "outcome"),
    [
        ("over 99 %", study_of(), "reproduced"),
        ("over 99 %", study_of(**{"cnn, clean only": (9800, 5000, 5000)}), "not reproduced"),
        ("over 99 %", study_of(**{"cnn, clean only": (9905, 5000, 5000)}), "not decided"),
        ("fails on corrupted", study_of(), "reproduced"),
        ("fails on corrupted", study_of(**{"cnn, clean only": (9920, 9800, 9700)}), "not reproduced"),
        ("98 % of the 30,000", study_of(), "reproduced"),
        ("98 % of the 30,000", study_of(cnn=(9800, 9700, 9600)), "not reproduced"),
        ("98 % of the 30,000", study_of(cnn=(9810, 9800, 9795)), "not decided"),
        ("reads about as many", study_of(ahead=0.02), "not reproduced"),
        ("considerably slower", study_of(), "reproduced"),
        ("RNN alone", study_of(), "reproduced"),
        ("RNN alone", study_of(alone=0.99), "not reproduced"),
        ("RNN alone", study_of(alone=0.97), "not decided"),
        ("two convolutions", study_of(), "reproduced"),
        ("98.29 %", study_of(), "reproduced"),
        ("98.45 %", study_of(), "not tried"),
        ("98.45 %", study_of(**{"cnn_gru, balanced": (9800, 9700, 9700)}), "not reproduced"),
    ],
)
def test_a_claim_is_reproduced_when_the_whole_interval_says_so(words: str, study: Study, outcome: str) -> None:
    assert claimed(study, words).outcome == outcome


def test_each_ablation_is_tested_against_what_it_is_taken_from_and_adjusted_for_all() -> None:
    verdicts = study_of().against_whole()
    assert {frozenset(each.names) for each in verdicts} == {frozenset(pair) for pair in ABLATIONS.items()}
    assert {each.pairs for each in verdicts} == {len(ABLATIONS)}
    assert all(each.p >= each.difference.p for each in verdicts)


def test_the_quick_pass_decides_nothing() -> None:
    assert {claim.outcome for claim in study_of(quick=True).claims()} == {"not tried"}


def test_the_verdict_says_who_is_better_and_what_it_costs() -> None:
    networks, augmentation = study_of(ahead=0.02).sentences()
    assert networks.startswith("cnn_gru is better than cnn by ")
    assert "takes 2.0 times as long to train and has 3.0 times as many numbers" in networks
    assert "99.20 % of clean digits and 70.00 % of corrupted ones" in augmentation
    assert study_of().to_json()["verdict"][1] == augmentation


def test_of_counted_answers_the_report_is_what_scikit_learn_says_of_single_ones() -> None:
    from sklearn.metrics import classification_report

    random = np.random.default_rng(0)
    truths, said = random.integers(0, 3, (2, 500))
    counted = np.bincount(3 * truths + said, minlength=9).reshape(3, 3)
    names = ("a", "b", "c")
    assert report_of(counted, names) == classification_report(truths, said, target_names=names, digits=4)


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_has_its_stages_and_final_networks(scale: str) -> None:
    plan = plan_of(*ENTRIES, seeds=1, sources=4000)
    finals = SCALES[scale].finals()
    entries = [plan.entries[0].model_copy(update={"name": name}) for name in finals]
    planned = StudyPlan(
        mark="",
        pair=plan.model_copy(update={"entries": plan.entries[:2]}),
        ablations=plan,
        searched=plan.entries[:2],
        finals=entries,
    )
    names = [stage.name for stage in planned.stages(SCALES[scale], 1000)]
    assert len(set(names)) == len(names) == 2 + 2 + len(ABLATIONS) + len(finals)
    assert {settings.model for _, settings in finals.values()} == set(PAIR)
    assert all(settings.seed == 0 for _, settings in finals.values())


def test_a_search_starts_from_the_annexs_settings() -> None:
    for name, recipe in (("cnn", "study"), ("cnn_gru", "study-gru")):
        assert RECIPES[recipe].settings.model == name
        for setting, values in SPACES[name].items():
            assert getattr(RECIPES[recipe].settings, setting) in values


def test_its_networks_are_all_there() -> None:
    assert set(ENTRIES) <= set(MODELS)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--quick", "--larger"], "--quick and --larger say different things"),
        (["--threads", "2"], "--threads 2: the study's jobs have one thread each"),
    ],
)
def test_what_cannot_be_is_said_at_once(words: list[str], sentence: str) -> None:
    result = CliRunner().invoke(commands, ["study", *words])
    assert isinstance(result.exception, UserError)
    assert sentence in str(result.exception)


def test_a_plan_is_of_its_scale_its_recipes_and_its_data(monkeypatch: pytest.MonkeyPatch) -> None:
    data, scale = draw_bars(60), SCALES["quick"]
    marks = [mark_of(scale, data), mark_of(replace(scale, epochs=7), data), mark_of(scale, draw_bars(61))]
    other = RECIPES["study"].settings.model_copy(update={"weight_decay": 0.5})
    monkeypatch.setitem(RECIPES, "study", replace(RECIPES["study"], settings=other))
    marks.append(mark_of(scale, data))
    assert len(set(marks)) == 4


def test_a_study_with_a_lost_ablation_says_so() -> None:
    study = study_of()
    outcomes = {
        place: replace(outcome, cause="no memory") if place[0] == "rnn" else outcome
        for place, outcome in study.ablations.outcomes.items()
    }
    lost = replace(study, ablations=replace(study.ablations, outcomes=outcomes))
    assert claimed(lost, "RNN alone").outcome == "not tried"

"""The founding study: its stages, and the outcomes of its claims."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.bars import draw_bars
from helpers.fake_jobs import made_up_result, plan_of
from helpers.rehearsal import REHEARSAL

from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.evaluation.intervals import wilson_interval
from imparfait.models.registry import MODELS
from imparfait.study.claims import Claim, Study
from imparfait.study.final_runs import FinalRun, report_of
from imparfait.study.plan import StudyPlan, mark_of, stage_names
from imparfait.study.report import study_json
from imparfait.study.scales import ABLATIONS, PAIR, SCALES, SPACES
from imparfait.study.text import STATEMENTS, claim_rows, stage_lines, summary
from imparfait.training.recipes import RECIPES

CONDITIONS = ("clean", "geometric", "shrunk")
NETWORKS = (*PAIR, *ABLATIONS)


def counts(correct: int, of: int = 10_000) -> np.ndarray:
    """The confusion matrix of two classes with so many correct predictions."""
    return np.array([[correct, of - correct], [0, 0]])


def final(name: str, clean: int, geometric: int, shrunk: int) -> FinalRun:
    correct = dict(zip(CONDITIONS, (clean, geometric, shrunk), strict=True))
    total = sum(correct.values())
    return FinalRun(
        name=name,
        folder=Path("runs/x"),
        settings=RECIPES["study"].settings,
        images=57_000,
        epochs=({"loss": 0.1, "accuracy": 0.9, "seconds": 60.0},),
        confusion={condition: counts(n) for condition, n in correct.items()},
        mean=total / 30_000,
        interval=wilson_interval(total, 30_000),
        classes=("0", "1"),
    )


def study_of(ahead: float = 0.0, alone: float = 0.9, rehearsed: bool = False, **finals: tuple[int, int, int]) -> Study:
    """A study in which `cnn_gru` is `ahead` of `cnn`, whose accuracy is 0.97, and that of `rnn` is `alone`."""
    means = {"cnn": 0.97, "cnn_gru": 0.97 + ahead, "rnn": alone, "cnn_gru_tanh": 0.97 + ahead}
    random = np.random.default_rng(1)

    def correct(name: str, seed: int) -> np.ndarray:
        return random.random((3, 2000)) < means.get(name, 0.9)

    plan = plan_of(*NETWORKS, sources=2000, seeds=1)
    larger = {"train_throughput": 500.0, "num_parameters": 3000}
    profiles = [profile.model_copy(update=larger if "gru" in profile.name else {}) for profile in plan.profiles]
    plan = plan.model_copy(update={"profiles": tuple(profiles)})
    pair = plan.model_copy(update={"profiles": plan.profiles[:2], "seeds": 2})
    accuracies = {"cnn, clean only": (9920, 8000, 6000), "cnn": (9940, 9900, 9850), "cnn_gru": (9940, 9900, 9850)}
    accuracies |= {"cnn, balanced": (9950, 9920, 9900)} | finals
    return Study(
        REHEARSAL if rehearsed else SCALES["full"],
        ("0", "1"),
        {},
        made_up_result(pair, correct),
        made_up_result(plan, correct),
        {name: final(name, *correct) for name, correct in accuracies.items()},
    )


@pytest.mark.parametrize(
    ("claim", "study", "outcome"),
    [
        ("clean", study_of(), "reproduced"),
        ("clean", study_of(**{"cnn, clean only": (9800, 5000, 5000)}), "not reproduced"),
        ("clean", study_of(**{"cnn, clean only": (9905, 5000, 5000)}), "not decided"),
        ("corrupted", study_of(), "reproduced"),
        ("corrupted", study_of(**{"cnn, clean only": (9920, 9800, 9700)}), "not reproduced"),
        ("augmented", study_of(), "reproduced"),
        ("augmented", study_of(cnn=(9800, 9700, 9600)), "not reproduced"),
        ("augmented", study_of(cnn=(9810, 9800, 9795)), "not decided"),
        ("similar", study_of(ahead=0.02), "not reproduced"),
        ("slower", study_of(), "reproduced"),
        ("rnn", study_of(), "reproduced"),
        ("rnn", study_of(alone=0.99), "not reproduced"),
        ("rnn", study_of(alone=0.97), "not decided"),
        ("two_convolutions", study_of(), "reproduced"),
        ("follow_up_cnn", study_of(), "reproduced"),
        ("follow_up_gru", study_of(), "not tried"),
        ("follow_up_gru", study_of(**{"cnn_gru, balanced": (9800, 9700, 9700)}), "not reproduced"),
    ],
)
def test_a_claim_is_reproduced_when_the_whole_interval_supports_it(claim: Claim, study: Study, outcome: str) -> None:
    assert study.outcomes()[claim] == outcome


def test_each_ablation_is_tested_against_what_it_is_taken_from_and_adjusted_for_all() -> None:
    verdicts = study_of().ablation_verdicts()
    assert {frozenset(each.names) for each in verdicts} == {frozenset(pair) for pair in ABLATIONS.items()}
    assert {each.pairs for each in verdicts} == {len(ABLATIONS)}
    assert all(each.p >= each.difference.p for each in verdicts)


def test_a_study_on_few_images_decides_nothing() -> None:
    decided, undecided = study_of().outcomes(), study_of(rehearsed=True).outcomes()
    assert set(undecided.values()) <= {"not decided", "not tried"}
    assert {claim for claim, outcome in undecided.items() if outcome == "not tried"} == {
        claim for claim, outcome in decided.items() if outcome == "not tried"
    }


def test_the_verdict_names_the_better_model_and_its_cost() -> None:
    networks, augmentation = summary(study_of(ahead=0.02))
    assert networks.startswith("cnn_gru is better than cnn by ")
    assert "takes 2.0 times as long to train and has 3.0 times as many parameters" in networks
    assert "99.20 % of clean digits and 70.00 % of corrupted ones" in augmentation
    assert study_json(study_of())["summary"][1] == augmentation


def test_every_claim_has_a_statement_an_outcome_and_evidence() -> None:
    study = study_of()
    rows = claim_rows(study)
    assert [row[0] for row in rows] == list(STATEMENTS.values())
    assert [row[1] for row in rows] == list(study.outcomes().values())
    assert all(evidence for *_, evidence in rows)
    assert [row["claim"] for row in study_json(study)["claims"]] == [row[0] for row in rows]


def test_the_report_of_counts_equals_scikit_learns_of_single_predictions() -> None:
    from sklearn.metrics import classification_report

    random = np.random.default_rng(0)
    truths, said = random.integers(0, 3, (2, 500))
    counted = np.bincount(3 * truths + said, minlength=9).reshape(3, 3)
    names = ("a", "b", "c")
    assert report_of(counted, names) == classification_report(truths, said, target_names=names, digits=4)


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_has_its_stages_and_final_networks(scale: str) -> None:
    plan = plan_of(*NETWORKS, seeds=1, sources=4000)
    finals = SCALES[scale].finals()
    planned = StudyPlan(
        mark="",
        pair=plan.model_copy(update={"profiles": plan.profiles[:2]}),
        ablations=plan,
        searched=plan.profiles[:2],
        finals=[plan.profiles[0].model_copy(update={"name": name}) for name in finals],
    )
    stages = planned.stages(SCALES[scale], 1000)
    names = [stage.name for stage in stages]
    assert names == stage_names(SCALES[scale])
    assert len(set(names)) == len(names) == 2 + 2 + len(ABLATIONS) + len(finals)
    assert len(stage_lines(planned, stages)) == len(names) + 2
    assert {settings.model for _, settings in finals.values()} == set(PAIR)
    assert all(settings.seed == 0 for _, settings in finals.values())


def test_a_search_starts_from_the_annexs_settings() -> None:
    for name, recipe in (("cnn", "study"), ("cnn_gru", "study-gru")):
        assert RECIPES[recipe].settings.model == name
        for setting, values in SPACES[name].items():
            assert getattr(RECIPES[recipe].settings, setting) in values


def test_all_its_networks_exist() -> None:
    assert set(NETWORKS) <= set(MODELS)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--quick", "--larger"], "--quick and --larger name different scales"),
        (["--threads", "2"], "--threads 2; expected 1"),
        (["--stage", "nope"], "no stage is called 'nope'"),
        (["--larger", "--stage", "final cnn, balancd"], "did you mean 'final cnn, balanced'?"),
        (["--quick", "--stage", "final cnn, clean"], "did you mean 'final cnn, clean only'?"),
    ],
)
def test_impossible_settings_are_rejected_at_once(
    words: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imparfait.cli.console.loaded", lambda *_: pytest.fail("nothing is loaded or measured before"))
    result = CliRunner().invoke(commands, ["study", *words])
    assert isinstance(result.exception, UserError)
    assert expected in str(result.exception)


def test_a_plan_is_of_its_scale_its_recipes_and_its_data(monkeypatch: pytest.MonkeyPatch) -> None:
    data, scale = draw_bars(60), REHEARSAL
    marks = [mark_of(scale, data), mark_of(replace(scale, epochs=7), data), mark_of(scale, draw_bars(61))]
    other = RECIPES["study"].settings.model_copy(update={"weight_decay": 0.5})
    monkeypatch.setitem(RECIPES, "study", replace(RECIPES["study"], settings=other))
    marks.append(mark_of(scale, data))
    assert len(set(marks)) == 4


def test_a_study_with_a_missing_ablation_is_reported() -> None:
    study = study_of()
    results = {
        slot: replace(result, cause="no memory") if slot[0] == "rnn" else result
        for slot, result in study.ablations.results.items()
    }
    lost = replace(study, ablations=replace(study.ablations, results=results))
    assert lost.outcomes()["rnn"] == "not tried"
    assert "too few jobs finished" in {evidence for *_, evidence in claim_rows(lost)}

"""Comparisons on the full suite: the mean, the secondary tests and the cost."""

import csv
import json
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from helpers.fake_jobs import made_up_result, plan_of, small_job, write_settings

from imparfait.corruptions import CORRUPTIONS
from imparfait.data.corrupted import CORE_SUITE
from imparfait.data.dataset import ConditionImages
from imparfait.evaluation.scores import Scores, score_conditions
from imparfait.evaluation.suite import CLEAN, full_suite, weights
from imparfait.reports.comparison import correct_by_one, write_comparison
from imparfait.reports.comparison_text import comparison_headings, comparison_remarks
from imparfait.selection import jobs
from imparfait.selection.comparison import Comparison
from imparfait.selection.jobs import JobResult, run_job
from imparfait.selection.plan import Plan, reduce_plan

FULL = tuple((condition.corruption, condition.severity) for condition in full_suite())
N = 200
Accuracy = Callable[[str, str, float], float]
"""The probability that a candidate classifies an image correctly under a corruption at a severity."""


def compared(accuracy: Accuracy, *names: str, sources: int = N, seeds: int = 2) -> Comparison:
    random = np.random.default_rng(0)
    plan = plan_of(*names, sources=sources, seeds=seeds, corruptions=FULL)
    return made_up_result(
        plan, lambda name, _: np.stack([random.random(sources) < accuracy(name, *condition) for condition in FULL])
    )


def test_a_corruption_of_one_severity_counts_as_much_as_one_of_five_and_clean_not_at_all() -> None:
    correct = {"one": "invert", "five": "rotate", "none": CLEAN}
    found = compared(lambda name, corruption, _: float(correct[name] == corruption), *correct)
    means = {name: found.mean(name) for name in correct}
    assert means == {"one": pytest.approx(1 / 32), "five": pytest.approx(1 / 32), "none": 0}
    assert comparison_headings(found)[1] == "suite mean"
    expected = "the mean is over 32 corruptions, each averaged over its severities; clean is not included"
    assert expected in comparison_remarks(found)


def test_on_the_core_suite_the_plain_mean_counts_clean_included() -> None:
    random = np.random.default_rng(1)
    plan = plan_of("a", "b", sources=N, seeds=2)
    assert plan.job("a", 0, 0).corruptions == CORE_SUITE
    found = made_up_result(plan, lambda *_: random.random((3, N)) < 0.8)
    for result in found.results.values():
        assert result.mean == float(result.correct.mean())
        assert np.array_equal(result.weighted_correct, result.correct.sum(0))
    assert comparison_headings(found)[1] == "core mean"
    assert "corruptions" not in found.to_json()["verdicts"][0]


def test_the_verdict_and_its_interval_are_on_the_mean() -> None:
    """Conditions that do not count make no difference; copies that all agree count as one."""
    counts = dict(zip(FULL, weights(FULL), strict=True))
    found = compared(lambda name, *condition: float(counts[condition] > 0 or name == "a"), "a", "b")
    [verdict] = found.verdicts
    assert verdict.difference.mean == 0
    assert verdict.by_source == pytest.approx((0, 0), abs=0.01)
    random = np.random.default_rng(3)
    once = {"a": random.random(N) < 0.95, "b": random.random(N) < 0.6}
    [verdict] = made_up_result(found.plan, lambda name, _: np.repeat(once[name][None], len(FULL), 0)).verdicts
    error = (once["a"].astype(int) - once["b"]).std() / np.sqrt(N)
    assert verdict.by_source is not None
    low, high = verdict.by_source
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    assert (high + low) / 2 == pytest.approx(once["a"].mean() - once["b"].mean(), abs=0.01)


def test_a_difference_under_one_corruption_is_reported_only_under_it() -> None:
    found = compared(
        lambda name, corruption, _: 0.5 if (name, corruption) == ("weak", "fog") else 0.9, "weak", "strong", seeds=3
    )
    [verdict] = found.verdicts
    tested = verdict.corruptions
    assert tested.keys() == CORRUPTIONS.keys()  # neither clean nor a severity by itself
    assert [name for name, test in tested.items() if test.p < 0.05] == ["fog"]
    assert all(test.p >= test.difference.p for test in tested.values())
    assert tested["fog"].difference.mean == pytest.approx(0.4, abs=0.05)
    assert found.to_json()["verdicts"][0]["corruptions"]["fog"]["p_holm"] == tested["fog"].p
    mean = np.mean([test.difference.mean for test in tested.values()])
    assert mean == pytest.approx(verdict.difference.mean)


def test_images_that_only_one_candidate_gets_right_are_shown_as_they_were_corrupted() -> None:
    found = compared(lambda name, corruption, _: float((name, corruption) == ("a", "stripe")), "a", "b", sources=60)
    pixels, captions = correct_by_one(found, *found.ranked, draw_bars(60))
    assert {caption.split("\n")[1] for caption in captions} == {"stripe"}
    assert {caption.split("\n")[0].split(", ")[1] for caption in captions} == {"1"}
    assert len(pixels) == len(captions) == 16


def test_where_no_job_of_a_candidate_finished_the_report_is_still_written(tmp_path: Path) -> None:
    found = compared(lambda *_: 0.9, "a", "b", "lost", sources=60)
    results = {p: jobs.failure("nothing left") if p[0] == "lost" else o for p, o in found.results.items()}
    left = Comparison(found.plan, ("flat", "steep", "cross", *"3456789"), results)
    write_comparison(tmp_path / "report", "title", left, draw_bars(60))
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("<summary>Tests: ") == 1
    assert "fog (similar)" in page


def test_a_result_holds_its_conditions_and_survives_the_disk() -> None:
    data = draw_bars(30)
    parts = ((CLEAN, 0.0), ("rotate", 0.4), ("rotate", CORRUPTIONS["rotate"].mnist_c), ("rotate", 1.0), ("invert", 1.0))
    result = run_job(small_job(data, corruptions=parts), data)
    again = JobResult.from_bytes(result.to_bytes())
    assert again.corruptions == result.corruptions == parts
    assert again.weights.tolist() == [0, 1, 0, 1, 2]
    shares = result.correct.mean(1)
    assert again.mean == pytest.approx(((shares[1] + shares[3]) / 2 + shares[4]) / 2)


def test_the_conditions_of_a_fold_are_made_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[ConditionImages]] = []

    def watched(classifier: Callable[[np.ndarray], np.ndarray], conditions: list[ConditionImages]) -> Scores:
        assert not [condition for condition in made if condition()]
        made.append(weakref.ref(conditions[0]))
        return score_conditions(classifier, conditions)

    monkeypatch.setattr(jobs, "score_conditions", watched)
    data = draw_bars(30)
    assert not run_job(small_job(data), data).cause
    assert len(made) == 3


def test_the_predicted_seconds_of_a_job_count_every_condition() -> None:
    plan = plan_of("a", sources=1000, corruptions=FULL)
    core, twice = (plan.model_copy(update={"corruptions": c}) for c in (CORE_SUITE, FULL + FULL))
    evaluation = (len(FULL) - 3) * plan.held_out / plan.profile("a").eval_throughput
    assert plan.job_seconds("a") - core.job_seconds("a") > evaluation
    training = plan.profile("a").training_seconds(plan.fit)
    assert twice.job_seconds("a") - training == pytest.approx(2 * (plan.job_seconds("a") - training), rel=0.01)


@pytest.mark.parametrize("share", [0.7, 0.4, 0.02])
def test_minutes_reduce_a_comparison_on_the_suite_too(share: float) -> None:
    wished = plan_of("a", "b", sources=10_000, corruptions=FULL)
    found = reduce_plan(wished, wished.seconds * share)
    assert found.seconds <= wished.seconds * share * 1.001
    assert found.corruptions == FULL
    assert Plan.model_validate_json(found.model_dump_json()) == found


def test_the_command_evaluates_out_of_fold_on_every_corruption(bars_folder: Path) -> None:
    home = bars_folder.parent
    write_settings(home, slow=0.002, fast=0.02)
    words = "compare slow.toml fast.toml --data bars --images 60 --folds 2 --seeds 1 --executor serial --suite digits"
    result = subprocess.run(
        [sys.executable, "-m", "imparfait", *words.split()], cwd=home, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "suite mean" in result.stdout
    assert "--suite digits" in result.stderr.split("next:")[1]
    assert not (home / "runs" / "TEST_LEDGER.csv").exists()
    [folder] = (home / "runs").glob("compare-slow-fast-digits-*")
    assert "core mean" not in (folder / "report.html").read_text()
    content = json.loads((folder / "comparison.json").read_text())
    with (folder / "jobs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for candidate in content["candidates"]:
        mine = [row for row in rows if row["candidate"] == candidate["name"]]
        accuracies = []
        for name, known in CORRUPTIONS.items():
            correct = [
                int(row[f"correct_{name}_{level:g}"]) / int(row["images"]) for row in mine for level in known.levels
            ]
            accuracies.append(np.mean(correct))
            assert candidate["corruptions"][name] == pytest.approx(accuracies[-1])
        assert candidate["mean"] == pytest.approx(np.mean(accuracies))
        assert sum(int(row["images"]) for row in mine) == 60

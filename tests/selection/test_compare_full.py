"""A comparison over the full suite: what its headline counts, what is tested beside it, and what it costs."""

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
from helpers.fake_jobs import made_up_result, plan_of, small_job

from imparfait.corruptions import CORRUPTIONS
from imparfait.data.corrupted import CORE_SUITE
from imparfait.data.dataset import ConditionImages
from imparfait.evaluation.scores import Scores, evaluate
from imparfait.evaluation.suite import CLEAN, full_suite, weights
from imparfait.reports.comparison import _got_by_one, write_comparison
from imparfait.selection import jobs
from imparfait.selection.comparison import Comparison
from imparfait.selection.jobs import JobResult, run_job
from imparfait.selection.plan import Plan, _within

FULL = tuple((part.corruption, part.severity) for part in full_suite())
N = 200
Reads = Callable[[str, str, float], float]
"""How probable it is that a contender reads an image under a corruption at a severity."""


def compared(reads: Reads, *names: str, sources: int = N, seeds: int = 2) -> Comparison:
    random = np.random.default_rng(0)
    plan = plan_of(*names, sources=sources, seeds=seeds, corruptions=FULL)
    return made_up_result(
        plan, lambda name, _: np.stack([random.random(sources) < reads(name, *part) for part in FULL])
    )


def test_an_alteration_of_one_level_counts_as_much_as_one_of_five_and_clean_not_at_all() -> None:
    told = {"one": "invert", "five": "rotate", "none": CLEAN}
    found = compared(lambda name, corruption, _: float(told[name] == corruption), *told)
    means = {entry.name: found.mean(entry) for entry in found.plan.entries}
    assert means == {"one": pytest.approx(1 / 32), "five": pytest.approx(1 / 32), "none": 0}
    assert found.headings[1] == "mean of the suite"
    assert "the mean over 32 corruptions, each over its severities; clean is not in it" in found.remarks()


def test_the_three_are_as_they_were() -> None:
    """The plain core mean, clean in it, and the same jobs."""
    random = np.random.default_rng(1)
    plan = plan_of("a", "b", sources=N, seeds=2)
    assert plan.job(plan.entries[0], 0, 0).corruptions == CORE_SUITE
    found = made_up_result(plan, lambda *_: random.random((3, N)) < 0.8)
    for outcome in found.outcomes.values():
        assert outcome.mean == float(outcome.correct.mean())
        assert np.array_equal(outcome.hits, outcome.correct.sum(0))
    assert found.headings[1] == "core mean"
    assert "corruptions" not in found.to_json()["verdicts"][0]


def test_the_verdict_and_its_bootstrap_are_on_the_headline() -> None:
    """Where only what does not count differs, there is no difference; where all copies agree, they are as one."""
    counts = dict(zip(FULL, weights(FULL), strict=True))
    found = compared(lambda name, *part: float(counts[part] > 0 or name == "a"), "a", "b")
    [verdict] = found.verdicts
    assert verdict.difference.mean == 0
    assert verdict.by_source == (0, 0)
    random = np.random.default_rng(3)
    once = {"a": random.random(N) < 0.95, "b": random.random(N) < 0.6}
    [verdict] = made_up_result(found.plan, lambda name, _: np.repeat(once[name][None], len(FULL), 0)).verdicts
    error = (once["a"].astype(int) - once["b"]).std() / np.sqrt(N)
    assert verdict.by_source is not None
    low, high = verdict.by_source
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    assert (high + low) / 2 == pytest.approx(once["a"].mean() - once["b"].mean(), abs=0.01)


def test_a_difference_under_one_alteration_is_shown_there_and_nowhere_else() -> None:
    found = compared(
        lambda name, corruption, _: 0.5 if (name, corruption) == ("weak", "fog") else 0.9, "weak", "strong", seeds=3
    )
    [verdict] = found.verdicts
    tested = found.tested(verdict)
    assert tested.keys() == CORRUPTIONS.keys()  # neither clean nor a severity by itself
    assert [name for name, each in tested.items() if each.p < 0.05] == ["fog"]
    assert all(each.p >= each.difference.p for each in tested.values())
    assert tested["fog"].difference.mean == pytest.approx(0.4, abs=0.05)
    assert found.to_json()["verdicts"][0]["corruptions"]["fog"]["p_holm"] == tested["fog"].p
    mean = np.mean([each.difference.mean for each in tested.values()])
    assert mean == pytest.approx(verdict.difference.mean)


def test_pictures_that_one_alone_reads_are_shown_as_they_were_altered() -> None:
    found = compared(lambda name, corruption, _: float((name, corruption) == ("a", "stripe")), "a", "b", sources=60)
    pixels, captions = _got_by_one(found, *found.ranked, draw_bars(60))
    assert {caption.split("\n")[1] for caption in captions} == {"stripe"}
    assert {caption.split("\n")[0].split(", ")[1] for caption in captions} == {"1"}
    assert len(pixels) == len(captions) == 16


def test_where_no_cell_of_a_contender_finished_the_report_is_still_made(tmp_path: Path) -> None:
    found = compared(lambda *_: 0.9, "a", "b", "lost", sources=60)
    outcomes = {p: jobs.failure("nothing left") if p[0] == "lost" else o for p, o in found.outcomes.items()}
    left = Comparison(found.plan, ("flat", "steep", "cross", *"3456789"), outcomes)
    write_comparison(tmp_path, "title", left, draw_bars(60))
    page = (tmp_path / "report.html").read_text()
    assert page.count("<summary>Tests: ") == 1
    assert "fog-like" in page


def test_an_outcome_says_what_its_answers_are_to_and_survives_the_disk() -> None:
    data = draw_bars(30)
    parts = ((CLEAN, 0.0), ("rotate", 0.4), ("rotate", CORRUPTIONS["rotate"].mnist_c), ("rotate", 1.0), ("invert", 1.0))
    outcome = run_job(small_job(data, corruptions=parts), data)
    again = JobResult.from_bytes(outcome.to_bytes())
    assert again.corruptions == outcome.corruptions == parts
    assert again.weights.tolist() == [0, 1, 0, 1, 2]
    shares = outcome.correct.mean(1)
    assert again.mean == pytest.approx(((shares[1] + shares[3]) / 2 + shares[4]) / 2)


def test_the_parts_of_a_fold_are_made_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[ConditionImages]] = []

    def watched(classifier: Callable[[np.ndarray], np.ndarray], parts: list[ConditionImages]) -> Scores:
        assert not [part for part in made if part()]
        made.append(weakref.ref(parts[0]))
        return evaluate(classifier, parts)

    monkeypatch.setattr(jobs, "evaluate", watched)
    data = draw_bars(30)
    assert not run_job(small_job(data), data).cause
    assert len(made) == 3


def test_what_a_cell_takes_counts_every_part() -> None:
    plan = plan_of("a", sources=1000, corruptions=FULL)
    [entry] = plan.entries
    three = plan.model_copy(update={"corruptions": CORE_SUITE})
    asking = (len(FULL) - 3) * plan.held_out / entry.answers
    assert plan.job_seconds(entry) - three.job_seconds(entry) > asking
    twice = plan.model_copy(update={"corruptions": FULL + FULL})
    training = entry.training_seconds(plan.fit)
    assert twice.job_seconds(entry) - training == pytest.approx(2 * (plan.job_seconds(entry) - training), rel=0.01)


@pytest.mark.parametrize("share", [0.7, 0.4, 0.02])
def test_minutes_shrink_a_comparison_over_the_suite_too(share: float) -> None:
    wished = plan_of("a", "b", sources=10_000, corruptions=FULL)
    found = _within(wished, wished.seconds * share)
    assert found.seconds <= wished.seconds * share * 1.001
    assert found.corruptions == FULL
    assert Plan.model_validate_json(found.model_dump_json()) == found


def test_the_command_judges_out_of_fold_on_every_alteration(bars_folder: Path) -> None:
    home = bars_folder.parent
    for name, rate in (("slow", 0.002), ("fast", 0.02)):
        text = (
            f"learning_rate = {rate}\nbatch_size = 16\nepochs = 1\n[model_args]\nfilters = 8\ndepth = 1\nframe = 12\n"
        )
        (home / f"{name}.toml").write_text(text)
    words = "compare slow.toml fast.toml --data bars --images 60 --folds 2 --seeds 1 --executor here --suite full"
    result = subprocess.run(
        [sys.executable, "-m", "imparfait", *words.split()], cwd=home, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "mean of the suite" in result.stdout
    assert "--suite full" in result.stderr.split("next:")[1]
    assert not (home / "runs" / "TEST_LEDGER.csv").exists()
    [folder] = (home / "runs").glob("compare-slow-fast-full-*")
    assert "core mean" not in (folder / "report.html").read_text()
    told = json.loads((folder / "comparison.json").read_text())
    with (folder / "jobs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for candidate_named in told["contenders"]:
        mine = [row for row in rows if row["contender"] == candidate_named["name"]]
        each = []
        for name, known in CORRUPTIONS.items():
            correct = [
                int(row[f"right_{name}_{level:g}"]) / int(row["images"]) for row in mine for level in known.levels
            ]
            each.append(np.mean(correct))
            assert candidate_named["corruptions"][name] == pytest.approx(each[-1])
        assert candidate_named["mean"] == pytest.approx(np.mean(each))
        assert sum(int(row["images"]) for row in mine) == 60

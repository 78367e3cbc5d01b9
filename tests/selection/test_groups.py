"""Cross-validation of images with groups: whole groups are held out, and other groups are other jobs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from helpers.fake_jobs import NOWHERE, SMALL, small_job

from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import fold
from imparfait.reports.comparison_text import comparison_remarks
from imparfait.selection import profiling
from imparfait.selection.cross_validation import ComparisonRun, compare
from imparfait.selection.executors import Executor, run_jobs, serial
from imparfait.selection.intervals import all_images, by_group
from imparfait.selection.jobs import JobResult, fit_and_evaluate, run_job
from imparfait.selection.search import search

BARS = draw_bars(60)
GROUPED = replace(BARS, groups=np.arange(60) // 15)
SETTINGS = {"slow": SMALL, "fast": SMALL.model_copy(update={"learning_rate": 0.02})}


@pytest.fixture(autouse=True)
def quick_profiles() -> Iterator[None]:
    """Throughput is measured in a moment: its value does not matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiling, "TURN_SECONDS", 0.02)
        yield


def compared(data: LabelledImages, **options: object) -> ComparisonRun:
    return compare(SETTINGS, data, executor="serial", **options)  # type: ignore[arg-type]


def test_each_fold_is_a_group_and_each_image_is_held_out_once() -> None:
    run = compared(GROUPED, folds="groups", seeds=2)
    assert run.plan.folds == 4
    comparison = run.result
    for seed in range(2):
        parts = [comparison.finished("slow")[seed, number] for number in range(4)]
        assert sorted(np.unique(part.groups).tolist() for part in parts) == [[0], [1], [2], [3]]
        assert sorted(np.concatenate([part.sources for part in parts])) == BARS.sources.tolist()
    assert len(comparison.fold_differences("slow", "fast")) == 4, "seeds of one group are one difference"
    remarks = comparison_remarks(comparison)
    assert "sd over jobs: 4 folds × 2 seeds of all training images, each fold one group" in remarks
    assert any("of all held-out images; 95 %:" in line and "over 4 groups" in line for line in remarks)
    [first, _] = comparison.to_json()["candidates"]
    assert first["all_images"]["group_interval"]["groups"] == 4


def test_another_grouping_is_another_comparison_and_other_jobs() -> None:
    other = replace(BARS, groups=np.arange(60) // 20)
    runs = [compared(data, folds=2, seeds=1) for data in (BARS, GROUPED, other)]
    assert len({run.name for run in runs}) == 3
    assert len({run.plan.job("slow", 0, 0).key for run in runs}) == 3


def test_a_search_with_another_grouping_is_another_search() -> None:
    names = {search("petit", data, folds=2, trials=1, executor="serial").name for data in (BARS, GROUPED)}
    assert len(names) == 2
    assert search("petit", GROUPED, folds="groups", trials=1, executor="serial").folds == 4


def test_jobs_are_refused_images_of_other_groups() -> None:
    job = small_job(GROUPED, groups=GROUPED.grouping())
    with pytest.raises(AssertionError, match="other images or groups"):
        list(run_jobs([job], BARS, Executor("serial", serial)))


def test_a_result_keeps_its_groups_on_disk() -> None:
    result = run_job(small_job(GROUPED, groups=GROUPED.grouping(), folds=2), GROUPED)
    again = JobResult.from_bytes(result.to_bytes())
    assert again.groups is not None
    assert again.groups.tolist() == GROUPED.groups[again.sources].tolist()  # type: ignore[index]
    assert JobResult.from_bytes(run_job(small_job(BARS, folds=2), BARS).to_bytes()).groups is None


def test_a_planted_group_on_both_sides_is_detected() -> None:
    fit, held_out = fold(GROUPED, 2, 0, 0)
    assert held_out.groups is not None
    mixed = replace(fit, groups=np.where(np.arange(len(fit)) == 5, held_out.groups[0], fit.groups))
    with pytest.raises(UserError, match="leakage: 1 held-out group is also trained on"):
        fit_and_evaluate(small_job(GROUPED), mixed, held_out)


def test_leaving_one_group_out_without_groups_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--folds groups: bars has no groups"):
        compared(BARS, folds="groups")


def result_of(group: int | None, correct: list[bool]) -> JobResult:
    truths = np.zeros(len(correct), np.int64)
    groups = None if group is None else np.full(len(correct), group)
    sources = np.arange(len(correct)) + 100 * (group or 0)
    return JobResult(
        sources, truths, 1 - np.array([correct], np.uint8), provenance=NOWHERE, corruptions=(("clean", 0.0),),
        groups=groups,
    )  # fmt: skip


def test_values_of_one_group_are_averaged_and_others_are_not() -> None:
    one, two = result_of(1, [True]), result_of(2, [True])
    assert by_group([one, two, one, two], [0.1, 0.3, 0.2, 0.3]).tolist() == pytest.approx([0.15, 0.3])
    alone = result_of(None, [True])
    assert by_group([alone, alone], [0.1, 0.3]).tolist() == [0.1, 0.3]
    both = replace(result_of(1, [True, True]), groups=np.array([1, 2]))
    assert by_group([both, both], [0.1, 0.3]).tolist() == [0.1, 0.3]


def test_the_accuracy_on_all_images_counts_images_and_not_folds() -> None:
    found = all_images([result_of(1, [True] * 9), result_of(2, [False])])
    assert found
    assert found.accuracy == 0.9
    assert found.group_interval.groups == 2
    assert all_images([result_of(None, [True, False])]) is None

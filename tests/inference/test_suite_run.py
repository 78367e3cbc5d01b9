"""Suites as jobs: nothing finished is computed again, nothing of another model, image or code is used."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars, write_idx
from helpers.counting import CONDITIONS, Counting, equal, model_of

from imparfait.core import large_arrays
from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.types import Watch
from imparfait.data.corrupted import core_suite
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import Dataset, load_data
from imparfait.data.splits import sample
from imparfait.data.test_ledger import BEGUN, LEDGER, read
from imparfait.evaluation.scores import score_conditions
from imparfait.evaluation.suite import SAMPLES, SUITES, Condition, apply_conditions, conditions_from
from imparfait.inference import suite_jobs
from imparfait.inference.suite_jobs import SHARD_IMAGES, shards_of
from imparfait.inference.suite_run import run_suite, unfinished
from imparfait.reports import explained_mistakes
from imparfait.reports.evaluation import UNFINISHED, evaluate_models
from imparfait.reports.suite_scores import sampled
from imparfait.selection.executors import SUFFIX


def no_maps(*_: object, **__: object) -> list[object]:
    """In place of the report's occlusion maps, for which the classifier predicts mistakes again."""
    return []


def interrupted_after(conditions: int, data: LabelledImages, store: Path, **changes: object) -> None:
    classifier = Counting()
    classifier.until = conditions * len(data)
    with pytest.raises(KeyboardInterrupt), unfinished(store) as folder:
        run_suite(model_of(classifier, **changes), data, CONDITIONS, store=folder)


@pytest.mark.parametrize("side", [15, 64])
@pytest.mark.parametrize("in_files", [False, True])
def test_a_suite_in_parts_gives_the_scores_of_one_without(
    side: int, in_files: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(large_arrays, "limit_bytes", lambda: 0 if in_files else 1 << 30)
    data = draw_bars(SHARD_IMAGES + 300, side, 3)
    conditions = [*conditions_from([("clean", 0.0), ("photo.gaussian_noise", 0.6), ("photo.fog", 0.4)])]
    whole = score_conditions(Counting(), apply_conditions(data, conditions))
    found = run_suite(model_of(Counting()), data, conditions)
    assert equal(found, whole)
    assert all(isinstance(each.probabilities, np.memmap) == in_files for each in found.conditions)


def test_parts_are_whole_batches_and_cover_the_images_once() -> None:
    for count, side, channels in ((1, 28, 1), (2001, 28, 1), (1300, 64, 3)):
        data = draw_bars(count, side, channels)
        rows = [row for start, stop in shards_of(data) for row in range(start, stop)]
        assert rows == list(range(count))
    assert [stop - start for start, stop in shards_of(data)] == [682, 618]


def test_after_an_interruption_the_model_is_called_only_for_the_rest(tmp_path: Path) -> None:
    data, store, said = draw_bars(30), tmp_path / "kept", list[str]()
    interrupted_after(2, data, store)
    assert len(list(store.glob(f"*{SUFFIX}"))) == 2
    classifier, passed = Counting(), []

    def watch(results: Iterable, total: int) -> Iterator:
        for result in results:
            passed.append((result.corruption, result.severity))
            yield result

    with unfinished(store) as folder:
        scores = run_suite(model_of(classifier), data, CONDITIONS, store=folder, watch=watch, say=said.append)
    assert classifier.images == (len(CONDITIONS) - 2) * len(data)
    assert said == [f"bars: 2 of {len(CONDITIONS)} conditions were finished earlier"]
    assert passed == [(each.corruption, each.severity) for each in CONDITIONS]
    assert equal(scores, score_conditions(Counting(), apply_conditions(data, CONDITIONS)))
    assert not store.exists()


def test_nothing_is_used_of_another_model_other_images_or_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, store = draw_bars(30), tmp_path / "kept"
    interrupted_after(3, data, store)
    grouped = replace(data, groups=np.arange(30) // 3)
    others = [
        (model_of(Counting(), "another"), data),
        (model_of(Counting(), compute=ComputeConfig(threads=2)), data),
        (model_of(Counting(), source=None), data),
        (model_of(Counting()), replace(data, labels=data.labels[::-1].copy())),
        (model_of(Counting()), draw_bars(30, first_source=30)),
        (model_of(Counting()), grouped),
    ]
    for number, (model, images) in enumerate(others):
        run_suite(model, images, CONDITIONS, store=store)
        assert model.classifier.images == len(CONDITIONS) * len(images), number
    monkeypatch.setattr(suite_jobs, "versions_here", lambda: ("other code",))
    model = model_of(Counting())
    run_suite(model, data, CONDITIONS, store=store)
    assert model.classifier.images == len(CONDITIONS) * len(data)


def test_a_corrupted_file_is_computed_again(tmp_path: Path) -> None:
    data, store = draw_bars(30), tmp_path / "kept"
    interrupted_after(3, data, store)
    first, second, _ = sorted(store.glob(f"*{SUFFIX}"))
    first.write_bytes(first.read_bytes()[:-1])
    second.write_bytes(b"")
    model = model_of(Counting())
    scores = run_suite(model, data, CONDITIONS, store=store)
    assert model.classifier.images == (len(CONDITIONS) - 1) * len(data)
    assert equal(scores, score_conditions(Counting(), apply_conditions(data, CONDITIONS)))


def test_a_function_and_a_corruption_of_the_users_are_not_kept(tmp_path: Path) -> None:
    data = draw_bars(30)
    run_suite(model_of(Counting(), source=None), data, CONDITIONS, store=tmp_path)
    assert not list(tmp_path.glob(f"*{SUFFIX}"))
    mine = [*CONDITIONS[:2], Condition("stripe", 0.5, function=lambda images, severity, rng: images * severity)]
    for _ in range(2):
        model = model_of(Counting())
        scores = run_suite(model, data, mine, store=tmp_path)
        assert len(list(tmp_path.glob(f"*{SUFFIX}"))) == 2
        assert [result.corruption for result in scores.conditions] == [each.corruption for each in mine]
    assert model.classifier.images == len(data)


def test_a_second_evaluation_of_the_same_does_not_mix_with_the_first(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with unfinished(kept), pytest.raises(UserError, match="another process is evaluating there"), unfinished(kept):
        pass
    assert not (tmp_path / "kept").exists()
    with pytest.raises(ZeroDivisionError), unfinished(tmp_path / "kept"):
        raise ZeroDivisionError
    assert not (tmp_path / "kept").exists()  # nothing was finished


def test_finished_conditions_of_the_test_set_are_kept_and_each_access_has_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explained_mistakes, "occlusion_maps", no_maps)
    dataset = load_data(write_idx(tmp_path / "bars", draw_bars(60), draw_bars(30, first_source=60)))
    classifier = Counting()
    classifier.until = 60
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            evaluate_models([model_of(classifier)], dataset, split="test", out=tmp_path)
    assert len(list(tmp_path.glob(f"*{UNFINISHED}/*{SUFFIX}"))) == 2
    model = model_of(Counting())
    report = evaluate_models([model], dataset, split="test", out=tmp_path)
    assert model.classifier.images == 30
    assert "test access 3" in report.measured_on
    assert not list(tmp_path.glob(f"*{UNFINISHED}"))
    assert [row[3] for row in read(tmp_path / LEDGER)][:4] == [BEGUN, "no result"] * 2


def test_a_failed_report_loses_no_condition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from imparfait.reports import evaluation

    monkeypatch.setattr(explained_mistakes, "occlusion_maps", no_maps)
    dataset = load_data(write_idx(tmp_path / "bars", draw_bars(60), None))
    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "_write_short_report", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            evaluate_models([model_of(Counting())], dataset, out=tmp_path)
    model, passed = model_of(Counting()), []

    def watch(title: str) -> Watch:
        return lambda results, total: [passed.append(result) or result for result in results]

    evaluate_models([model], dataset, out=tmp_path, watch=watch)
    assert model.classifier.images == 0
    assert len(passed) == 3


def test_a_sample_is_said_and_its_interval_is_of_the_images_used(tmp_path: Path) -> None:
    data = draw_bars(240)
    validation = replace(draw_bars(120, first_source=240), split="validation", groups=np.arange(120) // 4)
    dataset, said = Dataset(data, validation=validation), list[str]()
    report = evaluate_models([model_of(Counting())], dataset, sample=60, out=tmp_path, say=said.append)
    assert said == ["60 of 120 images, drawn by class; --sample all uses all"]
    assert report.measured_on == "60 of 120 validation images of bars, drawn by class; the test set stays sealed"
    assert report.folder.name == "evaluate-bars-bars-validation-sample-60"
    assert "60 of 120 validation images" in (report.folder / "report.html").read_text(encoding="utf-8")
    scores = report.suites["bars"].scores
    assert scores.mean_interval == score_conditions(Counting(), core_suite(sample(validation, 60))).mean_interval
    assert [score.total for score in scores.scores] == [60] * 3
    assert np.isin(scores.conditions[0].groups, validation.groups).all()
    whole = evaluate_models([model_of(Counting())], dataset, sample="all", out=tmp_path, say=pytest.fail)
    assert "; the test set" in whole.measured_on.partition("120 validation images of bars")[2]


def test_by_default_a_suite_uses_all_images_or_at_most_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SAMPLES == {"photo": 4000}
    monkeypatch.setitem(SAMPLES, "photo", 40)
    data = draw_bars(90)
    counts = {suite: len(sampled(data, Dataset(data), "all", None, suite).images) for suite in SUITES}
    assert counts == {"core": 90, "digits": 90, "photo": 40}
    assert len(sampled(data, Dataset(data), "validation", "all", "photo").images) == 90
    assert len(sampled(data, Dataset(data), "test", None, "photo").images) == 90


@pytest.mark.parametrize("split", ["test", "all"])
def test_test_images_are_not_sampled(tmp_path: Path, split: str) -> None:
    data = load_data(write_idx(tmp_path / "bars", draw_bars(60), draw_bars(30, first_source=60)), whole=split == "all")
    with pytest.raises(UserError, match="a sample of 20 for test images; expected all of them"):
        evaluate_models([model_of(Counting())], data, split=split, sample=20, out=tmp_path)
    assert not (tmp_path / LEDGER).exists()

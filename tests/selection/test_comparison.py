"""Verdicts of a comparison, and the sentences about them."""

import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.fake_jobs import made_up_result, plan_of, with_settings

from imparfait.reports.comparison_text import comparison_remarks, comparison_rows
from imparfait.reports.text import verdict_sentence
from imparfait.selection.comparison import Comparison, adjust, verdict_of
from imparfait.selection.jobs import failure

ACCURACY = {"good": 0.97, "same": 0.97, "bad": 0.9}


def compared(*names: str, sources: int = 2000, **changes: object) -> Comparison:
    random = np.random.default_rng(0)
    plan = plan_of(*names, sources=sources, **changes)  # type: ignore[arg-type]
    return made_up_result(plan, lambda name, seed: random.random((3, sources)) < ACCURACY[name])


def test_a_significant_difference_is_reported_with_its_interval() -> None:
    [verdict] = compared("bad", "good").verdicts
    assert verdict.names == ("good", "bad")
    sentence = verdict_sentence(verdict)
    assert re.fullmatch(r"good is better than bad by \d\.\d\d points \(95 %: \d\.\d\d to \d\.\d\d\)", sentence)


def test_where_no_difference_is_shown_the_detectable_one_is_reported() -> None:
    [verdict] = compared("good", "same").verdicts
    expected = (
        r"\w+ and \w+: no difference shown: 0\.\d\d points \(95 %: −0\.\d\d to 0\.\d\d\); "
        r"more than (0\.\d\d) would have been significant"
    )
    assert (found := re.fullmatch(expected, verdict_sentence(verdict)))
    low, high = verdict.difference.interval
    assert float(found[1]) == pytest.approx(100 * (high - low) / 2, abs=0.01)


def test_a_difference_above_the_detectable_one_is_significant_and_a_smaller_one_is_not() -> None:
    random = np.random.default_rng(1)
    for pairs in (1, 3, 10):
        noise = random.standard_normal(15)
        noise -= noise.mean()
        for factor, significant in ((1.01, True), (0.99, False)):
            detectable = adjust([verdict_of(("a", "b"), noise, 0.25)] * pairs)[0].detectable
            found = verdict_of(("a", "b"), noise + factor * detectable, 0.25)
            weak = [verdict_of(("e", "f"), noise + 1e-6, 0.25)] * (pairs - 1)
            assert adjust([found, *weak])[0].is_significant == significant


def test_with_several_pairs_each_difference_must_be_clearer() -> None:
    random = np.random.default_rng(2)
    noise = random.standard_normal(15)
    noise -= noise.mean()
    alone = verdict_of(("a", "b"), noise + 1.1 * verdict_of(("a", "b"), noise, 0.25).detectable, 0.25)
    among = adjust([alone, *[verdict_of(("c", "d"), noise + 0.01, 0.25)] * 9])[0]
    assert alone.is_significant
    assert not among.is_significant
    assert "no difference shown after correction for 10 pairs" in verdict_sentence(among)


def test_failed_jobs_are_reported_and_the_others_are_compared() -> None:
    found = compared("good", "bad")
    results = dict(found.results)
    for slot in (("good", 0, 1), ("good", 2, 3), ("bad", 0, 1)):
        results[slot] = failure("the loss became nan")
    left = Comparison(found.plan, found.classes, results)
    [verdict] = left.verdicts
    assert verdict.jobs == 13
    assert verdict.is_significant
    assert verdict.by_source is None
    assert {row[0]: row[3] for row in comparison_rows(left)} == {"good": "13 of 15", "bad": "14 of 15"}
    assert "good: 2 jobs failed: the loss became nan" in comparison_remarks(left)


def test_where_all_jobs_of_a_candidate_failed_the_others_still_have_their_verdict() -> None:
    found = compared("good", "bad", "same")
    results = {slot: failure("nothing left") if slot[0] == "same" else r for slot, r in found.results.items()}
    left = Comparison(found.plan, found.classes, results)
    assert [verdict.names for verdict in left.verdicts] == [("good", "bad")]
    assert left.ranked[-1] == "same"
    assert left.to_json()["candidates"][-1]["mean"] is None


def test_the_bootstrap_takes_a_source_with_all_its_seeds_and_corruptions_as_one() -> None:
    """Copies that are all correct or all wrong together count as if each source had been evaluated once."""
    random = np.random.default_rng(3)
    once = {name: random.random(2000) < share for name, share in ACCURACY.items()}
    plan = plan_of("good", "bad", sources=2000)
    [verdict] = made_up_result(plan, lambda name, seed: np.repeat(once[name][None], 3, 0)).verdicts
    difference = once["good"].astype(int) - once["bad"]
    error = difference.std() / np.sqrt(2000)
    assert verdict.by_source is not None
    low, high = verdict.by_source
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.1)


def test_candidates_trained_on_other_pixels_are_named() -> None:
    found = compared("good", "bad")
    assert "all candidates were trained on identical pixels" in comparison_remarks(found)
    other = replace(found, plan=with_settings(found.plan, "bad", augmentation="study", epochs=2))
    expected = "not trained on identical pixels: the candidates differ in augmentation and epochs"
    assert expected in comparison_remarks(other)


def test_out_of_distribution_images_are_other_pixels() -> None:
    found = compared("good", "bad")
    plan = with_settings(found.plan, "bad", ood_fraction=0.5)
    expected = "not trained on identical pixels: the candidates differ in ood_fraction"
    assert expected in comparison_remarks(replace(found, plan=plan))
    longer, shorter = (plan.profile(name).training_seconds(1000) for name in ("bad", "good"))
    assert longer == pytest.approx(1.5 * shorter)


def test_other_epochs_than_a_candidate_s_own_are_reported() -> None:
    found = compared("good", "bad")
    first, second = found.plan.profiles
    plan = found.plan.model_copy(update={"profiles": (first.model_copy(update={"own_epochs": 6}), second)})
    expected = "evaluated after other epochs than their own: good 1 instead of 6"
    assert expected in comparison_remarks(replace(found, plan=plan))
    assert not [remark for remark in comparison_remarks(found) if "their own" in remark]


def test_where_augmentation_batch_size_and_epochs_agree_every_model_is_shown_identical_pixels() -> None:
    """What reaches two different networks in training, step by step."""
    import torch
    from helpers.bars import draw_bars

    from imparfait.core.compute import ComputeConfig
    from imparfait.data.augmentation import Augmentation
    from imparfait.selection.jobs import Job, run_job
    from imparfait.training.settings import TrainingSettings

    data = draw_bars(60, 28)
    shown: list[list[torch.Tensor]] = []
    show = Augmentation.apply

    def watched(*given: object) -> torch.Tensor:
        images = show(*given)  # type: ignore[arg-type]
        shown[-1].append(images.clone())
        return images

    for model in ("petit", "rnn"):
        shown.append([])
        settings = TrainingSettings(model=model, epochs=1, batch_size=16, seed=3)
        job = Job(data=data.fingerprint(), settings=settings, compute=ComputeConfig(), partition=3, folds=3, fold=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Augmentation, "apply", watched)
            assert not run_job(job, data).cause
    assert sum(map(len, shown[0])) == 40  # all that are not held out
    assert all(torch.equal(one, other) for one, other in zip(*shown, strict=True))


def ends_at(comparison: Comparison, slot: tuple[str, int, int], share: float) -> Comparison:
    """The comparison with one job that is correct on about this share of its images."""
    result = comparison.results[slot]
    wrong = np.random.default_rng(1).random(result.predicted.shape) >= share
    truths = np.broadcast_to(result.truths, wrong.shape)
    ended = replace(result, predicted=np.where(wrong, (truths + 1) % 10, truths).astype(np.uint8))
    return Comparison(comparison.plan, comparison.classes, {**comparison.results, slot: ended})


@pytest.mark.parametrize("how", ["loss", "accuracy"])
def test_a_training_that_failed_is_counted_apart_however_it_failed(how: str) -> None:
    found, slot = compared("good", "same"), ("same", 1, 2)
    if how == "loss":
        left = Comparison(found.plan, found.classes, {**found.results, slot: failure("the loss became nan")})
    else:
        left = ends_at(found, slot, 0.75)
    [verdict] = left.verdicts
    assert verdict.jobs == 14
    assert abs(verdict.difference.mean) < 0.005
    assert set(left.failures("same")) == {(1, 2)}
    assert not left.failures("good")
    said = " ".join(comparison_remarks(left))
    assert "counted apart, and accuracies compared where both trained: good 0 of 15 (95 %: 0.00 to 20.39 %), " in said
    assert "same 1 of 15 (95 %: 1.19 to 29.82 %)" in said
    assert {row[0]: row[3] for row in comparison_rows(left)} == {"good": "15", "same": "14 of 15"}


@pytest.mark.parametrize(("share", "failed"), [(0.95, False), (0.93, False), (0.9, True), (0.1, True)])
def test_a_training_has_failed_from_five_points_on_below_the_others(share: float, failed: bool) -> None:
    found = ends_at(compared("good", "same"), ("good", 0, 0), share)
    assert bool(found.failures("good")) == failed


def test_a_small_held_out_fold_is_not_taken_for_a_failure() -> None:
    """Of 20 images, three more errors are 15 points, and chance."""
    for seed in range(20):
        random = np.random.default_rng(seed)
        plan = plan_of("one", "other", sources=100)
        found = made_up_result(plan, lambda name, seed, random=random: random.random((3, 100)) < 0.9, seed)
        assert not found.failures("one")
        assert not found.failures("other")


def test_with_few_jobs_only_errors_are_failures() -> None:
    found = ends_at(compared("good", "same", folds=2, seeds=2), ("good", 0, 0), 0.3)
    assert not found.failures("good")

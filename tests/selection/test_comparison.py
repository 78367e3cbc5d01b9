"""Verdicts: one sentence a pair, which says what was shown and what could have been."""

import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.fake_jobs import made_up_result, plan_of

from imparfait.selection.comparison import Comparison, among_pairs, verdict_of
from imparfait.selection.jobs import failure

ACCURACY = {"good": 0.97, "same": 0.97, "bad": 0.9}


def compared(*names: str, sources: int = 2000, **changes: object) -> Comparison:
    random = np.random.default_rng(0)
    plan = plan_of(*names, sources=sources, **changes)  # type: ignore[arg-type]
    return made_up_result(plan, lambda name, seed: random.random((3, sources)) < ACCURACY[name])


def test_a_difference_that_is_shown_is_told_with_its_interval() -> None:
    [verdict] = compared("bad", "good").verdicts
    assert re.fullmatch(r"good is better than bad by \d\.\d\d points \(95 %: \d\.\d\d to \d\.\d\d\)", str(verdict))


def test_a_difference_that_is_not_shown_is_told_with_what_would_have_been() -> None:
    [verdict] = compared("good", "same").verdicts
    expected = (
        r"\w+ and \w+: no difference shown: 0\.\d\d points \(−0\.\d\d to 0\.\d\d\); anything over (0\.\d\d) would"
    )
    assert (found := re.match(expected, str(verdict)))
    low, high = verdict.difference.interval
    assert float(found[1]) == pytest.approx(100 * (high - low) / 2, abs=0.01)


def test_a_difference_larger_than_the_reach_is_shown_and_a_smaller_one_is_not() -> None:
    random = np.random.default_rng(1)
    for pairs in (1, 3, 10):
        noise = random.standard_normal(15)
        noise -= noise.mean()
        for factor, shown in ((1.01, True), (0.99, False)):
            reach = among_pairs([verdict_of(("a", "b"), noise, 0.25)] * pairs)[0].reach
            found = verdict_of(("a", "b"), noise + factor * reach, 0.25)
            weak = [verdict_of(("e", "f"), noise + 1e-6, 0.25)] * (pairs - 1)
            assert among_pairs([found, *weak])[0].shown == shown


def test_with_several_pairs_each_must_be_clearer() -> None:
    random = np.random.default_rng(2)
    noise = random.standard_normal(15)
    noise -= noise.mean()
    alone = verdict_of(("a", "b"), noise + 1.1 * verdict_of(("a", "b"), noise, 0.25).reach, 0.25)
    among = among_pairs([alone, *[verdict_of(("c", "d"), noise + 0.01, 0.25)] * 9])[0]
    assert alone.shown
    assert not among.shown
    assert "no difference shown once 10 pairs are allowed for" in str(among)


def test_a_failed_cell_is_told_and_the_others_are_compared() -> None:
    found = compared("good", "bad")
    outcomes = dict(found.outcomes)
    for place in (("good", 0, 1), ("good", 2, 3), ("bad", 0, 1)):
        outcomes[place] = failure("the loss became nan")
    left = Comparison(found.plan, found.classes, outcomes)
    [verdict] = left.verdicts
    assert verdict.jobs == 13
    assert verdict.shown
    assert verdict.by_source is None
    assert {row[0]: row[3] for row in left.rows()} == {"good": "13 of 15", "bad": "14 of 15"}
    assert "good: 2 jobs failed: the loss became nan" in left.remarks()


def test_where_all_cells_of_a_contender_failed_the_others_still_have_their_verdict() -> None:
    found = compared("good", "bad", "same")
    outcomes = {p: failure("nothing left") if p[0] == "same" else o for p, o in found.outcomes.items()}
    left = Comparison(found.plan, found.classes, outcomes)
    assert [verdict.names for verdict in left.verdicts] == [("good", "bad")]
    assert left.ranked[-1].name == "same"
    assert left.to_json()["contenders"][-1]["mean"] is None


def test_the_bootstrap_beside_it_takes_a_source_with_all_its_seeds_and_alterations_as_one() -> None:
    """Copies that are all right or all wrong together: as if each source had been judged once."""
    random = np.random.default_rng(3)
    once = {name: random.random(2000) < share for name, share in ACCURACY.items()}
    plan = plan_of("good", "bad", sources=2000)
    [verdict] = made_up_result(plan, lambda name, seed: np.repeat(once[name][None], 3, 0)).verdicts
    difference = once["good"].astype(int) - once["bad"]
    error = difference.std() / np.sqrt(2000)
    assert verdict.by_source is not None
    low, high = verdict.by_source
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.1)


def test_contenders_on_other_pixels_are_named() -> None:
    found = compared("good", "bad")
    assert "all were trained on identical pixels" in found.remarks()
    first, second = found.plan.entries
    other = second.model_copy(
        update={"settings": second.settings.model_copy(update={"augmentation": "study", "epochs": 2})}
    )
    plan = found.plan.model_copy(update={"entries": (first, other)})
    assert (
        "not trained on identical pixels: they differ in augmentation and epochs" in replace(found, plan=plan).remarks()
    )


def test_pictures_of_nothing_beside_are_other_pixels() -> None:
    found = compared("good", "bad")
    first, second = found.plan.entries
    other = second.model_copy(update={"settings": second.settings.model_copy(update={"nothing": 0.5})})
    plan = found.plan.model_copy(update={"entries": (first, other)})
    assert "not trained on identical pixels: they differ in nothing" in replace(found, plan=plan).remarks()
    assert other.training_seconds(1000) == pytest.approx(1.5 * second.training_seconds(1000))


def test_epochs_that_are_not_a_contender_s_own_are_told() -> None:
    found = compared("good", "bad")
    first, second = found.plan.entries
    plan = found.plan.model_copy(update={"entries": (first.model_copy(update={"own_epochs": 6}), second)})
    assert "judged after other epochs than their own: good 1 instead of 6" in replace(found, plan=plan).remarks()
    assert not [remark for remark in found.remarks() if "their own" in remark]


def test_where_mixture_batch_and_epochs_agree_every_model_is_shown_identical_pixels() -> None:
    """What reaches two different networks in training, step by step."""
    import torch
    from helpers.bars import draw_bars

    from imparfait.core.compute import ComputeConfig
    from imparfait.data.augmentation import Augmentation
    from imparfait.selection.jobs import Job, run_job
    from imparfait.training.settings import TrainingSettings

    data = draw_bars(60, 28)
    shown: list[list[torch.Tensor]] = []
    show = Augmentation.show

    def watched(*given: object) -> torch.Tensor:
        images = show(*given)  # type: ignore[arg-type]
        shown[-1].append(images.clone())
        return images

    for model in ("petit", "rnn"):
        shown.append([])
        settings = TrainingSettings(model=model, epochs=1, batch_size=16, seed=3)
        job = Job(data=data.fingerprint(), settings=settings, compute=ComputeConfig(), partition=3, folds=3, fold=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Augmentation, "show", watched)
            assert not run_job(job, data).cause
    assert sum(map(len, shown[0])) == 40  # all that are not held out
    assert all(torch.equal(one, other) for one, other in zip(*shown, strict=True))

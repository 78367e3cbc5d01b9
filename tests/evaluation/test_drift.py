"""Drift: changes are found and said in words, chance is not, and images that came together do not count as many."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from scipy.stats import chi2_contingency, fisher_exact, ks_2samp

from imparfait.core.errors import UserError
from imparfait.evaluation.drift import (
    Drift,
    _two_shares_p,
    design_effect,
    drift,
    homogeneity_p,
)
from imparfait.evaluation.observations import (
    MOST_IMAGES,
    Observations,
    Reference,
    drawn_rows,
    properties_of,
    read_reference,
    write_reference,
)
from imparfait.reports.drift_text import drift_json, drift_rows, drift_sentences, verdict_sentence

CLASSES = np.array(["flat", "steep", "cross"])
REFERENCE = Reference(
    model="bars", data="bars", split="validation", images=3, normalization="none", classes=("a", "b"),
    properties={"brightness": (0.1, 0.2, 0.3)}, labels=(0, 1, 1), scores=(0.9, 0.5, 1.0), blank=(2,),
)  # fmt: skip


def observed(pixels: np.ndarray, labels: np.ndarray, seed: int = 0) -> Observations:
    """What a model tells that predicts these classes, with confidences of no meaning."""
    random = np.random.default_rng(seed)
    scores = np.round(random.beta(20, 1, len(pixels)), 4)
    return Observations(properties_of(pixels), CLASSES[labels], scores, scores < 0.8, np.arange(len(pixels)))


def bars(n: int, seed: int, change: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels) -> Observations:
    data = draw_bars(n, first_source=seed)
    return observed(change(data.pixels), data.labels, seed)


def blurred(pixels: np.ndarray) -> np.ndarray:
    near = sum(np.roll(pixels.astype(float), (y, x), (2, 3)) for y in (-1, 0, 1) for x in (-1, 0, 1))
    return (near / 9).astype(np.uint8)


def shrunk(pixels: np.ndarray) -> np.ndarray:
    small = np.zeros_like(pixels)
    small[:, :, 4:12, 4:12] = pixels[:, :, ::2, ::2]
    return small


CHANGES = {
    "images are darker": lambda pixels: (pixels * 0.6).astype(np.uint8),
    "images are blurrier": blurred,
    "images are of smaller objects": shrunk,
    "images are further from the centre": lambda pixels: np.pad(pixels, ((0, 0), (0, 0), (8, 0), (8, 0)))[
        ..., :16, :16
    ],
}


@pytest.mark.parametrize(("words", "change"), CHANGES.items(), ids=CHANGES)
@pytest.mark.parametrize("n", [200, 2000])
def test_a_change_of_the_images_is_said_in_words(
    words: str, change: Callable[[np.ndarray], np.ndarray], n: int
) -> None:
    found = drift(bars(1000, 0), bars(n, 5000, change))
    said = [sentence.split(":")[0] for sentence in drift_sentences(found, "in training")]
    assert words in said
    assert not any("confidence" in sentence for sentence in said)


def test_no_change_is_shown_between_images_of_one_kind() -> None:
    found = drift(bars(1000, 0), bars(600, 5000))
    assert not found.changed
    assert drift_sentences(found, "before") == []
    assert verdict_sentence(found).startswith("no change shown; a difference of more than 0.")
    assert {row[-1] for row in drift_rows(found)} == {"not shown"}


def test_false_alarms_are_at_most_as_rare_as_stated_with_ties_and_few_images() -> None:
    random, alarms = np.random.default_rng(0), 0
    for _ in range(200):
        sides = []
        for n in (300, 40):
            values = np.round(random.normal(size=n), 1)  # many ties
            scores, labels = np.round(random.beta(5, 1, n), 1), CLASSES[random.integers(3, size=n)]
            sides.append(Observations({"scale": values}, labels, scores, scores < 0.3, np.arange(n)))
        alarms += any(change.outcome != "not shown" for change in drift(*sides).changes)
    assert alarms <= 18  # 5 % of 200 and 2.5 standard deviations


def test_a_difference_that_is_clear_but_slight_is_not_worth_acting_on() -> None:
    random = np.random.default_rng(0)

    def side(shift: float) -> Observations:
        n = 30_000
        labels, scores = CLASSES[random.integers(3, size=n)], random.random(n)
        return Observations({"scale": random.normal(size=n) + shift}, labels, scores, scores < 0.1, np.arange(n))

    found = drift(side(0), side(0.1))
    (scale, *others) = found.changes
    assert (scale.outcome, scale.p < 1e-6) == ("little", True)
    assert {other.outcome for other in others} == {"not shown"}
    assert verdict_sentence(found) == "no change that is worth acting on; changed, but by little: scale"
    assert not found.changed


def bursts(count: int, size: int, seed: int, spread: float) -> Observations:
    """Images of clients that each have their own brightness and mostly one class."""
    random = np.random.default_rng(seed)
    blocks = np.repeat(np.arange(count), size)
    values = random.normal(size=count)[blocks] * spread + random.normal(size=len(blocks))
    own = random.integers(3, size=count)[blocks]
    labels = CLASSES[np.where(random.random(len(blocks)) < 0.7, own, random.integers(3, size=len(blocks)))]
    scores = np.full(len(blocks), 0.9)
    return Observations({"brightness": values}, labels, scores, scores < 0.5, blocks)


def test_bursts_of_one_client_are_no_drift_but_would_be_if_each_image_counted() -> None:
    random = np.random.default_rng(9)
    n = 2000
    values, labels = random.normal(size=n) * 5**0.5, CLASSES[random.integers(3, size=n)]
    before = Observations({"brightness": values}, labels, np.full(n, 0.9), np.zeros(n, bool), np.arange(n))
    alarms = {True: 0, False: 0}
    for seed in range(40):
        now = bursts(20, 50, seed, 2.0)
        alone = replace(now, blocks=np.arange(len(now)))
        alarms[True] += bool(drift(before, now).changed)
        alarms[False] += bool(drift(before, alone).changed)
    assert alarms[True] <= 4
    assert alarms[False] > 20


def test_the_design_effect_is_one_for_single_images_and_their_number_for_one_block() -> None:
    values = np.random.default_rng(0).normal(size=100)
    assert design_effect([values], np.arange(100), 0.05) == 1
    assert design_effect([values], np.zeros(100, int), 0.05) == 100
    copies = np.repeat(values[:20], 5)
    assert 4 < design_effect([copies], np.repeat(np.arange(20), 5), 0.05) < 8


def p_of(found: Drift, name: str) -> float:
    return next(change.p for change in found.changes if change.name == name)


def test_p_values_agree_with_those_of_scipy() -> None:
    random = np.random.default_rng(0)
    counts = np.array([[30.0, 50, 20], [90, 80, 70]])
    assert homogeneity_p(counts) == pytest.approx(chi2_contingency(counts, correction=False).pvalue)
    few = np.array([[3.0, 1, 0, 2], [1, 4, 3, 2]])
    exact = np.mean([chi2_contingency(few).statistic <= chi2_contingency(table).statistic for table in _tables(few)])
    assert homogeneity_p(few) == pytest.approx(exact, abs=0.05)
    assert _two_shares_p([0.1, 0.3], [40, 60]) == pytest.approx(fisher_exact([[4, 36], [18, 42]]).pvalue)
    sides = [
        Observations({"scale": values}, CLASSES[[0] * n], np.ones(n), np.zeros(n, bool), np.arange(n))
        for n, values in ((60, random.normal(size=60)), (50, random.normal(0.4, size=50)))
    ]
    found = drift(*sides)
    own = ks_2samp(sides[0].properties["scale"], sides[1].properties["scale"])
    assert found.changes[0].effect == pytest.approx(own.statistic)
    assert p_of(found, "scale") == pytest.approx(min(1, len(found.changes) * own.pvalue), rel=0.2)


def _tables(counts: np.ndarray) -> list[np.ndarray]:
    """Tables of the same margins, from permutations of the images."""
    random = np.random.default_rng(1)
    labels = np.repeat(np.arange(counts.shape[1]), counts.sum(0).astype(int))
    first = int(counts[0].sum())
    tables = []
    for _ in range(500):
        drawn = random.permutation(labels)
        tables.append([np.bincount(part, minlength=counts.shape[1]) for part in (drawn[:first], drawn[first:])])
    return [np.array(table) for table in tables]


def test_classes_that_are_predicted_more_often_are_named() -> None:
    before, now = bars(600, 0), bars(600, 5000)
    now = replace(now, labels=np.where(np.arange(600) % 10 < 6, "cross", "flat"))
    (said,) = drift_sentences(drift(before, now), "in training")
    assert "cross is predicted 1.8 times as often: 60 % of images, 33.3 % in training" in said
    assert "steep is predicted for 0 % of images, 33.3 % in training" in said


def test_more_unsure_predictions_are_said_with_both_shares() -> None:
    before, now = bars(1000, 0), bars(500, 5000)
    now = replace(now, unsure=np.arange(500) < 100)
    before = replace(before, unsure=np.arange(1000) < 30)
    said = drift_sentences(drift(before, now), "in validation")
    assert said == ["the model is unsure of 20 % of images, 3 % in validation (p < 0.001)"]


def test_a_model_that_is_not_calibrated_has_no_unsure_share() -> None:
    sides = [replace(bars(100, seed), unsure=np.full(100, True)) for seed in (0, 5000)]
    assert "unsure" not in {change.name for change in drift(*sides).changes}


def test_what_only_one_side_has_is_not_compared() -> None:
    before, now = bars(100, 0), bars(100, 5000)
    zoomed = replace(now, properties={**now.properties, "zoom": np.ones(100)})
    assert "zoom" not in {change.name for change in drift(before, zoomed).changes}
    both = [replace(side, properties={**side.properties, "zoom": np.arange(100.0)}) for side in (before, now)]
    assert "zoom" in {change.name for change in drift(*both).changes}


def test_numbers_of_json_are_json() -> None:
    found = drift_json(drift(bars(100, 0), bars(100, 5000)), {})
    assert all(value == value for change in found["changes"] for value in change.values())


def test_too_few_images_are_refused() -> None:
    with pytest.raises(UserError, match="the log has 19 predicted images; expected at least 20"):
        drift(bars(100, 0), bars(19, 5000))


def test_a_reference_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_reference(tmp_path) is None
    write_reference(tmp_path, REFERENCE)
    assert read_reference(tmp_path) == REFERENCE
    assert REFERENCE.observations(0.7).unsure.tolist() == [False, True, True]  # the last one is blank
    assert REFERENCE.observations(None).unsure.all()
    assert REFERENCE.observations(None).labels.tolist() == ["a", "b", "b"]


BROKEN = (
    {"labels": (0, 1)}, {"labels": (0, 1, 2)}, {"blank": (3,)}, {"scores": (0.9, 0.5, 1.5)}, {"more": 1},
    {"properties": {"brightness": (0.1, 0.2, float("nan"))}},
)  # fmt: skip


@pytest.mark.parametrize("change", BROKEN, ids=str)
def test_a_broken_reference_is_refused_by_name(change: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "reference.json").write_text(json.dumps(REFERENCE.model_dump() | change))
    with pytest.raises(UserError, match=r"reference\.json: is not what a training wrote"):
        read_reference(tmp_path)


def test_the_images_of_a_reference_are_drawn_by_their_source_ids() -> None:
    sources = np.arange(5000)
    rows = drawn_rows(sources)
    assert len(rows) == MOST_IMAGES
    order = np.random.default_rng(0).permutation(5000)
    assert {*sources[order][drawn_rows(sources[order])]} == {*sources[rows]}
    assert drawn_rows(np.arange(7)).tolist() == list(range(7))

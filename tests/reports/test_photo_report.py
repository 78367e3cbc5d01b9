"""The report of the photo suite: levels, ImageNet-C and the clean accuracy; nothing about digits."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars

from imparfait.corruptions import PHOTO_CORRUPTIONS
from imparfait.evaluation.model_comparison import Evaluation, assess
from imparfait.evaluation.robustness import CROSSING_SHARE, SuiteResult
from imparfait.evaluation.scores import ConditionResult, Scores
from imparfait.evaluation.suite import CLEAN, conditions_for, full_suite, suite_named
from imparfait.reports.robustness import write_report
from imparfait.reports.text import (
    breaking_sentences,
    corruption_label,
    crossing_text,
    severity_number,
    severity_text,
    suite_summary,
)

DATA = draw_bars(40, 32, 3)
FEW = full_suite(["photo.fog", "photo.frost", "photo.rotate"])


def suite_of(conditions: list, seed: int = 0) -> SuiteResult:
    """Clean accuracy 0.8; wrong more often at higher levels."""
    random = np.random.default_rng(seed)
    results = []
    for condition in conditions:
        wrong = random.random(len(DATA)) < 0.2 + 0.6 * condition.severity
        predicted = np.where(wrong, (DATA.labels + 1) % 3, DATA.labels)
        table = np.where(np.arange(3) == predicted[:, None], 0.8, 0.1).astype(np.float32)
        results.append(ConditionResult(condition.corruption, condition.severity, DATA.sources, DATA.labels, table))
    return SuiteResult(Scores(tuple(results), DATA.classes))


def evaluation(*suites: SuiteResult) -> Evaluation:
    names = [f"model-{number}" for number in range(len(suites))]
    classifiers = {name: lambda images: np.tile(np.float32([2, 1, 0]), (len(images), 1)) for name in names}
    return assess(dict(zip(names, suites, strict=True)), classifiers, DATA, {n: n for n in names}, dict.fromkeys(names))


@pytest.mark.parametrize("models", [1, 2])
def test_the_page_speaks_of_photographs(tmp_path: Path, models: int) -> None:
    write_report(
        tmp_path,
        title="photos",
        circumstances="On photos.",
        overlap="Training data unknown.",
        evaluation=evaluation(*(suite_of(FEW, seed) for seed in range(models))),
        data=DATA,
        conditions=FEW,
        facts={},
    )
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = " ".join(re.sub(r"<(style|script|svg).*?</\1>|<[^>]+>", " ", page, flags=re.S).split())
    for word in ("MNIST", "digit", "letter", "photo.fog", "(CE)", "below 95 %"):
        assert word not in text, word
    for word in ("frost (similar)", "ImageNet-C", "90 % of the clean accuracy", "level", "all corrupted"):
        assert word in text, word
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["corruption"] for row in rows} == {"photo.fog", "photo.frost", "photo.rotate"}
    assert "below_90_of_clean_from" in rows[0]
    assert "worst" in (tmp_path / "table.tex").read_text()


def test_only_ood_sets_that_suit_photographs_count() -> None:
    assert {report.name for report in evaluation(suite_of(FEW)).ood["model-0"]} == {"blank", "noise"}


def test_a_model_breaks_where_a_tenth_of_its_clean_accuracy_is_lost() -> None:
    n = 1000
    levels = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    results = [
        ConditionResult(
            "photo.fog" if level else CLEAN,
            level,
            np.arange(n),
            np.zeros(n, np.int64),
            np.eye(2, dtype=np.float32)[(np.arange(n) >= n * 0.8 * (1 - 0.5 * level)).astype(int)],
        )
        for level in levels
    ]
    suite = SuiteResult(Scores(tuple(results), ("a", "b")))
    assert suite.crossing_accuracy == pytest.approx(CROSSING_SHARE * 0.8)
    (fog,) = suite.corruptions
    assert fog.crossing.severity == pytest.approx(0.2, abs=0.005)
    assert crossing_text(fog).startswith(("1 (", "below 1"))
    assert "90 % of the clean accuracy under fog, at level" in breaking_sentences([fog])[0]
    assert "under fog at level 5" in breaking_sentences([fog])[0]


def test_severities_are_levels_for_photographs_only() -> None:
    assert severity_text("photo.fog", 0.6) == "level 3"
    assert severity_number("photo.fog", 0.5) == "2.5"
    assert severity_text("fog", 0.6) == "severity 0.6"
    assert corruption_label("photo.frost") == "frost (similar)"
    assert corruption_label("photo.fog") == "fog"
    assert corruption_label("fog") == "fog (similar)"


def test_the_photo_suite_has_five_levels_of_each_and_drops_colour_for_grey_images() -> None:
    conditions = suite_named("photo")
    assert len(conditions) == 1 + 5 * len(PHOTO_CORRUPTIONS) == 126
    assert conditions_for("photo", DATA) == conditions
    grey = conditions_for("photo", draw_bars(4, 32, 1))
    assert {c.corruption for c in conditions} - {c.corruption for c in grey} == {"photo.hue", "photo.white_balance"}


def test_the_mean_of_imagenet_c_needs_its_15() -> None:
    suite = suite_of(suite_named("photo"))
    own = [one.accuracy for one in suite.corruptions if PHOTO_CORRUPTIONS[one.corruption].imagenet_c]
    assert len(own) == 15
    assert suite.imagenet_c_mean == pytest.approx(np.mean(own))
    assert "ImageNet-C's 15 " in suite_summary(suite)
    assert suite_of(FEW).imagenet_c_mean is None
    assert suite.mnist_c_mean is None
    assert suite.core_mean is None

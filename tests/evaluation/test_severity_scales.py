"""Severity scales: found by halving for any classifier, said where they are not reached, and used by evaluations."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from helpers.commands import refused, run
from helpers.fake_suites import condition_result

from imparfait.core.errors import UserError
from imparfait.corruptions import CORRUPTIONS, PHOTO_CORRUPTIONS
from imparfait.data.load import load_data
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import Score, Scores
from imparfait.evaluation.severity_scales import SeverityFile, SeverityScale, read_severities, severity_scales
from imparfait.evaluation.suite import CLEAN, Condition, conditions_for, full_suite, levels_of
from imparfait.inference.open_model import open_models
from imparfait.reports.evaluation import evaluate_models

CONDITIONS = full_suite(["rotate", "fog", "stripe"])


def falling_to(breaks: dict[str, float], asked: list[Condition] | None = None):
    """Scores of a model that keeps 99 % up to the severity of each corruption in `breaks`, and has 50 % above."""

    def score(condition: Condition) -> Score:
        if asked is not None:
            asked.append(condition)
        below = condition.severity <= breaks[condition.corruption]
        return Score(condition.corruption, condition.severity, 99 if below else 50, 100)

    return score


def file_of(**scales: float) -> SeverityFile:
    found = [
        SeverityScale(corruption=name, scale=value, accuracy=0.97, outcome="found") for name, value in scales.items()
    ]
    return SeverityFile(model="m", data="d", images=100, kept=0.97, clean=0.99, scales=found)


@pytest.mark.parametrize("breaks", [0.02, 0.3, 0.51, 0.99])
def test_the_scale_is_where_the_accuracy_falls(breaks: float) -> None:
    asked: list[Condition] = []
    [rotate, fog] = severity_scales(falling_to({"rotate": breaks, "fog": 1}, asked), CONDITIONS, 0.99)
    assert rotate.outcome == "found"
    assert rotate.accuracy == 0.99
    assert breaks - 1 / 64 <= rotate.scale <= breaks
    assert (fog.outcome, fog.scale) == ("stays above", 1.0)
    assert [condition.corruption for condition in asked] == ["rotate"] * 7 + ["fog"]  # bounded; stripe has no degrees
    assert all(condition.function is CORRUPTIONS[condition.corruption].function for condition in asked)


def test_a_model_that_loses_it_at_once_is_named_as_such() -> None:
    [found] = severity_scales(falling_to({"rotate": 0.0}), full_suite(["rotate"]), 0.99)
    assert (found.outcome, found.scale, found.accuracy) == ("falls below at once", 1 / 64, 0.5)


@pytest.mark.parametrize("kept", [0.5, 0.97])
def test_the_share_is_of_the_clean_accuracy(kept: float) -> None:
    def score(condition: Condition) -> Score:
        return Score(condition.corruption, condition.severity, round(800 * (1 - condition.severity)), 1000)

    [found] = severity_scales(score, full_suite(["fog"]), 0.8, kept)
    assert found.scale == pytest.approx(1 - kept, abs=1 / 64 + 0.001)


def test_conditions_are_scaled_and_all_of_them_count() -> None:
    scaled = file_of(rotate=0.5, fog=0.333).scaled(CONDITIONS)
    levels = levels_of([(each.corruption, each.severity) for each in scaled])
    assert levels["rotate"] == (0.1, 0.2, 0.3, 0.4, 0.5)  # also where they are among the published levels
    assert levels["fog"] == (0.0666, 0.1332, 0.1998, 0.2664, 0.333)
    assert levels["stripe"] == (1.0,)
    assert scaled[0] == Condition(CLEAN, 0.0)


@pytest.mark.parametrize("name", [name for name, known in CORRUPTIONS.items() if known.mnist_c and known.levels[1:]])
def test_a_scaled_severity_counts_also_where_it_has_the_number_of_mnist_c(name: str) -> None:
    known = CORRUPTIONS[name]
    assert known.mnist_c
    scales = [known.mnist_c / level for level in known.levels if known.mnist_c < level] + [0.5]
    for scale in scales:
        conditions = file_of(**{name: scale}).scaled(full_suite([name]))
        [levels] = levels_of([(each.corruption, each.severity) for each in conditions]).values()
        assert len(levels) == len(known.levels)
        assert levels[-1] == round(scale, 4)


@pytest.mark.parametrize("parts", [(0.2, 0.4), (1.0,), (0.2, 0.4, 0.6, 0.8)])
def test_the_added_severity_of_mnist_c_does_not_count_in_a_part_of_a_suite(parts: tuple[float, ...]) -> None:
    assert levels_of([("zigzag", severity) for severity in (*parts, 0.1)]) == {"zigzag": parts}
    assert levels_of([("zigzag", 0.1)]) == {"zigzag": (0.1,)}


def test_means_of_published_suites_are_not_claimed_for_other_severities() -> None:
    data = draw_bars(12)
    conditions = conditions_for("photo", data)
    names = {each.corruption for each in conditions} & set(PHOTO_CORRUPTIONS)

    def result(own: list[Condition]) -> SuiteResult:
        ones = np.ones(12, bool)
        return SuiteResult(
            Scores(tuple(condition_result(c.corruption, c.severity, ones) for c in own), ("a", "b", "c"))
        )

    assert result(conditions).imagenet_c_mean == 1
    assert result(file_of(**dict.fromkeys(names, 0.5)).scaled(conditions)).imagenet_c_mean is None
    assert result(file_of(**dict.fromkeys(names, 1.0)).scaled(conditions)).imagenet_c_mean == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no file of severities"),
        ("[]", "is no file of severities"),
        (file_of(rotate=0.5).model_dump_json().replace("0.5", "1.5"), "is no file of severities"),
        (file_of(rotate=0.5).model_dump_json().replace("0.5", "1e-9"), "is no file of severities"),
        (file_of(rotate=0.5).model_dump_json().replace("rotate", "roll"), "no corruption is called 'roll'"),
        (file_of(rotate=0.5, invert=0.5).model_dump_json().replace("invert", "rotate"), "a corruption has two scales"),
    ],
)
def test_other_files_are_refused(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "severities.json"
    path.write_text(content)
    with pytest.raises(UserError, match=said):
        read_severities(path)


def test_a_suite_without_the_corruptions_is_refused() -> None:
    with pytest.raises(UserError, match="no corruption of the suite is in the file"):
        file_of(rotate=0.5).scaled(full_suite(["fog"]))


def test_from_calibration_to_evaluation(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    said = run("calibrate-severity", "digits-clean", "--sample", "40", "--save", path)
    assert "corruptions, on " in said
    found = read_severities(path)
    scales = {each.corruption: each for each in found.scales}
    assert 0 < scales["rotate"].scale < 1
    assert json.loads(path.read_text())["kept"] == 0.97
    dataset = load_data("mnist")
    with open_models(["digits-clean"], dataset) as models:
        report = evaluate_models(
            models, dataset, suite=["rotate", "fog", "stripe"], sample=40, severities=found, out=tmp_path / "runs"
        )
    [rotate, fog, stripe] = report.suites["digits-clean"].corruptions
    assert rotate.severities[-1] == pytest.approx(scales["rotate"].scale, abs=1e-4)
    assert (len(rotate.severities), len(fog.severities), len(stripe.severities)) == (5, 5, 1)
    assert "-severities-" in report.folder.name
    page = (report.folder / "report.html").read_text(encoding="utf-8")
    assert "severities of digits-clean on" in page
    assert "fifth of its own scale" in page


def test_what_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    assert "there is no folder" in refused("calibrate-severity", "digits", "--save", tmp_path / "no" / "file.json")


def test_the_core_suite_has_no_scales(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text(file_of(shrunk=0.5).model_dump_json())
    words = ("evaluate", "digits", "--suite", "core", "--severities", path, "--out", tmp_path)
    assert "expected the suite digits or photo" in refused(*words)

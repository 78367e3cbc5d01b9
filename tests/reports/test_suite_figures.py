"""Figures of a suite: the worst images with their maps, and how many corruptions are drawn."""

from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from helpers.fake_suites import suite_of

from imparfait.core.types import Logits
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.model_comparison import Evaluation, ModelGroup
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.suite import CLEAN, Condition
from imparfait.evaluation.uncertainty import calibration_by_family
from imparfait.reports import explained_mistakes, suite_figures
from imparfait.reports.robustness import write_report
from imparfait.reports.suite_mistakes import ImageMaker
from imparfait.reports.suite_saliency import worst_figure, worst_mistakes

DATA: LabelledImages = draw_bars(30)
NAMES = [f"made_{number}" for number in range(8)]
IMAGES = ImageMaker(DATA, {name: lambda images, severity, rng: images * (1 - severity / 2) for name in NAMES})


def third_class(images: np.ndarray) -> Logits:
    return np.tile(np.array([0, 0, 1], np.float32), (len(images), 1))


def suite(share: float = 0.5) -> SuiteResult:
    """Mistakes on a part of the images, more of them under later corruptions."""
    random = np.random.default_rng(0)
    rows = {(CLEAN, 0.0): np.ones(len(DATA), bool)}
    for number, name in enumerate(NAMES):
        for severity in (0.2, 0.6, 1.0):
            rows[name, severity] = random.random(len(DATA)) > share * severity * (number + 1) / len(NAMES)
    return suite_of(rows)


def test_the_worst_images_are_wrong_different_and_of_several_corruptions() -> None:
    found = worst_mistakes(suite(), IMAGES)
    assert len({each.source for each in found}) == len(found) > 4
    assert max(sum(other.corruption == each.corruption for other in found) for each in found) <= 3
    assert all(each.truth != each.predicted for each in found)
    confidences = [each.confidence for each in found]
    assert confidences == sorted(confidences, reverse=True)


@pytest.mark.parametrize(("seconds", "said"), [(20.0, "orange where"), (-1.0, "prediction, its confidence.")])
def test_the_worst_images_have_maps_while_there_is_time(
    seconds: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explained_mistakes, "SECONDS", seconds)
    figure = worst_figure(suite(), IMAGES, third_class)
    assert figure is not None
    assert said in figure.caption


def test_a_slow_model_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    real = explained_mistakes.occlusion_maps
    monkeypatch.setattr(explained_mistakes, "occlusion_maps", lambda *a, **b: list(real(*a, **b))[:2])
    figure = worst_figure(suite(), IMAGES, third_class)
    assert figure is not None
    assert figure.caption.endswith("Only the first 2 have a map: the model is slow.")


def test_without_mistakes_there_is_no_figure() -> None:
    assert worst_figure(suite(0.0), IMAGES, third_class) is None


def test_figures_show_the_hardest_corruptions_and_tables_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite_figures, "MAX_CORRUPTIONS", 3)
    drawn: list[set[str]] = []
    real = suite_figures.heat_map
    monkeypatch.setattr(
        suite_figures,
        "heat_map",
        lambda families, *a, **b: drawn.append({*families["custom"]}) or real(families, *a, **b),
    )
    model = ModelGroup("one", (suite(),))
    write_report(
        tmp_path, title="", circumstances="", overlap="",
        evaluation=Evaluation([model], [], {"one": calibration_by_family(model.seeds[0])}, {"one": []}, {"one": {}}),
        data=DATA, facts={},
        conditions=[Condition(name, 1.0, "custom", IMAGES.functions[name]) for name in NAMES],
    )  # fmt: skip
    lowest = sorted(model.seeds[0].corruptions, key=lambda summary: summary.accuracy)[:3]
    assert all(shown == {summary.corruption for summary in lowest} for shown in drawn)
    assert drawn
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Figures show the 3 corruptions with the lowest accuracy of 8." in page
    assert all(f"<td>{name}</td>" in page for name in NAMES)
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".svg", ".pdf"}


def test_calibration_has_the_value_that_chance_gives() -> None:
    """Confidence 0.8 as drawn; right in 80 % of the images: within chance. Right in 30 %: not."""
    random = np.random.default_rng(1)
    for share, within in ((0.8, True), (0.3, False)):
        rows = {(name, 0.2): random.random(300) < share for name in NAMES[:2]}
        report = calibration_by_family(suite_of(rows))[1]
        assert report.calibration_error_by_chance is not None
        assert (report.calibration_error < report.calibration_error_by_chance) == within

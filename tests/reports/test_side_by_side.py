"""Where two models are compared, their confusion matrices stand side by side, and their counts add up."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.report_kinds import DATA, DIGITS, models_report, suite_of, suite_report
from helpers.report_kinds_study import compared, comparison_report
from matplotlib.figure import Figure
from matplotlib.text import Text

from imparfait.evaluation.model_comparison import ModelGroup
from imparfait.evaluation.suite import full_suite
from imparfait.reports import page as page_module
from imparfait.reports.comparison import confusion_figures as of_candidates
from imparfait.reports.figures.drawing import LIGHT
from imparfait.reports.suite_figures import confusion_figures as of_models
from imparfait.reports.translation import Language

IMAGE = ("width", "height", "inches", "light", "dark")  # what a template shows of a figure that is not drawn


def total(figure: Figure) -> int:
    """The sum of the column of images beside a matrix."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().isdigit()]
    right = max(text.get_position()[0] for text in texts)
    return sum(int(text.get_text()) for text in texts if text.get_position()[0] == right)


def test_the_matrices_of_two_models_have_all_corrupted_images() -> None:
    conditions = full_suite(DIGITS)
    suites = [suite_of(seed, 0.5, conditions) for seed in (0, 1)]
    figures = of_models([ModelGroup(f"m{number}", (suite,)) for number, suite in enumerate(suites)])
    assert [figure.heading for figure in figures] == ["Confusion matrix: m0", "Confusion matrix: m1"]
    assert [total(figure.draw(LIGHT)) for figure in figures] == [len(DATA) * (len(conditions) - 1)] * 2
    assert of_models([ModelGroup("m0", (suites[0],))]) == []


def test_the_matrices_of_two_candidates_have_all_held_out_images_of_every_seed() -> None:
    found = compared("a", "b")
    figures = of_candidates(found, ("a", "b"))
    plan = found.plan
    assert [total(figure.draw(LIGHT)) for figure in figures] == [plan.sources * len(plan.corruptions) * plan.seeds] * 2


@pytest.mark.parametrize(("write", "rows"), [(models_report, 1), (suite_report, 0), (comparison_report, 1)])
def test_they_stand_in_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, Language], None], rows: int
) -> None:
    monkeypatch.setattr(
        page_module,
        "_rendered",
        lambda folder, figure, *more: {"about": figure, **dict.fromkeys(IMAGE, 1)},
    )
    write(tmp_path, "en")
    [path] = tmp_path.rglob("report.html")
    page = path.read_text(encoding="utf-8")
    in_rows = [row.count('id="figure-confusion_') for row in re.split(r'<div class="row">', page)[1:]]
    assert [count for count in in_rows if count] == [2] * rows
    assert page.count('id="figure-confusion_') == 2 * rows

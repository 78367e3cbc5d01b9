"""Names from data and files are shown as they are, in every figure, page, table and terminal."""

import csv
import html
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from imparfait.cli import console
from imparfait.core.names import as_cell
from imparfait.data.corrupted import core_suite
from imparfait.data.dataset import ConditionImages, LabelledImages
from imparfait.evaluation.model_comparison import Evaluation, ModelGroup, compare_models
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import Scores, score_conditions
from imparfait.evaluation.suite import apply_conditions, full_suite
from imparfait.evaluation.uncertainty import calibration_by_family
from imparfait.reports import robustness, run
from imparfait.reports.figures.drawing import ISOLATES, LIGHT
from imparfait.reports.figures.fonts import can_draw
from imparfait.reports.figures.runs import confusion, plot_scores
from imparfait.reports.page import PageFigure

NAMES = (
    r"$\foo$", "$x^2$", "_", "_a_b", "<b>bold</b>", "&amp;", "[red]", r"\textbf{x} 50 % #1 {y} ~ ^",
    "a\nb", "tab\there", "\x1b[31mred\x1b[0m", "שלום", "数字", "x" * 300,
)  # fmt: skip
"""Mathematics, HTML, LaTeX, terminal markup and escapes, right-to-left, without a glyph, very long."""


@pytest.fixture
def data() -> LabelledImages:
    """Two images of each class, whose names are NAMES."""
    bars = draw_bars(2 * len(NAMES))
    labels = np.arange(len(bars)) % len(NAMES)
    return LabelledImages(bars.pixels, labels, bars.sources, NAMES, "bars", "test")


def random_scores(conditions: list[ConditionImages], seed: int = 0) -> Scores:
    random, classes = np.random.default_rng(seed), len(conditions[0].data.classes)
    return score_conditions(lambda images: random.normal(size=(len(images), classes)).astype(np.float32), conditions)


def escaped(name: str) -> str:
    return html.escape(name).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def test_class_names_in_the_report_of_a_run(data: LabelledImages, tmp_path: Path) -> None:
    conditions = core_suite(data)
    scores = random_scores(conditions)
    figures = run.prediction_figures(scores, conditions)
    name = "<b>bold</b>"
    run.write_report(
        tmp_path, title=name, circumstances=name, overlap="", scores=scores, figures=figures, facts={name: {name: name}}
    )
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert name not in page
    for name in NAMES:
        assert f"<td>{escaped(name)}</td>" in page


def test_class_and_model_names_in_the_report_of_a_suite(data: LabelledImages, tmp_path: Path) -> None:
    conditions = list(apply_conditions(data, full_suite(["stripe", "invert"])))
    models = [ModelGroup(name, (SuiteResult(random_scores(conditions, seed)),)) for seed, name in enumerate(NAMES)]
    evaluation = Evaluation(
        models,
        compare_models(models),
        {model.name: calibration_by_family(model.seeds[0]) for model in models[:1]},
        {model.name: [] for model in models},
        {model.name: {} for model in models},
    )
    robustness.write_report(
        tmp_path, title=NAMES[0], circumstances="", overlap="", evaluation=evaluation, data=data, facts={}
    )
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"<td>{escaped(name)}</td>" in page
    assert "<b>bold" not in page
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["model"] for row in rows} == {row["class"] for row in rows} == set(map(as_cell, NAMES))
    latex = (tmp_path / "table.tex").read_text(encoding="utf-8")
    assert latex.count("\\begin{tabular}") == latex.count("\\end{tabular}") == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_names_in_a_figure(name: str) -> None:
    shown: list[str] = []

    def draw(theme):
        figure = confusion(np.eye(3, dtype=int), (name, "b", "c"), theme)
        texts = [text for text in figure.findobj(Text) if text.get_text()]
        assert not any(text.get_parse_math() for text in texts)
        shown.extend(text.get_text().strip("\N{NO-BREAK SPACE}" + ISOLATES) for text in texts)
        return figure

    PageFigure("confusion", "", "", draw).png(LIGHT)
    expected = "".join(letter if letter.isprintable() else "�" for letter in name)
    expected = expected if can_draw(expected) else "class 0"  # which the page explains
    assert any(text == expected or (text.endswith("…") and expected.startswith(text[:-1])) for text in shown)


@pytest.mark.parametrize("name", NAMES)
def test_names_in_a_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.table(("class", "images"), [(name, "1")])
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    if name.isprintable() and len(name) < 40:
        assert name in printed


def test_a_custom_corruption_of_any_name_can_be_plotted() -> None:
    def mine(images, severity, rng):
        return images

    mine.__name__ = r"$\foo$"
    scores = random_scores(list(apply_conditions(draw_bars(12), full_suite([mine]))))
    FigureCanvasAgg(plot_scores(scores)).draw()

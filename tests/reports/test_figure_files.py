"""Files of figures: letters of all scripts, names from right to left, and vector files beside the page."""

from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from matplotlib.figure import Figure

from imparfait.data.corrupted import core_suite
from imparfait.evaluation.scores import score_conditions
from imparfait.reports import run
from imparfait.reports.figures import fonts
from imparfait.reports.figures.drawing import LIGHT, shown_name
from imparfait.reports.figures.fonts import can_draw, font_families, numbered_classes, shown_classes
from imparfait.reports.page import PageFigure

UNKNOWN = "\U00012000"  # cuneiform


@pytest.fixture
def one_font_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a font called Clay were installed, which has that letter, and one called Air, which has none."""
    own = fonts._letters(fonts.DEFAULT)
    table = {fonts.DEFAULT: own, "Air": frozenset(), "Clay": frozenset({ord(UNKNOWN)})}
    monkeypatch.setattr(fonts, "_installed", lambda: dict.fromkeys(table, ""))
    monkeypatch.setattr(fonts, "_letters", table.__getitem__)


def test_names_without_a_font_are_numbers_with_a_legend() -> None:
    assert not can_draw(UNKNOWN)
    assert shown_classes(["é", UNKNOWN, "שלום"])[:2] == ["é", "class 1"]
    assert numbered_classes(["é", UNKNOWN]) == {"class 1": UNKNOWN}


@pytest.mark.usefixtures("one_font_has_it")
def test_an_installed_font_that_has_the_letters_is_used() -> None:
    assert font_families(f"a{UNKNOWN}") == [fonts.DEFAULT, "Clay"]
    assert shown_classes([UNKNOWN]) == [UNKNOWN]
    figure = Figure()
    texts = figure.text(0, 0, f"a{UNKNOWN}"), figure.text(0, 1, "a")
    fonts.use_fonts_with_all_letters(figure)
    assert [text.get_fontfamily()[-1] for text in texts] == ["Clay", "sans-serif"]


def test_a_name_from_right_to_left_does_not_turn_its_caption() -> None:
    name = shown_name("שלום")
    assert name[1:-1] == "\N{FIRST STRONG ISOLATE}שלום"
    assert name[0] == "\N{LEFT-TO-RIGHT MARK}"  # of the whole caption
    assert name[-1] == "\N{POP DIRECTIONAL ISOLATE}"
    assert shown_name("abc") == "abc"


def test_a_page_says_which_class_a_number_is(tmp_path: Path) -> None:
    bars = draw_bars(6)
    data = type(bars)(bars.pixels, bars.labels, bars.sources, ("flat", UNKNOWN, "שלום"), "bars", "test")
    conditions = core_suite(data)
    scores = score_conditions(lambda images: np.tile([1.0, 0, 0], (len(images), 1)).astype(np.float32), conditions)
    figures = run.prediction_figures(scores, conditions)[-1:]
    run.write_report(tmp_path, title="", circumstances="", overlap="", scores=scores, figures=figures, facts={})
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"class 1 is <bdi>{UNKNOWN}</bdi>" in " ".join(page.split())


@pytest.mark.parametrize("for_papers", [True, False])
def test_the_report_of_one_model_has_files_for_papers_on_request(tmp_path: Path, for_papers: bool) -> None:
    data = draw_bars(20)
    conditions = core_suite(data)
    scores = score_conditions(lambda images: np.tile([1.0, 0, 0], (len(images), 1)).astype(np.float32), conditions)
    figures = run.prediction_figures(scores, conditions)[1:2]
    run.write_report(
        tmp_path, title="a_b", circumstances="", overlap="", scores=scores, figures=figures, facts={},
        for_papers=for_papers,
    )  # fmt: skip
    files = {path.suffix for path in (tmp_path / "figures").iterdir()} if for_papers else set()
    assert files == ({".svg", ".pdf"} if for_papers else set())
    assert (tmp_path / "figures").exists() == (tmp_path / "table.tex").exists() == for_papers
    if for_papers:
        latex = (tmp_path / "table.tex").read_text(encoding="utf-8")
        assert latex.count("\\begin{table}") == latex.count("\\caption{") == latex.count("\\label{tab:") == 1 + 3
        assert latex.split("\\end{table}")[0].count("\\\\\n") == 1 + 3 + 1  # headings, conditions, mean
        assert r"\%" in latex


def test_equal_figures_are_equal_files() -> None:
    def draw(theme):
        figure = Figure()
        figure.add_subplot().plot([0, 1])
        return figure

    first = PageFigure("a", "", "", draw).files(LIGHT)
    assert first == PageFigure("a", "", "", draw).files(LIGHT)
    assert {kind: content[1:4] for kind, content in first.items()} == {"png": b"PNG", "svg": b"?xm", "pdf": b"PDF"}

"""What every report has: its origin, sections, glossary, legible figures, and boxes that scroll by keyboard."""

import re
from html import unescape
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from helpers.axe import violations
from helpers.bars import draw_bars
from matplotlib.figure import Figure
from matplotlib.text import Text
from playwright.sync_api import Browser

from imparfait.data.corrupted import core_suite
from imparfait.evaluation.scores import score_conditions
from imparfait.reports import origin, run
from imparfait.reports import page as page_module
from imparfait.reports.figures.drawing import LIGHT, MIN_POINTS, few_log_ticks, figure_on
from imparfait.reports.figures.runs import accuracy_loss, confusion
from imparfait.reports.figures.suites import confidence, curves
from imparfait.reports.glossary import TERMS, Term, terms_in
from imparfait.reports.page import TEMPLATES
from imparfait.training.checkpoints import Epoch

pytest_plugins = ("helpers.browser",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a model that always predicts the first of three classes."""
    folder = tmp_path_factory.mktemp("page")
    conditions = core_suite(draw_bars(60))
    scores = score_conditions(lambda images: np.tile([1.0, 0, 0], (len(images), 1)).astype(np.float32), conditions)
    run.write_report(
        folder,
        title="Training: tiny on bars",
        circumstances="On bars.",
        overlap="",
        scores=scores,
        conditions=conditions,
        figures=[
            run.training_figure([Epoch(1, 0.5, 0.8, 100, 1.0, part_losses=(0.9, 0.1))]),
            *run.prediction_figures(scores, conditions),
        ],
        facts={"settings": {"epochs": 1}},
        for_papers=False,
    )
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_head_has_date_version_and_what_the_numbers_mean(page: str) -> None:
    head = page[page.index("<header>") : page.index("</header>")]
    assert re.search(r"\d+ \w+ 20\d\d, \d\d:\d\d UTC", head)
    assert origin.origin().version in head
    assert origin.GUIDE in head
    assert (Path(origin.__file__).parents[2] / origin.GUIDE).exists()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["/usr/bin/imparfait", "train", "my data"], "imparfait train 'my data'"),
        (["/x/imparfait/__main__.py", "list"], "imparfait list"),
        (["/usr/bin/imparfait.exe", "list"], "imparfait list"),
        (["/usr/bin/pytest", "tests"], ""),
        (["-c"], ""),
        ([""], ""),
        ([], ""),
        (["imparfait", "evaluate", "--url", "http://me:secret@host/v1"], "imparfait evaluate --url http://…@host/v1"),
    ],
)
def test_the_command_is_that_of_the_command_line(argv: list[str], expected: str) -> None:
    assert origin.command_line(argv) == expected


def test_without_git_there_is_no_author(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert origin._author.__wrapped__() == ""


def test_every_section_is_linked_from_the_top(page: str) -> None:
    sections = re.findall(r'<h2 id="([^"]+)"', page)
    links = re.findall(r'<li><a href="#([^"]+)"', page)
    assert sections == links
    assert len(sections) == len(set(sections)) == page.count("<h2")


def test_the_glossary_has_the_metrics_of_the_page_and_no_others(page: str) -> None:
    shown = [unescape(name) for name in re.findall(r"<dt>(.*?)</dt>", page)]
    assert shown == ["Accuracy", "95 % interval", "Precision, recall and F1"]


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.anchor)
def test_every_metric_is_explained_with_a_drawing(term: Term) -> None:
    docs = Path(origin.__file__).parents[2] / "docs"
    text = " ".join((docs / "metrics.md").read_text(encoding="utf-8").split())
    assert f"## {term.name} ![{term.name}](img/metrics/{term.anchor}.svg) {term.meaning}" in text
    assert (docs / "img" / "metrics" / f"{term.anchor}.svg").read_text(encoding="utf-8").endswith("</svg>\n")


def test_a_term_is_found_in_text_and_not_in_styles_or_attributes() -> None:
    assert [term.anchor for term in terms_in("<th>AUROC</th><style>NLL</style><p title='FPR95'>95&nbsp;%</p>")] == [
        "confidence-interval",
        "auroc",
    ]


def test_every_box_that_scrolls_is_reached_by_keyboard_and_has_a_name(page: str) -> None:
    boxes = re.findall(r'<(?:div|pre) class="(?:scroll|command)"([^>]*)>', page)
    assert len(boxes) > 5
    assert all('tabindex="0"' in box and re.search(r'aria-label="[^"]+"', box) for box in boxes)


def test_a_sentence_has_a_capital_but_a_name_at_its_beginning_keeps_its_case() -> None:
    as_sentence = page_module._as_sentence
    assert as_sentence("no difference shown") == "No difference shown."
    assert as_sentence("quick: 2 jobs failed", ["quick"]) == "quick: 2 jobs failed."
    assert as_sentence("quickly done", ["quick"]) == "Quickly done."
    assert as_sentence("") == "."


def test_print_has_page_numbers_title_and_date_and_keeps_headings_with_their_figures(page: str) -> None:
    assert 'content: counter(page) " / " counter(pages)' in page
    foot = re.search(r"@bottom-left \{ content: (.*?); \}", page)
    assert foot
    letters = re.sub(r"\\([0-9a-f]+) ", lambda code: chr(int(code[1], 16)), foot[1])
    assert "Training: tiny on bars" in letters
    assert re.search(r"20\d\d", letters)
    assert page.count('<div class="figure">') == page.count("<figure")
    assert re.search(r"\.figure,[^{]*\{ break-inside: avoid; \}", page)


def test_no_table_heading_is_empty() -> None:
    for template in TEMPLATES.glob("*.html"):
        assert not re.search(r"<th[^>]*></th>", template.read_text(encoding="utf-8")), template.name


def test_all_misclassified_images_are_shown_with_the_pairs_confused_most(page: str, folder: Path) -> None:
    wrong = round(3 * 60 * 2 / 3)
    assert page.count('<li><img src="data:image/png;base64,') == wrong
    assert f"Shown: all {wrong}" in page
    assert len(re.findall(r"\(\d+\)", page[page.index("Most frequent:") :].split("</p>")[0])) == 2


def figures() -> dict[str, Figure]:
    line = np.array([[0.0, 0.5, 1], [0.99, 0.98, 0.9], [0.98, 0.97, 0.85], [1, 0.99, 0.95]])
    return {
        "confusion": confusion(np.arange(100).reshape(10, 10), list("0123456789"), LIGHT),
        "one epoch": accuracy_loss([0.5], [0.8], {"clean": [0.9]}, LIGHT, [(0.9, 0.1)]),
        "epochs": accuracy_loss([0.5, 0.4], [0.8, 0.9], {"clean": [0.9, 0.95]}, LIGHT),
        "curves": curves({"noise": {"fog": line, "invert": line[:, [0, 2]]}}, 2, LIGHT),
        "confidence": confidence({"a": np.array([[0.9, 0.99], [0.8, 1.0]])}, {"a": np.array([[0.1, 1], [0, 0.1]])}),
    }


def test_letters_in_figures_are_at_least_11_pixels_high() -> None:
    css = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    least = int(re.search(r"min-width: calc\(var\(--inches\) \* (\d+)px\)", css)[1])  # type: ignore[index]
    for name, figure in figures().items():
        figure.canvas.draw()
        texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
        assert len(texts) > 5, name
        assert min(float(text.get_fontsize()) for text in texts) >= MIN_POINTS, name
    assert MIN_POINTS / 72 * least >= 11


def test_a_single_epoch_is_drawn_by_its_steps_and_without_an_empty_axis() -> None:
    left, right = figures()["one epoch"].axes
    assert [np.size(line.get_xdata()) for line in left.lines] == [2, 1]
    assert right.lines[0].get_xdata() == pytest.approx([80, 90])
    assert [label.get_text() for label in right.get_yticklabels()] == ["training", "validation, clean"]


def test_a_corruption_of_one_level_is_a_mark_without_a_line_from_clean() -> None:
    axes = figures()["curves"].axes[0]
    (mark,) = [line for line in axes.lines if line.get_label() == "invert"]
    assert np.array_equal(mark.get_xdata(), [1])
    assert mark.get_linestyle() == "None"


def test_all_axes_of_measurements_are_labelled() -> None:
    for name, figure in figures().items():
        for axes in figure.axes:
            if axes.get_visible() and name not in ("curves", "one epoch"):
                assert axes.get_xlabel(), name
                assert axes.get_ylabel(), name


def test_a_confusion_matrix_has_the_images_and_the_recall_of_each_class() -> None:
    figure = confusion(np.array([[9, 1], [0, 0]]), ("a", "b"), LIGHT)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[-6:] == ["10", "90.0", "0", "–", "images", "recall %"]


def test_reliability_gives_near_perfect_bins_room() -> None:
    figure = confidence({"a": np.array([[0.99, 0.999], [0.985, 1.0]])}, {"a": np.array([[0.1, 1], [0, 0.1]])})
    left = figure.axes[0]
    low, high = left.get_xlim()
    first, last = np.asarray(left.lines[0].get_xdata(), float)
    assert last - first > 0.4 * (high - low)


@pytest.mark.parametrize("limits", [(0.27, 0.71), (1, 100_000), (5, 6), (99, 101), (1e-4, 3), (20, 20.1)])
def test_logarithmic_axes_have_two_to_six_ticks(limits: tuple[float, float]) -> None:
    _, axes = figure_on(LIGHT, 4, 3)
    axes.set_xlim(limits)
    few_log_ticks(axes)
    assert 2 <= len(axes.get_xticks()) <= 6
    assert not len(axes.get_xticks(minor=True))


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_accessibility_violations(
    browser: Browser, folder: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto((folder / "report.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_a_box_that_goes_on_has_a_hint_and_one_that_fits_has_none(browser: Browser, folder: Path) -> None:
    shown = """figure => getComputedStyle(figure, '::after').opacity"""
    opacities = {}
    for width in (1280, 390):
        context = browser.new_context(viewport={"width": width, "height": 800})
        page = context.new_page()
        page.goto((folder / "report.html").as_uri())
        figure = page.locator("figure.scroller").first
        figure.scroll_into_view_if_needed()
        page.wait_for_timeout(100)
        opacities[width] = float(figure.evaluate(shown))
        if width == 390:
            figure.locator(".scroll").evaluate("box => { box.scrollLeft = box.scrollWidth; }")
            page.wait_for_timeout(100)
            opacities[0] = float(figure.evaluate(shown))
        context.close()
    assert opacities == {1280: 0, 390: 1, 0: 0}

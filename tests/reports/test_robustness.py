"""The robustness report: one self-contained page, and tables that agree with the counts."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.model_comparison import Evaluation, ModelGroup, compare_models
from imparfait.evaluation.robustness import CorruptionSummary, SuiteResult
from imparfait.evaluation.scores import ConditionResult, Scores
from imparfait.evaluation.statistics import Crossing
from imparfait.evaluation.suite import CLEAN, Condition, apply_conditions, full_suite
from imparfait.evaluation.uncertainty import OodReport, calibration_by_family
from imparfait.reports.robustness import write_report
from imparfait.reports.suite_mistakes import ImageMaker, mistake_figures
from imparfait.reports.suite_tables import core_mean, mnist_c_mean, summaries_of
from imparfait.reports.text import corruption_label, crossing_text

DATA = draw_bars(60)


def half_grey(images: Images, severity: float, rng: CounterRng) -> Images:
    return images * (1 - severity / 2)


CONDITIONS = full_suite(["geometric", "gaussian_noise", "fog", "stripe", half_grey])


def suite_of(seed: int, strength: float, conditions: Sequence[Condition] = CONDITIONS) -> SuiteResult:
    """Predictions that are wrong more often at higher severity; no classifier runs."""
    random = np.random.default_rng(seed)
    n, classes = len(DATA), len(DATA.classes)
    results = []
    for condition in conditions:
        wrong = random.random(n) < condition.severity * (1 - strength)
        predicted = np.where(wrong, (DATA.labels + 1) % classes, DATA.labels)
        confidence = random.uniform(0.5, 1, n)[:, None]
        probabilities = np.where(np.arange(classes) == predicted[:, None], confidence, (1 - confidence) / (classes - 1))
        name, severity = condition.corruption, condition.severity
        results.append(ConditionResult(name, severity, DATA.sources, DATA.labels, probabilities.astype(np.float32)))
    return SuiteResult(Scores(tuple(results), DATA.classes))


def written(
    folder: Path, models: list[ModelGroup], errors: dict[str, dict[str, float]] | None = None, **more: object
) -> str:
    ood = [
        OodReport("letters_like_digits", "letters with a digit's shape", 10, 0.4, 0.9, 0.5, resembles_classes=True),
        OodReport("noise", "uniform noise", 10, 0.7, 0.2, None),
    ]
    write_report(
        folder,
        title="the suite",
        circumstances="On bars.",
        overlap="Training data unknown.",
        evaluation=Evaluation(
            models,
            compare_models(models),
            {model.name: calibration_by_family(model.seeds[0]) for model in models},
            {model.name: ood for model in models},
            errors or {model.name: {} for model in models},
        ),
        data=DATA,
        conditions=CONDITIONS,
        facts={"settings": {"epochs": 1}},
        **more,  # type: ignore[arg-type]
    )
    return " ".join((folder / "report.html").read_text(encoding="utf-8").split()).replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelGroup, str]:
    folder, model = tmp_path_factory.mktemp("one"), ModelGroup("a_50%", (suite_of(0, 0.5),))
    errors = {model.name: {"geometric": 0.5, "fog": 1.5}}
    page = written(folder, [model], errors, without_label_errors={model.name: (0.99, 0.995)})
    return folder, model, page


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ModelGroup], str]:
    folder = tmp_path_factory.mktemp("several")
    models = [
        ModelGroup("strong", (suite_of(0, 0.9), suite_of(1, 0.9))),
        ModelGroup("<weak>", (suite_of(2, 0.2), suite_of(3, 0.2))),
    ]
    return folder, models, written(folder, models, notes={"<weak>": "foreground dark (inferred)"})


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_page_has_its_sections_in_order(one: tuple[Path, ModelGroup, str]) -> None:
    _, model, page = one
    page = page[page.index("<main>") :]  # after the links to its sections
    expected = [
        f'<div class="headline">{100 * model.mean:.2f} %',
        "Accuracy first falls below 95 %",
        "Where it breaks",
        "Accuracy by corruption and severity",
        "Accuracy over severity",
        "By corruption",
        "must not be compared with a published mCE",
        '<h2 id="calibration">Calibration</h2>',
        '<th scope="col">NLL</th><th scope="col">Brier</th><th scope="col">ECE',
        "Confidence against accuracy",
        "uniform noise",
        "there is no right answer",
        "letters with a digit",
        '<h2 id="confusions">Confusions</h2>',
        "Most confident mistakes",
        "99.00 % of the clean images; 99.50 % without those 15",
        '<h2 id="settings">',
    ]
    places = [page.find(words) for words in expected]
    assert -1 not in places, expected[places.index(-1)]
    assert places == sorted(places)


@pytest.mark.parametrize("which", ["one", "several"])
def test_the_page_is_self_contained(which: str, request: pytest.FixtureRequest) -> None:
    page = request.getfixturevalue(which)[2]
    for link in re.findall(r'(?:src|srcset|href)="([^"]*)"', page):
        assert link.startswith(("data:image/png;base64,", "#")), link[:80]
    assert not re.search(r"https?:|url\(|@import|<script", re.sub(r"base64,[^\"]*", "", page))


def test_the_tables_agree_with_the_scores(one: tuple[Path, ModelGroup, str]) -> None:
    folder, model, page = one
    suite = model.seeds[0]
    counted: dict[tuple[str, float], list[int]] = {}
    for line in table(folder / "scores.csv"):
        correct, total = counted.setdefault((line["corruption"], float(line["severity"])), [0, 0])
        counted[line["corruption"], float(line["severity"])] = [
            correct + int(line["correct"]),
            total + int(line["total"]),
        ]
    scores = suite.scores.scores
    assert counted == {(s.corruption, float(f"{s.severity:.6g}")): [s.correct, s.total] for s in scores}
    rows = {row.corruption: row for row in suite.corruptions}
    lines = table(folder / "table.csv")
    assert {line["corruption"] for line in lines} == set(rows)
    latex = (folder / "table.tex").read_text()
    for line in lines:
        row = rows[line["corruption"]]
        assert float(line["mean"]) == pytest.approx(row.accuracy, abs=1e-6)
        for name, value in (("mnist_c", row.mnist_c), ("core", row.core)):
            assert line[name] == ("" if value is None else f"{value:.6f}")
        label = corruption_label(line["corruption"])
        assert f"<td>{label}</td><td>{row.family}</td><td>{100 * row.accuracy:.2f}</td>" in page
        assert f"{label} & {row.family} & {100 * row.accuracy:.2f} &".replace("_", "\\_") in latex
    assert next(line for line in lines if line["corruption"] == "fog")["corruption_error"] == "1.500000"
    assert np.mean([float(line["mean"]) for line in lines]) == pytest.approx(suite.mean, abs=1e-6)


def test_the_latex_is_escaped(one: tuple[Path, ModelGroup, str]) -> None:
    lines = (one[0] / "table.tex").read_text().splitlines()
    body = [line for line in lines if not line.startswith("%")]
    assert not any(re.search(r"(?<!\\)[%_#$]", line.replace(r"$\geq$", "")) for line in body)
    assert all(line.count("&") == 6 for line in body if line.endswith(r"\\"))
    assert all(ord(sign) < 128 for line in body for sign in line)
    assert sum("\\begin{tabular}" in line for line in body) == sum("\\end{tabular}" in line for line in body) == 1


def test_a_custom_corruption_is_among_the_others(one: tuple[Path, ModelGroup, str]) -> None:
    folder, _, page = one
    assert "<td>half_grey</td><td>custom</td>" in page
    assert (folder / "mistakes_custom.png").exists()


def test_without_the_function_of_a_corruption_its_images_are_left_out() -> None:
    suite = suite_of(0, 0.5)
    figures = mistake_figures(suite, suite.corruptions, ImageMaker(DATA, {}))
    assert {figure.heading for figure in figures} == {"geometry", "noise", "light", "strokes"}


def test_several_models_get_a_verdict_and_their_disagreements(
    several: tuple[Path, list[ModelGroup], str],
) -> None:
    folder, models, page = several
    assert "strong is better than &lt;weak&gt; by" in page
    assert "<weak>" not in page
    assert "Input of &lt;weak&gt;: foreground dark (inferred)" in page
    assert "Correct by strong, wrong by &lt;weak&gt;" in page
    assert "strong minus &lt;weak&gt;" in page
    assert (folder / "difference.png").exists()
    assert "published mCE" not in page
    assert "Label errors" not in page
    assert {(line["model"], line["seed"]) for line in table(folder / "scores.csv")} == {
        (model.name, str(seed)) for model in models for seed in range(2)
    }
    for model in models:
        means = [float(line["mean"]) for line in table(folder / "table.csv") if line["model"] == model.name]
        assert np.mean(means) == pytest.approx(model.mean, abs=1e-6)


def test_a_model_without_mistakes(tmp_path: Path) -> None:
    page = written(tmp_path, [ModelGroup("knows", (suite_of(0, 1.0),))])
    assert '<div class="headline">100.00 %' in page
    assert "Never below 95 %: " in page
    assert "No mistakes under" in page
    assert "Where it breaks" not in page


def test_summaries_of_several_seeds_are_means(several: tuple[Path, list[ModelGroup], str]) -> None:
    model = several[1][1]
    first, second = (suite.corruptions for suite in model.seeds)
    for row, a, b in zip(summaries_of(model), first, second, strict=True):
        assert row.accuracies == pytest.approx(np.mean([a.accuracies, b.accuracies], 0))
        assert row.crossing.severity is not None
        ends = sorted((a.crossing.severity or 0, b.crossing.severity or 0))
        assert ends[0] - 0.2 <= row.crossing.severity <= ends[1] + 0.2


def test_means_of_published_suites_need_all_their_corruptions() -> None:
    full = ModelGroup("full", tuple(suite_of(seed, 0.5, full_suite()) for seed in range(2)))
    assert mnist_c_mean(full) == pytest.approx(np.mean([suite.mnist_c_mean for suite in full.seeds]))
    assert core_mean(full) == pytest.approx(np.mean([suite.core_mean for suite in full.seeds]))
    assert mnist_c_mean(ModelGroup("few", (suite_of(0, 0.5),))) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_images_made_again_are_those_that_were_evaluated(channels: int) -> None:
    data: LabelledImages = draw_bars(12, channels=channels)
    images = ImageMaker(data, {"half_grey": half_grey})
    chosen = data.sources[[7, 2, 2]]
    for part in apply_conditions(data, CONDITIONS):
        assert np.array_equal(images.make(part.corruption, part.severity, chosen), part.data.pixels[[7, 2, 2]])
    places = [("fog", 0.4, 7), (CLEAN, 0.0, 2), ("fog", 0.4, 2)]
    assert np.array_equal(images.make_all(places)[1], data.pixels[2])


def summary_with(found: Crossing, levels: int = 5) -> CorruptionSummary:
    severities = tuple((np.arange(levels) + 1.0) / levels)
    return CorruptionSummary("fog", "light", severities, (0.9,) * levels, ((0.8, 1.0),) * levels, found)


def test_crossings_as_text() -> None:
    assert crossing_text(summary_with(Crossing(0.321, 0.3, 0.34))) == "0.32 (0.30 – 0.34)"
    assert crossing_text(summary_with(Crossing(0.0071, 0.006, 0.0082))) == "below 0.2"
    assert crossing_text(summary_with(Crossing(0.9, 0.8, None))) == "0.90 (0.80 – beyond)"
    assert crossing_text(summary_with(Crossing(None, None, None))) == "not reached"
    assert crossing_text(summary_with(Crossing(None, 0.91, None))) == "not reached (≥ 0.91)"
    assert crossing_text(summary_with(Crossing(0.0, 0.0, 0.0))) == "already clean"
    assert crossing_text(summary_with(Crossing(0.1, 0.1, 0.1), levels=1)) == "at its only level"
